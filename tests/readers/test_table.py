import shutil
import sys
from functools import partial

import conftest
import numpy as np
import pytest
from PIL import Image

from common.errors import InputError
from init import preprocess
from readers import cells, open_source
from readers.folder import FolderSource
from readers.table import TableSource

error = partial(conftest.error, open_source)

ROWS = [("0.png", "01"), ("1.png", "1"), ("2.png", "01"), ("3.png", "10")]


@pytest.fixture
def images(tmp_path):
    """images/0.png … 3.png below a folder, of different greys."""
    (tmp_path / "set/images").mkdir(parents=True)
    for k in range(4):
        Image.fromarray(np.full((8, 6 + k), 10 * k, np.uint8)).save(tmp_path / f"set/images/{k}.png")
    return tmp_path / "set"


def text_of(rows, delimiter=",", folder="images/", header="path,label") -> str:
    lines = [header.replace(",", delimiter)] if header else []
    return "\n".join(lines + [folder + delimiter.join(row) for row in rows]) + "\n"


def check(source):
    samples = list(source)
    assert type(source) is TableSource and set(source.classes[:2]) == {"1", "01"} and len(source) == 4
    assert [source.classes[sample.label] for sample in samples] == [label for _, label in ROWS]
    assert [int(sample.image[0, 0]) for sample in samples] == [0, 10, 20, 30]
    return samples


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["path,label", "", "Image Path,字", "image_id,class-name"])
def test_delimiters_and_headers(images, delimiter, header):
    (images / "a.csv").write_text(text_of(ROWS, delimiter, header=header), encoding="utf-8")
    samples = check(open_source(images / "a.csv"))
    assert [sample.file for sample in samples] == [f"images/{name}" for name, _ in ROWS]
    assert {(sample.part, sample.group) for sample in samples} == {("train", "")}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030"])
def test_encodings(images, encoding):
    text = text_of([("0.png", "啊"), ("1.png", "阿")], header="路径,标签")
    (images / "a.csv").write_bytes(text.encode(encoding))
    assert open_source(images / "a.csv").classes == ["啊", "阿"]


@pytest.mark.parametrize("text", [
    "sep=;\r\npath;label\r\n" + text_of(ROWS, ";", header=""),
    text_of(ROWS, folder="images\\"),
    text_of(ROWS, folder="./images/"),
    text_of(ROWS, folder=""),  # relative to the folder beside the table
    "id,label,x\n" + "\n".join(f'"{label}",{label},images/{file}' for file, label in ROWS),
    "Unnamed: 0,file,writer,label\n\n" + "\n".join(f"7,images/{file},,{label}" for file, label in ROWS),
    ",tag\n" + "\n".join(f"images/{file}, {label} " for file, label in ROWS),
    text_of([(f"{name}", f'"{label}"') for name, label in ROWS]).replace("path,label", '"a, b",label'),
])  # fmt: skip
def test_tables_as_programs_write_them(images, text):
    (images / "a.csv").write_text(text)
    check(open_source(images / "a.csv"))


@pytest.mark.parametrize("labels, classes", [
    (["2.0", "10.0", "2.0", ""], ["2", "10"]),  # as pandas writes whole numbers if one is missing
    (["1.0", "1", "01", "1"], ["01", "1"]),
    (["1.0", "1.5", "1.0", "1.5"], ["1.0", "1.5"]),  # no whole numbers
    (["1.0", "v1.0", "1.0", "v1.0"], ["1.0", "v1.0"]),
])  # fmt: skip
def test_whole_numbers_that_are_written_as_fractions(images, labels, classes):
    (images / "a.csv").write_text(text_of([(f"{k}.png", label) for k, label in enumerate(labels)]))
    assert open_source(images / "a.csv").classes == classes


