"""What several tests share: small data sets, quick parameters, the real images where there are any."""

import io
import json
import math
import os
import signal
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from classifier import CNNClassifier
from common.errors import InputError
from config import Config
from dataset import CharDataset, split
from export.trained import Trained
from init import start_logging
from readers.drawn import CHARACTERS, draw

ROOT = Path(__file__).resolve().parents[1]
signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells make their background jobs ignore
torch.set_num_threads(1)  # small steps gain nothing from more, and lose much where the machine is busy


def pytest_collection_modifyitems(items):
    """Run the longest tests first, so that no core is left alone with them at the end."""
    longest = ["test_benchmarks.py", "test_notebook.py", "test_reliability.py"]
    items.sort(key=lambda item: longest.index(item.path.name) if item.path.name in longest else len(longest))


def error(call, *args, **options) -> str:
    """Return the message of the InputError that a call raises."""
    with pytest.raises(InputError) as caught:
        call(*args, **options)
    return str(caught.value)


def same(one: dict, other: dict) -> bool:
    """Return whether two state_dicts are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    """Return an image as a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def without_seconds(history: list[dict]) -> list[dict]:
    """Return a history without what no two runs have in common."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


@pytest.fixture(scope="session")
def drawn() -> CharDataset:
    """480 drawn characters, 40 of each."""
    x, y = draw(per_class=40)
    return CharDataset(x, y, classes=list(CHARACTERS), source="drawn for a test")


@pytest.fixture
def halves(drawn) -> tuple[CharDataset, CharDataset]:
    """The drawn characters, split into 384 to train on and 96 to validate."""
    return split(drawn, 0.2)


@pytest.fixture(autouse=True)
def console():
    """Let the product's log lines reach standard output, where capsys reads them."""
    start_logging()


@pytest.fixture(autouse=True)
def states_after_every_epoch(monkeypatch):
    """Write a state after every epoch, however busy the disk is."""
    monkeypatch.setattr("runs.resume.SLOW", math.inf)


@pytest.fixture
def quick(tmp_path):
    """Return a function that makes a Config of short runs which write below tmp_path."""

    def make(**changes) -> Config:
        paths = {"record_path": str(tmp_path / "record"), "save_path": str(tmp_path / "save/{model}_best.ckpt")}
        return Config(**{"epochs": 2, "device": "cpu"} | paths | changes)

    return make


@pytest.fixture
def raw(tmp_path):
    """Return a function that writes a raw folder: class → images, each a uint8 array or bytes."""

    def make(classes: dict, name: str = "raw", suffix: str = ".bmp") -> Path:
        for folder, images in classes.items():
            (tmp_path / name / folder).mkdir(parents=True)
            for i, image in enumerate(images, 1):
                path = tmp_path / name / folder / f"{i}{suffix}"
                if isinstance(image, bytes):
                    path.write_bytes(image)
                else:
                    Image.fromarray(image).save(path)
        return tmp_path / name

    return make


@pytest.fixture
def paper():
    """Return a function that makes n different images of white paper with a black stroke, uint8 (28, 28)."""

    def make(n: int, seed: int = 0, shape: tuple[int, int] = (28, 28)) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        images = np.full((n, *shape), 255, np.uint8)
        for image in images:
            row, column = rng.integers(4, shape[0] - 4), rng.integers(4, shape[1] - 4)
            image[row, 3 : column + 1] = 0
            image[3 : row + 1, column] = 0
        return list(images)

    return make


def write_hanzi(path: Path, medians: dict[str, list]) -> Path:
    """Write a tarball like that of hanzi-writer-data: character → strokes, each a list of [x, y], y upwards."""
    with tarfile.open(path, "w:gz") as archive:
        for character, strokes in medians.items():
            data = json.dumps({"strokes": [], "medians": strokes, "radStrokes": [0]}).encode()
            info = tarfile.TarInfo(f"package/{character}.json")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def svg(*paths: str) -> str:
    """Return a drawing like KanjiVG's, whose first two paths are a group."""
    drawn = [f'<path d="{path}"/>' for path in paths]
    body = f"<g>{''.join(drawn[:2])}</g>{''.join(drawn[2:])}"
    return f'<svg xmlns="http://www.w3.org/2000/svg"><g id="StrokePaths"><g id="all">{body}</g></g></svg>'


@pytest.fixture
def stroke_data(tmp_path, monkeypatch) -> Path:
    """The folder of stroke data of our own: 二 and T in SVG, 二 and 人 as medians, which the product finds."""
    (tmp_path / "kanji").mkdir()
    lines = {"04e8c": ("M20,30h60", "M10,80c20,-5,60,-5,90,0"), "00054": ("M20,15L90,15", "M55,15V95")}
    for name, paths in lines.items():
        (tmp_path / f"kanji/{name}.svg").write_text(svg(*paths), encoding="utf-8")
    medians = {
        "二": [[[250, 700], [750, 700]], [[100, 100], [900, 120]]],
        "人": [[[500, 800], [100, 0]], [[500, 500], [900, 0]]],
    }
    path = write_hanzi(tmp_path / "hanzi.tgz", medians)
    monkeypatch.setattr("readers.kanjivg.find_folder", lambda: tmp_path / "kanji")
    monkeypatch.setenv("FIT_CHAR_HANZI", str(path))
    return tmp_path


@pytest.fixture
def drawable():
    """Return a function that renders a figure, which raises no warning, and returns it; pyplot must keep none."""
    from matplotlib import pyplot as plt

    def rendered(figure):
        figure.savefig(io.BytesIO(), format="png")
        return figure

    yield rendered
    assert plt.get_fignums() == []


def images_on(axis) -> list[np.ndarray]:
    """Return the images that a figure's axis shows."""
    return [np.asarray(image.get_array()) for image in axis.get_images()]


def texts_on(axis) -> list[str]:
    """Return the texts on a figure's axis."""
    return [text.get_text() for text in axis.texts if text.get_text()]


@pytest.fixture(scope="session")
def real_images() -> Path:
    """The lab's .zip, where the environment variable FIT_CHAR_DATA names the folder that holds it."""
    path = Path(os.environ.get("FIT_CHAR_DATA", "")) / "fudan12_train.zip"
    if not os.environ.get("FIT_CHAR_DATA") or not path.exists():
        pytest.skip("needs FIT_CHAR_DATA, a folder with fudan12_train.zip")
    return path


@pytest.fixture(scope="session")
def train_quickly():
    """Return a function that trains one epoch on every second image and gives classifier, trained, train and val."""

    def make(images: CharDataset, **changes) -> SimpleNamespace:
        config = Config(**{"epochs": 1, "device": "cpu", "record_path": None, "save_path": None} | changes)
        classifier = CNNClassifier(config, images.classes)
        train, val = (images.subset(range(start, len(images), 2)) for start in (0, 1))
        classifier.fit(train, val)
        parts = (classifier.model, config, classifier.input_spec_, classifier.classes_)
        trained = Trained(*parts, classifier.temperature_, classifier.metrics_, classifier._run)
        return SimpleNamespace(classifier=classifier, trained=trained, train=train, val=val)

    return make


@pytest.fixture(scope="session")
def lenet(train_quickly, drawn):
    return train_quickly(drawn)


@pytest.fixture(scope="session")
def resnet(train_quickly, drawn):
    return train_quickly(drawn.subset(range(0, 480, 8)), model="ResNet18", input_size=32)
