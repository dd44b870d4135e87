import io
import random
import shutil
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import InputError
from common.files import write_atomically
from dataset import load_npz
from imaging import pixels
from imaging.pixels import border, fit_image
from init import natural_key, pick_device, preprocess, read_image, set_seed


def made(raw, tmp_path, size=28) -> dict:
    """Preprocess, and return the arrays."""
    preprocess(raw, tmp_path / "out/data.npz", size)
    with np.load(tmp_path / "out/data.npz", allow_pickle=False) as npz:
        return dict(npz)


def encoded(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def error(raw, tmp_path) -> str:
    with pytest.raises(InputError) as caught:
        preprocess(raw, tmp_path / "out/data.npz")
    assert not (tmp_path / "out/data.npz").exists()
    return str(caught.value)


def test_set_seed_seeds_all_three():
    def draw():
        set_seed(3)
        return random.random(), np.random.rand(), torch.rand(1).item()

    assert draw() == draw()


def test_pick_device():
    assert pick_device("cpu") == torch.device("cpu")
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert pick_device("auto").type == expected
    with pytest.raises(InputError) as caught:
        pick_device("cuba")
    assert str(caught.value) == "unknown device 'cuba': did you mean 'cuda'?"
    with pytest.raises(InputError, match="device 'cuda:99' is not on this machine: use device='auto'"):
        pick_device("cuda:99")


def test_write_atomically_leaves_the_former_file_when_writing_fails(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, lambda file: file.write(b"former"))

    def fail(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"former" and list(tmp_path.iterdir()) == [path]


def test_natural_order():
    assert sorted(["11", "1", "2", "10", "b2", "b10"], key=natural_key) == ["1", "2", "10", "11", "b2", "b10"]


def test_npz_is_as_promised(raw, paper, tmp_path):
    images = {name: paper(2, seed) for seed, name in enumerate(["10", "2", "1"])}
    data = made(raw(images), tmp_path)
    assert data["x"].dtype == np.uint8 and data["x"].shape == (6, 28, 28)
    assert data["y"].dtype == np.int64 and data["y"].tolist() == [0, 0, 1, 1, 2, 2]
    assert data["classes"].tolist() == ["1", "2", "10"]
    assert data["files"].tolist()[:3] == ["1/1.bmp", "1/2.bmp", "2/1.bmp"]
    np.testing.assert_array_equal(data["x"][0], images["1"][0])
    assert "raw" in str(data["source"])


@pytest.mark.parametrize("extra", ["", "train/"])
def test_a_zip_is_as_good_as_a_folder(raw, paper, tmp_path, extra):
    folder = raw({"a": paper(2), "b": paper(3, 1)})
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, extra + path.relative_to(folder).as_posix())
        archive.writestr("__MACOSX/a/._1.bmp", b"not an image")
    data = made(tmp_path / "raw.zip", tmp_path)
    assert data["x"].shape == (5, 28, 28) and data["classes"].tolist() == ["a", "b"]
    assert data["files"][0] == "a/1.bmp"


def test_train_and_test_folders_become_two_parts(raw, paper, tmp_path, capsys):
    raw({"a": paper(3), "b": paper(2, 1)}, "raw/train")
    data = made(raw({"a": paper(1), "b": paper(1, 7)}, "raw/test").parent, tmp_path)
    assert len(data["x"]) == 5 and data["y_test"].tolist() == [0, 1]
    assert "test images: 2" in capsys.readouterr().out
    assert data["files"].tolist()[0] == "a/1.bmp" and data["files_test"].tolist() == ["test/a/1.bmp", "test/b/1.bmp"]


def test_train_and_test_in_one_folder_of_a_zip(raw, paper, tmp_path):
    for part in ("train", "test"):
        raw({"1": paper(2), "2": paper(2, 1)}, f"raw/all/{part}")
    (tmp_path / "raw/all/classes.txt").write_text("博\n学\n", encoding="utf-8")
    path = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "raw")
    for raw_data_path, name in ((path, "zip.npz"), (tmp_path / "raw/all", "folder.npz")):
        preprocess(raw_data_path, tmp_path / name)
        data = np.load(tmp_path / name)
        assert data["classes"].tolist() == ["博", "学"]
        assert data["files"].tolist() == ["1/1.bmp", "1/2.bmp", "2/1.bmp", "2/2.bmp"] and len(data["x_test"]) == 4