@pytest.mark.parametrize("folder, note", [
    ("C:\\Users\\me\\images\\", "the files are found without the first 3 folders of their paths"),
    ("other/", "the files are found without the first folder of their paths"),
    ("/home/me/set/other/", "the files are found without the first 5 folders of their paths"),
])  # fmt: skip
@pytest.mark.parametrize("header", ["path,label", ""])
def test_paths_of_another_machine(images, folder, note, header):
    (images / "a.csv").write_text(text_of(ROWS, folder=folder, header=header))
    source = open_source(images / "a.csv")
    check(source)
    assert note in source.notes


@pytest.mark.parametrize("header", ["id,label", ""])
def test_names_without_a_suffix(images, header):
    rows = [(file.removesuffix(".png"), label) for file, label in ROWS]
    (images / "a.csv").write_text(text_of(rows, folder="", header=header))
    source = open_source(images / "a.csv")
    assert [sample.file for sample in check(source)] == [file for file, _ in ROWS]
    assert source.notes == ["the files are named without their suffix, .png"]


@pytest.mark.parametrize("text", [
    text_of([(f"{folder}/{file}", label) for folder in "ab" for file, label in ROWS], folder="D:/"),  # which of them?
    text_of([("7", "1"), ("8", "2")], folder=""),  # 1 and 2 are labels
    text_of([("7", "1"), ("8", "1")], folder="", header="a,b"),
])  # fmt: skip
def test_what_may_be_no_path_is_not_taken_for_one(images, text):
    (images / "a.csv").write_text(text)
    assert "has no column of files" in error(images / "a.csv")


def test_files_of_the_same_names_in_several_folders(images):
    """Labels of train/ must not be given to the images of test/, which comes first."""
    shutil.copytree(images / "images", images / "train")
    (images / "images").rename(images / "test")
    for file in (images / "test").iterdir():
        Image.fromarray(np.full((8, 8), 99, np.uint8)).save(file)
    for rows in (ROWS, [(file.removesuffix(".png"), label) for file, label in ROWS]):
        (images / "train.csv").write_text(text_of(rows, folder="", header="id,label"))
        check(open_source(images / "train.csv"))
        (images / "train.csv").rename(images / "labels.csv")
        assert "does not tell whose files it lists, as test/ and train/ have files" in error(images / "labels.csv")
    (images / "test/3.png").unlink()  # so that it cannot be meant
    check(open_source(images / "labels.csv"))


def test_a_folder_with_a_table_and_no_class_folders(images):
    (images / "labels.tsv").write_text(text_of(ROWS, "\t"))
    check(open_source(images))
    (images / "other.csv").touch()
    with pytest.raises(
        InputError, match="has images of one class only.*; or give the table that .*, labels.tsv, other.csv"
    ):
        open_source(images)  # which table is meant?
    (images / "other.csv").unlink()
    shutil.copytree(images / "images", images / "b")
    assert type(open_source(images)) is FolderSource  # these are classes
    shutil.move(images / "b", images / "test")
    shutil.copytree(images / "images", images / "train")
    shutil.rmtree(images / "images")
    (images / "labels.tsv").write_text(text_of(ROWS, "\t", folder="train/"))
    check(open_source(images))
    for file in (images / "train").iterdir():
        shutil.move(file, images)
    (images / "labels.tsv").write_text(text_of(ROWS, "\t", folder=""))
    check(open_source(images))


def test_paths_relative_to_the_folder_above_and_absolute_ones(images):
    (images / "lists").mkdir()
    for folder in ("images/", f"{images}/images/"):
        (images / "lists/a.csv").write_text(text_of(ROWS, folder=folder))
        check(open_source(images / "lists/a.csv"))


def test_writers_and_parts(images):
    rows = [("0.png", "a", "w1", "Training"), ("1.png", "b", "w2", "dev"), ("2.png", "a", "w2", "test"),
            ("3.png", "b", "w1", "hidden")]  # fmt: skip
    (images / "a.csv").write_text(text_of(rows, header="path,label,writer,split"))
    source = open_source(images / "a.csv")
    assert [(sample.part, sample.group) for sample in source] == [("train", "w1"), ("val", "w2"), ("test", "w2")]
    assert source.skipped == [("images/3.png", "its part, 'hidden', is neither train, val nor test")]


