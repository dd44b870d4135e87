import numpy as np
import pytest
from conftest import svg

from common.errors import InputError
from readers import hanzi, kanjivg
from readers.skeleton import GRID
from readers.strokes import OURS, StrokeData


def test_both_sources_give_ways_of_writing(stroke_data):
    data = StrokeData("二人")
    assert [way.share for way in data.ways("二")] == [0.5, 1.0] and len(data.ways("人")) == 1
    assert data.licences == [kanjivg.LICENCE, hanzi.LICENCE] and "CC BY-SA 3.0" in kanjivg.LICENCE
    assert "Arphic Public License" in hanzi.LICENCE


def test_letters_have_more_ways_than_the_data(stroke_data):
    (stroke_data / "kanji/00037.svg").write_text(svg("M20,20h60"), encoding="utf-8")
    ways = StrokeData("7T").ways("7")
    assert len(ways) > 4 and {len(way.strokes) for way in ways} == {1, 2}, "crossed and plain"


def test_our_own_ways_need_no_data(stroke_data, monkeypatch):
    monkeypatch.setattr("readers.kanjivg.find_folder", lambda: None)
    monkeypatch.delenv(hanzi.VARIABLE)
    data = StrokeData("0123456789")
    assert data.licences == [OURS] and all(len(data.ways(digit)) >= 3 for digit in "0123456789")
    for digit in "0123456789":
        for way in data.ways(digit):
            points = np.concatenate(way.strokes)
            assert points.min() >= 0 and points.max() <= GRID and np.ptp(points[:, 1]) > 75


def test_what_no_data_holds_is_one_part_above_the_other(stroke_data):
    for name in ("05b80", "06210"):
        (stroke_data / f"kanji/{name}.svg").write_text(svg("M20,20h60v60", "M50,5v9"), encoding="utf-8")
    (way,) = StrokeData("宬人").ways("宬")
    upper, lower = np.concatenate(way.strokes[:2]), np.concatenate(way.strokes[2:])
    assert len(way.strokes) == 4 and upper[:, 1].max() < lower[:, 1].min()
    assert way.components[0][0] != way.components[2][0]


def test_the_digest_changes_with_the_data(stroke_data):
    first = StrokeData("二人").digest()
    assert first == StrokeData("二人").digest()
    (stroke_data / "kanji/04e8c.svg").write_text(svg("M20,20h60"), encoding="utf-8")
    assert StrokeData("二人").digest() != first


def test_missing_characters_are_named_with_the_remedy(stroke_data, monkeypatch):
    def message() -> str:
        with pytest.raises(InputError) as error:
            StrokeData("二水é")
        return str(error.value)

    start = "no strokes are known of 2 of the characters: 水 (U+6C34), é (U+00E9): "
    assert message() == start + "leave them out of `characters`"
    monkeypatch.delenv(hanzi.VARIABLE)
    assert message().startswith(start + "npm pack hanzi-writer-data, which has Chinese ones, and set hanzi_path to")
    monkeypatch.setattr("readers.kanjivg.find_folder", lambda: None)
    assert message().endswith("pip install kanjivg, which has kanji, kana, letters and digits")


def test_a_damaged_file_is_named(stroke_data):
    (stroke_data / "kanji/04e8c.svg").write_text("<svg", encoding="utf-8")
    with pytest.raises(InputError, match="二 of .*kanji: it is damaged .*: install or download the data again"):
        StrokeData("二人").ways("二")


def test_a_folder_without_any_of_the_files_is_named(stroke_data, tmp_path):
    with pytest.raises(InputError) as error:
        StrokeData("永八", tmp_path)
    remedy = f"{tmp_path} has no file of any: give hanzi-writer-data's .tgz, or the folder of its .json files"
    assert str(error.value) == f"no strokes are known of 2 of the characters: 永 (U+6C38), 八 (U+516B): {remedy}"
