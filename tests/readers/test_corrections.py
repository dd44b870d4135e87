from dataclasses import replace

import numpy as np
import pytest
from conftest import error

from common.files import fingerprint
from config import Config
from dataset import correct, load, split
from init import prepare
from readers.corrections import corrections_path


@pytest.fixture
def npz(tmp_path, drawn):
    few = drawn.subset(range(0, 480, 10))
    files = np.array([f"{few.classes[k]}/{i}" for i, k in enumerate(few.y)])
    np.savez(tmp_path / "data.npz", x=few.x, y=few.y, classes=np.array(few.classes), files=files)
    return tmp_path / "data.npz"


def test_corrections_are_applied_by_every_later_load(npz, capsys):
    before, raw = load(npz), npz.read_bytes()
    path = correct(npz, {"博/0": "学", "志/13": None})
    assert path == corrections_path(npz) == npz.with_name("data.corrections.csv") and npz.read_bytes() == raw
    assert path.read_text(encoding="utf-8") == (
        f"file,given,corrected,pixels\n博/0,博,学,{fingerprint(before.x[0])}\n"
        f"志/13,志,dropped,{fingerprint(before.x[before.files == '志/13'][0])}\n"
    )
    after = load(npz)
    assert "2 labels corrected or dropped" in capsys.readouterr().out
    assert len(after) == len(before) - 1 and "志/13" not in after.files and after.y[0] == 1
    assert after.corrections[0].items() >= {"file": "博/0", "given": "博", "corrected": "学"}.items()
    assert split(after, 0.3)[0].corrections == after.corrections
    assert load(npz, corrected=False).y[0] == 0
    correct(npz, {"博/0": "用"})  # a second thought replaces the first
    assert load(npz).y[0] == 11 and len(load(npz)) == len(before) - 1


def test_corrections_go_with_their_images(raw, paper, tmp_path, capsys):
    data = str(tmp_path / "data.npz")
    for name in ("one", "other"):
        raw({"a": paper(4, len(name)), "b": paper(4, len(name) + 9)}, name)
    one, other = (Config(raw_data_path=str(tmp_path / name), data_path=data) for name in ("one", "other"))
    correct(prepare(one), {"a/1.bmp": "b"})
    assert len(load(prepare(other)).corrections) == 0
    assert "1 file with other pixels now than when they were corrected" in capsys.readouterr().out
    correct(data, {"a/2.bmp": None, "a/1.bmp": None})
    assert [row["file"] for row in load(prepare(one)).corrections] == ["a/1.bmp"]
    assert [row["file"] for row in load(prepare(other)).corrections] == ["a/2.bmp", "a/1.bmp"]
    larger = load(prepare(replace(one, stored_size=40)))  # the pixels are those of the source
    assert [row["corrected"] for row in larger.corrections] == ["b"]


def test_corrections_go_with_a_file_that_is_renamed(raw, paper, tmp_path):
    folder = raw({"a": paper(4, 1), "b": paper(4, 2)})
    config = Config(raw_data_path=str(folder), data_path=str(tmp_path / "data.npz"))
    correct(prepare(config), {"a/1.bmp": "b"})
    (folder / "a/1.bmp").rename(folder / "a/x.bmp")
    images = load(prepare(config))
    assert images.classes[images.y[images.files == "a/x.bmp"][0]] == "b"
    (folder / "a/x.bmp").rename(folder / "b/x.bmp")  # what the correction said
    images = load(prepare(config))
    assert images.corrections == [] and images.classes[images.y[images.files == "b/x.bmp"][0]] == "b"


def test_rows_without_pixels_go_by_the_name(npz):
    corrections_path(npz).write_text("file,given,corrected\n博/0,博,学\n", encoding="utf-8")
    assert load(npz).y[0] == 1
    correct(npz, {"博/0": "用"})  # replaces the row
    assert load(npz).y[0] == 11 and len(corrections_path(npz).read_text(encoding="utf-8").splitlines()) == 2


@pytest.mark.parametrize("delimiter, encoding", [(";", "utf-8-sig"), ("\t", "utf-16"), (",", "gb18030")])
def test_a_spreadsheet_may_have_saved_the_file(npz, delimiter, encoding):
    rows = [["file", "given", "corrected", "pixels"], ["博/0", "博", "学", ""]]
    corrections_path(npz).write_text("\r\n".join(map(delimiter.join, rows)), encoding=encoding)
    assert load(npz).y[0] == 1
    correct(npz, {"志/13": None})  # which writes it as before
    assert corrections_path(npz).read_text(encoding="utf-8").startswith("file,given,corrected,pixels\n博/0,博,学,\n")


def test_corrections_that_do_not_fit_are_named(npz, capsys):
    assert error(correct, npz, {"博/00": "学"}).endswith("has no training image '博/00': did you mean '博/0'?")
    assert "has no class '学学': did you mean '学'?" in error(correct, npz, {"博/0": "学学"})
    images = load(npz)
    other = npz.with_name("other.npz")
    np.savez(other, x=images.x, y=images.y, classes=np.array(["dropped", *images.classes[1:]]))
    assert error(correct, other, {"0": "学"}).endswith("a class 'dropped', which here means no class: rename it")
    path = corrections_path(npz)
    for text, message in (
        ("file,given,corrected\n博/0,用,学\n", "博/0 is given as '博', not '用': correct or delete the line"),
        ("file,given,corrected\n博/0,博,droped\n", "博/0: there is no class 'droped': did you mean 'dropped'?"),
        ("file,corrected\n博/0,学\n", "must have the columns file, given, corrected"),
        ("file,given,corrected\n博/0,博\n", "a value of each in every line"),
    ):
        path.write_text(text, encoding="utf-8")
        assert message in error(load, npz)
    path.write_bytes(b"\xff" * 9)
    assert "is not a readable CSV file" in error(load, npz)
    path.write_text("file,given,corrected\nelsewhere/1,博,学\n", encoding="utf-8")
    assert load(npz).corrections == []
    assert "0 labels corrected or dropped; the images of 1 line are not here" in capsys.readouterr().out


def test_a_correction_is_taken_back_by_deleting_its_line(npz):
    path = correct(npz, {"博/0": "学", "志/13": None})
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\ufeff" + "\r\n".join(lines[:2]), encoding="utf-8")  # as a spreadsheet on Windows saves it
    images = load(npz)
    assert images.y[0] == 1 and "志/13" in images.files and len(images.corrections) == 1


def test_test_images_are_not_corrected(tmp_path, drawn):
    few = drawn.subset(range(0, 480, 40))
    files = np.array(list("abcdefghijkl"))
    np.savez(tmp_path / "data.npz", x=few.x, y=few.y, files=files, x_test=few.x, y_test=few.y, files_test=files)
    correct(tmp_path / "data.npz", {"a": "5", "b": None})
    assert load(tmp_path / "data.npz").y[0] == 5 and load(tmp_path / "data.npz", "test").y.tolist() == few.y.tolist()
    assert len(load(tmp_path / "data.npz", "test")) == 12 and load(tmp_path / "data.npz", "test").corrections == []
