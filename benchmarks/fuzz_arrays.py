"""The folders of large sets that fuzz.py starts from, packed as archives, and how one is read."""

import io
import json
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from analysis.audit import audit
from benchmarks.fuzz_seeds import image_files, pack
from common.errors import InputError
from dataset import load_parts, split
from init import preprocess
from readers import open_source


def folders() -> list[bytes]:
    """Return the folder of a set whole, with files exchanged, missing or cut, and with values that make no sense."""
    with tempfile.TemporaryDirectory() as temporary:
        raw, data = Path(temporary) / "raw.zip", Path(temporary) / "data.npz"
        names = (f"{part}/{k}/w{i}/{i}.png" for part in ("train", "test") for k in "ab" for i in range(4))
        raw.write_bytes(pack({name: image_files()[k % 5] for k, name in enumerate(names)}))
        preprocess(open_source(raw), data, 16, npz_limit=0.0)
        whole = {file.name: file.read_bytes() for file in sorted(data.with_suffix(".arrays").iterdir())}
    about, arrays = json.loads(whole["about.json"]), [name for name in whole if name.endswith(".npy")]
    exchanged = [{first: whole[second]} for first in arrays for second in arrays if first != second]
    cut = [{name: content[:length]} for name, content in whole.items() for length in (0, 60, 130, len(content) - 3)]
    nested: list = [1]
    for _ in range(500):
        nested = [nested]
    changes = [
        {"keys": about["keys"] * 2}, {"keys": []}, {"keys": [*about["keys"], "about"]}, {"groups": []}, {"summary": {}},
        {"groups": [""] * 5}, {"classes": ["a"]}, {"classes": ["a", "a"]}, {"classes": [1, 2]}, {"source": nested},
        {"cropped": nested}, {"photos": "yes"}, {"summary": {"fingerprint": nested}}, {"classes": list("abc") * 10**5},
    ]  # fmt: skip
    hostile = [{"about.json": json.dumps(about | change).encode()} for change in changes]
    hostile += [{"about.json": b"[" * 10**5}, {"x.npy": _objects()}, {"hashes.npy": _objects()}, {"y.npy": _claim()}]
    without = [{key: value for key, value in whole.items() if key != name} for name in whole]
    return [pack(whole), *map(pack, without), *(pack(whole | change) for change in exchanged + cut + hostile)]


def _objects() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([None, print]), allow_pickle=True)
    return buffer.getvalue()


def _claim() -> bytes:
    """Return an .npy file that claims to hold 80 TB."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<i8", "fortran_order": False, "shape": (10**13,)})
    return buffer.getvalue()


def read_folder_of_arrays(path: Path) -> None:
    """Unpack the folder of a set, use all that it holds, and prepare other images in its place."""
    data = path.parent / "data.npz"
    folder = data.with_suffix(".arrays")
    shutil.rmtree(folder, ignore_errors=True)
    data.unlink(missing_ok=True)
    try:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    except Exception as error:  # of the archive, which is ours alone; zipfile raises nearly anything
        raise InputError(f"not unpacked: {error}") from None
    try:
        parts = load_parts(data)
        for images in parts.values():
            for names in (images.files, images.group):
                names.tolist()
            images.fingerprint()
        audit(parts["train"], parts["test"])
        split(parts["train"])
    finally:
        others = path.parent / "others.npz"
        np.savez(others, x=np.zeros((4, 8, 8), np.uint8), y=[0, 0, 1, 1])
        preprocess(open_source(others), data, 16)
