"""The files that fuzz.py starts from: of every kind that a reader takes, and some that are hostile."""

import io
import json
import os
import pickle
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from classifier import CNNClassifier
from common import ROOT
from config import Config


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
    ):  # fmt: skip
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        files.append(buffer.getvalue())
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**13,)})
    return [*files, pack({"x.npy": header.getvalue(), "y.npy": header.getvalue()})]


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
        ):  # fmt: skip
            torch.save((content if change.get("format") != 1 else {}) | change, path)
            files.append(path.read_bytes())
    return [*files, pickle.dumps({"format": 1, "state_dict": Attack()}, protocol=2)]


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
