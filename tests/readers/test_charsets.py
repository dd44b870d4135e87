import pytest

from common.errors import InputError
from readers.charsets import read_characters


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [("digits", 10, "0", "9"), ("latin", 52, "A", "z"), ("hiragana", 71, "あ", "ん"), ("katakana", 71, "ア", "ン"),
     ("gb2312-1", 3755, "啊", "座"), ("jis-1", 2965, "亜", "腕")],
)  # fmt: skip
def test_named_sets(name, count, first, last):
    characters = read_characters(name)
    assert (len(set(characters)), characters[0], characters[-1]) == (count, first, last)


def test_a_text_is_its_characters_each_once():
    assert read_characters("永字八法 字\n") == list("永字八法")


def test_a_file_is_its_text(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_bytes("\ufeff永字\r\n八法".encode())
    assert read_characters(str(path)) == list("永字八法")


def test_errors_name_the_remedy(tmp_path):
    path = tmp_path / "mine.txt"
    remedy = (
        "give from 2 to 30000, as a text, as the path of a UTF-8 file that ends in .txt, or as one of digits, latin, "
    )
    with pytest.raises(InputError) as error:
        read_characters("一 一")
    assert str(error.value) == f"characters has 1 different character: {remedy}hiragana, katakana, gb2312-1, jis-1"
    with pytest.raises(InputError, match="mine.txt cannot be read .No such file or directory.: give a UTF-8 text"):
        read_characters(str(path))
    path.write_bytes("永字".encode("gb18030"))
    with pytest.raises(InputError, match="mine.txt is not UTF-8: save it as a UTF-8 text of the characters"):
        read_characters(str(path))
    path.write_bytes(b" " * 2**20 + b"ab")
    with pytest.raises(InputError, match="mine.txt is larger than 1048576 bytes"):
        read_characters(str(path))


def test_a_text_is_composed_like_the_names_of_folders():
    assert read_characters("か\u3099き\uf900豈") == ["が", "き", "豈"]


def test_the_name_of_a_set_is_not_taken_for_its_letters(tmp_path):
    assert read_characters(" Digits ") == list("0123456789")
    for text, name in (("digit", "digits"), ("gb2312", "gb2312-1"), ("katakana.", "katakana"), ("Kanji", "jis-1")):
        with pytest.raises(InputError, match=f"'{text}', no set of characters: did you mean '{name}'[?]$"):
            read_characters(text)
    (tmp_path / "mine").write_text("永字")
    for text in (str(tmp_path / "mine"), "chars.csv", "D:\\data\\chars.xlsx"):
        with pytest.raises(InputError, match=r"no \.txt: save the characters as a UTF-8 file that ends in \.txt$"):
            read_characters(text)
    assert read_characters("ABC.,") == list("ABC.,")


def test_what_cannot_be_shown_is_not_left_out():
    """Characters of private use, or newer than this Python: a model of fewer classes than were asked for is wrong."""
    text = "1\ue0002\U000e01f0\ud800\u200b\xad\t\u3000"
    assert read_characters(text) == ["1", "\ue000", "2", "\U000e01f0", "\ud800"]
