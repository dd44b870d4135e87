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
    large, long = images[0] + bytes(10**6), "啊" * 10**6
    return [
        _written(whole.replace_schema_metadata({"huggingface": json.dumps(names)})),
        _written(pyarrow.table({"img": images, "character": list("啊阿") * 4}), row_group_size=3),
        _written(texts), _written(texts, compression="zstd", version="1.0"),
        _written(pyarrow.table({"image": [large] * 2000, "label": ["1", "2"] * 1000})),
        _written(pyarrow.table({"image": [{"bytes": large}] * 2000, "label": ["1", "2"] * 1000})),
        _written(pyarrow.table({"image": images * 500, "label": [long, "2"] * 2000})),
        _written(pyarrow.table({"path": ["0.png"] * 4000, "label": [long, "2"] * 2000})),
        _written(pyarrow.table({"image": pyarrow.nulls(10**8, pyarrow.binary()), "label": np.zeros(10**8, np.int8)})),
        _written(pyarrow.table({"path": pyarrow.nulls(10**8, pyarrow.string()), "label": np.zeros(10**8, np.int8)})),
        _written(pyarrow.table({f"c{k}": [k] for k in range(20_000)} | {"image": images[:1], "label": [1]})),
    ]  # fmt: skip


def _written(table, **options) -> bytes:
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(table, buffer, **{"row_group_size": 10**9} | options)
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
