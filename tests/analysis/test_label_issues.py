"""Label issues are ranked by how much more a model believes in another class."""

import numpy as np
import pytest
import torch

from analysis.label_issues import can_judge, find_label_issues, format_label_issues
from analysis.validation import cross_validate
from config import Config
from dataset import CharDataset, load
from init import preprocess
from readers import open_source
from training.evaluation import Predictions


def as_predictions(images: CharDataset, probabilities: np.ndarray) -> Predictions:
    return Predictions.from_logits(torch.from_numpy(probabilities).log(), torch.from_numpy(images.y))


def of_two_classes(drawn, correct: int = 75) -> tuple[CharDataset, np.ndarray]:
    """Return 40 images of each of two classes, and probabilities that are right for the last `correct` of them."""
    images = drawn.subset(np.arange(80))
    images = CharDataset(images.x.copy(), images.y, classes=drawn.classes)
    probabilities = np.zeros((80, 12), np.float32)
    right = np.where(np.arange(80) < 80 - correct, 1 - images.y, images.y)
    probabilities[np.arange(80), right], probabilities[np.arange(80), 1 - right] = 0.9, 0.1
    return images, probabilities


def test_label_issues_are_ranked_by_margin(drawn):
    images, probabilities = of_two_classes(drawn)
    images.array[40] = images.array[5]  # the same image in two classes
    probabilities[:5, 0] = [0.9, 0.45, 0.3, 0.6, 0.2]
    probabilities[:5, 1] = [0.1, 0.55, 0.7, 0.4, 0.8]
    predictions = as_predictions(images, probabilities)
    assert find_label_issues(images, predictions).tolist() == [5, 40, 4, 2, 1]
    assert format_label_issues(images, predictions, [2, 40, 5]) == [
        "'2': label '博', predicted '学' with 70%",
        "'40': label '学', identical to '5', which has the label '博'",
        "'5': label '博', identical to '40', which has the label '学'",
    ]


@pytest.mark.parametrize(("correct", "judges"), [(80, True), (69, True), (66, False), (45, False), (0, False)])
def test_a_model_hardly_above_chance_cannot_judge(drawn, capsys, correct, judges):
    images, probabilities = of_two_classes(drawn, correct)
    images.array[79] = images.array[0]
    found = find_label_issues(images, as_predictions(images, probabilities))
    assert set(found.tolist()) == {0, 79} | (set(range(80 - correct)) if judges else set())
    assert ("The model cannot judge labels: its accuracy is" in capsys.readouterr().out) == (not judges)


def test_what_chance_is_depends_on_the_classes():
    y = np.arange(100) % 10
    assert can_judge(y, np.where(np.arange(100) < 70, y, y + 1)) and not can_judge(y, np.where(y < 6, y, 0))
    y = np.repeat([0, 1], [90, 10])
    assert not can_judge(y, np.zeros(100, int)), "the largest class each time"


def test_identical_images_of_one_class_are_no_issue(drawn):
    images, probabilities = of_two_classes(drawn, 80)
    images.array[1] = images.array[0]
    predictions = as_predictions(images, probabilities)
    assert find_label_issues(images, predictions).tolist() == [] == format_label_issues(images, predictions, [])


def test_the_labs_wrong_labels_are_among_the_first_30(real_images, tmp_path):
    """9/518 is 由 filed under 自, and one of 1/428 = 2/608 must be wrong: from two quick folds of every third image."""
    preprocess(open_source(real_images), tmp_path / "data.npz")
    images = load(tmp_path / "data.npz")
    known = ["9/518.bmp", "1/428.bmp", "2/608.bmp"]
    third = np.union1d(np.arange(0, 7440, 3), np.flatnonzero(np.isin(images.files, known)))
    images = images.subset(third)
    result = cross_validate(Config(epochs=12, batch_size=64, learning_rate=0.004, device="cpu"), images, folds=2)
    assert set(known) <= set(images.files[find_label_issues(images, result["predictions"])[:30]])
