import io

import numpy as np
import pytest
from matplotlib import pyplot as plt

import plots
from dataset import CharDataset
from plots import style

HISTORY = [
    {"epoch": e, "train_loss": 1 / e, "train_accuracy": 1 - 0.5 / e, "val_loss": 0.8 / e, "val_accuracy": 0.5 + v}
    | {"val_low": 0.4 + v, "val_high": 0.55 + v, "val_n": 50, "learning_rate": 0.001, "seconds": 2.0}
    for e, v in ((1, 0.1), (2, 0.4), (3, 0.3))
]


@pytest.fixture(autouse=True)
def drawable():
    """Every figure is rendered, without a warning, and none is left open."""
    yield
    assert plt.get_fignums() == []


def rendered(figure):
    figure.savefig(io.BytesIO(), format="png")
    return figure


def images(axis) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for image in axis.get_images()]


def test_samples_have_a_row_a_class(drawn):
    figure = rendered(plots.samples(drawn.x, drawn.y, drawn.classes, per_class=4))
    assert len(figure.axes) == 60 and all(len(images(axis)) == 1 for axis in figure.axes)
    assert figure.axes[5].texts[0].get_text() in ("1  (n = 40)", "学  (n = 40)")  # as there is a font for it
    np.testing.assert_array_equal(images(figure.axes[5])[0], drawn.x[drawn.y == 1].mean(0).astype(np.uint8))
    row = [images(axis)[0].tobytes() for axis in figure.axes[6:10]]
    assert set(row) <= {image.tobytes() for image in drawn.x[drawn.y == 1]}


def test_a_class_with_few_images_leaves_gaps(drawn):
    few = CharDataset(drawn.x[38:42], drawn.y[38:42], classes=["a", "b"])
    rendered(plots.samples(few.x, few.y, few.classes, per_class=5))


def test_exemplars_are_images_of_their_class(drawn):
    labels = plots.exemplars(drawn.x, drawn.y, 13)
    assert labels.shape == (13, 28, 28) and labels.dtype == np.uint8
    for k in range(12):
        assert labels[k].tobytes() in {image.tobytes() for image in drawn.x[drawn.y == k]}
    assert (labels[12] == 255).all()  # a class without an image


def test_curves_mark_the_best_epoch():
    figure = rendered(plots.curves(HISTORY, epochs=10))
    labels = [line.get_label() for line in plots.curves(HISTORY, augmented=False).axes[0].lines]
    assert labels[0] == "training" and figure.axes[0].lines[0].get_label() == "training (augmented)"
    assert [axis.get_ylabel() for axis in figure.axes] == ["loss", "accuracy", "learning rate", "seconds"]
    assert figure.axes[1].get_title() == "best: 90.00% (80.00% to 95.00%) in epoch 2"
    assert figure.axes[0].get_title() == "epoch 3 of 10, 6 s, 14 s left"
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    np.testing.assert_allclose(lines["validation (n = 50)"], [0.8, 0.4, 0.8 / 3])


def test_curves_without_validation():
    history = [row | {"val_loss": None, "val_accuracy": None} for row in HISTORY]
    assert len(rendered(plots.curves(history)).axes[0].lines) == 1


def test_live_curves_redraw_in_place_and_are_saved(tmp_path, monkeypatch):
    shown = []
    live = plots.LiveCurves(epochs=3)
    monkeypatch.setattr(live, "_update", shown.append)
    live(HISTORY[:1], tmp_path)
    assert (tmp_path / "curves.png").read_bytes() == shown[0]  # of a run that is stopped, too
    for n in (2, 3):  # within a moment: the second is too early to be drawn again
        live(HISTORY[:n], tmp_path)
    assert len(shown) == 2 and (tmp_path / "curves.png").read_bytes() == shown[-1]
    assert shown[-1].startswith(b"\x89PNG")


def test_confusion_counts_mistakes_alone(drawn):
    matrix = np.diag(range(1, 13)) + 2 * np.eye(12, k=1, dtype=int)
    matrix[2, 7] = 5
    names = [f"n{k}" for k in range(12)]
    figure = rendered(plots.confusion(matrix, plots.exemplars(drawn.x, drawn.y, 12), names))
    axis = figure.axes[0]
    first, *largest = axis.get_title().splitlines()
    assert first == f"27 mistakes in {matrix.sum()} images (correct ones not shown)"
    assert largest == ["n2 read as n7: 5", "n0 read as n1: 2", "n1 read as n2: 2"]
    assert sorted(text.get_text() for text in axis.texts) == ["2"] * 11 + ["5"]
    whole = rendered(plots.confusion(matrix, plots.exemplars(drawn.x, drawn.y, 12), names, diagonal=True))
    assert len(whole.axes[0].texts) == 24
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted class", "given class")


def test_mistakes_are_ranked_by_confidence(drawn):
    y, probabilities = drawn.y[:3], np.zeros((3, 12))
    probabilities[0, 0] = 1  # right
    probabilities[1, [4, 5]] = 0.6, 0.4
    probabilities[2, 7] = 0.9
    names, labels = [str(k) for k in range(12)], plots.exemplars(drawn.x, drawn.y, 12)
    assert plots.surest_mistakes(y, probabilities).tolist() == [2, 1]
    figure = rendered(plots.mistakes(drawn.x[:3], y, probabilities, labels, "abc", names))
    titles = [axis.get_title() for axis in figure.axes if axis.get_images()]
    assert titles == ["c", "given: 0", "read: 7, 90%", "b", "given: 0", "read: 4, 60%"]
    np.testing.assert_array_equal(images(figure.axes[0])[0], drawn.x[2])
    chosen = plots.mistakes(
        drawn.x[:3], y, probabilities, labels, ["$学_" + "a" * 17] * 3, names, np.array([0]), drawn.x[4:5]
    )
    titles = ["…" + "a" * 17, "given: 0", "read: 0, 100%", "nearest learnt"]
    assert [axis.get_title() for axis in chosen.axes][:4] == titles
    np.testing.assert_array_equal(images(chosen.axes[3])[0], drawn.x[4])


