import numpy as np
import pytest

from readers.scripts import IDEOGRAPHS, LETTERS, script_of
from readers.skeleton import make_skeleton
from readers.writing import make_habits, write

LEVEL = [[[0, 0], [100, 0]], [[0, 100], [100, 100]]]


@pytest.mark.parametrize(
    "characters, script", [("永㐀\U00020000豈", IDEOGRAPHS), ("7aあア가ー", LETTERS)], ids=["han", "other"]
)
def test_ideographs_are_written_as_such(characters, script):
    assert {script_of(one) for one in characters} == {script}


def write_level(script, n=400):
    """Return the ends of two level strokes by n writers, float64 (n, 2 strokes, start and end, 2)."""
    habits = make_habits(np.random.RandomState(0), n, script)
    track = write(np.random.RandomState(1), make_skeleton(LEVEL, [(), ()]), habits, script)
    return np.stack([track.path[:, track.starts], track.path[:, track.ends]], 2)


def test_chinese_characters_are_narrow_and_rise():
    step = {script: np.diff(write_level(script), axis=2)[:, :, 0].mean(0) for script in (LETTERS, IDEOGRAPHS)}
    (wide, _), (narrow, _) = step[LETTERS], step[IDEOGRAPHS]
    assert 0.8 < narrow[0] / wide[0] < 0.95
    rise = {script: -one[:, 1] / one[:, 0] for script, one in step.items()}
    assert (rise[IDEOGRAPHS] > rise[LETTERS] + 0.03).all()


def test_the_same_writers_write_all_scripts():
    one, other = (make_habits(np.random.RandomState(0), 50, script) for script in (LETTERS, IDEOGRAPHS))
    np.testing.assert_array_equal(one.speed, other.speed)
    np.testing.assert_allclose(one.width - other.width, 0.07)
    assert np.corrcoef(one.rise[:, 0], other.rise[:, 0])[0, 1] == pytest.approx(1)
