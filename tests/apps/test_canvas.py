"""The canvas predicts what is drawn on it and saves drawings as a raw folder."""

import builtins

import numpy as np
import pytest
from PIL import Image

from apps.canvas import drawing_pad
from classifier import CNNClassifier
from common.errors import InputError
from config import Config
from dataset import CharDataset, load
from init import preprocess
from readers import open_source
from readers.drawn import CHARACTERS, draw, read_skeletons

SIMPLEST = {  # character → components, each a list of strokes, in their most common way of writing
    name: [max(ways, key=lambda way: way[0])[1] for ways in components] for name, components in read_skeletons().items()
}


@pytest.fixture(scope="module")
def trained():
    x, y = draw(per_class=60)
    files = [f"{k + 1}/{i}.bmp" for i, k in enumerate(y)]
    train = CharDataset(x, y, classes=list(CHARACTERS), files=files)
    fast = {"epochs": 15, "batch_size": 64, "learning_rate": 0.006}
    classifier = CNNClassifier(Config(device="cpu", record_path=None, save_path=None, **fast), train.classes)
    classifier.fit(train)
    return classifier, train


@pytest.fixture
def pad(trained, tmp_path):
    return drawing_pad(*trained, tmp_path / "drawn")


def press_and_move(pad, stroke) -> None:
    points = (stroke * 2.2 + 30).tolist()
    pad.press(*points[0])
    for point in points[1:]:
        pad.move(*point)


def draw_on(pad, name: str) -> None:
    """Draw a character, and lift the pen only at its end: a prediction takes longer than all strokes."""
    pad.clear()
    for component in SIMPLEST[name]:
        for stroke in component:
            press_and_move(pad, stroke)
    pad.lift()


def test_what_is_drawn_is_predicted(pad):
    correct = 0
    for k, name in enumerate(CHARACTERS):
        draw_on(pad, name)
        correct += pad.label.value == k
        probability = pad.classifier.predict_proba(pad.classifier.match_style(pad.picture())).max()
        predicted = CHARACTERS[pad.label.value]
        assert pad.answer.value == (
            f"Prediction: <b>{predicted}</b> (class {pad.label.value}), probability {probability:.1%}"
        )
    assert correct >= 10
    assert bytes(pad.figure.value).startswith(b"\x89PNG") and pad.figure.layout.display == ""


def test_a_stroke_along_the_edge_is_kept_whole(pad):
    pad.press(0, 0)
    pad.lift()
    assert (pad.picture() == 0).sum() > 100 and pad.answer.value.startswith("Prediction: <b>")  # a tap, a whole dot
    pad.move(0, 0)
    pad.press(0, 100)
    pad.move(0, 200)
    pad.lift()
    picture = pad.picture()
    assert (picture[0] == 255).all() and (picture[:, 0] == 255).all() and (picture[150] == 0).sum() >= 11


def test_every_stroke_is_followed_by_a_prediction(pad):
    pictures, strokes = [], [stroke for component in SIMPLEST["自"] for stroke in component]
    for stroke in strokes:
        press_and_move(pad, stroke)
        pad.lift()
        assert pad.answer.value.startswith("Prediction: <b>")
        pictures.append(bytes(pad.figure.value))
    assert len(pad.strokes) == len(strokes) == len(set(pictures))


def test_undo_and_clear(pad):
    draw_on(pad, "自")
    count = len(pad.strokes)
    complete = pad.picture()
    pad.undo()
    assert len(pad.strokes) == count - 1 and (pad.picture() > complete).any()
    pad.clear()
    pad.undo()
    assert pad.strokes == [] and (pad.picture() == 255).all() and pad.answer.value == "Draw a character."
    pad.move(5, 5)  # with the pen up
    pad.lift()
    assert pad.strokes == [] and pad.figure.layout.display == "none"


def test_a_dot_is_a_drawing(pad):
    pad.press(140, 140)
    pad.lift()
    assert (pad.picture() == 0).sum() > 50 and pad.answer.value.startswith("Prediction: <b>")


@pytest.mark.parametrize("place", [(0, 0), (280, 140), (-3, 283), (279.5, 0.5)])
def test_a_tap_at_the_edge_is_a_drawing(pad, place):
    pad.press(*place)
    pad.lift()
    assert (pad.picture() == 0).sum() > 50 and pad.answer.value.startswith("Prediction: <b>")
    assert pad.add().exists()


def test_what_cannot_be_predicted_is_said(pad, monkeypatch):
    def fail(picture):
        raise InputError("no character stands out from <the> paper")

    monkeypatch.setattr(pad.classifier, "match_style", fail)
    pad.press(140, 140)
    pad.lift()
    assert pad.answer.value == "no character stands out from &lt;the&gt; paper" and pad.figure.layout.display == "none"
    assert pad.add() is None and pad.message.value == pad.answer.value


def test_added_drawings_are_a_raw_folder_of_the_same_classes(pad, trained, tmp_path):
    assert pad.add() is None and pad.message.value == "Nothing is drawn yet."
    for name in "博学":
        for _ in range(2):
            draw_on(pad, name)
            pad.label.value = CHARACTERS.index(name)
            path = pad.add()
            assert path.parent.name == str(CHARACTERS.index(name) + 1)
            assert pad.message.value == (
                f"Added as {path}: to train on them, set raw_data_path = '{tmp_path / 'drawn'}', with at least two per "
                "class"
            )
    np.testing.assert_array_equal(np.asarray(Image.open(path)), trained[0].match_style(pad.picture()))
    preprocess(open_source(tmp_path / "drawn"), tmp_path / "own.npz")
    own = load(tmp_path / "own.npz")
    assert own.classes == ["博", "学"] and own.y.tolist() == [0, 0, 1, 1]


def test_a_folder_that_cannot_be_written_is_named(trained, tmp_path):
    (tmp_path / "drawn").write_text("a file")
    pad = drawing_pad(*trained, tmp_path / "drawn")
    draw_on(pad, "用")
    assert pad.add() is None
    assert pad.message.value.startswith(f"{tmp_path / 'drawn'}") and "cannot be written" in pad.message.value


def test_the_exemplars_are_images_of_each_class(pad, trained):
    train = trained[1]
    assert pad.exemplars.shape == (12, 28, 28)
    for k, image in enumerate(pad.exemplars):
        assert image.tobytes() in {one.tobytes() for one in train.x[train.y == k]}


def test_without_widgets_the_log_says_how_to_get_them(trained, tmp_path, monkeypatch, capsys):
    original = builtins.__import__

    def without(name, *arguments, **options):
        if name == "ipycanvas":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert drawing_pad(*trained, tmp_path) is None
    assert capsys.readouterr().out == (
        "To draw characters here, install ipycanvas (pip install ipycanvas) and open the notebook again.\n"
    )
