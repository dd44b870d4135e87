import numpy as np
import pytest

import plots

HISTORY = [
    {"epoch": e, "train_loss": 1 / e, "train_accuracy": 1 - 0.5 / e, "val_loss": 0.8 / e, "val_accuracy": 0.5 + v}
    | {"val_low": 0.4 + v, "val_high": 0.55 + v, "val_n": 50, "learning_rate": 0.001, "seconds": 2.0}
    for e, v in ((1, 0.1), (2, 0.4), (3, 0.3))
]
UNVALIDATED = [row | {"val_loss": None, "val_accuracy": None} for row in HISTORY]


def test_curves_mark_the_epoch_that_is_kept(drawable):
    figure = drawable(plots.curves(HISTORY, epochs=10))
    labels = [line.get_label() for line in plots.curves(HISTORY, augmented=False).axes[0].lines]
    assert labels[0] == "training" and figure.axes[0].lines[0].get_label() == "training (augmented)"
    assert [axis.get_ylabel() for axis in figure.axes] == ["loss", "accuracy", "learning rate", "seconds"]
    title = "epoch 2 is kept: 90.00% (80.00% to 95.00%)\nthe highest validation accuracy"
    assert figure.axes[1].get_title() == title
    assert figure.axes[0].get_title() == "epoch 3 of 10, 6 s, 14 s left"
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    np.testing.assert_allclose(lines["validation (n = 50)"], [0.8, 0.4, 0.8 / 3])


def test_an_annealed_run_keeps_a_later_epoch(drawable):
    history = [row | {"learning_rate": 0.1 / row["epoch"]} for row in HISTORY]
    history[2]["val_accuracy"] = 0.88
    title = drawable(plots.curves(history)).axes[1].get_title()
    assert title.startswith("epoch 3 is kept: 88.00%") and title.endswith("one standard error of the highest (90.00%)")


def test_curves_without_validation(drawable):
    figure = drawable(plots.curves(UNVALIDATED))
    assert len(figure.axes[0].lines) == 1 and figure.axes[1].get_title() == ""
    assert figure.axes[0].get_title() == "epoch 3 of 3, 6 s"


@pytest.fixture
def clock(monkeypatch):
    """Let time stand still but for what the returned list adds to it, in seconds."""
    seconds = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: sum(seconds))
    return seconds


def test_live_curves_redraw_in_place_and_are_saved(tmp_path, monkeypatch, clock):
    shown = []
    live = plots.LiveCurves(epochs=4)
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
    plots.LiveCurves(epochs=3)(HISTORY, tmp_path)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_live_curves_without_a_record_are_saved_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plots.LiveCurves(epochs=3)(HISTORY, None)
    assert list(tmp_path.iterdir()) == []


def test_runs_are_compared(drawable):
    figure = drawable(plots.compared_curves({"a": HISTORY, "b": UNVALIDATED[:2]}))
    assert [line.get_label() for line in figure.axes[0].lines] == ["a (validation)", "b (training)"]
    assert [axis.get_ylabel() for axis in figure.axes] == ["loss", "accuracy"]
    np.testing.assert_allclose(figure.axes[1].lines[1].get_ydata(), [0.5, 0.75])


def test_up_to_seven_runs_have_colours_of_their_own(drawable):
    figure = drawable(plots.compared_curves({str(k): HISTORY for k in range(9)}))
    colours = [line.get_color() for line in figure.axes[0].lines]
    assert len(colours) == len(set(colours)) == 7
