"""A large set, which is a folder, is the same data as the data.npz of a small one."""

import json
import shutil

import numpy as np
import pytest
from conftest import without_seconds
from PIL import Image

from classifier import CNNClassifier
from common.errors import InputError, StorageError
from common.files import try_lock
from dataset import correct, leak_groups, load, load_parts, split
from imaging.ink import hash_images
from init import preprocess
from readers import chunks, open_source, store, store_writer
from readers.names import Names


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(chunks, "MOST", 7)


@pytest.fixture
def folder(drawn, tmp_path):
    """Images of three classes by four writers, with an own test part and a file that is no image."""
    for k in range(3):
        for i, image in enumerate(drawn.x[drawn.y == k][:16]):
            path = tmp_path / f"raw/{'test' if i % 4 == 3 else 'train'}/学{k}/w0{i // 4}/{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    (tmp_path / "raw/train/学0/w00/note.txt").write_text("no image")
    (tmp_path / "raw/train/学1/w01/broken.png").write_bytes(b"no image")
    return tmp_path / "raw"


@pytest.fixture
def both(folder, tmp_path):
    """The same images as a data.npz and as a folder."""
    summaries = [
        preprocess(open_source(folder), tmp_path / f"{name}/data.npz", npz_limit=limit)
        for name, limit in (("npz", None), ("large", 0.0))
    ]
    assert json.loads(json.dumps(summaries[0])) == json.loads(json.dumps(summaries[1]))
    return tmp_path / "npz/data.npz", tmp_path / "large/data.npz"


def test_both_forms_hold_the_same(both):
    small, large = both
    assert small.is_file() and not large.exists() and large.with_name("data.arrays").is_dir()
    for one, other in zip(load_parts(small).values(), load_parts(large).values(), strict=True):
        np.testing.assert_array_equal(one.x, other.x)
        np.testing.assert_array_equal(one.y, other.y)
        assert one.files.tolist() == other.files.tolist() and one.group.tolist() == other.group.tolist()
        assert (one.classes, one.source, one.cropped, one.photos) == (
            other.classes, other.source, other.cropped, other.photos,
        )  # fmt: skip
        assert one.fingerprint() == other.fingerprint()
        np.testing.assert_array_equal(one.hashes(), other.hashes())
    train = load(large)
    assert not train.array.flags.writeable and isinstance(train.files, Names) and train.shape == (36, 28, 28)
    np.testing.assert_array_equal(leak_groups(load(small)), leak_groups(train))
    assert len(load(large.with_name("data.arrays"), "test")) == 12


def test_a_run_on_either_form_is_the_same(both, quick):
    results = []
    for path in both:
        images, _, test = load_parts(path).values()
        train, val = split(images, 0.3)
        classifier = CNNClassifier(quick(record_path=None, save_path=None), images.classes)
        history = without_seconds(classifier.fit(train, val))
        weights = [tensor.tolist() for tensor in classifier.model.state_dict().values()]
        results.append((history, weights, classifier.evaluate(test), classifier.predict_proba(test).tolist()))
    assert results[0] == results[1]


def test_corrections_apply_to_either_form(both):
    for path in both:
        file = load(path).files[5]
        correct(path, {file: None})
        assert len(load(path)) == 35 and file not in load(path).files.tolist()


def test_what_changed_is_made_again_and_the_other_form_goes(both, folder, capsys):
    _, large = both
    preprocess(open_source(folder), large, npz_limit=0.0)
    assert f"{large.with_name('data.arrays')} is up to date." in capsys.readouterr().out
    preprocess(open_source(folder), large, size=20)
    assert large.is_file() and not large.with_name("data.arrays").exists() and load(large).shape[1:] == (20, 20)
    preprocess(open_source(folder), large, size=24, npz_limit=0.005)
    assert "images are more than the 0.005 MiB of an npz: they go to" in capsys.readouterr().out
    assert not large.exists() and load(large).shape[1:] == (24, 24)
    assert sorted(path.name for path in large.parent.iterdir() if "lock" not in path.name) == ["data.arrays"]


