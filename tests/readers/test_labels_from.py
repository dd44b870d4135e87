import re

import pytest
from PIL import Image

from common.errors import InputError
from readers import open_source


def test_labels_from_the_names_of_files(tmp_path):
    for part, count in (("train", 3), ("test", 1)):
        for name in ("7_w1", "10_w1", "a_b_w2", "preview"):
            for i in range(count):
                path = tmp_path / part / f"{name}_{i}.png" if name != "preview" else tmp_path / part / "preview.png"
                path.parent.mkdir(exist_ok=True)
                Image.new("L", (9, 9), 10 * i).save(path)
    with pytest.raises(InputError, match=re.escape("or set labels_from='{label}_*' if the files are named so")):
        open_source(tmp_path)
    source = open_source(tmp_path, "{label}_w*_*")
    assert source.classes == ["7", "10", "a_b"]
    assert [(sample.file, sample.part) for sample in source if sample.label == 2] == [
        ("test/a_b/a_b_w2_0.png", "test"), *((f"a_b/a_b_w2_{i}.png", "train") for i in range(3)),
    ]  # fmt: skip
    assert ("train/preview.png", "its name does not fit labels_from='{label}_w*_*'") in source.skipped
    with pytest.raises(InputError, match="has no image whose name fits labels_from='x{label}'"):
        open_source(tmp_path, "x{label}")
    with pytest.raises(InputError, match="must hold {label} once"):
        open_source(tmp_path, "*")
    (tmp_path / "a.csv").write_text("path,label")
    with pytest.raises(InputError, match="labels_from is for image files in a folder or a .zip"):
        open_source(tmp_path / "a.csv", "{label}_*")


def test_folders_that_are_told_by_the_label_tell_nothing(raw, paper, tmp_path):
    """Omniglot's alphabets and their characters; its files are named by a number of the character and of the drawer."""
    for folder, label in (("Greek/character01", "0394"), ("Greek/character02", "0395"), ("Korean/character01", "0540")):
        for part in ("train", "test"):
            raw({folder: paper(3, int(label) % 7)}, part)
            for path in (tmp_path / part / folder).iterdir():
                path.rename(path.with_name(f"{label}_{path.name}"))
    source = open_source(tmp_path, "{label}_*")
    assert source.classes == ["0394", "0395", "0540"] and not source.notes and not source.skipped
    assert {(sample.part, sample.group) for sample in source} == {("train", ""), ("test", "")}


def test_folders_that_name_the_same_classes_stay(raw, paper, tmp_path):
    folder = raw({"A": paper(2, 0), "B": paper(2, 1)})
    for path in folder.rglob("*.*"):
        path.rename(path.with_name(f"{path.parent.name}_{path.name}"))
    named, plain = open_source(folder, "{label}_*"), open_source(folder)
    assert named.classes == plain.classes == ["A", "B"]
    assert [sample.file for sample in named] == [sample.file for sample in plain]
