from dataclasses import replace

import numpy as np
import pytest

from imaging.photo import measure_each
from readers.pen import Pens, draw_track, make_pens, match_pens
from readers.writing import Track


def pens(n: int, **changes) -> Pens:
    plain = {"mouse": False, "stride": 1, "width": 0.1, "swell": 0.0, "dark": 1.0, "grain": 0.0, "soft": 0.0} | changes
    plain = {"adapts": True, "fill": 0.9} | plain
    return Pens(middle=np.full((n, 2), 0.5), **{name: np.full(n, value) for name, value in plain.items()})


@pytest.fixture
def track():
    """A cross by 30 writers: a line down, then one across."""
    down = np.stack([np.full(11, 50.0), np.linspace(0, 100, 11)], 1)
    path = np.concatenate([down, down[:, ::-1]])
    lifted = np.arange(21) != 10
    return Track(np.repeat(path[None], 30, 0), np.repeat(lifted[None], 30, 0), np.array([0, 11]), np.array([10, 21]))


@pytest.mark.parametrize("size", [28, 64, 128])
def test_lines_are_as_wide_as_the_pen_at_any_size(track, size):
    thin, thick = (draw_track(np.random.RandomState(0), track, pens(30, width=w), size) for w in (0.05, 0.15))
    ink = [(255 - x.astype(int)).sum() / (255 * 30 * size * size) for x in (thin, thick)]
    assert thin.shape == (30, size, size) and thin.dtype == np.uint8 and 2 < ink[1] / ink[0] < 3.5


def test_a_mouse_draws_lines_of_one_pixel_in_black(track):
    x = draw_track(np.random.RandomState(0), track, pens(30, mouse=True), 32)
    assert set(np.unique(x)) == {0, 255}
    blocks = (x[:, 1:, 1:] == 0) & (x[:, 1:, :-1] == 0) & (x[:, :-1, 1:] == 0) & (x[:, :-1, :-1] == 0)
    assert blocks.sum() < 0.02 * (x == 0).sum()


def test_ink_stays_in_the_frame_and_is_as_dark_as_the_pen(track):
    x = draw_track(np.random.RandomState(0), track, pens(30, dark=0.5), 40)
    assert x.min() == 255 - 127 and x[:, [0, -1]].mean() > 250 and x[:, :, [0, -1]].mean() > 250


def test_pressure_makes_lines_uneven(track):
    even, uneven = (draw_track(np.random.RandomState(0), track, pens(30, swell=s), 64) for s in (0.0, 0.7))
    upper = [(x < 128).sum(2)[:, 8:24] for x in (even, uneven)]  # of the line down
    assert upper[0].std(1).mean() < 0.1 < 0.3 < upper[1].std(1).mean()


def test_some_pens_draw_what_they_draw_alone(track):
    mixed = replace(pens(30), mouse=np.arange(30) % 2 == 0)
    x = draw_track(np.random.RandomState(0), track, mixed, 28)
    assert [len(np.unique(image)) == 2 for image in x[:4]] == [True, False, True, False]


@pytest.mark.parametrize("size", [28, 64])
def test_pens_draw_like_images_of_the_users_own(track, size):
    rng = np.random.RandomState(0)
    own = pens(30, width=0.07, dark=0.6, fill=0.7, adapts=False)
    wanted = measure_each(draw_track(rng, track, replace(own, middle=np.full((30, 2), (0.45, 0.6))), size))
    matched = match_pens(rng, make_pens(rng, 30, size), wanted, size)
    found = measure_each(
        draw_track(rng, track, replace(matched, swell=own.swell, soft=own.soft, grain=own.grain), size)
    )
    np.testing.assert_allclose(np.median(found, 0), np.median(wanted, 0), atol=0.03)
    assert not matched.mouse.any()


def test_a_mouse_is_recognised_in_images_of_the_users_own(track):
    rng = np.random.RandomState(0)
    drawn = measure_each(draw_track(rng, track, pens(30, mouse=True), 28))
    assert match_pens(rng, make_pens(rng, 30, 28), drawn, 28).mouse.all()
