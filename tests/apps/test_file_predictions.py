"""Predictions for files are those for their images, wherever the files are and however many processes decode."""

import io

import numpy as np
import pytest
from PIL import Image

from apps import predictions
from apps.predictions import find_files, predict_files, write_csv
from benchmarks.photos import photographed
from classifier import CNNClassifier
from common.errors import InputError
from imaging.files import fit_files
from imaging.photo import is_photo
from readers import open_source
from readers.drawn import draw
from readers.layout import natural_key


@pytest.fixture
def classifier(drawn, quick) -> CNNClassifier:
    """A classifier that knows the style of its training images."""
    made = CNNClassifier(quick(epochs=1, record_path=None, save_path=None), drawn.classes)
    made.fit(drawn)
    return made


@pytest.fixture
def photos(tmp_path):
    """Photos of characters, as files."""
    rng = np.random.default_rng(0)
    made = [photographed(drawing, rng) for drawing in draw(1, 224, 7)[0]]
    paths = [tmp_path / f"photo{i}.png" for i, photo in enumerate(made) if is_photo(photo)]
    for path, photo in zip(paths, filter(is_photo, made), strict=True):
        Image.fromarray(photo).save(path)
    return sorted(paths, key=lambda path: natural_key(str(path)))


def test_the_same_in_a_folder_by_a_pattern_and_with_processes(drawn, classifier, photos, tmp_path, capsys):
    folder = tmp_path / "scans"
    (folder / "deep").mkdir(parents=True)
    for i, image in enumerate(drawn.x[:70]):
        Image.fromarray(image).resize((28, 28 + i % 2)).save(folder / "deep" / f"{i}.png")
    (folder / "10.png").write_bytes(b"damaged")
    (folder / "notes.txt").write_text("no image's name")
    one = list(predict_files(classifier, [folder, *photos], processes=1))
    many = list(predict_files(classifier, [folder, str(tmp_path / "photo*.png")], processes=2))
    names = [f"{folder}/10.png", *(f"{folder}/deep/{i}.png" for i in range(70)), *map(str, photos)]
    assert [name for name, _ in one] == [name for name, _ in many] == names
    assert one[0][1] == many[0][1] == "not readable as an image: not an image, judging by its content"
    ours = np.stack([result for _, result in one[1:]])
    np.testing.assert_array_equal(np.stack([result for _, result in many[1:]]), ours)
    np.testing.assert_allclose(classifier.predict_proba([names[1], *names[2:]]), ours, atol=1e-6)
    matched = np.stack([classifier.match_style(np.asarray(Image.open(path))) for path in photos])
    np.testing.assert_allclose(classifier.predict_proba(matched), ours[70:], atol=1e-6)  # photos are recognised
    out = io.StringIO()
    assert write_csv(one, classifier.classes_, out) == 1
    assert len(out.getvalue().splitlines()) == 71 + len(photos) and "10.png: not readable" in capsys.readouterr().err


@pytest.mark.parametrize(("worthwhile", "expected"), [(0, [1, 1, 2]), (1e9, [1, 1, 1])])
def test_processes_are_started_if_that_is_faster(drawn, classifier, tmp_path, monkeypatch, worthwhile, expected):
    for i, image in enumerate(drawn.x[:40]):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    alone, used = list(predict_files(classifier, [tmp_path], processes=1)), []

    def counted(files, spec, processes=1):
        used.append(processes)
        return fit_files(files, spec, processes)

    monkeypatch.setattr(predictions, "fit_files", counted)
    monkeypatch.setattr(predictions, "usable_cores", lambda: 2)
    monkeypatch.setattr(predictions, "WORTHWHILE", worthwhile)
    found = list(predict_files(classifier, [tmp_path]))
    assert used == expected and [name for name, _ in found] == [name for name, _ in alone]
    np.testing.assert_array_equal(np.stack([p for _, p in found]), np.stack([p for _, p in alone]))


def test_what_cannot_be_read_is_said(tmp_path):
    (tmp_path / "empty").mkdir()
    assert list(find_files(str(tmp_path / "empty"))) == [(str(tmp_path / "empty"), "no image in it")]
    ((name, read),) = find_files(str(tmp_path / "no*.png"))
    with pytest.raises(ValueError, match="no such file"):
        read()
    (tmp_path / "[1].png").write_bytes(b"x")  # a name, not a pattern
    ((_, read),) = find_files(str(tmp_path / "[1].png"))
    assert read() == b"x"


def test_an_empty_name_is_not_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (4, 4)).save("a.png")
    assert list(find_files("")) == [("", "no name of a file")]
    assert [name for name, _ in find_files(f"{tmp_path}/")] == [f"{tmp_path}/a.png"]
    with pytest.raises(InputError, match="the path of the raw data is empty"):
        open_source("")


def test_few_classes_give_fewer_columns():
    out = io.StringIO()
    write_csv([("a.png", np.array([0.25, 0.75], np.float32))], ["no", "yes"], out)
    assert out.getvalue() == "file,predicted,probability,predicted_2,probability_2\na.png,yes,0.750000,no,0.250000\n"


def test_links_to_nothing_and_folders_named_like_images(tmp_path):
    (tmp_path / "gone.png").symlink_to("nothing")
    (tmp_path / "a.png").mkdir()
    (tmp_path / "a.png/1.png").touch()
    for path in ("gone.png", "gone*"):
        ((name, read),) = find_files(str(tmp_path / path))
        assert name == str(tmp_path / "gone.png")
        with pytest.raises(ValueError, match="no such file"):
            read()
    assert [name for name, _ in find_files(str(tmp_path))] == [
        str(tmp_path / name) for name in ("a.png/1.png", "gone.png")
    ]
