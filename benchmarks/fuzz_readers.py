"""How fuzz.py lets each of our readers read a file."""

import os
import shutil
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import fuzz_seeds as seeds
from benchmarks.fuzz_arrays import folders, read_folder_of_arrays
from benchmarks.fuzz_hostile import RawName, name_lists
from benchmarks.fuzz_parquet import parquets, read_parquet
from benchmarks.fuzz_seeds import image_files, pair_files
from benchmarks.fuzz_strokes import medians, svgs
from classifier import CNNClassifier
from common.errors import InputError
from config import Config
from dataset import load
from init import preprocess
from readers import hanzi, kanjivg, open_source
from readers.characters import draw
from readers.pen import make_pens
from readers.scripts import IDEOGRAPHS
from readers.skeleton import Skeleton
from readers.writing import make_habits


def read_raw(path: Path) -> None:
    """Make data.npz from raw images and load it."""
    output = path.parent / "out.npz"
    output.unlink(missing_ok=True)
    preprocess(open_source(path), output)
    load(output)


def read_folder(path: Path) -> None:
    """Read an image file as one of four in a folder."""
    folder, plain = path.parent / "folder", image_files()[0]
    for k, images in enumerate(([path.read_bytes(), plain], [plain, plain])):
        (folder / str(k)).mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(images):
            (folder / str(k) / f"{i}.png").write_bytes(image)
    read_raw(folder)


def read_names(path: Path) -> None:
    """Read small images under the names that a file lists, in a folder or, half the time, in a .zip."""
    data, image = path.read_bytes(), image_files()[0]
    names, folder, archive = list(dict.fromkeys(data.split(b"\0"))), path.parent / "names", path.with_suffix(".zip")
    shutil.rmtree(folder, ignore_errors=True)
    if zlib.crc32(data) % 2:
        with zipfile.ZipFile(archive, "w") as packed, warnings.catch_warnings():
            for k, name in enumerate(names):
                packed.writestr(RawName(name[:60_000], is_utf8=k % 5 == 4), image)
        return read_raw(archive)
    for name in names:
        parts = [part for part in name.split(b"/") if part not in (b"", b".", b"..")]
        try:
            file = Path(os.fsdecode(b"/".join([os.fsencode(folder), *parts])))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(image)
        except OSError:  # a name that the disk does not take, or of a file where a folder should be
            continue
    read_raw(folder)


def read_npz(path: Path) -> None:
    """Load an .npz, and read it as raw data."""
    refusal = None
    try:
        load(path)
    except InputError as error:
        refusal = error
    read_raw(path)
    if refusal:
        raise refusal


def read_pair(path: Path) -> None:
    """Read a file as the images of a pair in its format or, half the time, as the labels."""
    data = path.read_bytes()
    suffix = next((suffix for start, suffix in ((b"PK", "npz"), (b"\x93N", "npy")) if data.startswith(start)), "ubyte")
    pair = list(pair_files()[suffix])
    pair[zlib.crc32(data) % 2] = data
    folder = path.parent / suffix
    folder.mkdir(exist_ok=True)
    for name, content in zip(("images", "labels"), pair, strict=True):
        (folder / f"train-{name}.{suffix}").write_bytes(content)
    read_raw(folder)


def read_gnt(path: Path) -> None:
    """Read .gnt files, alone or in a .zip."""
    read_raw(path.replace(path.with_suffix(".zip" if zipfile.is_zipfile(path) else ".gnt")))


def read_table(path: Path) -> None:
    """Read a table in a folder with eight images."""
    folder = path.parent / "table"
    folder.mkdir(exist_ok=True)
    for k, image in enumerate(image_files()[:8]):
        (folder / f"{k}.png").write_bytes(image)
    read_raw(path.replace(folder / "labels.csv"))


def read_checkpoint(path: Path) -> None:
    """Load a checkpoint and predict with it."""
    CNNClassifier.load(path, device="cpu").predict(np.zeros((1, 28, 28), np.uint8))


def draw_skeleton(skeleton: Skeleton) -> None:
    """Draw a skeleton by two writers."""
    rng = np.random.RandomState(0)
    draw(rng, [skeleton], make_habits(rng, 2), make_pens(rng, 2, 28), 28, IDEOGRAPHS)


def read_kanjivg(path: Path) -> None:
    """Draw a character of KanjiVG."""
    draw_skeleton(kanjivg.parse(path.read_bytes()))


def read_hanzi(path: Path) -> None:
    """Draw the characters of a tarball of hanzi-writer-data, or of one of its files."""
    is_packed = path.read_bytes()[:2] == b"\x1f\x8b"
    for data in hanzi.read_files(path, "一二").values() if is_packed else [path.read_bytes()]:
        draw_skeleton(hanzi.parse(data))


READERS: dict[str, tuple[Callable, Callable]] = {  # what makes the files, what reads one
    "folder": (seeds.single_images, read_folder), "zip": (seeds.zips, read_raw), "names": (name_lists, read_names),
    "npz": (seeds.npzs, read_npz), "pair": (seeds.pairs, read_pair), "gnt": (seeds.gnts, read_gnt),
    "table": (seeds.tables, read_table), "checkpoint": (seeds.checkpoints, read_checkpoint),
    "config": (seeds.configs, Config.load), "kanjivg": (svgs, read_kanjivg), "hanzi": (medians, read_hanzi),
    "arrays": (folders, read_folder_of_arrays), "parquet": (parquets, read_parquet),
}  # fmt: skip
