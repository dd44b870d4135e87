"""The int8 file predicts what the original does, is smaller, and is kept only if it is faster."""

import numpy as np
import pytest

from export import int8, onnx_file
from metrics import accuracy


@pytest.fixture(scope="module")
def files(resnet, drawn):
    original = onnx_file.to_onnx(resnet.trained)
    return original, int8.quantize(original, drawn.x[::8])


def test_it_is_a_quarter_and_predicts_nearly_the_same(files, drawn):
    original, quantized = files
    assert len(quantized) < 0.3 * len(original)
    first, second = (onnx_file.Session(file)(drawn.x[::8]) for file in files)
    assert np.abs(first - second).mean() < 0.02


def test_only_the_model_is_quantized(files):
    import onnx

    nodes = onnx.load_from_string(files[1]).graph.node
    assert all(node.op_type != "MatMulInteger" for node in nodes)
    linear = [node for node in nodes if node.op_type in ("MatMul", "Conv", "Gemm")]
    prepared = [node for node in linear if node.name.startswith("/prepare/")]
    assert len(prepared) == 2 and not any("Dequantize" in name for node in prepared for name in node.input)
    assert all(any("Dequantize" in name for name in node.input) for node in linear if node not in prepared)


@pytest.mark.parametrize("fast", [True, False])
def test_the_comparison(files, resnet, drawn, monkeypatch, fast):
    times = {"original": {1: 2.0, 256: 300.0}, "int8": {1: 1.0, 256: 100.0 if fast else 301.0}}
    monkeypatch.setattr(int8, "latency", lambda sessions, images: times)
    some = drawn.subset(range(0, 480, 8))
    found = int8.compare(*files, resnet.trained, some)
    assert found["faster"] == fast and found["milliseconds"] == times
    assert found["bytes"] == {"original": len(files[0]), "int8": len(files[1])}
    predicted = onnx_file.Session(files[1])(some.x).argmax(1)
    assert found["accuracy"]["accuracy"] == accuracy(int((predicted == some.y).sum()), 60)["accuracy"]
    assert "of 60 images, only float32 classifies" in found["mcnemar"]["verdict"]


def test_latency_is_measured_for_one_image_and_for_256(drawn):
    sizes = []

    def session(images, batch):
        sizes.append((len(images), batch))

    found = int8.latency({"original": session, "int8": session}, drawn.x[:3])
    assert set(sizes) == {(1, 1), (256, 256)}
    assert all(value >= 0 for times in found.values() for value in times.values())
    assert found.keys() == {"original", "int8"} and found["int8"].keys() == {1, 256}
