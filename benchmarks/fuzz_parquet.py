"""The parquet files that fuzz.py starts from, and how they are read."""

import io
import json
from pathlib import Path

import numpy as np

from benchmarks.fuzz_seeds import image_files
from init import preprocess
from readers import open_source

ROWS = 8


def parquets() -> list[bytes]:
    """Return parquet files of images, as Hugging Face and others store them, and of paths; some expand a million fold.

    A value that repeats is stored once, and so is a row group's worth of missing values.
    """
    import pyarrow

    images, labels = image_files()[:ROWS], np.arange(ROWS) % 2
    names = {"info": {"features": {"label": {"names": ["啊", "阿"], "_type": "ClassLabel"}}}}
    pairs = pyarrow.array([{"bytes": image, "path": f"{k}.png"} for k, image in enumerate(images)])
    whole = pyarrow.table({"image": pairs, "label": labels})
    texts = pyarrow.table({"path": [f"{k}.png" for k in range(ROWS)], "label": list("啊阿") * 4})
    large, long, missing = images[0] + bytes(10**6), "啊" * 10**5, np.zeros(10**8, np.int8)
    return [
        _written(whole.replace_schema_metadata({"huggingface": json.dumps(names)})),
        _written(pyarrow.table({"img": images, "character": list("啊阿") * 4}), row_group_size=3),
        _written(texts), _written(texts, compression="zstd", version="1.0"),
        _written(pyarrow.table({"image": [large] * 2000, "label": ["1", "2"] * 1000})),
        _written(pyarrow.table({"image": [{"bytes": large}] * 2000, "label": ["1", "2"] * 1000})),
        _written(pyarrow.table({"image": _repeated(images, 4000), "label": _repeated([long, "2"], 4000)})),
        _written(pyarrow.table({"path": _repeated(["0.png"], 4000), "label": _repeated([long, "2"], 4000)})),
        _written(pyarrow.table({"image": pyarrow.nulls(10**8, pyarrow.binary()), "label": missing})),
        _written(pyarrow.table({"path": pyarrow.nulls(10**8, pyarrow.string()), "label": missing})),
        _written(pyarrow.table({"image": [bytes(10**9)], "label": ["1"]}), compression="zstd"),
        _written(pyarrow.table({f"c{k}": [k] for k in range(20_000)} | {"image": images[:1], "label": [1]})),
    ]  # fmt: skip


def _repeated(values: list, rows: int):
    """Return an array in which the values take turns, each of them stored once."""
    import pyarrow

    return pyarrow.DictionaryArray.from_arrays(pyarrow.array(np.arange(rows, dtype=np.int32) % len(values)), values)


def _written(table, **options) -> bytes:
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(table, buffer, **{"row_group_size": 10**9, "store_schema": False} | options)
    return buffer.getvalue()


def read_parquet(path: Path) -> None:
    """Read a parquet file beside the images that it may name."""
    folder = path.parent / "parquet"
    folder.mkdir(exist_ok=True)
    for k, image in enumerate(image_files()[:ROWS]):
        (folder / f"{k}.png").write_bytes(image)
    output = path.parent / "out.npz"
    output.unlink(missing_ok=True)
    preprocess(open_source(path.replace(folder / "train.parquet")), output)
