import numpy as np
import pytest

from common.errors import InputError
from config import Config
from dataset import correct, load_npz, prepare, split
from readers.corrections import corrections_path


def error(call, *args) -> str:
    with pytest.raises(InputError) as caught:
        call(*args)
    return str(caught.value)


@pytest.fixture
def npz(tmp_path, drawn):
    few = drawn.subset(range(0, 480, 10))
    files = np.array([f"{few.classes[k]}/{i}" for i, k in enumerate(few.y)])
    np.savez(tmp_path / "data.npz", x=few.x, y=few.y, classes=np.array(few.classes), files=files)
    return tmp_path / "data.npz"


def test_corrections_are_applied_by_every_later_load(npz, capsys):
    before, raw = load_npz(npz), npz.read_bytes()
    path = correct(npz, {"博/0": "学", "志/13": None})
    assert path == corrections_path(npz) == npz.with_name("data.corrections.csv") and npz.read_bytes() == raw
    assert path.read_text(encoding="utf-8") == "file,given,corrected\n博/0,博,学\n志/13,志,dropped\n"
    after = load_npz(npz)
    assert "2 labels corrected or dropped" in capsys.readouterr().out
    assert len(after) == len(before) - 1 and "志/13" not in after.files and after.y[0] == 1
    assert after.corrections[0] == {"file": "博/0", "given": "博", "corrected": "学"}
    assert split(after, 0.3)[0].corrections == after.corrections
    assert load_npz(npz, corrected=False).y[0] == 0
    correct(npz, {"博/0": "用"})  # a second thought replaces the first
    assert load_npz(npz).y[0] == 11 and len(load_npz(npz)) == len(before) - 1


def test_corrections_go_with_their_images(raw, paper, tmp_path, capsys):
    data = str(tmp_path / "data.npz")
    for name in ("one", "other"):
        raw({"a": paper(4, len(name)), "b": paper(4, len(name) + 9)}, name)
    one, other = (Config(raw_data_path=str(tmp_path / name), data_path=data) for name in ("one", "other"))
    correct(prepare(one), {"a/1.bmp": "b"})
    assert len(load_npz(prepare(other)).corrections) == 0 and "the corrections of one" in capsys.readouterr().out
    correct(data, {"a/2.bmp": None})
    assert [row["file"] for row in load_npz(prepare(one)).corrections] == ["a/1.bmp"]
    assert [row["file"] for row in load_npz(prepare(other)).corrections] == ["a/2.bmp"]


def test_corrections_that_do_not_fit_are_named(npz, capsys):
    assert error(correct, npz, {"博/00": "学"}).endswith("has no training image '博/00': did you mean '博/0'?")
    assert "has no class '学学': did you mean '学'?" in error(correct, npz, {"博/0": "学学"})
    images = load_npz(npz)
    other = npz.with_name("other.npz")
    np.savez(other, x=images.x, y=images.y, classes=np.array(["dropped", *images.classes[1:]]))
    assert error(correct, other, {"0": "学"}).endswith(
        "a class 'dropped', which here means no class: give it another name"
    )
    path = corrections_path(npz)
    for text, message in (
        ("file,given,corrected\n博/0,用,学\n", "博/0 is given as '博', not '用': correct or delete the line"),
        ("file,given,corrected\n博/0,博,droped\n", "博/0: did you mean 'dropped'?"),
        ("file,corrected\n博/0,学\n", "must have the columns file, given, corrected"),
        ("file,given,corrected\n博/0,博\n", "a value of each in every line"),
    ):
        path.write_text(text, encoding="utf-8")
        assert message in error(load_npz, npz)
    path.write_bytes("file,given,corrected\n博/0,博,学\n".encode("gbk"))
    assert "is not a readable CSV file" in error(load_npz, npz)
    path.write_text("file,given,corrected\nelsewhere/1,博,学\n", encoding="utf-8")
    assert load_npz(npz).corrections == []
    assert "0 labels corrected or dropped, 1 lines of files that are not here" in capsys.readouterr().out
