"""The split on arrays: what stays together, and how many of each class are held out."""

import numpy as np
import pytest

from common.errors import InputError
from imaging.ink import hash_images
from readers.splits import leak_groups, validation_mask


def test_writers_and_identical_images_link_groups():
    images = np.arange(6, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    images[4] = images[1]
    writers = np.array(["w", "w", "v", "", "v", ""])
    assert leak_groups(hash_images(images), writers).tolist() == [0, 0, 0, 1, 0, 2]  # w – 1 = 4 – v


def test_a_fraction_of_each_class_is_held_out_and_groups_stay_together():
    y, groups = np.repeat([0, 1], 50), np.arange(100) // 5
    mask = validation_mask(y, ["a", "b"], groups, 0.2, 0)
    assert [mask[y == k].sum() for k in (0, 1)] == [10, 10]
    assert all(len(set(mask[groups == group])) == 1 for group in range(20))
    assert (validation_mask(y, ["a", "b"], groups, 0.2, 1) != mask).any()


def test_a_class_of_one_group_is_trained_on_alone(capsys):
    assert validation_mask(np.array([0, 0, 1, 1]), ["a", "b"], np.array([0, 0, 1, 2]), 0.5, 0).sum() == 1
    assert "Only one different image or one writer: a." in capsys.readouterr().out


@pytest.mark.parametrize("fraction", [0, 1, -0.1])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(InputError, match="^val_fraction must be between 0 and 1, not "):
        validation_mask(np.array([0, 1]), ["a", "b"], np.array([0, 1]), fraction, 0)
