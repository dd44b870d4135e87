from dataclasses import replace

import numpy as np
import pytest

from readers.skeleton import make_skeleton
from readers.writing import make_habits, write

HOOKED = [[[10, 20], [90, 20]], [[50, 20], [50, 90], [42, 84]]]


@pytest.fixture
def careful():
    """Habits of 40 writers who never slip, join or round."""
    habits = make_habits(np.random.RandomState(0), 40)
    none, one = 0 * habits.speed, 1 + 0 * habits.speed
    plain = dict.fromkeys(("speed", "roundness", "slips", "shear", "rise", "turn", "evenness"), none)
    return replace(habits, **plain, hooks=one, width=one)


def trace(habits, strokes=HOOKED, seed=0):
    return write(np.random.RandomState(seed), make_skeleton(strokes, [(1,), (2,)][: len(strokes)]), habits)


def test_a_careful_writer_follows_the_skeleton(careful):
    track = trace(careful)
    middle = track.path.mean(0)
    for stroke, start, end in zip(HOOKED, track.starts, track.ends, strict=True):
        np.testing.assert_allclose(middle[[start, end]] + 50, [stroke[0], stroke[-1]], atol=5)
    gap = slice(track.ends[0], track.starts[1])
    assert not track.down[:, gap].any() and track.down[:, : track.ends[0]].mean() > 0.9


def test_a_fast_writer_joins_strokes(careful):
    joined = trace(replace(careful, speed=1 + 0 * careful.speed))
    assert joined.down[:, joined.ends[0] : joined.starts[1]].mean() > 0.4


def test_round_corners_are_nearer_than_sharp_ones(careful):
    corner = [[[10, 10], [90, 10], [90, 90]]]
    sharp, round_ = (trace(replace(careful, roundness=one + 0 * careful.speed), corner) for one in (0, 1))
    reach = [(track.path[..., 0] - track.path[..., 1]).max(1).mean() for track in (sharp, round_)]
    assert reach[1] < reach[0] - 5


def test_hooks_are_lost_or_kept(careful):
    lengths = []
    for hooks in (-1, 1):
        track = trace(replace(careful, hooks=hooks + 0 * careful.speed))
        tip = track.path[:, track.ends[1]] - track.path[:, track.starts[1] : track.ends[1] + 1].max(1)
        lengths.append(abs(tip[:, 0]).mean())
    assert lengths[0] < 2 < 5 < lengths[1]


def test_a_character_never_loses_all_of_its_strokes():
    habits = make_habits(np.random.RandomState(0), 2000)
    assert trace(habits, [[[50, 50], [52, 53]]]).down.any(1).all()


@pytest.mark.parametrize("count, are_lost", [(3, False), (4, True)])
def test_strokes_are_forgotten_only_if_enough_others_are_left(count, are_lost):
    skeleton = make_skeleton([[[10, 20 * k], [90, 20 * k]] for k in range(count)], [()] * count)
    track = write(np.random.RandomState(0), skeleton, make_habits(np.random.RandomState(0), 2000))
    written = np.stack([track.down[:, start] for start in track.starts], 1)
    assert (~written).any() == are_lost and written.mean() > 0.99


def test_writers_keep_their_slant():
    habits = make_habits(np.random.RandomState(0), 60)
    slants = []
    for seed in (1, 2):
        track = trace(habits, [[[50, 5], [50, 95]]], seed)
        slants.append(track.path[:, track.starts[0], 0] - track.path[:, track.ends[0], 0])
    assert np.corrcoef(slants)[0, 1] > 0.5


def test_uneven_strokes_become_more_even(careful):
    strokes = [[[50, 10], [54, 16]], [[5, 50], [95, 50]]]
    ratio = []
    for evenness in (0, 1):
        track = trace(replace(careful, evenness=evenness + 0 * careful.speed), strokes)
        short, long = abs(track.path[:, track.ends] - track.path[:, track.starts]).max(2).T
        ratio.append(np.median(long / short))
    assert ratio[1] == pytest.approx(np.sqrt(ratio[0]), rel=0.1) and ratio[0] > 10