def test_a_killed_preparation_continues_where_it_was(both, folder, monkeypatch):
    _, large = both
    expected = load(large)
    shutil.rmtree(large.with_name("data.arrays"))
    monkeypatch.setattr(store_writer, "SAVE_SECONDS", 0.0)
    prepare, prepared = chunks._prepare, []

    def killed(*args):
        if len(prepared) == 4:
            raise KeyboardInterrupt
        prepared.append(args)
        return prepare(*args)

    monkeypatch.setattr(chunks, "_prepare", killed)
    with pytest.raises(KeyboardInterrupt):
        preprocess(open_source(folder), large, npz_limit=0.0)
    with pytest.raises(InputError, match="does not exist"):
        load(large)
    with open(large.with_name(".data.arrays.part") / "x.npy", "ab") as file:
        file.write(b"rows after the last state")
    prepared.clear()
    summary = preprocess(open_source(folder), large, npz_limit=0.0)
    assert len(prepared) == 3, "of 7 chunks, four were there"
    found = load(large)
    np.testing.assert_array_equal(found.x, expected.x)
    assert found.files.tolist() == expected.files.tolist() and found.group.tolist() == expected.group.tolist()
    monkeypatch.setattr(chunks, "_prepare", prepare)
    large.with_name(".data.arrays.part").mkdir()
    preprocess(open_source(folder), large, size=20)
    assert not large.with_name(".data.arrays.part").exists() and large.exists()
    assert [name for name, _ in summary["skipped"]] == ["train/学1/w01/broken.png", "train/学0/w00/note.txt"]


def test_one_process_writes_a_folder_at_a_time(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(store_writer, "LOCK_SECONDS", 0.0)
    path = tmp_path / "data.npz"
    lock = try_lock(tmp_path / "data.arrays")
    with pytest.raises(StorageError, match="data.arrays is being written by another process: wait for it"):
        preprocess(open_source(folder), path, npz_limit=0.0)
    lock.release()


def test_a_folder_of_the_users_is_not_overwritten(folder, tmp_path):
    (tmp_path / "data.arrays").mkdir()
    (tmp_path / "data.arrays/mine.txt").write_text("mine")
    with pytest.raises(InputError, match="data.arrays was not made by this program and is not overwritten"):
        preprocess(open_source(folder), tmp_path / "data.npz", npz_limit=0.0)
    assert (tmp_path / "data.arrays/mine.txt").exists()
    about = {"classes": [], "keys": [], "groups": [], "summary": {"fingerprint": ""}}  # incomplete
    (tmp_path / "data.arrays/about.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="data.arrays was not made by this program and is not overwritten"):
        preprocess(open_source(folder), tmp_path / "data.npz", npz_limit=0.0)


def test_damaged_folders_are_named(both):
    _, large = both
    path = large.with_name("data.arrays")
    names = ("x.npy", "y.npy", "files.npy", "group.npy", "hashes.npy", "about.json")
    whole = {file: (path / file).read_bytes() for file in names}
    for file, content in (
        ("x.npy", whole["x.npy"][:-5]), ("x.npy", b""), ("about.json", b"{}"), ("about.json", b"[1]"),
        ("about.json", whole["about.json"].replace(b'"files"', b'"../x"')), ("about.json", b"[" * 10_000),
        ("group.npy", whole["y.npy"].replace(b"<i8", b"<f8")), ("hashes.npy", whole["y.npy"]),
        ("files.npy", whole["files.npy"][:-8] + b"\x7f" * 8), ("group.npy", whole["group.npy"][:-4] + b"\x7f" * 4),
    ):  # fmt: skip
        (path / file).write_bytes(content)
        with pytest.raises(InputError, match="data.arrays is damaged .*: delete it and prepare the data again$"):
            load(large)
        (path / file).write_bytes(whole[file])
    (path / "fingerprints.json").write_text("[1]")  # computed again
    assert load(large).fingerprint() == load(large).fingerprint()
    (path / "y.npy").unlink()
    with pytest.raises(InputError, match=r"data.arrays is damaged \(.*y.npy.*\): delete it and prepare"):
        load(large)


def test_a_fingerprint_is_computed_once(both, monkeypatch):
    _, large = both
    train, _ = split(load(large), 0.3)
    expected = train.fingerprint()
    again, _ = split(load(large), 0.3)
    monkeypatch.setattr("dataset.CharDataset.chunks", lambda images: pytest.fail("a pass over the images"))
    assert again.fingerprint() == expected
    monkeypatch.undo()
    few = again.subset(range(3))
    assert few.fingerprint() != expected and few.fingerprint() == few.fingerprint()


def test_hashes_are_read_rather_than_computed(both, monkeypatch):
    _, large = both
    train, val = split(load(large), 0.3)
    expected = hash_images(val.images())
    monkeypatch.setattr("dataset.hash_images", lambda images: pytest.fail("a pass over the images"))
    np.testing.assert_array_equal(val.hashes(), expected)
    assert len(leak_groups(train)) == len(train)


def test_a_fingerprint_that_cannot_be_kept_is_computed(both, monkeypatch):
    small, large = both

    def refuse(path, values):
        raise StorageError("read-only")

    monkeypatch.setattr(store, "write_json", refuse)
    assert load(large).fingerprint() == load(small).fingerprint()
