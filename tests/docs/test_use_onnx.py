"""docs/use_onnx.py, on its own, gives what the classifier gives for a folder of images."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from dataset import load
from init import preprocess
from readers import open_source


def use_onnx(*arguments) -> subprocess.CompletedProcess:
    words = [sys.executable, "-I", str(ROOT / "docs" / "use_onnx.py"), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, encoding="utf-8", cwd=arguments[-1])


def predicted(model, folder) -> dict[str, list[str]]:
    """Return file → what is printed of it."""
    done = use_onnx(model, folder)
    assert done.returncode == 0, done.stderr
    return {file: rest for file, *rest in (line.split("\t") for line in done.stdout.splitlines())}


@pytest.mark.parametrize("cropped", [False, True])
def test_a_folder_of_images(train_quickly, drawn, raw, tmp_path, cropped):
    rng = np.random.default_rng(0)
    images = {name: [] for name in drawn.classes[:3]}
    for image, label in zip(drawn.x[::4], drawn.y[::4], strict=True):
        if label < 3:
            pads = rng.integers(0, 9, 4).reshape(2, 2) if cropped else [[0, 0], [0, 0]]
            images[drawn.classes[label]].append(np.pad(image, pads, constant_values=255))
    folder = raw(images)
    preprocess(open_source(folder), tmp_path / "data.npz", 28)
    data = load(tmp_path / "data.npz")
    assert data.cropped == cropped
    classifier = train_quickly(data).classifier
    classifier.export(tmp_path / "model.onnx", data)
    Image.new("RGB", (30, 40), "white").save(folder / "blank.jpg")
    Image.fromarray((drawn.x[0] > 127).astype(np.uint8)).save(folder / "mask.png")  # of levels 0 and 1
    (folder / "notes.txt").write_text("no image")
    found = predicted(tmp_path / "model.onnx", folder)
    assert len(found) == len(data) + 2
    for path, (name, probability) in found.items():
        expected = classifier.predict_proba(path)[0]
        assert name == classifier.classes_[expected.argmax()]
        assert probability == f"{expected.max():.1%}"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert use_onnx(tmp_path / "model.onnx", empty).stderr == f"{empty} is not a folder with images\n"
    assert use_onnx(empty).stderr.startswith("Classify the images in a folder")


def test_a_folder_of_images_in_colour(train_quickly, raw, tmp_path):
    rng = np.random.default_rng(0)
    images: dict[str, list[np.ndarray]] = {"a": [], "b": []}
    for k in range(24):
        image = np.full((20 + k, 30, 3), rng.integers(150, 256, 3), np.uint8)
        image[5:-6, 8:-3, k % 2] = 20
        images["ab"[k % 2]].append(image)
    folder = raw(images, suffix=".png")
    preprocess(open_source(folder, channels=3), tmp_path / "data.npz", 28)
    data = load(tmp_path / "data.npz")
    assert data.cropped and data.shape == (24, 28, 28, 3)
    classifier = train_quickly(data, channels=3).classifier
    classifier.export(tmp_path / "model.onnx", data)
    found = predicted(tmp_path / "model.onnx", folder)
    assert len(found) == 24
    for path, (name, probability) in found.items():
        expected = classifier.predict_proba(path)[0]
        assert (name, probability) == (classifier.classes_[expected.argmax()], f"{expected.max():.1%}")


def test_it_is_short_and_needs_little():
    text = (ROOT / "docs" / "use_onnx.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 42
    imports = {line.split()[1] for line in text.splitlines() if line.startswith(("import", "from"))}
    assert imports == {"json", "sys", "pathlib", "numpy", "onnxruntime", "PIL"}
