import numpy as np

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
    assert labels[1] == "training" and figure.axes[0].lines[1].get_label() == "training (augmented)"
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


def test_lines_are_off_the_frame_and_fill_it_whatever_the_interval(drawable):
    figure = drawable(plots.curves([row | {"val_low": 0.01} for row in HISTORY]))
    for axis in figure.axes[:2]:
        low, high = axis.get_ylim()
        values = np.concatenate([line.get_ydata() for line in axis.lines])
        assert low < values.min() and values.max() < high and axis.get_legend() is None
        assert axis.get_xlim()[0] < 1 and axis.get_xlim()[1] > 3
    assert figure.axes[1].get_ylim()[0] > 0.4
    (legend,) = figure.legends  # outside the axes
    names = ["validation (n = 50)", "training (augmented)", "95 % interval"]
    assert [text.get_text() for text in legend.get_texts()] == names


def test_a_single_epoch_can_be_seen(drawable):
    figure = drawable(plots.curves(HISTORY[:1]))
    assert all(line.get_marker() != "None" for axis in figure.axes[:3] for line in axis.lines)
    assert [tick for tick in figure.axes[2].get_xticks() if 0.4 <= tick <= 1.6] == [1]


def test_runs_are_compared(drawable):
    figure = drawable(plots.compared_curves({"a": HISTORY, "b": UNVALIDATED[:2]}))
    assert [line.get_label() for line in figure.axes[0].lines] == ["a (validation)", "b (training)"]
    assert [axis.get_ylabel() for axis in figure.axes] == ["loss", "accuracy"]
    np.testing.assert_allclose(figure.axes[1].lines[1].get_ydata(), [0.5, 0.75])


def test_up_to_seven_runs_have_colours_of_their_own(drawable):
    figure = drawable(plots.compared_curves({str(k): HISTORY for k in range(9)}))
    colours = [line.get_color() for line in figure.axes[0].lines]
    assert len(colours) == len(set(colours)) == 7
