from functools import partial

import conftest
import numpy as np
import pytest

from dataset import load
from init import preprocess
from readers import open_source
from readers.pixels import PixelTable
from readers.table import TableSource

error = partial(conftest.error, open_source)

X = np.random.default_rng(0).integers(0, 256, (12, 5, 5), np.uint8)
Y = np.tile([0, 1, 2], 4)


def table(path, x=X, labels=Y, header="", place=0, delimiter=","):
    rows = [list(map(str, row)) for row in x.reshape(len(x), -1).tolist()]
    for row, label in zip(rows, labels if labels is not None else (), strict=False):
        row.insert(place, str(label))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(([header] if header else []) + [delimiter.join(row) for row in rows]), "utf-8")
    return path


def read(path, part="train"):
    source = open_source(path)
    assert type(source) is PixelTable
    samples = [sample for sample in source if sample.part == part]
    return source, np.stack([sample.image for sample in samples]), [source.classes[sample.label] for sample in samples]


HEADER = ",".join(["label", *(f"pixel{k}" for k in range(25))])


@pytest.mark.parametrize(
    "options",
    [
        {"header": HEADER}, {}, {"delimiter": ";"}, {"delimiter": "\t"},
        {"header": HEADER.replace("label,", "") + ",class", "place": 25},
        {"header": HEADER.replace("label", '"Label"')},
    ],
)  # fmt: skip
def test_labels_first_last_or_named(tmp_path, options):
    source, x, labels = read(table(tmp_path / "a.csv", **options))
    np.testing.assert_array_equal(x, X)
    assert labels == list(map(str, Y)) and source.name == "a.csv" and source.notes == []


NUMBERS = ",".join(map(str, range(25)))


@pytest.mark.parametrize("header, place", [
    (f"label,{NUMBERS}", 0), (f"{NUMBERS},label", 25), (f"{NUMBERS},25", 0),
    (",".join(map(str, range(1, 27))), 0),
])  # fmt: skip
def test_columns_that_pandas_has_counted_are_a_header(tmp_path, header, place):
    _, x, labels = read(table(tmp_path / "a.csv", header=header, place=place))
    np.testing.assert_array_equal(x, X)
    assert labels == list(map(str, Y))


def test_lines_and_labels_that_are_empty_are_left_out(tmp_path):
    path = table(tmp_path / "a.csv", labels=["", "0", "1"] * 4, header=HEADER)
    path.write_text(path.read_text() + "\n" * 9000)
    source, x, labels = read(path)
    np.testing.assert_array_equal(x, X[Y > 0])
    assert source.classes == ["0", "1"] and source.skipped == [("a.csv", "4 rows without a label")]


def test_labels_last_beside_an_empty_corner(tmp_path):
    x = X.copy()
    x[:, 0, 0] = 0
    _, read_x, labels = read(table(tmp_path / "a.csv", x, place=25))
    np.testing.assert_array_equal(read_x, x)
    assert labels == list(map(str, Y))


def test_labels_that_are_text_and_a_column_that_numbers_the_rows(tmp_path):
    rows = table(tmp_path / "a.csv", labels=[f"{k}, {'永字八'[y]}" for k, y in enumerate(Y)], header="," + HEADER)
    source, x, labels = read(rows)
    np.testing.assert_array_equal(x, X)
    assert source.classes == sorted("永字八") and labels == [f"{'永字八'[y]}" for y in Y]
    rows.write_bytes(rows.read_text("utf-8").encode("gb18030"))
    assert read(rows)[2] == labels
    assert read(table(tmp_path / "b.csv", labels=["b", "a", "c"] * 4))[2] == ["b", "a", "c"] * 4


def test_a_file_per_part_and_one_without_labels(tmp_path):
    table(tmp_path / "mnist_train.csv", X[:9], Y[:9], HEADER)
    table(tmp_path / "mnist_test.csv", X[9:], Y[9:])
    table(tmp_path / "unknown.csv", labels=None)
    (tmp_path / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    source, x, labels = read(tmp_path, "test")
    np.testing.assert_array_equal(x, X[9:])
    assert labels == list(map(str, Y[9:])) and source.skipped == [("unknown.csv", "it has no labels")]
    preprocess(source, tmp_path / "data.npz", size=28)
    assert len(load(tmp_path / "data.npz")) == 9


def test_values_are_scaled_and_many_rows_are_read_in_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr("readers.pixels.ROWS", 5)
    source, x, _ = read(table(tmp_path / "a.csv", X // 16 / 15, HEADER and Y, HEADER))
    np.testing.assert_array_equal(x, X // 16 * 17)
    source, x, _ = read(table(tmp_path / "b.csv", X // 16))
    np.testing.assert_array_equal(x, X // 16 * 17)
    assert source.notes == ["values from 0 to 15 are scaled so that 15 becomes 255"]


def test_emnist_is_righted_and_its_classes_are_named(tmp_path):
    path = table(tmp_path / "emnist-letters-train.csv", labels=Y + 1)
    (tmp_path / "emnist-letters-mapping.txt").write_text("1 65 97\n2 66 98\n3 67 99\n")
    source, x, labels = read(path)
    np.testing.assert_array_equal(x, X.transpose(0, 2, 1))
    assert labels == ["ABC"[y] for y in Y] and "EMNIST stores images transposed" in source.notes[0]
    np.testing.assert_array_equal([sample.image for sample in PixelTable(path, transposed=False)], X)
    assert source.stamp() != PixelTable(path, transposed=False).stamp()


def test_a_table_of_paths_with_many_numbers_is_none_of_pixels(tmp_path):
    row = ",".join(map(str, range(20)))
    (tmp_path / "a.csv").write_text(f"a.png,x,{row}\nb.png,y,{row}\n")
    (tmp_path / "b.csv").write_text(f"a.png,1,{row}\nb.png,2,{row}\n")
    assert not PixelTable.accepts(tmp_path) and TableSource.accepts(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "text, message",
    [
        (("0," + "7," * 24 + "7\n") * 2 + "1,7\n", "line 1 or one of the"),
        (("0," + "7," * 24 + "7\n") * 2 + "1," + "7," * 24 + "x\n", "could not convert string 'x'"),
        (("0," + "7," * 23 + "7\n") * 2, "has pixels but no labels"),
        (("0," + "7," * 21 + "7\n") * 2, "columns of pixels: there must be side × side of them, and a label"),
        ("0," + "7," * 24 + "-7\n1," + "7," * 24 + "7\n", "values from -7"),
        ("0," + "7," * 24 + "nan\n1," + "7," * 24 + "7\n", "values that are not finite"),
        (("0," + "7," * 24 + "7\n") * 2 + "nan," + "7," * 24 + "7\n", "a label that is no number up to 16,777,216"),
        (("0," + "7," * 24 + "7\n") * 2 + "inf," + "7," * 24 + "7\n", "a label that is no number up to 16,777,216"),
        ("16777217," + "7," * 24 + "7\n16777219," + "7," * 24 + "7\n", "name its column 'label'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    assert message in error(tmp_path / "a.csv") and "a.csv" in error(tmp_path / "a.csv")


def test_too_large_a_file_is_refused_before_it_is_read(tmp_path):
    path = table(tmp_path / "a.csv")
    with open(path, "r+b") as file:
        file.truncate(2**30)
    assert "a.csv is larger than 768 MiB: save it as .npz" in error(path)
