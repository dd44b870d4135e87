import numpy as np
import pytest

from training.class_weights import class_weights, describe_balance

Y = np.repeat([0, 1, 3], [60, 30, 10])


def test_classes_count_alike_and_images_one_on_average():
    weights = class_weights(Y, 4).numpy()
    np.testing.assert_allclose(weights[[0, 1, 3]] * [60, 30, 10], 100 / 3, rtol=1e-6)
    assert weights[Y].mean() == pytest.approx(1) and weights[2] == 0


def test_the_balance_is_described_if_classes_differ_much():
    about = describe_balance(np.repeat([0, 1], [60, 10]), ["a", "b"], weighted=True)
    assert about["smallest_class"] == ["b", 10, 3.5] and about["largest_class"] == ["a", 60, 0.583]
    assert about["class_weights"] == (
        "10 images of 'b' to 60 of 'a': the loss of an image counts 3.5 to 0.583 times, so all classes count equally"
    )
    about = describe_balance(np.repeat([0, 1], [60, 10]), ["a", "b"], weighted=False)
    assert about["class_weights"] == (
        "10 images of 'b' to 60 of 'a': large classes count more in loss and accuracy; "
        "class_weights='balanced' lets all count equally"
    )
    assert describe_balance(np.repeat([0, 1], [11, 10]), ["a", "b"], weighted=False) == {}
    assert describe_balance(np.repeat([0, 1], [10, 10]), ["a", "b"], weighted=True) == {}
