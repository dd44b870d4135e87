import builtins

import numpy as np
import pytest
from PIL import Image

from apps import canvas as drawing
from classifier import CNNClassifier
from dataset import CharDataset, load_npz
from init import preprocess
from readers import strokes

SIMPLEST = {  # a character → the shares of its ways of writing; the commonest is drawn
    name: [max(ways, key=lambda way: way[0])[1] for ways in parts]
    for name, parts in strokes._parse(strokes.SKELETONS).items()
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    from config import Config

    x, y = strokes.draw(per_class=200)
    files = [f"{k + 1}/{i}.bmp" for i, k in enumerate(y)]
    train = CharDataset(x, y, classes=list(strokes.CHARACTERS), files=files)
    classifier = CNNClassifier(Config(epochs=25, device="cpu", record_path=None, save_path=None), train.classes)
    classifier.fit(train)
    return classifier, train


@pytest.fixture
def pad(trained, tmp_path):
    return drawing.drawing_pad(*trained, tmp_path / "drawn")


def draw(pad, name: str) -> None:
    pad.clear()
    for part in SIMPLEST[name]:
        for stroke in part:
            points = (stroke * 2.2 + 30).tolist()
            pad.press(*points[0])
            for point in points[1:]:
                pad.move(*point)
            pad.lift()


def test_what_is_drawn_is_read(pad):
    right = 0
    for k, name in enumerate(strokes.CHARACTERS):
        draw(pad, name)
        right += pad.label.value == k
        assert f"(class {pad.label.value}), probability" in pad.answer.value
    assert right >= 10
    assert bytes(pad.figure.value).startswith(b"\x89PNG") and pad.figure.layout.display == ""


def test_undo_and_clear(pad):
    draw(pad, "自")
    count = len(pad.strokes)
    whole = pad.picture()
    pad.undo()
    assert len(pad.strokes) == count - 1 and (pad.picture() > whole).any()
    pad.clear()
    pad.undo()
    assert pad.strokes == [] and (pad.picture() == 255).all() and pad.answer.value == "Draw a character."
    pad.move(5, 5)  # with the pen up
    pad.lift()
    assert pad.strokes == [] and pad.figure.layout.display == "none"


def test_a_dot_is_a_drawing(pad):
    pad.press(140, 140)
    pad.lift()
    assert (pad.picture() == 0).sum() > 50 and "Read as" in pad.answer.value


def test_added_drawings_are_a_raw_folder_of_the_same_classes(pad, trained, tmp_path):
    assert pad.add() is None and pad.said.value == "Nothing is drawn yet."
    for name in "博学":
        for _ in range(2):
            draw(pad, name)
            pad.label.value = strokes.CHARACTERS.index(name)
            path = pad.add()
            assert path.parent.name == str(strokes.CHARACTERS.index(name) + 1) and path.name in pad.said.value
    np.testing.assert_array_equal(np.asarray(Image.open(path)), trained[0].like_training(pad.picture()))
    preprocess(tmp_path / "drawn", tmp_path / "own.npz")
    own = load_npz(tmp_path / "own.npz")
    assert own.classes == ["博", "学"] and own.y.tolist() == [0, 0, 1, 1]


def test_a_folder_that_cannot_be_written_is_said(trained, tmp_path):
    (tmp_path / "drawn").write_text("a file")
    pad = drawing.drawing_pad(*trained, tmp_path / "drawn")
    draw(pad, "用")
    assert pad.add() is None and "cannot be written" in pad.said.value


def test_without_widgets_it_says_how_to_get_them(trained, tmp_path, monkeypatch, capsys):
    original = builtins.__import__

    def without(name, *arguments, **options):
        if name == "ipycanvas":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert drawing.drawing_pad(*trained, tmp_path) is None
    assert "pip install ipycanvas" in capsys.readouterr().out
