import numpy as np
import pytest

from common.errors import InputError
from readers.skeleton import make_skeleton, simplify


def test_a_line_needs_two_points_and_a_corner_one_more():
    line = np.stack([np.linspace(0, 90, 40), np.full(40, 5.0)], 1)
    np.testing.assert_array_equal(simplify(line), [[0, 5], [90, 5]])
    corner = np.concatenate([line, np.stack([np.full(20, 90.0), np.linspace(5, 60, 20)], 1)])
    np.testing.assert_array_equal(simplify(corner), [[0, 5], [90, 5], [90, 60]])


def test_what_a_closed_stroke_returns_to_is_not_lost():
    square = np.array([[0, 0], [50, 0], [50, 50], [0, 50], [0, 0]], float)
    np.testing.assert_array_equal(simplify(square), square)


def test_a_dot_becomes_a_short_stroke():
    assert make_skeleton([[[5, 5]]], [()]).strokes[0].tolist() == [[5, 5], [6, 6]]


@pytest.mark.parametrize(
    ("strokes", "message"),
    [
        ([], "it has 0 strokes of 0 points"),
        ([[[0, 0], [1, 1]]] * 101, "it has 101 strokes of 202 points"),
        ([[[0, 0], [0, float("nan")]]], "a stroke is not a list of points x, y near the grid"),
        ([[[0, 0], [0, 1e9]]], "a stroke is not a list of points x, y near the grid"),
        ([[[0, 0, 0], [1, 1, 1]]], "a stroke is not a list of points x, y near the grid"),
        ([[[0, 0], [150, 150]] * 40], "its strokes are too long"),
    ],
)
def test_damage_is_named(strokes, message):
    with pytest.raises(InputError) as error:
        make_skeleton(strokes, [()] * len(strokes))
    assert str(error.value) == message