@pytest.fixture(params=[False, True], ids=["no CJK font", "a CJK font"])
def glyphs(request, monkeypatch):
    """Let the fonts have no Chinese character but, perhaps, 学."""
    codes = frozenset(range(32, 127)) | ({ord("学")} if request.param else set())
    monkeypatch.setattr(style, "_glyphs", lambda: codes)
    return request.param


def test_a_name_of_any_script_is_a_title(glyphs):
    """Without a warning that a glyph is missing, and without mathematics between dollar signs."""
    assert style.readable("学 $a$/1.bmp\n") == ("学" if glyphs else "?") + r" \$a\$/1.bmp?"
    assert style.class_name(1, ["博", "学"]) == ("学" if glyphs else "1") and style.class_name(0, ["博", "学"]) == "0"
    assert style.class_name(0, ["a" * 200, "b"]) == "0" and style.class_name(0, ["$x$"]) == r"\$x\$"


def test_titles_have_a_font_for_every_glyph(drawn):
    """Of whatever fonts there are here: a missing glyph would warn, and warnings are errors."""
    rendered(plots.samples(drawn.x, drawn.y, list("博学笃志切问近思自由无用"), per_class=2))


def test_reliability_shows_each_class_and_each_bin(drawn):
    probabilities = np.full((480, 12), 0.01)
    probabilities[np.arange(480), drawn.y] = 0.89
    probabilities[:4] = np.roll(probabilities[:4], 1, axis=1)  # four mistakes in class 0
    labels = plots.exemplars(drawn.x, drawn.y, 12)
    figure = rendered(plots.reliability(drawn.y, probabilities, labels, drawn.classes))
    left, right = figure.axes
    points = [line.get_xdata()[0] for line in left.lines if line.get_marker() == "o"]
    assert points == [0.9] + [1.0] * 11
    assert left.get_title() == "all classes (grey): 99.17% (97.88% to 99.68%, n = 480)"
    (place,) = right.collections[0].get_offsets()
    np.testing.assert_allclose(place, [0.89, 476 / 480])


def test_runs_are_overlaid():
    shorter = [row | {"val_loss": None, "val_accuracy": None} for row in HISTORY[:2]]
    figure = rendered(plots.overlaid({"a": HISTORY, "b": shorter}))
    assert [line.get_label() for line in figure.axes[0].lines] == ["a (validation)", "b (training)"]
    np.testing.assert_allclose(figure.axes[1].lines[1].get_ydata(), [0.5, 0.75])


def test_attention_lies_over_the_image(drawn):
    look = np.zeros((2, 28, 28), np.float32)
    look[0, 5:9, 5:9] = 3
    figure = rendered(plots.attention(1 - drawn.x[:2] / 255.0, look, [0, 1], [1, 1], ["a", "b"]))
    assert [axis.get_title() for axis in figure.axes] == ["given: a, read: b", "given: b, read: b"]
    np.testing.assert_array_equal(images(figure.axes[0])[1], look[0])


def test_findings_have_a_row_each(drawn):
    found = [
        {"kind": "identical in different classes", "files": ["1/a", "2/b"], "classes": ["1", "2"], "indices": [4, 7]},
        {"kind": "few images: 3", "files": [], "classes": ["1"], "indices": []},
    ]
    figure = rendered(plots.findings(drawn.x, found))
    assert [axis.get_title() for axis in figure.axes] == ["1/a", "2/b"]
    assert figure.axes[0].texts[0].get_text() == "identical\nin different classes"
    np.testing.assert_array_equal(images(figure.axes[1])[0], drawn.x[7])
    assert plots.findings(drawn.x, found[1:]) is None


def test_no_mistake_is_said():
    figure = rendered(plots.mistakes(np.zeros((2, 8, 8), np.uint8), np.array([0, 1]), np.eye(2), None, "ab", "cd"))
    assert figure.get_suptitle() == "no mistake in 2 images"


def test_augmented_and_prediction(drawn):
    ink = 1 - drawn.x / 255.0
    rendered(plots.augmented(ink[:3], np.stack([ink[:3]] * 4, axis=1)))
    labels = plots.exemplars(drawn.x, drawn.y, 12)
    figure = rendered(plots.prediction(drawn.x[0], ink[0], np.linspace(0, 0.1, 12), labels, list("abcdefghijkl")))
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:3] == ["the image", "as the model sees it", "l: 10.0%"] and len(titles) == 7
    two = plots.prediction(drawn.x[0], ink[0], np.array([0.3, 0.7]), labels[:2], ["a", "b"])
    assert [axis.get_title() for axis in two.axes][2:] == ["b: 70.0%", "a: 30.0%"]


def test_live_curves_without_a_notebook_are_saved(tmp_path):
    plots.LiveCurves(epochs=3)(HISTORY, tmp_path)
    assert (tmp_path / "curves.png").exists()
