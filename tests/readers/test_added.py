"""Characters beside real images are drawn in the style of the images to train on, which others must not decide."""

from dataclasses import replace

import numpy as np
import pytest

from dataset import load, split
from imaging.photo import measure_each
from init import prepare
from readers.added import measure_training_images


@pytest.fixture
def config(raw, paper, quick, tmp_path):
    """The config of a run on two classes of 20 training images each, of which a quarter is held out."""
    folder = raw({f"train/{name}": paper(20, seed) for seed, name in enumerate("ab")}) / "train"
    return quick(raw_data_path=str(folder), data_path=str(tmp_path / "data.npz"), val_fraction=0.25)


@pytest.mark.parametrize("limit", [None, 0.0], ids=["an npz", "a folder of arrays"])
def test_images_that_the_split_holds_out_are_not_measured(config, limit):
    path = prepare(replace(config, npz_limit=limit))
    train, _ = split(load(path), config.val_fraction, config.split_seed)
    measured = measure_training_images(path, config)
    assert len(measured) == 30, "of 40"
    np.testing.assert_array_equal(measured, measure_each(train.x))


def test_validation_images_of_the_users_own_are_not_measured(config, raw, paper):
    folder = raw({f"val/{name}": paper(4, 7 + seed) for seed, name in enumerate("ab")})
    path = prepare(replace(config, raw_data_path=str(folder)))
    assert len(load(path, "val")) == 8
    np.testing.assert_array_equal(measure_training_images(path, config), measure_each(load(path).x))


def test_blank_images_have_no_style(config, tmp_path):
    np.savez(tmp_path / "blank.npz", x=np.full((8, 28, 28), 255, np.uint8), y=[0, 1] * 4)
    assert measure_training_images(tmp_path / "blank.npz", config) is None
