import io

import numpy as np
import pytest
from matplotlib import pyplot as plt

import plots
from dataset import CharDataset

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
    figure = rendered(plots.samples(drawn.x, drawn.y, drawn.classes, per_class=5))
    assert len(figure.axes) == 60 and all(len(images(axis)) == 1 for axis in figure.axes)
    assert figure.axes[5].texts[0].get_text() == "1  (n = 40)"
    row = [images(axis)[0].tobytes() for axis in figure.axes[5:10]]
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
    assert [axis.get_ylabel() for axis in figure.axes] == ["loss", "accuracy", "learning rate", "seconds"]
    assert figure.axes[1].get_title() == "best: 90.00% (80.00% to 95.00%) in epoch 2"
    assert figure.axes[0].get_title() == "epoch 3 of 10, 6 s, 14 s left"
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    np.testing.assert_allclose(lines["validation (n = 50)"], [0.8, 0.4, 0.8 / 3])


def test_curves_without_validation():
    history = [row | {"val_loss": None, "val_accuracy": None} for row in HISTORY]
    assert len(rendered(plots.curves(history)).axes[0].lines) == 1


def test_live_curves_redraw_in_place_and_save_the_last(tmp_path, monkeypatch):
    shown = []
    live = plots.LiveCurves(epochs=3)
    monkeypatch.setattr(live, "_update", shown.append)
    for n in (1, 2, 3):  # within a moment: the second is too early to be drawn again
        live(HISTORY[:n], tmp_path)
    assert len(shown) == 2 and (tmp_path / "curves.png").read_bytes() == shown[-1]
    assert shown[-1].startswith(b"\x89PNG")


def test_confusion_counts_mistakes_alone(drawn):
    matrix = np.diag(range(1, 13)) + 2 * np.eye(12, k=1, dtype=int)
    figure = rendered(plots.confusion(matrix, plots.exemplars(drawn.x, drawn.y, 12)))
    axis = figure.axes[0]
    assert axis.get_title() == f"22 mistakes in {matrix.sum()} images (correct ones not shown)"
    assert [text.get_text() for text in axis.texts] == ["2"] * 11
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted class", "given class")


def test_mistakes_are_ranked_by_confidence(drawn):
    y, probabilities = drawn.y[:3], np.zeros((3, 12))
    probabilities[0, 0] = 1  # right
    probabilities[1, [4, 5]] = 0.6, 0.4
    probabilities[2, 7] = 0.9
    figure = rendered(plots.mistakes(drawn.x[:3], y, probabilities, plots.exemplars(drawn.x, drawn.y, 12), "abc"))
    titles = [axis.get_title() for axis in figure.axes if axis.get_images()]
    assert titles == ["c", "given: 0", "read: 7, 90%", "b", "given: 0", "read: 4, 60%"]
    np.testing.assert_array_equal(images(figure.axes[0])[0], drawn.x[2])
    chosen = plots.mistakes(drawn.x[:3], y, probabilities, drawn.x[:12], ["$学_" + "a" * 17] * 3, chosen=np.array([0]))
    assert [axis.get_title() for axis in chosen.axes][:3] == ["…" + "a" * 17, "given: 0", "read: 0, 100%"]


def test_a_name_of_any_script_is_a_title():
    """Without a warning that a glyph is missing, and without mathematics between dollar signs."""
    figure, ((axis,),) = plots._figure(1, 1)
    axis.set_title(plots._readable("学 $a$/1.bmp\n"))
    assert axis.get_title() == r"? \$a\$/1.bmp?" and rendered(figure)


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
    figure = rendered(plots.mistakes(np.zeros((2, 8, 8), np.uint8), np.array([0, 1]), np.eye(2), None, "ab"))
    assert figure.get_suptitle() == "no mistake in 2 images"


def test_augmented_and_prediction(drawn):
    ink = 1 - drawn.x / 255.0
    rendered(plots.augmented(ink[:3], np.stack([ink[:3]] * 4, axis=1)))
    labels = plots.exemplars(drawn.x, drawn.y, 12)
    figure = rendered(plots.prediction(drawn.x[0], ink[0], np.linspace(0, 0.1, 12), labels))
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:3] == ["the image", "as the model sees it", "11: 10.0%"] and len(titles) == 7
    two = plots.prediction(drawn.x[0], ink[0], np.array([0.3, 0.7]), labels[:2])
    assert [axis.get_title() for axis in two.axes][2:] == ["1: 70.0%", "0: 30.0%"]
