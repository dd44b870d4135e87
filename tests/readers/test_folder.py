import os
import shutil
import zipfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from common.errors import InputError
from imaging import decoding
from imaging.decoding import IMAGE_SUFFIXES
from readers import open_source
from readers.folder import is_image, natural_key


def error(call, *args) -> str:
    with pytest.raises(InputError) as caught:
        call(*args)
    return str(caught.value)


def zipped(folder, path):
    return shutil.make_archive(str(path), "zip", folder)


def test_natural_order():
    assert sorted(["11", "1", "2", "10", "b2", "b10"], key=natural_key) == ["1", "2", "10", "11", "b2", "b10"]
    assert sorted(["a10", "a09", "²", "a8", "a", "9" * 5000], key=natural_key) == [
        "9" * 5000, "a", "a8", "a09", "a10", "²",
    ]  # fmt: skip


def test_an_images_name_has_an_images_suffix():
    assert is_image("1/a.PNG") and is_image("a.jpeg") and not is_image("a.txt") and not is_image("png")


def test_a_folder_per_class(raw, paper):
    images = {name: paper(2, seed, (30, 20)) for seed, name in enumerate(["10", "2", "1"])}
    source = open_source(raw(images))
    assert source.classes == ["1", "2", "10"] and source.name == "raw (raw images)" and len(source) == 6
    samples = list(source)
    assert [(sample.label, sample.file, sample.part, sample.group) for sample in samples] == [
        (0, "1/1.bmp", "train", ""), (0, "1/2.bmp", "train", ""), (1, "2/1.bmp", "train", ""),
        (1, "2/2.bmp", "train", ""), (2, "10/1.bmp", "train", ""), (2, "10/2.bmp", "train", ""),
    ]  # fmt: skip
    for sample, image in zip(samples, [*images["1"], *images["2"], *images["10"]], strict=True):
        np.testing.assert_array_equal(sample.image, image)
    assert source.sizes() == {(20, 30): 6} and source.modes == {"L": 6} and source.skipped == []
    assert [sample.file for sample in source] == [sample.file for sample in samples]  # once more
    assert source.modes == {"L": 6}


@pytest.mark.parametrize("extra", ["", "train/", "my images/"])
def test_a_zip_is_as_good_as_a_folder(raw, paper, tmp_path, extra):
    folder = raw({"a": paper(2), "b": paper(3, 1)})
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, extra + path.relative_to(folder).as_posix())
        archive.writestr("__MACOSX/a/._1.bmp", b"not an image")
    source, other = open_source(tmp_path / "raw.zip"), open_source(folder)
    assert source.classes == ["a", "b"] and len(source) == 5 and source.sizes() == {(28, 28): 5}
    for ours, theirs in zip(source, other, strict=True):
        assert (ours.file, ours.label) == (theirs.file, theirs.label)
        np.testing.assert_array_equal(ours.image, theirs.image)
    assert source.skipped == []


def test_train_and_test_folders_are_two_parts(raw, paper, tmp_path):
    raw({"a": paper(3), "b": paper(2, 1)}, "raw/Train")
    folder = raw({"a": paper(1), "b": paper(1, 7), "c": paper(1)}, "raw/test").parent
    for source in (open_source(folder), open_source(zipped(folder, tmp_path / "packed"))):
        found = [(sample.part, sample.file) for sample in source]
        assert sorted(found) == [
            ("test", "test/a/1.bmp"), ("test", "test/b/1.bmp"), ("train", "a/1.bmp"), ("train", "a/2.bmp"),
            ("train", "a/3.bmp"), ("train", "b/1.bmp"), ("train", "b/2.bmp"),
        ]  # fmt: skip
        assert source.classes == ["a", "b"] and source.skipped == [("test/c/1.bmp", "not in a class folder")]
        assert len(source) == 7


def test_train_and_test_in_one_folder_of_a_zip(raw, paper, tmp_path):
    for part in ("train", "test"):
        raw({"1": paper(2), "2": paper(2, 1)}, f"raw/all/{part}")
    (tmp_path / "raw/all/classes.txt").write_text("博\n学\n", encoding="utf-8")
    for path in (zipped(tmp_path / "raw", tmp_path / "packed"), tmp_path / "raw/all"):
        source = open_source(path)
        assert source.classes == ["博", "学"]
        files = {part: [sample.file for sample in source if sample.part == part] for part in ("train", "test")}
        assert files["train"] == ["1/1.bmp", "1/2.bmp", "2/1.bmp", "2/2.bmp"]
        assert files["test"] == [f"test/{file}" for file in files["train"]] and source.skipped == []


def test_classes_txt_gives_the_characters(raw, paper):
    folder = raw({"1": paper(2), "2": paper(2, 1), "10": paper(2, 2)})
    (folder / "classes.txt").write_text("\ufeff博\r\n 学\n\n笃\n", encoding="utf-8")
    assert open_source(folder).classes == ["博", "学", "笃"] and list(open_source(folder))[-1].label == 2
    for text, count in (("博\n学\n", 2), ("博\n学\n学\n", 2)):
        (folder / "classes.txt").write_text(text, encoding="utf-8")
        assert error(open_source, folder) == (
            f"{folder}: classes.txt names {count} different classes for 3 folders: write one name per line, in the "
            "order 1, 2, 10"
        )
    (folder / "classes.txt").write_bytes("博\n学\n笃\n".encode("gbk"))
    assert error(open_source, folder) == f"{folder}: classes.txt is not UTF-8: save it again in that encoding"


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES | {".PNG"}))
def test_formats(raw, paper, suffix):
    folder = raw({"a": paper(2), "b": paper(2)}, suffix=suffix)
    samples = list(open_source(folder))
    assert len(samples) == 4 and all(sample.file.endswith(suffix) for sample in samples)
    assert all(abs(sample.image.astype(int) - paper(2)[i % 2]).mean() < 6 for i, sample in enumerate(samples))


