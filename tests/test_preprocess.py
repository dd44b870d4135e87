"""Raw images become data.npz: what is in it, what the summary says, and what is refused."""

import json
import shutil
import subprocess
import sys
import weakref
from collections import Counter

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import readers
from common.errors import InputError, StorageError
from common.files import _temporary_prefix
from dataset import load
from imaging.input_spec import InputSpec
from init import UNUSED, preprocess
from readers import open_source
from readers.drawn import DrawnSource
from readers.source import Sample, Source
from readers.summary import format_summary


def made(path, tmp_path, size=28) -> dict:
    """Preprocess, and return the arrays."""
    preprocess(open_source(path), tmp_path / "out/data.npz", size)
    with np.load(tmp_path / "out/data.npz", allow_pickle=False) as npz:
        return dict(npz)


def error(path, tmp_path) -> str:
    with pytest.raises(InputError) as caught:
        preprocess(open_source(path), tmp_path / "out/data.npz")
    assert not (tmp_path / "out/data.npz").exists()
    return str(caught.value)


def test_npz_is_as_promised(raw, paper, tmp_path):
    images = {name: paper(2, seed) for seed, name in enumerate(["10", "2", "1"])}
    data = made(raw(images), tmp_path)
    assert data["x"].dtype == np.uint8 and data["x"].shape == (6, 28, 28)
    assert data["y"].dtype == np.int64 and data["y"].tolist() == [0, 0, 1, 1, 2, 2]
    assert data["classes"].tolist() == ["1", "2", "10"]
    assert data["files"].tolist()[:3] == ["1/1.bmp", "1/2.bmp", "2/1.bmp"]
    np.testing.assert_array_equal(data["x"][0], images["1"][0])
    assert str(data["source"]) == "raw (raw images)" and not data["cropped"]
    assert set(data) == {"x", "y", "classes", "source", "files", "digests", "cropped", "photos", "summary"}
    assert json.loads(str(data["summary"]))["images"] == {"1": 2, "2": 2, "10": 2}


def test_a_zip_is_as_good_as_a_folder(raw, paper, tmp_path):
    folder = raw({"a": paper(2), "b": paper(3, 1)})
    shutil.make_archive(str(tmp_path / "raw"), "zip", folder)
    data, other = made(folder, tmp_path), made(tmp_path / "raw.zip", tmp_path)
    for key in ("x", "y", "classes", "files"):
        np.testing.assert_array_equal(data[key], other[key])


def test_train_and_test_folders_become_two_parts(raw, paper, tmp_path, capsys):
    raw({"a": paper(3), "b": paper(2, 1)}, "raw/train")
    data = made(raw({"a": paper(1), "b": paper(1, 7)}, "raw/test").parent, tmp_path)
    assert len(data["x"]) == 5 and data["y_test"].tolist() == [0, 1]
    assert "test images: 2" in capsys.readouterr().out
    assert data["files"].tolist()[0] == "a/1.bmp" and data["files_test"].tolist() == ["test/a/1.bmp", "test/b/1.bmp"]
    np.testing.assert_array_equal(data["x_test"][1], paper(1, 7)[0])


class Grey(Source):
    """A source that is neither a file nor a folder: images of one grey level each, of two sizes."""

    name, classes = "grey levels", ["dark", "light"]

    def __init__(self, count: int = 6, version: int = 0):
        super().__init__()
        self.count, self.version = count, version

    def stamp(self):
        return self.version

    def sizes(self):
        return Counter({(28, 28): self.count + 1, (30, 10): self.count})

    def __len__(self):
        return 2 * self.count + 1

    def __iter__(self):
        self.modes = Counter({"L": 2 * self.count})
        self.skipped = [("last", "it cannot be read")]
        for i in range(2 * self.count):
            shape = (10, 30) if i > self.count else (28, 28)
            yield Sample(np.full(shape, 10 * i, np.uint8), i % 2, f"number {i}", "test" if i >= 8 else "train")


