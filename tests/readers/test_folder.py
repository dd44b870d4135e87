import os
import shutil
import struct
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import error
from PIL import Image

from imaging.decoding import IMAGE_SUFFIXES, is_image
from readers import open_source

NO_CLASS = "in no class folder: move it into one"


def zipped(folder, path):
    return shutil.make_archive(str(path), "zip", folder)


def test_an_images_name_has_an_images_suffix():
    assert (
        is_image("1/a.PNG")
        and is_image("a.jfif")
        and is_image("a.heic")
        and not is_image("a.txt")
        and not is_image("png")
    )


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
        assert source.classes == ["a", "b"] and source.skipped == [("test/c/1.bmp", "its class has no training folder")]
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


# Pillow writes these with two levels or with other sizes only, or not at all.
NOT_WRITTEN = {".ico", ".msp", ".qoi", ".ras", ".xbm", ".xpm"}


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES - NOT_WRITTEN | {".PNG"}))
def test_formats(raw, paper, suffix):
    if suffix.lower() not in Image.registered_extensions():
        pytest.skip("this Pillow cannot write them")
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
        ("b/3.bmp", "ValueError: not an image, judging by its content"), ("above.png", NO_CLASS),
        ("b/deeper/1.png", NO_CLASS), ("b/notes.txt", "not an image's name"),
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


def test_formats_of_two_levels_and_of_colour(raw, tmp_path):
    folder = tmp_path / "raw"
    image = Image.new("L", (16, 16), 255)
    image.putpixel((3, 5), 0)
    for suffix, mode in ((".ico", "L"), (".msp", "1"), (".xbm", "1")):
        for name in "ab":
            (folder / name).mkdir(parents=True, exist_ok=True)
            image.convert(mode).save(folder / name / f"1{suffix}")
    sun = struct.pack(">8I", 0x59A66A95, 16, 16, 8, 256, 1, 0, 0) + image.tobytes()
    qoi = b"qoif" + struct.pack(">2I2B", 16, 16, 3, 0)
    qoi += b"".join(b"\xfe" + bytes([grey] * 3) for grey in image.tobytes()) + bytes(7) + b"\1"
    xpm = '/* XPM */\nstatic char *x[] = {\n"16 16 2 1",\n". c #FFFFFF",\n"x c #000000",\n'
    rows = "".join('"' + "".join("x" if value == 0 else "." for value in row) + '",\n' for row in np.asarray(image))
    for name in "ab":
        (folder / name / "1.ras").write_bytes(sun)
        (folder / name / "1.qoi").write_bytes(qoi)
        (folder / name / "1.xpm").write_text(xpm + rows + "};\n")
    samples = list(open_source(folder))
    assert len(samples) == 12 and {Path(sample.file).suffix for sample in samples} == NOT_WRITTEN
    for sample in samples:
        np.testing.assert_array_equal(sample.image, np.asarray(image), sample.file)


def test_files_that_are_too_large_are_skipped_before_they_are_read(raw, paper):
    folder = raw({"a": paper(2), "b": [*paper(2), b""]})
    with open(folder / "b/3.bmp", "wb") as file:
        file.truncate(3 * 2**30)
    source = open_source(folder)
    assert source.sizes() == {(28, 28): 4} and len(list(source)) == 4
    assert source.skipped == [("b/3.bmp", "3,072 MiB: at most 128 MiB per file")]


