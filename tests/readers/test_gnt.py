import shutil
import struct
import zipfile

import numpy as np
import pytest

from common.errors import InputError
from init import preprocess
from readers import open_source
from readers.gnt import GntSource


def record(character: str, image: np.ndarray, length: int | None = None, tag: bytes | None = None) -> bytes:
    """Return a character as in a .gnt file, perhaps with a false length or tag."""
    tag = character.encode("gb18030").ljust(2, b"\0") if tag is None else tag
    height, width = image.shape
    return struct.pack("<I2sHH", 10 + image.size if length is None else length, tag, width, height) + image.tobytes()


@pytest.fixture
def images():
    """Images of different sizes, uint8."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (5 + k, 12 - k), np.uint8) for k in range(6)]


def write(path, *records: bytes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(records))
    return path


def test_characters_writers_and_pixels(tmp_path, images):
    for k, writer in enumerate(("1001-c", "1002-c")):
        write(tmp_path / f"raw/{writer}.gnt", record("啊", images[3 * k]), record("A", images[3 * k + 1]),
              record("埃", images[3 * k + 2]))  # fmt: skip
    archive = shutil.make_archive(str(tmp_path / "raw"), "zip", tmp_path / "raw")
    for path in (tmp_path / "raw", archive):
        source = open_source(path)
        samples = list(source)
        assert type(source) is GntSource and len(source) == 6
        assert [source.classes[sample.label] for sample in samples] == ["啊", "A", "埃"] * 2
        assert [sample.group for sample in samples] == ["1001-c"] * 3 + ["1002-c"] * 3
        assert samples[4].file == "1002-c.gnt/1" and {sample.part for sample in samples} == {"train"}
        assert source.sizes() == {(12 - k, 5 + k): 1 for k in range(6)} and source.modes == {"L": 6}
        for sample, image in zip(samples, images, strict=True):
            np.testing.assert_array_equal(sample.image, image)
    assert len(open_source(tmp_path / "raw/1001-c.gnt")) == 3


def test_they_become_data(tmp_path, images):
    for writer in range(2):
        write(tmp_path / f"raw/{writer}.gnt", *(record("啊阿"[k % 2], image) for k, image in enumerate(images)))
    summary = preprocess(open_source(tmp_path / "raw"), tmp_path / "data.npz")
    assert summary["images"] == {"啊": 6, "阿": 6} and summary["writers"] == 2


def test_folders_name_the_parts_if_one_is_for_training(tmp_path, images):
    for folder in ("HWDB1.1trn_gnt", "HWDB1.1tst_gnt"):
        write(tmp_path / folder / "1001-c.gnt", record("啊", images[0]))
    assert [(sample.file, sample.part) for sample in open_source(tmp_path)] == [
        ("HWDB1.1trn_gnt/1001-c.gnt/0", "train"), ("HWDB1.1tst_gnt/1001-c.gnt/0", "test"),
    ]  # fmt: skip
    shutil.rmtree(tmp_path / "HWDB1.1trn_gnt")
    assert [sample.part for sample in open_source(tmp_path)] == ["train"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_ends_before_its_first_damaged_record(tmp_path, images, packed):
    good = record("啊", images[0])
    for name, bad, reason in (
        ("length", record("阿", images[1], length=99), "99 bytes for 11×6 pixels"),
        ("cut", record("阿", images[1])[:-1], "the file ends within an image"),
        ("header", record("阿", images[1])[:9], "the file ends within a header"),
        ("empty", record("阿", images[1][:0]), "10 bytes for 11×0 pixels"),
        ("code", record("", images[1], tag=b"\xff\xff"), "'gb18030' codec can't decode byte 0xff"),
        ("control", record("", images[1], tag=b"\x07\0"), "the code 0700 is no character"),
        ("huge", struct.pack("<I2sHH", 10 + 65_535**2, "阿".encode("gb18030"), 65_535, 65_535), "4294836235 bytes for"),
    ):
        folder = tmp_path / name
        write(folder / "1.gnt", good, good)
        write(folder / "2.gnt", good, bad, *([] if name in ("cut", "header") else [good]))
        path = shutil.make_archive(str(folder), "zip", folder) if packed else folder
        source = open_source(path)
        assert [sample.file for sample in source] == ["1.gnt/0", "1.gnt/1", "2.gnt/0"]
        ((file, text),) = source.skipped
        assert file == "2.gnt" and text.startswith(f"the rest, from character 2 on: {reason}")


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\x01\x02"])
def test_a_damaged_member_of_a_zip_is_skipped(tmp_path, images, start):
    for writer in "12":
        write(tmp_path / f"raw/{writer}.gnt", record("啊", images[0]), record("阿", images[1]))
    path = tmp_path / "raw.zip"
    with zipfile.ZipFile(path, "w") as archive:  # not compressed
        for writer in "12":
            archive.write(tmp_path / f"raw/{writer}.gnt", f"{writer}.gnt")
    data = path.read_bytes()
    place = data.index(b"PK\x03\x04") if start == b"PK\x03\x04" else data.index(images[1].tobytes())
    path.write_bytes(data[:place] + b"\xaa\xaa" + data[place + 2 :])  # a header, or pixels that the checksum covers
    source = open_source(path)
    for _ in range(2):
        assert [sample.file for sample in source][-2:] == ["2.gnt/0", "2.gnt/1"]
        assert {name for name, _ in source.skipped} == {"1.gnt"}


def test_a_file_that_disappears_is_skipped(tmp_path, images):
    for writer in "12":
        write(tmp_path / f"{writer}.gnt", record("啊", images[0]))
    source = open_source(tmp_path)
    (tmp_path / "1.gnt").unlink()
    assert [sample.file for sample in source] == ["2.gnt/0"]
    assert source.skipped[0][1].startswith("the rest, from character 1 on: [Errno 2] No such file")


def test_without_a_character_the_source_is_refused(tmp_path):
    path = write(tmp_path / "1.gnt", b"not a gnt file")
    with pytest.raises(InputError) as caught:
        open_source(path)
    assert str(caught.value) == (
        f"{path} holds no character that can be read (the rest, from character 1 on: 544501614 bytes for 28263×8308 "
        "pixels): download it again"
    )
    path.write_bytes(b"")
    with pytest.raises(InputError, match="its files are empty"):
        open_source(path)


def test_a_folder_of_images_with_a_stray_gnt_is_a_folder_of_images(raw, paper):
    folder = raw({"a": paper(2), "b": paper(2, 1)})
    write(folder / "a/1.gnt", b"")
    assert not GntSource.accepts(folder)