def test_any_source_is_streamed_into_the_file(tmp_path, capsys):
    source = Grey()
    summary = preprocess(source, tmp_path / "data.npz", 20)
    train, test = load(tmp_path / "data.npz"), load(tmp_path / "data.npz", "test")
    assert train.shape == (8, 20, 20) and test.shape == (4, 20, 20)
    assert train.x[:, 0, 0].tolist() == [0, 10, 20, 30, 40, 50, 60, 70] and (train.x == train.x[:, :1, :1]).all()
    assert train.y.tolist() == [0, 1] * 4 and test.y.tolist() == [0, 1] * 2
    assert train.files[1] == "number 1" and test.files.tolist() == [f"number {i}" for i in range(8, 12)]
    assert train.source == "grey levels" and train.classes == ["dark", "light"] and not train.cropped
    assert summary["images"] == {"dark": 4, "light": 4} and summary["test_images"] == 4
    assert summary["sizes"] == {"28×28": 7, "30×10": 5} and summary["modes"] == {"L": 12}
    assert summary["skipped"] == [("last", "it cannot be read")]
    text = capsys.readouterr().out
    assert text == format_summary(summary) + "\n" and "8 images of 2 classes from grey levels" in text
    made = (tmp_path / "data.npz").stat().st_mtime_ns
    again = preprocess(Grey(), tmp_path / "data.npz", 20)
    assert json.dumps(again) == json.dumps(summary) and (tmp_path / "data.npz").stat().st_mtime_ns == made
    assert preprocess(Grey(version=1), tmp_path / "data.npz", 20)["fingerprint"] != summary["fingerprint"]


def test_images_of_a_source_are_not_kept(tmp_path):
    class Counted(Grey):
        def __iter__(self):
            for i in range(2 * self.count):
                image = np.full((28, 28), i, np.uint8)
                references.append(weakref.ref(image))
                yield Sample(image, i % 2, str(i))
                alive.append(sum(reference() is not None for reference in references))

    references: list[weakref.ref] = []
    alive: list[int] = []
    assert preprocess(Counted(20), tmp_path / "data.npz")["images"] == {"dark": 20, "light": 20}
    assert len(alive) >= 40 and max(alive) <= 3, "the last one seen before the images are read, and two of these"


def test_photos_are_prepared_as_further_pictures_will_be(raw, tmp_path, capsys):
    rng = np.random.default_rng(0)

    def picture(kind: str) -> np.ndarray:
        rows, columns = np.mgrid[0:120, 0:120]
        left, top = rng.integers(20, 40, 2)
        bar = {"bar": abs(columns - 60) < 6, "ring": abs(np.hypot(rows - 60, columns - 60) - 25) < 6}[kind]
        ink = np.roll(bar & (abs(rows - 60) < 32), (top - 30, left - 30), (0, 1))
        light = 220 - rows * rng.uniform(0.3, 0.8) - columns * rng.uniform(0, 0.5)
        return np.clip(np.where(ink, 50, light) + rng.normal(0, 4, ink.shape), 0, 255).astype(np.uint8)

    folder = raw({kind: [picture(kind) for _ in range(6)] for kind in ("bar", "ring")})
    Image.fromarray(np.full((120, 120), 200, np.uint8)).save(folder / "bar/blank.png")
    summary = preprocess(open_source(folder), tmp_path / "data.npz")
    images = load(tmp_path / "data.npz")
    assert images.photos and summary["photos"] and "photos: the character was looked for" in capsys.readouterr().out
    assert [file for file, _ in summary["skipped"]] == ["bar/blank.png"] and "no character" in summary["skipped"][0][1]
    centres = [np.argwhere(image < 128).mean(0) for image in images.x]
    assert np.abs(np.array(centres) - 13.5).max() < 2, "wherever it was in the photo"
    spec = InputSpec.from_images(images, 32)
    assert spec.photos and InputSpec.from_dict(spec.as_dict()) == spec
    again = spec.fit(picture("ring"))
    assert again.shape == (28, 28) and (again[:2] == 255).all()
    assert not load(made_without(folder, tmp_path)).photos


def made_without(folder, tmp_path):
    preprocess(open_source(folder), tmp_path / "plain.npz", photos=False)
    return tmp_path / "plain.npz"


def test_a_raw_npz_is_a_source(tmp_path, drawn):
    x, y = drawn.x[::20], drawn.y[::20]
    np.savez(tmp_path / "raw.npz", x_train=x, y_train=y, x_test=x[:3], y_test=y[:3])
    summary = preprocess(open_source(tmp_path / "raw.npz"), tmp_path / "data.npz", 28)
    train, test = load(tmp_path / "data.npz"), load(tmp_path / "data.npz", "test")
    np.testing.assert_array_equal(train.x, x)
    np.testing.assert_array_equal(test.x, x[:3])
    assert train.files.tolist() == [str(i) for i in range(24)] and test.files.tolist() == ["test/0", "test/1", "test/2"]
    assert train.source == summary["source"] == "raw.npz" and train.y.tolist() == y.tolist()
    assert preprocess(open_source(tmp_path / "data.npz"), tmp_path / "again.npz", 32)["sizes"] == {"28×28": 27}
    assert load(tmp_path / "again.npz").shape == (24, 32, 32)
    assert load(tmp_path / "again.npz", "test").files.tolist() == ["test/0", "test/1", "test/2"]


