"""Drawings of one's own are read back with the right classes, whatever files and labels the training images had."""

import numpy as np
import pytest

from apps.drawings import add_drawing, class_folders
from common.errors import InputError
from dataset import correct, load
from init import preprocess
from readers import open_source

TWELVE = [str(k) for k in range(1, 13)]


def image_of(label: int) -> np.ndarray:
    """Return an image that tells its label."""
    image = np.full((28, 28), 255, np.uint8)
    image[4 : 6 + label, 5:20] = 0
    return image


def read_back(folder, tmp_path) -> dict[str, list[bool]]:
    """Return class → whether each of its images is one of that label, as data preparation reads the folder."""
    preprocess(open_source(folder), tmp_path / "own.npz")
    own = load(tmp_path / "own.npz")
    return {name: [image.tobytes() for image in own.x[own.y == k]] for k, name in enumerate(own.classes)}


@pytest.mark.parametrize(
    "classes, folders",
    [
        (["学", "博"], ["1", "2"]),  # in another order than the folders' names would have
        (["学", "笃"], ["学", "笃"]),
        (TWELVE, TWELVE),
        (["A", "a"], ["1", "2"]),  # one folder on a disk that does not tell them apart
        (["1/2", "a.b"], ["1", "2"]),
        (["..", "CON."], ["1", "2"]),
        (["a", "test"], ["1", "2"]),
        (["e\u0301", "z"], ["1", "2"]),
        (["w1", "w2"], ["w1", "w2"]),
    ],
)
def test_folders_have_the_names_of_the_classes_if_they_can(classes, folders):
    assert class_folders(classes) == folders


@pytest.mark.parametrize(
    "classes", [["博", "学", "1"], ["a", "b", "c"], TWELVE, ["10", "9", "1"], ["x/y", "?", "train"]]
)
def test_what_was_added_is_read_as_the_class_it_was_given(classes, tmp_path):
    for label in (2, 0, 2, 0):
        add_drawing(tmp_path / "drawn", classes, label, image_of(label))
    assert read_back(tmp_path / "drawn", tmp_path) == {
        classes[label]: [image_of(label).tobytes()] * 2 for label in (0, 2)
    }


def test_corrected_labels_do_not_change_where_a_class_is(raw, tmp_path):
    folder = raw({name: [image_of(k)] * 3 for k, name in enumerate(TWELVE)}, suffix=".png")
    preprocess(open_source(folder), tmp_path / "data.npz")
    correct(tmp_path / "data.npz", {"9/1.png": "10"})  # the first file of class 10 is now in folder 9
    classes = load(tmp_path / "data.npz").classes
    for name in ("drawn", "raw"):
        assert add_drawing(tmp_path / name, classes, 9, image_of(9)).parent == tmp_path / name / "10"


def test_a_drawing_joins_the_users_own_data(raw, tmp_path):
    folder = raw({f"train/{k}": [image_of(label)] * 2 for k, label in (("05", 1), ("7", 0))})
    (folder / "classes.txt").write_text("博\n学\n", encoding="utf-8")
    path = add_drawing(folder, ["学", "博"], 1, image_of(1))  # a model whose classes have another order
    assert path.parent == folder / "train/05"
    assert (folder / "classes.txt").read_text(encoding="utf-8") == "博\n学\n"
    assert read_back(folder, tmp_path)["博"] == [image_of(1).tobytes()] * 3


@pytest.mark.parametrize(
    "there, names, message",
    [
        (["x", "y"], "", "holds images of other classes, such as 'x': set drawn_path to another folder"),
        (["1", "2"], "", "holds images of other classes, such as '1': set drawn_path to another folder"),
        (["1", "2"], "学\n博\n", "has no folder of the class '笃': make it, or set drawn_path to another folder"),
        (["1", "2"], "学\n", "classes.txt names 1 different classes for 2 folders"),
        (["1", "x"], "博\n", "classes.txt names 1 different classes for 2 folders"),
    ],
)
def test_other_classes_are_refused_in_words(raw, tmp_path, there, names, message):
    folder = raw({name: [image_of(1)] * 2 for name in there})
    if names:
        (folder / "classes.txt").write_text(names, encoding="utf-8")
    before = sorted(folder.rglob("[!.]*"))
    with pytest.raises(InputError, match=f"{folder}.*{message}"):
        add_drawing(folder, ["博", "学", "笃"], 2, image_of(2))
    assert sorted(folder.rglob("[!.]*")) == before


def test_a_name_that_no_line_can_hold_is_named(tmp_path):
    with pytest.raises(InputError, match="a class is named 'a.nb', which no line of a classes.txt can hold: rename it"):
        add_drawing(tmp_path / "drawn", ["a\nb", "c"], 1, image_of(1))


def test_a_folder_whose_last_step_was_lost_heals(tmp_path):
    for label in (0, 1, 2):
        add_drawing(tmp_path / "drawn", ["c", "b", "a"], label, image_of(label))
    (tmp_path / "drawn/classes.txt").write_text("c\nb\n")
    path = add_drawing(tmp_path / "drawn", ["c", "b", "a"], 2, image_of(2))
    assert path.parent.name == "3" and list(read_back(tmp_path / "drawn", tmp_path)) == ["c", "b", "a"]
