import dataclasses
import json

import numpy as np
import pytest

from common.errors import InputError
from dataset import CharDataset
from imaging import photo
from imaging.fitting import fit_image
from imaging.input_spec import InputSpec


def test_it_is_measured_on_the_training_images(drawn):
    spec = InputSpec.from_images(drawn, 32)
    assert spec == InputSpec(32, (28, 28), False, False, photo.measure_style(drawn.x))


def test_a_subset_is_measured_alone(drawn):
    few = drawn.subset(range(100, 140))
    spec = InputSpec.from_images(few, 32)
    assert spec.style == photo.measure_style(drawn.x[100:140]) != InputSpec.from_images(drawn, 32).style


def test_a_large_set_is_measured_by_a_sample_from_all_of_it(drawn, monkeypatch):
    monkeypatch.setattr(photo, "SAMPLE", 5)
    chosen = np.array([0, 119, 239, 359, 479])
    assert InputSpec.from_images(drawn, 32).style == photo.measure_style(drawn.x[chosen])


def test_cropping_and_a_transform_are_noted(drawn):
    images = CharDataset(np.zeros((3, 20, 30), np.uint8), [0, 1, 1]).with_transform(lambda image: image)
    images.cropped = True
    spec = InputSpec.from_images(images, 64)
    assert (spec.input_size, spec.source_shape, spec.cropped, spec.transformed) == (64, (20, 30), True, True)


@pytest.mark.parametrize("style", [None, {"dark": True, "side": 0.5, "row": 0.5, "column": 0.5, "stroke": 0.1}])
def test_as_plain_values_and_back(style):
    spec = InputSpec(64, (20, 30), True, True, style)
    values = json.loads(json.dumps(spec.as_dict()))
    assert values == spec.as_dict() and values["source_shape"] == [20, 30]
    assert InputSpec.from_dict(values) == spec and InputSpec.from_dict(values).source_shape == (20, 30)


def test_it_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        InputSpec(32, (28, 28)).input_size = 64


def test_fit_brings_an_image_to_the_size_of_the_training_images():
    image = np.full((60, 40), 255, np.uint8)
    image[20:40, 10:14] = 0
    for cropped in (False, True):
        fitted = InputSpec(64, (28, 20), cropped).fit(image)
        np.testing.assert_array_equal(fitted, fit_image(image, 28, 20, cropped))
        assert fitted.shape == (28, 20)
    assert (InputSpec(64, (28, 20), True).fit(image) < 128).sum() > 2 * (InputSpec(64, (28, 20)).fit(image) < 128).sum()


def test_match_style_is_the_photos(drawn):
    spec = InputSpec.from_images(drawn, 32)
    picture = np.full((100, 80), 200, np.uint8)
    picture[30:60, 30:36] = 20
    np.testing.assert_array_equal(spec.match_style(picture), photo.match_style(picture, spec.style, (28, 28)))


def test_without_a_style_match_style_names_the_remedy(drawn):
    with pytest.raises(InputError) as caught:
        InputSpec(32, (28, 28)).match_style(drawn.x[0])
    assert str(caught.value) == (
        "this checkpoint does not know the style of its training images: fit again, or use predict alone"
    )
