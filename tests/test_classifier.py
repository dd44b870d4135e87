"""CNNClassifier: what evaluate, predict, save and load promise."""

from copy import deepcopy

import numpy as np
import pytest
from conftest import error, same
from PIL import Image
from torchvision import transforms

from classifier import CNNClassifier
from config import Config
from dataset import CharDataset


@pytest.mark.parametrize("model", ["LeNet", "ResNet18"])
def test_evaluate_changes_nothing(drawn, quick, model):
    classifier = CNNClassifier(quick(model=model, input_size=32), drawn.classes)
    before, images = deepcopy(classifier.model.state_dict()), drawn.subset(range(0, 480, 3))
    assert classifier.evaluate(images) == classifier.evaluate(images)
    classifier.predict(images)
    assert same(before, classifier.model.state_dict())


@pytest.fixture(scope="module")
def trained(drawn) -> CNNClassifier:
    config = Config(epochs=6, batch_size=32, learning_rate=0.004, device="cpu", record_path=None, save_path=None)
    classifier = CNNClassifier(config, drawn.classes)
    classifier.fit(drawn)
    return classifier


def test_evaluate_gives_each_class_on_request(trained, drawn):
    result = trained.evaluate(drawn, classes=True)
    assert list(result["classes"]) == drawn.classes and result["classes"]["博"]["support"] == 40
    recalls = [one["recall"] for one in result["classes"].values()]
    assert np.mean(recalls) == pytest.approx(result["accuracy"])
    assert 0 <= result["calibration_error"] <= 1 and "classes" not in trained.evaluate(drawn)


def test_a_temperature_changes_probabilities_alone_and_is_stored(trained, drawn, tmp_path):
    trained.save(tmp_path / "plain.ckpt")
    classifier = CNNClassifier.load(tmp_path / "plain.ckpt", device="cpu")
    before, predicted = classifier.evaluate(drawn), classifier.predict(drawn)
    temperature = classifier.calibrate(drawn)
    after = classifier.evaluate(drawn)
    assert temperature != 1 and after["loss"] < before["loss"] and after["accuracy"] == before["accuracy"]
    assert classifier.calibrate(drawn) == pytest.approx(temperature, rel=1e-3)  # it is there already
    np.testing.assert_array_equal(classifier.predict(drawn), predicted)
    classifier.save(tmp_path / "calibrated.ckpt")
    loaded = CNNClassifier.load(tmp_path / "calibrated.ckpt", device="cpu")
    np.testing.assert_array_equal(loaded.predict_proba(drawn), classifier.predict_proba(drawn))


@pytest.mark.parametrize("pipeline", ["resident", "per_image"])
def test_predictions_have_the_promised_form(drawn, quick, pipeline):
    classifier = CNNClassifier(quick(pipeline=pipeline), drawn.classes)
    probabilities = classifier.predict_proba(drawn)
    assert probabilities.dtype == np.float32 and probabilities.shape == (480, 12)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    labels = classifier.predict(drawn.x)
    assert labels.dtype == np.int64 and labels.shape == (480,)
    np.testing.assert_array_equal(labels, probabilities.argmax(1))
    assert classifier.predict(drawn.x[0]).shape == (1,) and classifier.predict(drawn.x[:0]).shape == (0,)


