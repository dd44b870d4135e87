"""The files that fuzz.py starts from: of every kind that a reader takes, and some that are hostile."""

import gzip
import io
import json
import os
import pickle
import struct
import tempfile
import zipfile
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.fuzz_hostile import foreign_files, giant_images, giant_zip, large_array, many_members
from classifier import CNNClassifier
from common import ROOT
from config import Config


@cache
def image_files() -> list[bytes]:
    """Return an image file of each format and mode."""
    grey = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 16), np.uint8))
    files = []
    for kind, modes in {"BMP": "1 L RGB", "PNG": "1 L RGBA P I;16", "JPEG": "L RGB", "GIF": "P", "TIFF": "L F",
                        "WEBP": "RGBA"}.items():  # fmt: skip
        for mode in modes.split():
            buffer = io.BytesIO()
            image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
            image.save(buffer, kind)
            files.append(buffer.getvalue())
    thin = io.BytesIO()
    Image.new("L", (120_000, 1)).save(thin, "PNG")  # as a square, 13 GB
    return [*files, thin.getvalue()]


def single_images() -> list[bytes]:
    """Return all of these, files of other formats, and images of very many pixels."""
    return [*image_files(), *foreign_files(), *giant_images()]


def pack(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a .zip of these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return buffer.getvalue()


def zips() -> list[bytes]:
    """Return .zips of images, also with names outside the archive, a bomb and a name that is too long."""
    images = image_files()
    whole = {f"{k % 2 + 1}/{k}.png": data for k, data in enumerate(images)} | {"classes.txt": "一\n二\n".encode()}
    return [
        pack(whole), pack({f"train/{n}": d for n, d in whole.items()} | {f"test/{n}": d for n, d in whole.items()}),
        pack(whole | {"../evil.png": images[0]}), pack({"/" + n: d for n, d in whole.items()}),
        pack(whole | {"1/bomb.png": bytes(2**27)}), pack({"1/" + "9" * 5000 + ".png": images[0]} | whole),
        giant_zip("1/giant.png", whole), giant_zip("classes.txt", whole),
        pack({f"{k}/" * 99 + "a.png": b"" for k in "ab"}), many_members(10_000), many_members(1_000_000),
        pack(whole | {f"1/{k}.png": data for k, data in enumerate([*foreign_files()[:6], *giant_images()], 100)}),
    ]  # fmt: skip


def npzs() -> list[bytes]:
    """Return .npz files of both layouts and several dtypes, also with objects and with a false size."""
    rng, files = np.random.default_rng(0), []
    x, y = rng.integers(0, 256, (6, 8, 8), np.uint8), np.arange(6) % 3
    for arrays in (
        {"x": x, "y": y, "classes": np.array(["一", "b", "c"]), "source": "a", "files": y.astype(str)},
        {"x_train": x, "y_train": y, "x_test": x[:, None], "y_test": y[:, None]},
        {"x": x / 255, "y": y}, {"x": x.astype(np.float32), "y": y.astype(np.uint8)}, {"x": x > 9, "y": y},
        {"x": x, "y": y * 2**60}, {"x": np.array([None, print]), "y": y},
        {"x": large_array(), "y": np.arange(1200) % 2}, {"x": x, "y": np.zeros(2**28 - 999, np.uint8)},
    ):  # fmt: skip
        buffer, is_large = io.BytesIO(), any(np.asarray(array).nbytes > 10**6 for array in arrays.values())
        (np.savez_compressed if is_large else np.savez)(buffer, **arrays)
        files.append(buffer.getvalue())
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**13,)})
    return [*files, pack({"x.npy": header.getvalue(), "y.npy": header.getvalue()}), giant_zip("x.npy", {"y.npy": b""})]


def _idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def pair_files() -> dict[str, tuple[bytes, bytes]]:
    """Return suffix → a file of six images and one of their labels."""
    arrays = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8), np.arange(6) % 3
    images, labels = ((_idx(array), _npy(array), pack({"arr_0.npy": _npy(array)})) for array in arrays)
    return dict(zip(("ubyte", "npy", "npz"), zip(images, labels, strict=True), strict=True))


def pairs() -> list[bytes]:
    """Return files of images or of labels, also packed, of text, of objects, and that claim more than they hold."""
    files = [file for pair in pair_files().values() for file in pair]
    claim = b"\0\0\x08\x03" + b"\xff" * 12
    return [
        *files, *map(gzip.compress, files[:2]), _npy(np.array(["a", "b", "c"] * 2)), claim,
        gzip.compress(claim + bytes(2**27)), _npy(np.array([None] * 6)), gzip.compress(_idx(large_array())),
    ]  # fmt: skip


def gnts() -> list[bytes]:
    """Return .gnt files of a writer, whole, empty and with a record that claims 4 GB, and a .zip of two."""
    rng = np.random.default_rng(0)

    def record(character: str, width: int, height: int) -> bytes:
        tag = character.encode("gb18030").ljust(2, b"\0")
        return struct.pack("<I2sHH", 10 + width * height, tag, width, height) + rng.bytes(width * height)

    whole = b"".join(record(character, 9, 11) for character in "啊阿A" * 2)
    huge = struct.pack("<I2sHH", 10 + 65_535**2, b"A\0", 65_535, 65_535)
    return [whole, pack({"1.gnt": whole, "2.gnt": whole}), whole + huge, b"", giant_zip("1.gnt", {"2.gnt": whole})]