def test_folds_are_no_parts(images):
    rows = [(name, label, str(k)) for k, (name, label) in enumerate(ROWS)]
    (images / "a.csv").write_text(text_of(rows, header="path,label,fold"))
    source = open_source(images / "a.csv")
    check(source)
    assert source.notes == ["column 'fold' names no part such as train or test: not used"]


def test_rows_that_describe_no_image_are_skipped_with_a_reason(images):
    (images / "images/2.png").write_bytes(b"no image")
    rows = [*ROWS, ("4.png", "1"), ("1.png", "2"), ("3.png", ""), ("5\0.png", "1")]
    text = text_of([*rows, *[(f"../images/{k}.png", "1") for k in range(4)]])
    (images / "a.csv").write_text(text + "images/0.png\n/dev/zero,1\n")
    source = open_source(images / "a.csv")
    assert [sample.file for sample in source][:3] == ["images/0.png", "images/1.png", "images/3.png"]
    reasons = {file: reason for file, reason in source.skipped}
    assert reasons["images/2.png"] == "ValueError: not an image, judging by its content"
    assert reasons["images/4.png"] == reasons["images/5\0.png"] == reasons["/dev/zero"] == "ValueError: no such file"
    assert reasons["images/1.png"] == "listed again with the label '2', first with '1'"
    assert reasons["images/3.png"] == "no label" and reasons["images/0.png"] == "no label"


def test_if_most_images_cannot_be_read_the_source_is_refused(images):
    (images / "a.csv").write_text(text_of([*ROWS, *[(f"{k}.png", "1") for k in range(4, 9)]]))
    with pytest.raises(InputError, match="5 of the 9 images in .*a.csv cannot be read, the first images/4.png"):
        list(open_source(images / "a.csv"))


def test_bad_tables_are_named_with_the_remedy(images, monkeypatch):
    path = images / "a.csv"
    for data, message in (
        (b"\x00\xff" * 51, f"{path}: it has a single column: separate path and label by a comma, a semicolon or a tab"),
        (b"", f"{path}: it has a single column: separate path and label by a comma, a semicolon or a tab"),
        (b"\xff" * 9, f"{path}: it is neither UTF-8, UTF-16 nor GB 18030: save it again as CSV in UTF-8"),
        (b"\xff\xfea", f"{path} is not a readable table ("),
        (b"path,label\n", f"{path} has no column of files that are in {images}: the first row is no row"),
        (b"path,label\n7.png,1\n", f"{path} has no column of files that are in {images}: the first row is 7.png, 1"),
        (text_of([("0.png", "1", "2")], header="path,a,b").encode(),
         f"{path} has 2 columns that may hold labels: name one of them 'label'"),
        (b"a," + b"9" * 200_000, f"{path} is not a readable table (field larger than field limit (131072))"),
    ):  # fmt: skip
        path.write_bytes(data)
        assert error(path).startswith(message)
    monkeypatch.setattr("readers.cells.MAX_CELLS", 20)
    path.write_bytes(b"path,label\n" + b"," * 20)
    assert error(path) == f"{path}: it has more than 20 cells: split it, or give a folder per class"
    path.write_bytes(b"path,label,writer\n0.png,,w\n")
    with pytest.raises(InputError, match="a.csv has no image to train on that can be read, and has a label: add some"):
        preprocess(open_source(path), images / "data.npz")
    monkeypatch.setattr("readers.cells.MAX_BYTES", 2**20)
    path.write_bytes(bytes(2**20 + 1))
    assert error(path) == f"{path} is larger than 1 MiB: split it, or give a folder per class"


