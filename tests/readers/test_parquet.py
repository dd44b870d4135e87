import io
import json
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from common.errors import InputError
from init import preprocess
from readers import open_source
from readers.columns import MAX_VALUES
from readers.parquet import ParquetImages

pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
X = np.random.default_rng(0).integers(0, 256, (10, 6, 7), np.uint8)
X[:, 0, 0] = 255
Y = [0, 1] * 5
FEATURES = {"label": {"names": ["永", "八"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}


def png(x) -> bytes:
    file = io.BytesIO()
    Image.fromarray(x).save(file, "PNG")
    return file.getvalue()


def write(path, x=X, labels=Y, image="image", label="label", features=None, pairs=True, **options):
    content = [{"bytes": png(one), "path": None} if pairs else png(one) for one in x]
    table = pyarrow.table({"id": range(len(x)), image: content, label: labels})
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path, **options)
    return path


@pytest.mark.parametrize("groups", [1, 3, 10])
def test_a_dataset_of_hugging_face(tmp_path, groups):
    write(tmp_path / "data/train-00000-of-00002.parquet", X[:5], Y[:5], features=FEATURES, row_group_size=groups)
    write(tmp_path / "data/train-00001-of-00002.parquet", X[5:8], Y[5:8], features=FEATURES, row_group_size=groups)
    write(tmp_path / "data/test-00000-of-00001.parquet", X[8:], Y[8:], features=FEATURES)
    source = open_source(tmp_path)
    assert type(source) is ParquetImages and source.classes == ["永", "八"] and len(source) == 10
    for _ in range(2):
        samples = {part: [s for s in source if s.part == part] for part in ("train", "test")}
        np.testing.assert_array_equal([sample.image for sample in samples["train"]], X[:8])
        np.testing.assert_array_equal([sample.image for sample in samples["test"]], X[8:])
        assert [sample.label for sample in samples["train"]] == Y[:8]
        assert samples["test"][1].file == "data/test-00000-of-00001/1"
    summary = preprocess(source, tmp_path / "data.npz")
    assert summary["images"] == {"永": 4, "八": 4}


def test_parts_in_folders_of_their_own_with_files_of_the_same_name(tmp_path):
    for part, images in {"train": slice(8), "test": slice(8, 10)}.items():
        write(tmp_path / part / "0000.parquet", X[images], Y[images], row_group_size=3)
    samples = list(open_source(tmp_path))
    assert [sample.file for sample in samples if sample.part == "test"] == ["test/0000/0", "test/0000/1"]
    np.testing.assert_array_equal([sample.image for sample in samples if sample.part == "train"], X[:8])


@pytest.mark.parametrize("kind", ["large_string", "string_view", "dictionary"])
def test_labels_as_pandas_and_polars_store_texts(tmp_path, kind):
    texts = pyarrow.array([" 永", None, *"八永八永八永八永"])
    column = texts.dictionary_encode() if kind == "dictionary" else texts.cast(getattr(pyarrow, kind)())
    samples = list(source := open_source(write(tmp_path / "a.parquet", labels=column)))
    assert [source.classes[sample.label] for sample in samples] == [*"永八永八永八永八永"]


def test_a_value_that_a_file_stores_once_is_not_copied_for_each_row(tmp_path):
    rows, label = 20_000, "永" * 100_000
    turns = pyarrow.array(np.arange(rows, dtype=np.int32) % 2)
    columns = {"image": [png(X[0]), png(X[1])], "label": [label, "八"]}
    table = pyarrow.table({name: pyarrow.DictionaryArray.from_arrays(turns, two) for name, two in columns.items()})
    parquet.write_table(table, tmp_path / "a.parquet", store_schema=False)
    assert (tmp_path / "a.parquet").stat().st_size < 2**20
    tracemalloc.start()
    source = open_source(tmp_path / "a.parquet")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(source) == rows and source.classes == ["八", label] and peak < 2**25


def test_more_rows_than_are_read_at_once_are_refused_before(tmp_path):
    rows = MAX_VALUES + 1
    table = pyarrow.table({"image": pyarrow.nulls(rows, pyarrow.binary()), "label": np.zeros(rows, np.int8)})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a.parquet: it has more than 3,000,000 values in label: save it as several"):
        open_source(tmp_path / "a.parquet")


def test_files_in_a_column_and_labels_that_are_text(tmp_path):
    labels = ["b", "a", None, "10"] + ["9"] * 6
    source = open_source(write(tmp_path / "a.parquet", image="img", label="character", labels=labels, pairs=False))
    assert source.classes == ["9", "10", "a", "b"]
    assert [source.classes[sample.label] for sample in source] == ["b", "a", "10"] + ["9"] * 6
    assert source.skipped == [("a/2", "no label")]


def test_colour_and_images_that_cannot_be_read(tmp_path):
    red = np.zeros((2, 6, 7, 3), np.uint8) + [255, 0, 0]
    path = write(tmp_path / "a.parquet", red.astype(np.uint8), Y[:2])
    np.testing.assert_array_equal([sample.image for sample in open_source(path, channels=3)], red)
    table = pyarrow.table({"image": [{"bytes": png(X[0])}] * 3 + [{"bytes": b"GIF"}, {"bytes": None}], "label": Y[:5]})
    parquet.write_table(table, path)
    source = open_source(path)
    assert len(list(source)) == 3 and [file for file, _ in source.skipped] == ["a/3", "a/4"]


def test_what_is_wrong_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet")
    stamp = open_source(path).stamp()
    write(path, X[:9], Y[:9])
    assert open_source(path).stamp() != stamp
    monkeypatch.setattr("readers.columns.MAX_PAGE", 99)
    with pytest.raises(InputError, match="a.parquet: it has a page of more than 0 MiB in image: save it in smaller"):
        open_source(path)
    monkeypatch.undo()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="a.parquet is not a readable"):
        open_source(path)