def test_shifts_are_averaged_if_wanted(drawn, quick):
    classifier = CNNClassifier(quick(), drawn.classes)
    classifier.fit(drawn)
    plain, mean = (classifier.predict_proba(drawn, shifts=shifts) for shifts in (False, True))
    assert abs(plain - mean).max() > 1e-4
    np.testing.assert_allclose(mean.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(classifier.predict(drawn, shifts=True), mean.argmax(1))
    accuracy = classifier.evaluate(drawn, shifts=True)["accuracy"]
    assert accuracy == pytest.approx((mean.argmax(1) == drawn.y).mean())


def test_arrays_that_torch_cannot_share_are_predicted_too(drawn, quick):
    classifier, x = CNNClassifier(quick(), drawn.classes), drawn.x[:4].copy()
    expected = classifier.predict_proba(x)
    np.testing.assert_array_equal(classifier.predict_proba(x[::-1])[::-1], expected)
    x.flags.writeable = False
    np.testing.assert_array_equal(classifier.predict_proba(x), expected)


def test_images_of_any_size_and_polarity_are_prepared_as_in_training(drawn, quick):
    classifier = CNNClassifier(quick(), drawn.classes)
    x = drawn.x[:20]
    np.testing.assert_array_equal(classifier.model_input(255 - x), classifier.model_input(x))
    large = x.repeat(3, 1).repeat(3, 2)
    assert np.abs(classifier.model_input(large) - classifier.model_input(x)).mean() < 0.05
    wide = np.pad(x, ((0, 0), (0, 0), (14, 14)), constant_values=255)
    assert classifier.model_input(wide).shape == (20, 32, 32)


def test_the_input_spec_is_measured_on_the_training_images(drawn, quick):
    classifier = CNNClassifier(quick(epochs=1, stored_size=20), drawn.classes)
    spec = classifier.input_spec_
    assert (spec.input_size, spec.source_shape, spec.style) == (32, (20, 20), None)
    images = CharDataset(drawn.x[:, 2:], drawn.y, classes=drawn.classes)
    images.cropped = True
    classifier.fit(images)
    spec = classifier.input_spec_
    assert (spec.input_size, spec.source_shape, spec.cropped, spec.transformed) == (32, (26, 28), True, False)
    assert spec.style["dark"] and classifier.match_style(drawn.x[0].repeat(4, 0).repeat(4, 1)).shape == (26, 28)


def test_a_colour_picture_gets_one_answer(drawn, quick, tmp_path):
    classifier = CNNClassifier(quick(), drawn.classes)
    assert classifier.predict(np.zeros((28, 28, 3), np.uint8)).shape == (1,)
    large = Image.fromarray(drawn.x[3]).convert("RGB").resize((90, 70))
    large.save(tmp_path / "a.png")
    probabilities = classifier.predict_proba([large, drawn.x[0], tmp_path / "a.png"])
    assert probabilities.shape == (3, 12)
    np.testing.assert_allclose(probabilities[0], probabilities[2], atol=1e-6)
    np.testing.assert_allclose(probabilities[1], classifier.predict_proba(drawn.x[0])[0], atol=1e-6)


def test_bad_images_are_named_with_the_remedy(drawn, quick):
    classifier = CNNClassifier(quick(), drawn.classes)
    assert error(classifier.predict, drawn.x / 255) == (
        "images must be uint8, 0 to 255, not float64: convert values in [0, 1] with (x * 255).astype('uint8')"
    )
    assert error(classifier.predict, drawn.x[0, 0]).endswith("or in colour (N, H, W, 3) or (H, W, 3), not (28,)")
    assert error(classifier.fit, drawn.x) == (
        "images and labels belong together: give CharDataset(x, y, classes=…), not ndarray"
    )
    assert error(classifier.evaluate, drawn.subset([])) == "there are no images (source: drawn for a test)"
    assert error(classifier.fit, drawn, drawn.subset([])).startswith("there are no validation images: add images")
    small = transforms.Compose([transforms.Resize((28, 28)), transforms.ToTensor()])
    remedy = ": let it end with Resize((32, 32)) and ToTensor(), in this order"
    for transform, what in ((small, "float32 (1, 28, 28)"), (np.asarray, "ndarray")):
        text = error(classifier.fit, drawn.with_transform(transform))
        assert what in text and text.endswith(remedy)
    other = CharDataset(drawn.x[:40], drawn.y[:40], classes=["a", "b"])
    assert error(classifier.fit, other) == (
        f"the images have the classes a, b, the classifier {', '.join(drawn.classes)}: "
        "give images.with_classes(classifier.classes_)"
    )
    assert error(CNNClassifier, quick(input_size=64), drawn.classes) == (
        "LeNet takes images of 32×32 pixels, not 64: leave input_size out, or use another model"
    )
    assert error(CNNClassifier, quick(), ["a", "a"]) == (
        "a classifier needs two or more classes of different names, not ['a', 'a']"
    )
    assert error(CNNClassifier, quick(model="LeNe"), drawn.classes).startswith(
        "unknown model 'LeNe': did you mean 'LeNet'"
    )