def test_modes_and_sizes_are_counted(raw, paper, tmp_path):
    folder = raw({"a": paper(2), "b": paper(1, shape=(20, 30))})
    Image.fromarray(paper(1)[0]).convert("RGB").save(folder / "b/rgb.png")
    (folder / "a/damaged.png").write_bytes(b"\x89PNG")
    for path in (folder, zipped(folder, tmp_path / "packed")):
        source = open_source(path)
        assert source.sizes() == Counter({(28, 28): 3, (30, 20): 1}) and source.modes == {}
        assert len(list(source)) == 4 and source.modes == Counter({"L": 3, "RGB": 1}) and len(source) == 5


def test_what_is_no_image_of_a_class_is_skipped_and_listed(raw, paper):
    folder = raw({"a": paper(3), "b": [*paper(2, 1), b"not a picture"]})
    (folder / "b/notes.txt").write_text("mine")
    (folder / "b/deeper").mkdir()
    Image.fromarray(paper(1)[0]).save(folder / "b/deeper/1.png")
    Image.fromarray(paper(1)[0]).save(folder / "above.png")
    source = open_source(folder)
    assert len(list(source)) == 5
    assert source.skipped == [
        ("b/3.bmp", "ValueError: not an image, whatever its name"), ("above.png", "not in a class folder"),
        ("b/deeper/1.png", "not in a class folder"), ("b/notes.txt", "not an image's name"),
    ]  # fmt: skip
    (folder / "b/3.bmp").unlink()
    assert len(list(source)) == 5 and source.skipped[0][0] == "b/3.bmp"  # gone since it was opened


def test_a_truncated_image_among_good_ones_is_skipped_and_listed(raw, paper, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (28, 28), np.uint8)
    folder = raw({"a": [*paper(3), noise], "b": [noise] * 2}, suffix=".png")
    (folder / "a/4.png").write_bytes((folder / "a/4.png").read_bytes()[:300])
    source = open_source(folder)
    assert [sample.file for sample in source] == ["a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png"]
    assert [name for name, _ in source.skipped] == ["a/4.png"] and source.skipped[0][1].startswith("OSError: ")


def test_too_many_pixels_are_skipped(raw, paper, monkeypatch):
    monkeypatch.setattr(decoding, "MAX_PIXELS", 1000)
    large = [np.zeros((40, 40), np.uint8), np.zeros((1, 20_000), np.uint8)]
    source = open_source(raw({"a": [*paper(2), *large], "b": paper(2)}))
    assert len(list(source)) == 4 and source.skipped == [
        ("a/3.bmp", "ValueError: 40×40 pixels: at most 1,000 pixels, and 10,000 per side"),
        ("a/4.bmp", "ValueError: 20000×1 pixels: at most 1,000 pixels, and 10,000 per side"),
    ]


def test_mostly_damaged_images_are_an_error(raw, paper):
    folder = raw({"a": [*paper(1), b"x", b"y"], "b": [*paper(1), b"z"]}, "damaged")
    assert error(list, open_source(folder)) == (
        f"3 of the 5 images in {folder} cannot be read, the first a/2.bmp (ValueError: not an image, whatever its name)"
    )


def test_the_stamp_changes_when_the_images_do(raw, paper, tmp_path):
    folder = raw({"a": paper(2), "b": paper(2, 1)})

    def stamps() -> tuple[str, str]:
        return tuple(repr(open_source(path).stamp()) for path in (folder, zipped(folder, tmp_path / "packed")))

    first = stamps()
    assert stamps() == first
    changed = Image.fromarray(paper(1, 5)[0])
    changed.save(folder / "a/2.bmp")
    os.utime(folder / "a/2.bmp", (10**9, 10**9))
    other = stamps()
    changed.save(folder / "a/3.bmp")
    for ours in zip(first, other, stamps(), strict=True):
        assert len(set(ours)) == 3


def test_folders_that_are_none_of_images_are_named_with_the_remedy(raw, paper, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/.hidden.png").touch()
    assert error(open_source, tmp_path / "empty") == (
        f"{tmp_path / 'empty'} holds no image: put one sub-folder per class in it, with "
        ".bmp, .gif, .jpeg, .jpg, .png, .tif, .tiff, .webp"
    )
    raw({"a": paper(2)}, "deep/one")
    raw({"a": paper(2)}, "deep/two")
    assert error(open_source, tmp_path / "deep") == (
        f"{tmp_path / 'deep'} does not have one sub-folder per class (or train/ and test/ above the classes): it has "
        "images at depths [2] below ['one', 'two']"
    )
    (tmp_path / "flat").mkdir()
    Image.fromarray(paper(1)[0]).save(tmp_path / "flat/1.png")
    assert error(open_source, tmp_path / "flat").endswith("it has images at depths [0] below itself")


def test_an_empty_folder_is_a_class_of_a_folder_and_of_a_zip(raw, paper, tmp_path):
    folder = raw({"a": paper(2), "b": []})
    for path in (folder, zipped(folder, tmp_path / "packed")):
        assert open_source(path).classes == ["a", "b"]