def test_a_large_image_file_is_not_read(images, monkeypatch):
    (images / "a.csv").write_text(text_of(ROWS))
    monkeypatch.setattr("imaging.decoding.MAX_FILE", 2**20)
    (images / "images/1.png").write_bytes(bytes(2**20 + 1))
    source = open_source(images / "a.csv")
    assert len(list(source)) == 3 and source.skipped == [("images/1.png", "ValueError: 1 MiB: at most 1 MiB per file")]


def test_a_long_label_is_not_repeated_whole_for_each_row_that_is_left_out(images):
    label = "永" * 9999
    (images / "a.csv").write_text("path,label\n" + f"images/1.png,{label}\n" * 3 + "images/2.png,2\n")
    (_, reason), _ = open_source(images / "a.csv").skipped
    assert reason.startswith("listed again with the label '永永") and len(reason) < 300


def test_parquet_needs_pyarrow(images, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (images / "a.parquet").write_bytes(b"PAR1")
    assert (
        error(images / "a.parquet") == f"{images / 'a.parquet'} needs pyarrow: pip install pyarrow, or save it as CSV"
    )


def test_a_folder_of_parquet_files_needs_pyarrow(tmp_path, monkeypatch):
    """Such as Hugging Face's: it does not merely lack images."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train-00000-of-00001.parquet").write_bytes(b"PAR1")
    assert "It holds data/train-00000-of-00001.parquet: pip install pyarrow, which reads parquet." in error(tmp_path)


def test_parquet(images):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    pyarrow = sys.modules["pyarrow"]
    columns = {
        "bytes": [b"\0"] * 4,
        "path": [f"images/{name}" for name, _ in ROWS],
        "label": [label for _, label in ROWS],
    }
    parquet.write_table(pyarrow.table(columns), images / "a.parquet")
    check(open_source(images / "a.parquet"))
    (images / "a.parquet").write_bytes((images / "a.parquet").read_bytes()[:-9])
    assert error(images / "a.parquet").startswith(f"{images / 'a.parquet'} is not a readable table (")


def test_it_becomes_data_and_is_made_again_when_an_image_changes(images):
    rows = [(f"{k}.png", "ab"[k % 2], f"w{k}") for k in range(4)]
    (images / "a.csv").write_text(text_of(rows, header="path,label,writer"))
    summary = preprocess(open_source(images / "a.csv"), images / "data.npz")
    assert (summary["images"], summary["writers"], summary["cropped"]) == ({"a": 2, "b": 2}, 4, True)
    stamp = repr(open_source(images / "a.csv").stamp())
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(images / "images/3.png")
    assert repr(open_source(images / "a.csv").stamp()) != stamp


def test_images_of_more_than_8_bits_are_scaled_by_the_depth_of_the_whole_set(images):
    for k, level in enumerate((300, 4000, 1200, 2000)):
        Image.fromarray(np.full((8, 8), level, np.uint16)).save(images / f"images/{k}.png")
    (images / "labels.csv").write_text(text_of(ROWS))
    source = open_source(images / "labels.csv")
    assert [sample.image[0, 0] for sample in source] == [19, 249, 75, 125]
    assert source.notes == ["images of more than 8 bits are scaled: their level 4095 becomes 255"]


def test_a_line_without_end_is_refused(images, monkeypatch):
    monkeypatch.setattr("readers.cells.MAX_LINE", 100)
    path = images / "labels.csv"
    path.write_text("path,label\n0.png," + "9" * 200)
    assert error(path) == f"{path}: it has a line of more than 100 characters: save it again as CSV"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030"])
def test_text_is_decoded_piece_by_piece(monkeypatch, encoding):
    """A character may lie on two pieces."""
    monkeypatch.setattr(cells, "PIECE", 1)
    text = "path,label\n" + "".join(f"{k}.png,啊\n" for k in range(9))
    assert text.encode(encoding).decode(cells.find_encoding(text.encode(encoding))) == text
    rows = list(cells._read_csv(text.encode(encoding)))
    assert rows[0] == ["path", "label"] and rows[9] == ["8.png", "啊"]
