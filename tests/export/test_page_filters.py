"""The filters and measures of the page's JavaScript give what scipy, NumPy and Pillow give."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from scipy import ndimage

RUNNER = """
import { readFileSync } from "node:fs";
import * as filters from "%s/filters.mjs";
import * as measures from "%s/measures.mjs";
const types = { uint8: Uint8Array, float32: Float32Array };
const image = ({ dtype, shape: [height, width], data }) => ({ data: types[dtype].from(data), width, height });
const results = JSON.parse(readFileSync(0)).map(([name, picture, ...more]) => {
  const one = name === "quantile" ? image(picture).data : image(picture);
  const found = { ...filters, ...measures }[name](one, ...more);
  if (found.data) return { image: [...found.data], width: found.width };
  return { value: ArrayBuffer.isView(found) ? [...found] : found };
});
console.log(JSON.stringify(results));
"""


def by_javascript(calls: list[tuple]) -> list:
    """Return what functions, each named with an image and further arguments, give; images as arrays (h, w)."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js: on Debian and Ubuntu, apt install nodejs")
    given = [
        (name, {"dtype": str(image.dtype), "shape": image.shape, "data": image.ravel().tolist()}, *more)
        for name, image, *more in calls
    ]
    folder = (ROOT / "export" / "page").as_uri()
    words = [node, "--input-type=module", "--eval", RUNNER % (folder, folder)]
    ended = subprocess.run(words, input=json.dumps(given), check=True, timeout=60, capture_output=True, text=True)
    results = json.loads(ended.stdout)
    return [np.reshape(one["image"], (-1, one["width"])) if "image" in one else one["value"] for one in results]


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Noise, a bright and a dark dot in corners of blank paper, a row and a column; uint8."""
    rng = np.random.default_rng(0)
    noise, row = (rng.integers(0, 256, shape).astype(np.uint8) for shape in ((37, 23), (1, 30)))
    dots = np.full((40, 50), 200, np.uint8)
    dots[0, 0], dots[37:39, 48:] = 255, 3
    return [noise, dots, row, row.T.copy()]


@pytest.mark.parametrize("sigma", [0.05, 0.4, 0.801])
def test_gaussian(pictures, sigma):
    for found, picture in zip(by_javascript([("gaussian", one, sigma) for one in pictures]), pictures, strict=True):
        np.testing.assert_allclose(found, ndimage.gaussian_filter(picture.astype(np.float32), sigma), atol=1e-4)


@pytest.mark.parametrize("size", [2, 14, 80])
def test_skew(pictures, size):
    grey = [picture.astype(np.float32) for picture in pictures]
    for found, one in zip(by_javascript([("skew", one, size) for one in grey]), grey, strict=True):
        expected = ((one - ndimage.uniform_filter(one.astype(float), size)) ** 3).sum()
        assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("window", [1, 2, 7, 20])
def test_closing_of_what_goes_on_beyond_the_border(pictures, window):
    """The margin is as wide as a filter reaches, and cut off."""
    for picture in pictures[:2]:
        grey = picture.astype(np.float32)
        outside = {"pad": np.pad(grey, window, constant_values=90)}
        outside["padOdd"] = np.minimum(np.pad(grey, window, "reflect", reflect_type="odd"), grey.max())
        for name, most in (("pad", 90), ("padOdd", float(grey.max()))):
            around = by_javascript([(name, grey, window - 1, most)])[0].astype(np.float32)
            inside = slice(1, -1)
            np.testing.assert_array_equal(around, outside[name][inside, inside])
            expected = ndimage.grey_closing(outside[name], (window, window))[window:-window, window:-window]
            np.testing.assert_array_equal(by_javascript([("closing", around, window)])[0], expected)


def test_quantiles():
    rng = np.random.default_rng(0)
    numbers = [
        rng.normal(size=(1, 3001)), np.repeat([0.0, 0, 0, 1], 500)[None], np.array([[0.0, 1e-6, 2e-6, 1, 1 - 1e-6]]),
        rng.integers(0, 3, (1, 800)), np.array([[4.0]]), np.exp(rng.normal(0, 9, (1, 501))),
    ]  # fmt: skip
    numbers = [one.astype(np.float32) for one in numbers]
    fractions = [0, 0.25, 0.5, 0.75, 0.9, 0.998, 1]
    found = by_javascript([("quantile", one, fraction) for one in numbers for fraction in fractions])
    expected = [np.quantile(one.astype(float), fraction) for one in numbers for fraction in fractions]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_distances_and_parts(pictures):
    masks = [(picture > 60).astype(np.uint8) for picture in pictures]
    for mask, found in zip(masks, by_javascript([("distances", mask) for mask in masks]), strict=True):
        if not mask.all():
            np.testing.assert_allclose(np.reshape(found, mask.shape), ndimage.distance_transform_edt(mask), atol=1e-5)
    for mask, found in zip(masks, by_javascript([("label", mask, 0) for mask in masks]), strict=True):
        labels, count = ndimage.label(mask, np.ones((3, 3)))
        assert [found["labels"][str(i)] for i in range(mask.size)] == labels.ravel().tolist()
        assert found["sizes"] == [0, *ndimage.sum_labels(mask, labels, np.arange(1, count + 1)).tolist()]


def test_thumbnail_and_resize(pictures):
    rng = np.random.default_rng(0)
    large = [rng.integers(0, 256, shape).astype(np.uint8) for shape in ((97, 61), (31, 160), (30, 31))]
    for picture, found in zip(large, by_javascript([("thumbnail", one, 30) for one in large]), strict=True):
        image = Image.fromarray(picture)
        image.thumbnail((30, 30), Image.Resampling.BOX)
        np.testing.assert_array_equal(found, np.asarray(image))
    for size in ((60, 41), (9, 12)):
        ink = pictures[0].astype(np.float32)
        found = by_javascript([("resize", ink, *size, "bilinear")])[0]
        expected = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BILINEAR))
        np.testing.assert_allclose(found, expected, atol=1e-3)
