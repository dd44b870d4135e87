"""What an export writes, and what it refuses."""

import pytest

from common.errors import InputError
from export import int8, onnx_file


@pytest.mark.parametrize("fast", [True, False])
def test_all_parts(lenet, drawn, tmp_path, monkeypatch, fast):
    times = {"original": {1: 2.0, 256: 2.0}, "int8": {1: 1.0, 256: 1.0 if fast else 3.0}}
    monkeypatch.setattr(int8, "latency", lambda sessions, images: times)
    (tmp_path / "model.int8.onnx").write_text("of an earlier export")
    written = lenet.classifier.export(tmp_path / "model.onnx", lenet.val, lenet.train)
    assert set(tmp_path.iterdir()) == set(written.values())
    assert written.keys() == {"onnx", "weights", "card", *(["int8"] if fast else [])}
    if fast:
        said = onnx_file.Session(written["int8"]).metadata
        assert (
            said["classes"] == drawn.classes and said["accuracy"]["n"] == 240 and said["accuracy"]["on"] == "validation"
        )


def test_training_images_do_not_measure_the_accuracy(lenet, tmp_path):
    with pytest.raises(InputError, match="the model was trained on these images: give others"):
        lenet.classifier.export(tmp_path / "model.onnx", lenet.train)
    with pytest.raises(InputError, match="train is not the set of images that the model was trained on"):
        lenet.classifier.export(tmp_path / "model.onnx", lenet.val, lenet.val)
    assert not list(tmp_path.iterdir())