def test_classes_txt_gives_the_characters(raw, paper, tmp_path):
    folder = raw({"1": paper(2), "2": paper(2, 1), "10": paper(2, 2)})
    (folder / "classes.txt").write_text("博\n学\n笃\n", encoding="utf-8")
    assert made(folder, tmp_path)["classes"].tolist() == ["博", "学", "笃"]
    (folder / "classes.txt").write_text("博\n学\n", encoding="utf-8")
    with pytest.raises(InputError, match="classes.txt names 2 different classes for 3 folders: write a name a line"):
        preprocess(folder, tmp_path / "other.npz")
    (folder / "classes.txt").write_bytes("博\n学\n笃\n".encode("gbk"))
    with pytest.raises(InputError, match="classes.txt is not UTF-8: save it again in that encoding"):
        preprocess(folder, tmp_path / "other.npz")


@pytest.mark.parametrize("kind", ["BMP", "PNG", "JPEG", "GIF", "TIFF", "WEBP"])
def test_formats(raw, paper, tmp_path, kind):
    image = Image.fromarray(paper(1)[0])
    data = encoded(image, kind) if kind != "WEBP" else encoded(image.convert("RGB"), kind)
    x = made(raw({"a": [data, data], "b": paper(2)}, suffix="." + kind.lower()), tmp_path)["x"]
    assert abs(x[0].astype(int) - np.asarray(image)).mean() < 6  # lossy formats are near


def test_modes(raw, paper, tmp_path):
    """The same character in every mode gives the same pixels."""
    grey = Image.fromarray(paper(1)[0])
    clear = Image.new("RGBA", grey.size)  # black ink on nothing
    clear.putalpha(grey.point(lambda value: 255 - value))
    chalk = Image.new("RGBA", grey.size, (255, 255, 255, 0))  # white ink on nothing
    chalk.putalpha(grey.point(lambda value: 255 - value))
    card = Image.new("RGBA", grey.size, (255, 255, 255, 0))  # a card of white paper on nothing
    card.paste(grey.crop((2, 2, 26, 26)).convert("RGBA"), (2, 2))
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    images = [grey, *map(grey.convert, ("1", "RGB", "RGBA", "P", "LA")), clear, card, deep]
    x = made(
        raw({"a": [encoded(i, "PNG") for i in images], "b": [encoded(chalk, "PNG")] * 2}, suffix=".png"), tmp_path
    )["x"]
    for image in x[:-2]:
        np.testing.assert_array_equal(image, np.asarray(grey))
    np.testing.assert_array_equal(x[-1], 255 - np.asarray(grey))


def test_other_sizes_keep_their_aspect_and_background():
    tall = np.full((60, 20), 200, np.uint8)
    tall[10:50, 8:12] = 10
    small = fit_image(tall, 28, 28)
    assert small.shape == (28, 28) and small.dtype == np.uint8
    assert (small[:, :8] == 200).all() and (small[:, -8:] == 200).all()  # the background goes on
    ink = small < 105
    height, width = ink.any(1).sum(), ink.any(0).sum()
    assert 17 <= height <= 20 and 1 <= width <= 3  # 40 and 4 pixels of 60
    cropped = fit_image(tall, 28, 28, crop=True) < 105
    assert 22 <= cropped.any(1).sum() <= 24 and 1 <= cropped.any(0).sum() <= 3  # 40 and 4 pixels of 48
    blank = np.full((50, 40), 200, np.uint8)
    assert (fit_image(blank, 28, 28, crop=True) == 200).all()
    same = np.full((28, 28), 255, np.uint8)
    same[10:18, 12:14] = 0
    assert 22 <= (fit_image(same, 28, 28, crop=True) < 128).any(1).sum() <= 24  # what has the size already, too
    same = np.zeros((28, 28), np.uint8)
    assert fit_image(same, 28, 28) is same