def tables() -> list[bytes]:
    """Return tables of pixels, and of image paths 0.png … 7.png, labels, writers and parts, in several encodings."""
    rows = (f"{k}.png,{'啊阿'[k % 2]},w{k % 3},{'test' if k > 5 else 'train'}" for k in range(8))
    text = "\n".join(["path,标签,writer,split", *rows])
    pixels = "\n".join(f"{k % 2},0,{k},255,{'7,' * 12}0" for k in range(8))
    return [
        text.encode(), text.replace(",", ";").encode("utf-8-sig"), text.replace(",", "\t").encode("utf-16"),
        text.encode("gb18030"), "\n".join(f"{k}.png,{k % 2}" for k in range(8)).encode(), b"\0" * 999,
        b"path,label\n" + b"/dev/zero,1\n../../../etc/passwd,2\n" * 9, b'"' + b"9" * 10**6,
        text.encode() + b"," * 10**6, text.encode() + b"\n8.png,1,," * 600_000, text.encode() + b"\n" + b"9" * 10**8,
        text.encode() + "\n\U00020000,二".encode() * 2_000_000, pixels.encode(), pixels.encode() + b",9" * 10**6,
        f"label{',pixel' * 16}\n{pixels}".encode("utf-8-sig"),
    ]  # fmt: skip


class Attack:
    """Unpickled, it makes a folder."""

    def __reduce__(self):
        return os.mkdir, ("it_ran",)


class Greedy:
    """Unpickled, it takes 10 GB."""

    def __reduce__(self):
        return bytearray, (10**10,)


def checkpoints() -> list[bytes]:
    """Return checkpoints of both formats with values that make no sense, and with code."""
    files = []
    with tempfile.TemporaryDirectory() as folder:
        classifier, path = CNNClassifier(Config(device="cpu"), ["a", "b"]), Path(folder) / "a.ckpt"
        classifier.save(path)
        content = torch.load(path, weights_only=True)
        nested = [1]
        for _ in range(60):
            nested = [nested, nested]  # small on disk, beyond all bounds as text
        config, spec = content["config"], content["input_spec"]
        style = {"dark": True, "side": 0.7, "row": 0.5, "column": 0.5, "stroke": 0.04}
        format_1 = {key: value for key, value in content.items() if key != "input_spec"} | {
            "format": 1, "image_size": 32, "source_shape": [28, 28], "style": style, "cropped": False,
            "transformed": False,
        }  # fmt: skip
        specs = (
            {"style": style}, {"input_size": 10**9}, {"source_shape": [10**9, -1]}, {"source_shape": nested},
            {"cropped": nested}, {"style": nested}, {"style": style | {"side": float("nan")}}, {nested[0] is None: 1},
        )  # fmt: skip
        for change in (
            {}, format_1, *({"input_spec": spec | values} for values in specs), {"input_spec": nested},
            format_1 | {"image_size": 10**9}, format_1 | {"source_shape": nested}, format_1 | {"training": nested},
            {"metrics": {}}, {"classes": [1, 2]}, {"classes": nested}, {"config": config | {"model": nested}},
            {"config": {nested[0] is None: 1}}, {"config": config | {"epochs": 10**5000}},
            {"state_dict": {"fc7.bias": torch.zeros(1).expand(10**9)}}, {"state_dict": Attack()},
            {"state_dict": Greedy()}, {"temperature": 0.0}, {"run": {"name": nested}},
            {"state_dict": content["state_dict"] | {"fc7.bias": torch.full((2,), torch.nan)}},
            {"state_dict": {key: value * 1e30 for key, value in content["state_dict"].items()}},
            {"state_dict": content["state_dict"] | {"more": torch.zeros(2**26)}},  # 268 MB
            {"config": config | {"model_options": {"hidden": 10**7}}}, {"more": [{}] * 10 + [[] for _ in range(10**6)]},
        ):  # fmt: skip
            torch.save((content if change.get("format") != 1 else {}) | change, path)
            files.append(path.read_bytes())
    return [*files, pickle.dumps({"format": 1, "state_dict": Attack()}, protocol=2), *_two_files_in_one(files[0])]


def _two_files_in_one(good: bytes) -> list[bytes]:
    """Return files that are harmless to one parser and greedy to another: as a pickle, or by another directory."""
    old, greedy = io.BytesIO(), pickle.dumps(Greedy(), protocol=2)
    torch.save(Greedy(), old, _use_new_zipfile_serialization=False)
    evil = pack({"archive/data.pkl": greedy, "archive/version": b"3\n", "archive/byteorder": b"little"})
    memo = pack({"archive/data.pkl": b"\x80\x02Nr\xff\xff\xff\x7f."})
    return [old.getvalue() + good, evil + good, good + evil, memo]


def configs() -> list[bytes]:
    """Return our config, the report's, and JSON with numbers, keys and depths beyond reason."""
    ours = json.dumps(asdict(Config())).encode()
    hostile = [
        '{"model": ["LeNet"]}',
        '{"epochs": ' + "9" * 5000 + "}",
        '{"learning_rate": ' + "9" * 400 + "}",
        '{"learning_rate": 1e999, "' + "k" * 10**6 + '": 1}',
        '{"record_path": "a\\u0000b"}',
        "[" * 10**5,
    ]
    return [ours, *(path.read_bytes() for path in sorted(ROOT.glob("configs/*.json"))), *map(str.encode, hostile)]
