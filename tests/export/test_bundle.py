"""What an export writes, and what it refuses."""

import os
import shutil

import pytest

from common.errors import InputError, StorageError
from export import int8, onnx_file
from export.targets import check_targets
from export.trained import Trained


@pytest.mark.parametrize("fast", [True, False])
def test_all_parts(lenet, drawn, tmp_path, monkeypatch, fast):
    times = {"original": {1: 2.0, 256: 2.0}, "int8": {1: 1.0, 256: 1.0 if fast else 3.0}}
    monkeypatch.setattr(int8, "latency", lambda sessions, images: times)
    former = lenet.classifier.export(tmp_path / "model.onnx", lenet.val)  # which is replaced
    shutil.copy(former["onnx"], tmp_path / "model.int8.onnx")
    written = lenet.classifier.export(tmp_path / "model.onnx", lenet.val, lenet.train)
    assert set(tmp_path.iterdir()) == set(written.values())
    assert written.keys() == {"onnx", "weights", "card", *(["int8"] if fast else [])}
    if fast:
        said = onnx_file.Session(written["int8"]).metadata
        assert (
            said["classes"] == drawn.classes and said["accuracy"]["n"] == 240 and said["accuracy"]["on"] == "validation"
        )


@pytest.mark.parametrize(
    "name", ["model.onnx", "model.int8.onnx", "model.safetensors", "MODEL_CARD.md", "page/index.html"]
)
@pytest.mark.parametrize("content", [b"", b"# My own card", b"\xff" * 99, b'{"classes": []}'])
def test_a_file_that_no_export_has_made_is_not_replaced(lenet, tmp_path, monkeypatch, name, content):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(Trained, "measure", lambda *ignored: pytest.fail("it was computed before"))
    with pytest.raises(InputError, match="was not made by an export and is not replaced: name a file in another"):
        lenet.classifier.export(tmp_path / "model.onnx", lenet.val, page=True)
    assert [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()] == [content]


def test_what_cannot_be_written_is_said_before_anything_is_computed(lenet, tmp_path, monkeypatch):
    monkeypatch.setattr(Trained, "measure", lambda *ignored: pytest.fail("it was computed before"))
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written .Not a directory.: rename the file that stands where"):
        lenet.classifier.export(tmp_path / "file" / "model.onnx", lenet.val)
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(InputError, match="folder.onnx was not made by an export"):
        lenet.classifier.export(tmp_path / "folder.onnx", lenet.val)


def test_training_images_do_not_measure_the_accuracy(lenet, tmp_path):
    with pytest.raises(InputError, match="the model was trained on these images: give others"):
        lenet.classifier.export(tmp_path / "model.onnx", lenet.train)
    with pytest.raises(InputError, match="train is not the set of images that the model was trained on"):
        lenet.classifier.export(tmp_path / "model.onnx", lenet.val, lenet.val)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("name, make", [
    ("a.safetensors", lambda path: path.write_bytes(b"\x02" + bytes(7) + b"[]")),
    ("MODEL_CARD.md", os.mkfifo),
    ("a.onnx", lambda path: path.symlink_to(path.parent / "nothing")),
], ids=["list", "pipe", "link"])  # fmt: skip
def test_what_is_nothing_of_ours_is_not_replaced(tmp_path, name, make):
    make(tmp_path / name)
    with pytest.raises(InputError, match=f"{name} was not made by an export"):
        check_targets(tmp_path / "a.onnx", page=False)