def test_the_summary_tells_all(raw, paper, tmp_path, capsys):
    images = paper(4)
    folder = raw({"a": [images[0], images[0], images[1]], "b": [images[1], images[2], b"not a picture"]})
    (folder / "b/notes.txt").write_text("mine")
    (folder / "b/deeper").mkdir()
    Image.fromarray(images[3]).save(folder / "b/deeper/1.png")
    summary = preprocess(folder, tmp_path / "data.npz")
    text = capsys.readouterr().out
    assert summary["images"] == {"a": 3, "b": 2}
    assert summary["identical"] == [["a/1.bmp", "a/2.bmp"], ["a/3.bmp", "b/1.bmp"]]
    assert summary["identical_across_classes"] == [["a/3.bmp", "b/1.bmp"]]
    assert [name for name, _ in summary["skipped"]] == ["b/3.bmp", "b/deeper/1.png", "b/notes.txt"]
    for line in (
        "images a class: a 3, b 2",
        "sizes: 28×28 (5)",
        "modes: L (5)",
        "skipped: 3 files",
        "b/3.bmp: ValueError: not an image, whatever its name",
        "identical images: 2 groups (4 files), 1 across classes",
    ):
        assert line in text


def test_what_changed_is_made_anew_and_what_did_not_is_kept(raw, paper, tmp_path, capsys):
    folder, npz = raw({"a": paper(2), "b": paper(2, 1)}), tmp_path / "data.npz"
    preprocess(folder, npz)
    first = npz.stat().st_mtime_ns
    preprocess(folder, npz)
    assert npz.stat().st_mtime_ns == first and "is up to date" in capsys.readouterr().out
    Image.fromarray(paper(1, 5)[0]).save(folder / "a/3.bmp")
    assert preprocess(folder, npz)["images"]["a"] == 3
    assert "made from other images or settings" in capsys.readouterr().out
    preprocess(folder, npz, size=32)
    with np.load(npz) as data:
        assert data["x"].shape == (5, 32, 32)


def test_a_file_of_the_users_is_not_overwritten(raw, paper, tmp_path):
    folder, npz = raw({"a": paper(2), "b": paper(2, 1)}), tmp_path / "data.npz"
    for arrays in ({"mine": np.arange(3)}, {"x": np.zeros(3), "summary": "{}"}, {"summary": "[1]"}):
        np.savez(npz, **arrays)
        former = npz.read_bytes()
        with pytest.raises(InputError, match="was not made by this program and is not overwritten"):
            preprocess(folder, npz)
        assert npz.read_bytes() == former


def test_bad_folders_are_named_with_the_remedy(raw, paper, tmp_path):
    assert error(tmp_path / "none", tmp_path) == (
        f"raw_data_path {str(tmp_path / 'none')!r} does not exist: give a folder with one sub-folder a class, or a .zip"
    )
    (tmp_path / "empty").mkdir()
    assert error(tmp_path / "empty", tmp_path).startswith(
        f"{tmp_path / 'empty'} holds no image: put one sub-folder a class in it"
    )
    remedy = "each class needs at least two, one to train on and one to validate; add some or remove the folder"
    folder = raw({"a": paper(2), "b": []}, "no_image")
    assert error(folder, tmp_path) == f"class 'b' in {folder} has no image that can be read: {remedy}"
    folder = raw({"a": paper(2), "b": paper(1)}, "one_image")
    assert error(folder, tmp_path) == f"class 'b' in {folder} has only one image: {remedy}"
    folder = raw({"a": [*paper(1), b"x", b"y"], "b": [*paper(1), b"z"]}, "damaged")
    assert error(folder, tmp_path).startswith(f"3 of the 5 images in {folder} cannot be read, the first a/2.bmp")
    (tmp_path / "file.zip").write_bytes(b"not a zip")
    assert "neither a folder nor a readable .zip" in error(tmp_path / "file.zip", tmp_path)
    raw({"a": paper(2)}, "deep/one")
    raw({"a": paper(2)}, "deep/two")
    assert "does not have one sub-folder a class" in error(tmp_path / "deep", tmp_path)