def test_an_npz_of_cropped_images_stays_cropped(tmp_path, paper):
    np.savez(tmp_path / "raw.npz", x=np.stack(paper(4)), y=[0, 0, 1, 1], cropped=True)
    assert preprocess(open_source(tmp_path / "raw.npz"), tmp_path / "data.npz")["cropped"]
    assert load(tmp_path / "data.npz").cropped


def test_drawn_characters_are_a_source(tmp_path, monkeypatch):
    monkeypatch.setattr("readers.drawn.PER_CLASS", 3)
    summary = preprocess(DrawnSource(20), tmp_path / "data.npz", 20)
    assert summary["images"] == dict.fromkeys("博学笃志切问近思自由无用", 3)
    assert load(tmp_path / "data.npz").shape == (36, 20, 20)


def test_the_summary_tells_all(raw, paper, tmp_path, capsys):
    images = paper(4)
    folder = raw({"a": [images[0], images[0], images[1]], "b": [images[1], images[2], b"not a picture"]})
    (folder / "b/notes.txt").write_text("mine")
    (folder / "b/deeper").mkdir()
    Image.fromarray(images[3]).save(folder / "b/deeper/1.png")
    summary = preprocess(open_source(folder), tmp_path / "data.npz")
    text = capsys.readouterr().out
    assert summary["images"] == {"a": 3, "b": 2}
    assert summary["identical"] == [["a/1.bmp", "a/2.bmp"], ["a/3.bmp", "b/1.bmp"]]
    assert summary["identical_across_classes"] == [["a/3.bmp", "b/1.bmp"]]
    assert [name for name, _ in summary["skipped"]] == ["b/3.bmp", "b/deeper/1.png", "b/notes.txt"]
    for line in (
        "5 images of 2 classes from raw (raw images)",
        "  images per class: a 3, b 2",
        "  sizes: 28×28 (5)",
        "  modes: L (5)",
        "  skipped: 3 files",
        "    b/3.bmp: ValueError: not an image, judging by its content",
        "  identical images: 2 groups (4 files), 1 across classes",
        "    a/3.bmp = b/1.bmp",
    ):
        assert line in text.splitlines()


def test_a_summary_of_many_sizes_names_the_six_most_frequent(tmp_path):
    class Sizes(Grey):
        def __iter__(self):
            shapes = [(28, 28)] * 5 + [(k, 10) for k in range(3, 10) for _ in range(2)]
            for i, shape in enumerate(shapes):
                yield Sample(np.full(shape, i, np.uint8), i % 2, str(i))

        def __len__(self):
            return 19

    text = format_summary(preprocess(Sizes(), tmp_path / "data.npz"))
    assert "  sizes: 28×28 (5), 10×3 (2), 10×4 (2), 10×5 (2), 10×6 (2), 10×7 (2) and 2 others" in text.splitlines()


def test_a_summary_of_many_classes_names_those_with_the_fewest_images(raw, paper, tmp_path):
    folder = raw({f"k{k:02}": paper(3 if k == 7 else 4 + k % 2, k) for k in range(31)})
    text = format_summary(preprocess(open_source(folder), tmp_path / "data.npz"))
    counts = "3 to 5, median 4; the fewest: k07 3, k00 4, k02 4, k04 4, k06 4, k08 4"
    assert f"  images per class: {counts}" in text.splitlines()
    same = raw({f"k{k:02}": paper(2, k) for k in range(31)}, "same")
    summary = format_summary(preprocess(open_source(same), tmp_path / "same.npz"))
    assert "  images per class: 2" in summary.splitlines()


def test_what_changed_is_made_again_and_what_did_not_is_kept(raw, paper, tmp_path, capsys):
    folder, npz = raw({"a": paper(2), "b": paper(2, 1)}), tmp_path / "data.npz"
    preprocess(open_source(folder), npz)
    first = npz.stat().st_mtime_ns
    preprocess(open_source(folder), npz)
    assert npz.stat().st_mtime_ns == first and f"{npz} is up to date.\n4 images of" in capsys.readouterr().out
    Image.fromarray(paper(1, 5)[0]).save(folder / "a/3.bmp")
    assert preprocess(open_source(folder), npz)["images"]["a"] == 3
    assert "was made from other images or settings and is replaced." in capsys.readouterr().out
    preprocess(open_source(folder), npz, size=32)
    with np.load(npz) as data:
        assert data["x"].shape == (5, 32, 32)


