import io
import json
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from common.errors import InputError
from init import preprocess
from readers import open_source
from readers.columns import MAX_VALUES, open_parquet
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


def test_names_that_look_the_same_are_one_class(tmp_path):
    labels = ["が", "か\u3099", "き", "き", "が"] * 2
    for extra in (
        {"labels": labels},
        {"labels": [0, 0, 1, 1, 0] * 2, "features": {"label": {"names": ["か\u3099", "き"]}}},
    ):
        source = open_source(write(tmp_path / "a.parquet", **extra))
        assert source.classes == ["が", "き"]
        assert [sample.label for sample in source] == [0, 0, 1, 1, 0] * 2


def test_a_class_of_which_the_file_has_no_image_is_left_out_and_named(tmp_path):
    features = {"label": {"names": ["N/A", "永", "八", "法"], "_type": "ClassLabel"}}
    source = open_source(write(tmp_path / "a.parquet", labels=[1, 3] * 5, features=features))
    summary = preprocess(source, tmp_path / "data.npz")
    assert summary["images"] == {"永": 5, "法": 5}
    assert "classes that no image has are left out: N/A, 八" in summary["notes"]


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


def test_more_rows_than_are_read_at_once_are_refused_before(tmp_path, monkeypatch):
    monkeypatch.setattr("readers.parquet.FREE_ROWS", 2 * MAX_VALUES)
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


@pytest.mark.parametrize(
    "about", ['{"info": {"features": null}}', '{"info": {"features": ["label"]}}', "[]", "{", "[" * 9999]
)
def test_a_description_without_sense_tells_nothing(tmp_path, about):
    path = write(tmp_path / "a.parquet")
    table = parquet.read_table(path).replace_schema_metadata({"huggingface": about})
    parquet.write_table(table, path)
    assert open_source(path).classes == ["0", "1"]


@pytest.mark.parametrize("labels, features, classes", [
    ([0.0, 1.0] * 4 + [None] * 2, None, ["0", "1"]),  # as pandas has integers of which some are missing
    ([True, False] * 5, None, ["False", "True"]),
    (["八", "永"] * 5, FEATURES, ["八", "永"]),
    (Y, {"label": {"names": []}}, ["0", "1"]),
])  # fmt: skip
def test_labels_of_every_type(tmp_path, labels, features, classes):
    source = open_source(write(tmp_path / "a.parquet", labels=labels, features=features))
    assert source.classes == classes
    assert [source.classes[sample.label] for sample in source][:2] == [
        str(label).removesuffix(".0") for label in labels[:2]
    ]


def test_classes_of_one_name_and_images_without_labels_are_refused(tmp_path):
    path = write(tmp_path / "a.parquet", features={"label": {"names": ["永", "永"]}})
    with pytest.raises(InputError, match="its classes are not all different: 永, 永"):
        open_source(path)
    parquet.write_table(pyarrow.table({"image": [png(one) for one in X]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match="b.parquet has images, but no column of labels"):
        open_source(tmp_path / "b.parquet")


def test_what_else_lies_beside_the_files(tmp_path):
    write(tmp_path / "train.PARQUET")
    (tmp_path / "._train.parquet").write_bytes(b"\0\5\x16\7" * 99)  # as macOS leaves it
    (tmp_path / "old.parquet").mkdir()
    assert len(open_source(tmp_path)) == len(X)


def test_more_rows_than_there_can_be_images_are_refused(tmp_path):
    table = pyarrow.table({"image": pyarrow.nulls(100_000, pyarrow.binary()), "label": np.arange(100_000) % 2})
    parquet.write_table(table, tmp_path / "a.parquet", compression="zstd")
    with pytest.raises(InputError, match="it has 100,000 rows in [0-9,]+ bytes, which cannot be as many images"):
        open_source(tmp_path / "a.parquet")


def test_the_list_of_the_row_groups_is_read_once(tmp_path, monkeypatch):
    source = open_source(write(tmp_path / "a.parquet", row_group_size=1))
    opened = []
    monkeypatch.setattr(
        "readers.columns.open_parquet", lambda path, **kw: opened.append(kw) or open_parquet(path, **kw)
    )
    assert len(list(source)) == len(X)
    assert len(opened) == len(X) and all(options["metadata"] is not None for options in opened)
