"""The data and the checkpoint that commands of the shell work with."""

from dataclasses import replace
from pathlib import Path

import pytest

import init
from apps.options import Parser, add_parameters
from apps.steps import load_checkpoint, load_data, read_data
from classifier import CNNClassifier
from common.errors import InputError
from dataset import correct
from readers import open_source


@pytest.fixture
def parts(raw, paper, quick, tmp_path):
    """The config of a run on two classes of 12 training images each, with test images of their own."""
    folder = raw({f"{part}/{k}": paper(n, 3 * n + k) for part, n in (("train", 12), ("test", 3)) for k in range(2)})
    return quick(raw_data_path=str(folder), data_path=str(tmp_path / "data.npz"), val_fraction=0.25)


def test_the_data_are_prepared_and_split_as_in_the_notebook(parts):
    (images, test), (train, val, held_out, part) = load_data(parts)
    assert [len(one) for one in (images, test, train, val)] == [24, 6, 18, 6] and (held_out, part) == (test, "test")
    again = read_data(parts)[1][0]
    assert again.fingerprint() == train.fingerprint() == load_data(parts, prepared=True)[1][0].fingerprint()


def test_a_checkpoint_brings_its_own_data(parts, tmp_path):
    init.prepare(parts)
    path = str(tmp_path / "model.ckpt")
    CNNClassifier(parts, ["0", "1"]).save(path)
    parser = Parser("test")
    parser.add_argument("checkpoint", nargs="?")
    add_parameters(parser)
    content = Path(parts.data_path).read_bytes()
    best, (_, (train, _, _, part)) = load_checkpoint(parser.parse([path, "--device", "cpu"]))
    assert best.classes_ == ["0", "1"] and len(train) == 18 and part == "test"
    _, (_, (train, *_)) = load_checkpoint(
        parser.parse(["--save-path", path, "--val-fraction", "0.5", "--device", "cpu"])
    )
    assert len(train) == 12
    CNNClassifier(replace(parts, characters="01"), ["0", "1"]).save(path)  # trained on drawn ones
    _, ((images, _), _) = load_checkpoint(parser.parse([path, "--raw-data-path", parts.raw_data_path]))
    assert len(images) == 24
    named = replace(parts, labels_from="{label}_*")  # a name that a run's images had is not looked for in others
    CNNClassifier(named, ["0", "1"]).save(path)
    _, ((images, _), _) = load_checkpoint(parser.parse([path, "--raw-data-path", parts.raw_data_path]))
    assert len(images) == 24
    _, ((images, _), _) = load_checkpoint(parser.parse([path, "--characters", "01", "--drawn-per-class", "5"]))
    assert len(images) == 10 and "synthetic" in images.source, "not the run's own images"
    CNNClassifier(parts, ["1", "2", "0"]).save(path)
    _, ((images, test), (train, val, held_out, _)) = load_checkpoint(parser.parse([path]))
    for one in (images, test, train, val, held_out):  # in the order of the model's classes, which may be more
        assert one.classes == ["1", "2", "0"] and set(one.y) <= {0, 2}
        assert [one.classes[k] for k in one.y] == [str(name).split("/")[-2] for name in one.files]
    CNNClassifier(parts, ["1", "2"]).save(path)
    with pytest.raises(InputError, match="^0: classes of the images, but not of the classifier, which has 1, 2: name"):
        load_checkpoint(parser.parse([path]))
    assert Path(parts.data_path).read_bytes() == content, "its drawn characters are prepared elsewhere"
    with pytest.raises(InputError, match="name the checkpoint"):
        load_checkpoint(parser.parse(["--save-path", "none"]))


def test_drawn_characters_are_added_to_the_training_images_alone(stroke_data, raw, paper, quick, tmp_path):
    folder = raw({character: paper(12, 9 * k, (32, 32)) for k, character in enumerate("二人")})
    config = quick(
        raw_data_path=str(folder), characters="人二", drawn_per_class=20, stored_size=32, val_fraction=0.25,
        data_path=str(tmp_path / "data.npz"),
    )  # fmt: skip
    (images, _), (train, val, held_out, _) = load_data(config)
    assert len(images) == 24 and held_out is val and len(val) == 6 and "synthetic" not in val.source
    drawn = train.files == "二/7"
    assert drawn.sum() == 1 and train.classes[train.y[drawn][0]] == "二" and "and synthetic handwriting" in train.source
    assert len(train) == 40 + 2 * 18, "real images are repeated until they are half"
    assert not set(map(bytes, train.hashes())) & set(map(bytes, val.hashes()))
    assert read_data(config)[1][0].fingerprint() == train.fingerprint()
    with pytest.raises(InputError, match="the classes of .* are not the characters: T, 人 are in one of them only"):
        load_data(replace(config, characters="二T"))


def test_other_data_are_not_replaced(parts, raw, paper, tmp_path):
    """Neither data that are named without a source, nor those at data_path when another source is named."""
    path, other = str(tmp_path / "model.ckpt"), raw({"0": paper(10, 7), "1": paper(10, 8)}, "other")
    init.prepare(parts)
    CNNClassifier(parts, ["0", "1"]).save(path)
    theirs = tmp_path / "theirs/data.npz"
    init.preprocess(open_source(other), theirs)
    correct(theirs, {"0/10.bmp": "1"})
    before = {file: file.read_bytes() for file in tmp_path.rglob("data.*")}
    parser = Parser("test")
    parser.add_argument("checkpoint", nargs="?")
    add_parameters(parser)
    for words, count in (
        ([], 24), (["--data-path", str(theirs)], 20), (["--raw-data-path", str(other)], 20),
        (["--raw-data-path", parts.raw_data_path, "--data-path", str(theirs)], 24),
    ):  # fmt: skip
        _, ((images, _), _) = load_checkpoint(parser.parse([path, "--device", "cpu", *words]))
        assert len(images) == count and len(images.corrections) == ("theirs" in " ".join(words) and count == 20)
        assert {file: file.read_bytes() for file in tmp_path.rglob("data.*")} == before