def test_a_truncated_image_among_good_ones_is_skipped_and_listed(raw, paper, tmp_path):
    png = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (28, 28), np.uint8)), "PNG")
    folder = raw(
        {"a": [*(encoded(Image.fromarray(i), "PNG") for i in paper(3)), png[:300]], "b": [png] * 2}, suffix=".png"
    )
    summary = preprocess(folder, tmp_path / "data.npz")
    assert summary["images"] == {"a": 3, "b": 2} and summary["skipped"][0][0] == "a/4.png"


def test_too_many_pixels_are_skipped(raw, paper, tmp_path, monkeypatch):
    monkeypatch.setattr(pixels, "MAX_PIXELS", 1000)
    large = [np.zeros((40, 40), np.uint8), np.zeros((1, 20_000), np.uint8)]
    summary = preprocess(raw({"a": [*paper(2), *large], "b": paper(2)}), tmp_path / "data.npz")
    assert summary["skipped"] == [
        ("a/3.bmp", "ValueError: 40×40 pixels: there may be 1,000, and 10,000 a side"),
        ("a/4.bmp", "ValueError: 20000×1 pixels: there may be 1,000, and 10,000 a side"),
    ]


def test_read_image(paper, tmp_path):
    Image.fromarray(paper(1)[0]).save(tmp_path / "我的 '字'.png")
    np.testing.assert_array_equal(read_image(tmp_path / "我的 '字'.png"), paper(1)[0])
    with pytest.raises(InputError, match="none.png cannot be read as an image"):
        read_image(tmp_path / "none.png")


def test_the_labs_images(real_images, tmp_path):
    summary = preprocess(real_images, tmp_path / "data.npz")
    assert list(summary["images"]) == [str(k) for k in range(1, 13)] and set(summary["images"].values()) == {620}
    assert summary["sizes"] == {"28×28": 7440} and summary["modes"] == {"1": 7440} and not summary["skipped"]
    assert len(summary["identical"]) == 85 and sum(map(len, summary["identical"])) == 204
    assert summary["identical_across_classes"] == [["1/428.bmp", "2/608.bmp"]]


def test_images_of_many_sizes_are_cropped_to_their_ink(raw, tmp_path, capsys):
    """How much is blank around a character must not tell its class."""
    bar = np.full((24, 12), 255, np.uint8)
    bar[2:22, 4:8] = 0
    tight = [np.pad(bar, k, constant_values=255) for k in range(4)]
    loose = [np.pad(bar, 20 + k, constant_values=255) for k in range(4)]
    summary = preprocess(raw({"a": tight, "b": loose}), tmp_path / "data.npz", 20)
    images = load_npz(tmp_path / "data.npz")
    assert images.cropped and summary["cropped"] and "cropped to the ink" in capsys.readouterr().out
    assert (images.x == images.x[0]).all()
    fixed = raw({"a": tight[:1] * 2 + loose[3:], "b": tight[:1] * 2}, name="fixed")
    assert not preprocess(fixed, tmp_path / "fixed.npz", 20)["cropped"]
    assert not load_npz(tmp_path / "fixed.npz").cropped


def test_the_paper_of_a_transparent_image_is_its_commonest_grey(tmp_path):
    picture = np.full((20, 20, 4), 255, np.uint8)
    picture[4:16, 4:16, :3] = np.random.default_rng(0).integers(0, 200, (12, 12, 1))  # ink, more than paper
    picture[:3, :, 3] = picture[:, :3, 3] = picture[-3:, :, 3] = picture[:, -3:, 3] = 0
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert (border(read_image(tmp_path / "a.png")) == 255).all()
