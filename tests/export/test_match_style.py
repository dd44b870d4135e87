"""The page's JavaScript makes the same image of a picture as imaging/photo.py."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image, ImageDraw

from apps import canvas
from benchmarks.photos import photographed
from classifier import CNNClassifier
from common.errors import InputError
from config import Config
from dataset import CharDataset
from imaging.photo import match_style
from readers.drawn import CHARACTERS, draw, read_skeletons

RUNNER = """
import { readFileSync, writeFileSync } from "node:fs";
import { matchStyle, NoCharacter } from "%s";
const [pictures, results] = process.argv.slice(1);
const file = readFileSync(pictures), length = file.readUInt32LE(0);
const { style, shape, sizes } = JSON.parse(file.subarray(4, 4 + length).toString());
let start = 4 + length;
writeFileSync(results, Buffer.concat(sizes.map(([height, width]) => {
  const data = new Uint8Array(file.subarray(start, start += height * width));
  try {
    return Buffer.concat([Buffer.of(1), matchStyle({ data, width, height }, style, shape).data]);
  } catch (error) {
    if (!(error instanceof NoCharacter)) throw error;
    return Buffer.alloc(1 + shape[0] * shape[1]);
  }
})));
"""


def by_javascript(folder, pictures: list[np.ndarray], style: dict, shape: tuple[int, int]) -> list[np.ndarray | None]:
    """Return what matchStyle gives for each picture, None if it finds no character."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js: on Debian and Ubuntu, apt install nodejs")
    header = json.dumps({"style": style, "shape": shape, "sizes": [picture.shape for picture in pictures]}).encode()
    pixels = b"".join(picture.tobytes() for picture in pictures)
    (folder / "pictures").write_bytes(len(header).to_bytes(4, "little") + header + pixels)
    script = RUNNER % (ROOT / "export" / "page" / "match_style.mjs").as_uri()
    words = [node, "--input-type=module", "--eval", script, str(folder / "pictures"), str(folder / "results")]
    subprocess.run(words, check=True, timeout=300)
    results = np.frombuffer((folder / "results").read_bytes(), np.uint8).reshape(len(pictures), -1)
    return [row[1:].reshape(shape) if row[0] else None for row in results]


def drawing(strokes: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return strokes (P, 2) as the page's canvas has them, somewhere on it, uint8."""
    scale, angle = rng.uniform(0.8, 2.2), rng.uniform(-0.15, 0.15)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    side = canvas.SIDE + 2 * canvas.MARGIN
    image = Image.new("L", (side, side), 255)
    shift = rng.uniform(10, 40, 2)
    for stroke in strokes:
        points = [tuple(point) for point in stroke @ turn + shift + rng.normal(0, 1, stroke.shape)]
        ImageDraw.Draw(image).line(points, 0, canvas.PEN, "curve")
    return np.asarray(image)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """100 drawings and 100 photos of the twelve characters."""
    rng, skeletons = np.random.default_rng(0), read_skeletons()
    drawings = []
    for i in range(100):
        components = skeletons[CHARACTERS[i % 12]]
        strokes = [stroke for ways in components for stroke in ways[rng.integers(len(ways))][1]]
        drawings.append(drawing(strokes, rng))
    fine = draw(9, 160, 7)[0][:100]
    return drawings + [photographed(one, rng) for one in fine]


@pytest.fixture(scope="module")
def trained() -> CNNClassifier:
    x, y = draw(per_class=100)
    classifier = CNNClassifier(Config(epochs=15, record_path=None, save_path=None), list(CHARACTERS))
    classifier.fit(CharDataset(x, y, classes=list(CHARACTERS)))
    return classifier


def test_drawings_and_photos_give_the_same_images(pictures, trained, tmp_path):
    expected = np.stack([trained.match_style(picture) for picture in pictures])
    spec = trained.input_spec_
    found = np.stack(by_javascript(tmp_path, pictures, spec.style, spec.source_shape))
    difference = np.abs(found.astype(int) - expected)
    assert np.median(difference.max((1, 2))) <= 2
    assert (trained.predict(found) == trained.predict(expected)).mean() >= 0.99


def test_other_styles_shapes_and_hard_pictures(pictures, trained, tmp_path):
    style = trained.input_spec_.style | {"dark": False, "row": 0.45, "stroke": 0.12}
    rng = np.random.default_rng(0)
    noise = np.clip(rng.normal(200, 3, (90, 120)), 0, 255).astype(np.uint8)
    thin = np.full((1, 30), 255, np.uint8)
    thin[0, 10:14] = 0
    table = pictures[120].copy()
    table[: len(table) // 4, : len(table) // 5] = 15
    large = np.asarray(Image.fromarray(pictures[110]).resize((1801, 1333)))
    hard = [255 - pictures[3], pictures[104][:, 20:], table, large, noise, thin, np.full((50, 60), 128, np.uint8)]
    for image, picture in zip(by_javascript(tmp_path, hard, style, (40, 32)), hard, strict=True):
        try:
            expected = match_style(picture, style, (40, 32))
        except InputError:
            assert image is None
        else:
            assert image is not None and np.median(np.abs(image.astype(int) - expected)) <= 2
            assert np.abs(image.astype(int) - expected).mean() < 2
