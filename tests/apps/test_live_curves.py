import pytest

from apps.live_curves import LiveCurves

HISTORY = [
    {"epoch": e, "train_loss": 1 / e, "train_accuracy": 1 - 0.5 / e, "val_accuracy": None}
    | {"learning_rate": 0.001, "seconds": 2.0}
    for e in (1, 2, 3)
]


@pytest.fixture
def clock(monkeypatch):
    """Let time stand still but for what the returned list adds to it, in seconds."""
    seconds = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: sum(seconds))
    return seconds


def test_live_curves_redraw_in_place_and_are_saved(tmp_path, monkeypatch, clock):
    shown = []
    live = LiveCurves(epochs=4)
    monkeypatch.setattr(live, "_update", lambda png: (shown.append(png), clock.append(1.0)))  # it takes a second
    live(HISTORY[:1], tmp_path)
    assert (tmp_path / "curves.png").read_bytes() == shown[0]  # of a run that is stopped, too
    clock.append(29.5)
    live(HISTORY[:2], tmp_path)
    assert len(shown) == 1  # too early to be drawn again
    clock.append(0.6)
    live(HISTORY[:2], tmp_path)
    assert len(shown) == 2
    live(HISTORY + HISTORY[2:], tmp_path)  # the last epoch is always drawn
    assert len(shown) == 3 and (tmp_path / "curves.png").read_bytes() == shown[-1] != shown[0]
    assert all(png.startswith(b"\x89PNG") for png in shown)


def test_live_curves_without_a_notebook_are_saved(tmp_path):
    LiveCurves(epochs=3)(HISTORY, tmp_path)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_live_curves_without_a_record_are_saved_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    LiveCurves(epochs=3)(HISTORY, None)
    assert list(tmp_path.iterdir()) == []
