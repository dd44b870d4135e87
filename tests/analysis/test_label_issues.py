"""Label issues are ranked by how much more a model believes in another class."""

import numpy as np
import torch

from analysis.label_issues import find_label_issues, format_label_issues
from analysis.validation import cross_validate
from config import Config
from dataset import CharDataset, load
from init import preprocess
from readers import open_source
from training.evaluation import Predictions


def test_label_issues_are_ranked_by_margin(drawn):
    images = drawn.subset([0, 1, 2, 40, 41])
    x = images.x.copy()
    x[3] = x[0]  # the same image in two classes
    images = CharDataset(x, images.y, classes=drawn.classes)
    probabilities = np.zeros((5, 12), np.float32)
    probabilities[:, 0] = [0.9, 0.45, 0.3, 0.9, 0.2]
    probabilities[:, 1] = [0.1, 0.55, 0.7, 0.1, 0.8]
    predictions = Predictions.from_logits(torch.log(torch.from_numpy(probabilities)), torch.from_numpy(images.y))
    assert find_label_issues(images, predictions).tolist() == [3, 0, 2, 1]
    assert format_label_issues(images, predictions, [2, 3]) == [
        "'2': label '博', predicted '学' with 70%", "'3': label '学', predicted '博' with 90%",
    ]  # fmt: skip


def test_identical_images_of_one_class_are_no_issue(drawn):
    images = drawn.subset([0, 0, 40])
    predictions = Predictions.from_logits(torch.eye(12)[[0, 0, 1]], torch.from_numpy(images.y))
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