def test_what_the_stamp_leaves_out_prepares_no_image():
    names = [f"{room}.{name.removesuffix('.py')}" for name in UNUSED for room in ("readers", "imaging")]
    code = f"import sys, readers.preparation; print(sorted({{*{names}}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_file_of_the_users_is_not_overwritten(raw, paper, tmp_path):
    folder, npz = raw({"a": paper(2), "b": paper(2, 1)}), tmp_path / "data.npz"
    for arrays in ({"mine": np.arange(3)}, {"x": np.zeros(3), "summary": "{}"}, {"summary": "[1]"}):
        np.savez(npz, **arrays)
        former = npz.read_bytes()
        with pytest.raises(InputError) as caught:
            preprocess(open_source(folder), npz)
        assert str(caught.value) == (
            f"{npz} was not made by this program and is not overwritten: move it or set another data_path"
        )
        assert npz.read_bytes() == former


def test_bad_folders_are_named_with_the_remedy(raw, paper, tmp_path):
    assert error(tmp_path / "none", tmp_path) == (f"{tmp_path / 'none'} does not exist: give {readers.KINDS}")
    remedy = "has no image to train on that can be read: add some, two or more, or remove the class"
    folder = raw({"a": paper(2), "b": []}, "no_image")
    assert error(folder, tmp_path) == f"class 'b' of no_image (raw images), in {folder / 'b'}, {remedy}"
    folder = raw({"a": [*paper(1), b"x", b"y"], "b": [*paper(1), b"z"]}, "damaged")
    assert error(folder, tmp_path).startswith(f"3 of the 5 images in {folder} cannot be read, the first a/2.bmp")


def test_images_of_many_sizes_are_cropped_to_their_ink(raw, tmp_path, capsys):
    """How much is blank around a character must not tell its class."""
    bar = np.full((24, 12), 255, np.uint8)
    bar[2:22, 4:8] = 0
    tight = [np.pad(bar, k, constant_values=255) for k in range(4)]
    loose = [np.pad(bar, 20 + k, constant_values=255) for k in range(4)]
    summary = preprocess(open_source(raw({"a": tight, "b": loose})), tmp_path / "data.npz", 20)
    images = load(tmp_path / "data.npz")
    assert images.cropped and summary["cropped"]
    assert "  cropped to the ink, since the sizes differ" in capsys.readouterr().out.splitlines()
    assert (images.x == images.x[0]).all()
    fixed = raw({"a": tight[:1] * 2 + loose[3:], "b": tight[:1] * 2}, name="fixed")
    assert not preprocess(open_source(fixed), tmp_path / "fixed.npz", 20)["cropped"]
    assert not load(tmp_path / "fixed.npz").cropped


def test_damaged_images_of_other_sizes_do_not_decide_about_cropping(raw, paper, tmp_path):
    noise = [np.random.default_rng(k).integers(0, 255, (30 + k, 28), np.uint8) for k in range(14)]
    folder = raw({"a": paper(6) + noise[:7], "b": paper(6, 1) + noise[7:]}, suffix=".png")
    for path in [*folder.glob("a/1[123].png"), *folder.glob("b/1[123].png")]:
        path.write_bytes(path.read_bytes()[:300])
    summary = preprocess(open_source(folder), tmp_path / "data.npz")
    assert len(summary["skipped"]) == 6 and sum(summary["images"].values()) == 20 and not summary["cropped"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file.data.npz cannot be written .*: rename the file that stands"):
        preprocess(Grey(), tmp_path / "file/data.npz")


def test_what_a_killed_preparation_has_left_is_removed(raw, paper, tmp_path):
    folder = raw({"a": paper(3), "b": paper(3, 9)})
    (tmp_path / "out").mkdir()
    left = tmp_path / f"out/{_temporary_prefix(tmp_path / 'data.npz')}0.part"
    left.write_bytes(b"half of it")
    made(folder, tmp_path)
    assert not left.exists() and (tmp_path / "out/data.npz").exists()


def test_the_labs_images(real_images, tmp_path):
    summary = preprocess(open_source(real_images), tmp_path / "data.npz")
    assert list(summary["images"]) == [str(k) for k in range(1, 13)] and set(summary["images"].values()) == {620}
    assert summary["sizes"] == {"28×28": 7440} and summary["modes"] == {"1": 7440} and not summary["skipped"]
    assert len(summary["identical"]) == 85 and sum(map(len, summary["identical"])) == 204
    assert summary["identical_across_classes"] == [["1/428.bmp", "2/608.bmp"]]