def test_postscript_under_an_images_name_is_skipped(raw, paper):
    source = open_source(raw({"1": [*paper(2), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"], "2": paper(2)}))
    assert len(list(source)) == 4
    assert source.skipped == [("1/3.bmp", "ValueError: not an image, judging by its content")]


def test_mostly_damaged_images_are_an_error(raw, paper):
    folder = raw({"a": [*paper(1), b"x", b"y"], "b": [*paper(1), b"z"]}, "damaged")
    assert error(list, open_source(folder)) == (
        f"3 of the 5 images in {folder} cannot be read, the first a/2.bmp "
        "(ValueError: not an image, judging by its content)"
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


REMEDY = "put the images of each class into one sub-folder, named after the class"
FLAT = f"{REMEDY}, list them in a CSV of path and label, or set labels_from='{{label}}_*' if the files are named so"


def test_folders_that_are_none_of_images_are_named_with_the_remedy(raw, paper, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / ".hidden.png").touch()
    message = f"{empty} holds no image: {REMEDY}, as .png, .jpg, .bmp, .tif or the like."
    assert error(open_source, empty) == message
    (empty / "a.pdf").touch()
    (empty / "a").symlink_to(tmp_path / "none")
    assert error(open_source, empty) == f"{message} It holds a (a link to nothing), a.pdf: save pages as PNG."
    raw({"a": paper(2)}, "deep/one")
    raw({"b": paper(2)}, "deep/two")
    assert error(open_source, tmp_path / "deep").endswith(
        f"does not tell which folders are the classes, as in one/a/ and two/b/: {REMEDY}"
    )
    (tmp_path / "flat").mkdir()
    Image.fromarray(paper(1)[0]).save(tmp_path / "flat/1.png")
    assert error(open_source, tmp_path / "flat").endswith(f"no class folder, such as 1.png: {FLAT}")


def test_heic_is_named_with_the_remedy(raw):
    heic = b"\0\0\0\x18ftypheic" + bytes(50)
    assert "HEIC, which cannot be decoded: convert it to JPEG or PNG" in error(
        list, open_source(raw({"a": [heic], "b": [heic]}, suffix=".heic"))
    )


def test_the_only_zip_in_a_folder_is_read(raw, paper, tmp_path):
    folder = raw({"a": paper(2), "b": paper(2, 1)})
    (tmp_path / "packed").mkdir()
    zipped(folder, tmp_path / "packed/set")
    source = open_source(tmp_path / "packed")
    assert len(list(source)) == 4 and source.notes == ["the images are in set.zip"]
    before = source.stamp()
    Image.fromarray(paper(1, 9)[0]).save(folder / "a/1.bmp")
    zipped(folder, tmp_path / "packed/set")
    assert open_source(tmp_path / "packed").stamp() != before
    zipped(folder, tmp_path / "packed/other")
    assert error(open_source, tmp_path / "packed").endswith(
        "It holds other.zip, set.zip: unpack archives and give the folder."
    )


def test_writers_are_groups(raw, paper):
    for writer in ("w1", "w2"):
        folder = raw({"A": paper(2), "B": paper(2, 1)}, f"raw/{writer}").parent
    source = open_source(folder)
    assert [(sample.file, sample.group) for sample in source if sample.label == 1] == [
        (f"w{k}/B/{i}.bmp", f"w{k}") for k in (1, 2) for i in (1, 2)
    ]
    assert source.notes == ["the folders above the classes are writers, as the classes recur with them: w1, w2"]


def test_levels_are_scaled_by_the_depth_of_the_whole_set(raw, paper):
    """A dark image of 12 bits is not as bright as a light one, and one of 8 bits is none of 12."""
    deep = [(image.astype(np.uint16) * 16)[:, :] for image in paper(3)]
    deep[0] //= 5  # its levels go up to 816, which alone would be one of 10 bits
    folder = raw({"a": [*deep], "b": paper(2) + [np.full((28, 28), 9, np.uint8)]}, suffix=".png")
    source = open_source(folder)
    first, second = ([sample.image.max() for sample in source] for _ in range(2))
    assert first == second == [51, 254, 254, 255, 255, 9]
    assert source.notes == ["images of more than 8 bits are scaled: their level 4095 becomes 255"]


def test_floats_and_whole_numbers_of_many_bits_are_scaled_apart(raw, paper):
    deep, floats = (paper(1)[0].astype(np.uint16) * 257), paper(1)[0].astype(np.float32) / 255
    source = open_source(raw({"a": [deep, floats], "b": [floats, deep]}, suffix=".tiff"))
    assert [sample.image.max() for sample in source] == [255] * 4
    assert source.notes == [
        "images of more than 8 bits are scaled: their level 65535 becomes 255",
        "images of floating-point numbers are scaled: their level 1 becomes 255",
    ]


@pytest.mark.parametrize("white", [1, 16])
def test_images_of_few_levels_are_not_read_as_black(raw, paper, white, tmp_path):
    dark = [np.where(image > 0, white, 0).astype(np.uint8) for image in paper(3)]
    source = open_source(raw({"a": dark, "b": [np.zeros((28, 28), np.uint8), *dark]}, suffix=".png"))
    assert [sample.image.max() for sample in source] == [255, 255, 255, 0, 255, 255, 255]
    assert source.notes == [f"images of 8 bits are scaled: their level {white} becomes 255"]


def test_of_several_pages_the_first_is_read_and_this_is_said(raw, paper):
    folder = raw({"a": paper(2), "b": paper(2, 1)}, suffix=".tif")
    pages = [Image.fromarray(image) for image in paper(3, 5)]
    pages[0].save(folder / "b/3.tif", save_all=True, append_images=pages[1:])
    source = open_source(folder)
    np.testing.assert_array_equal(list(source)[-1].image, paper(3, 5)[0])
    assert source.counts == {"files have several pages or frames, of which the first is read": 1}


def test_classes_are_described_with_their_folders(raw, paper):
    folder = raw({"1": paper(2), "2": paper(2)}, "raw/train").parent
    (folder / "classes.txt").write_text("é\ne\u0301\n", encoding="utf-8")
    assert "classes.txt names 1 different classes for 2 folders" in error(open_source, folder)
    (folder / "classes.txt").write_text("博\n学\n", encoding="utf-8")
    source = open_source(folder)
    assert source.describe_class(1) == f"class '学' of raw (raw images), in {folder / 'train/2'},"


def test_a_progress_bar_shows_after_a_second(raw, paper, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr("readers.images.tqdm", lambda items, **options: shown.append(options) or items)
    source = open_source(raw({"a": paper(2), "b": paper(2)}))
    source.sizes()
    list(source)
    assert shown == [{"desc": f"{doing} raw", "unit": "file", "delay": 1} for doing in ("sizes in", "reading")]


def test_an_empty_folder_is_a_class_of_a_folder_and_of_a_zip(raw, paper, tmp_path):
    folder = raw({"a": paper(2), "b": []})
    for path in (folder, zipped(folder, tmp_path / "packed")):
        assert open_source(path).classes == ["a", "b"]
