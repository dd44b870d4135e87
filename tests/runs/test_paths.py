"""Paths that cannot be are known before training, and no file that is not ours is moved or replaced."""

import os

import numpy as np
import pytest

from classifier import CNNClassifier
from common.errors import InputError, StorageError
from config import Config
from dataset import split
from init import prepare
from runs import checkpoint
from runs.paths import check_paths


def contents(folder) -> dict:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder of the user's own files, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/thesis.txt").write_text("mine")
    np.savez(tmp_path / "data.npz", x=np.zeros((2, 28, 28), np.uint8))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "empty.ckpt").touch()
    (tmp_path / "broken.ckpt").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


FOLDER = "names a folder: name a file in it, such as "


@pytest.mark.parametrize("save_path, message", [
    ("folder", f"save_path 'folder' {FOLDER}'folder/LeNet_best.ckpt'"),
    ("folder/", f"save_path 'folder/' {FOLDER}'folder/LeNet_best.ckpt'"),
    ("new/", f"save_path 'new/' {FOLDER}'new/LeNet_best.ckpt'"),
    ("new/.", FOLDER), (".", f"save_path '.' {FOLDER}'./LeNet_best.ckpt'"), ("..", FOLDER), ("/", FOLDER),
    ("data.npz", "save_path: data.npz is damaged or not a checkpoint: .*; it is not replaced: choose"),
    ("config.json", "not a checkpoint: .*; it is not replaced: choose another save_path, or move that file"),
    ("empty.ckpt", "not a checkpoint"), ("folder/thesis.txt", "not a checkpoint"),
    ("broken.ckpt", "save_path 'broken.ckpt' is not a file; it is not replaced"), ("pipe", "is not a file"),
    ("new/LeNet_last.ckpt", "is a name that interrupted runs use"), ("other.npz", "save_path and data_path are both"),
])  # fmt: skip
def test_a_save_path_that_no_run_may_replace(mine, drawn, save_path, message):
    before, train = contents(mine), drawn.subset(np.arange(0, 480, 10))
    config = Config(save_path=save_path, data_path="other.npz", epochs=1, device="cpu")
    calls = [check_paths, prepare, lambda config: CNNClassifier(config, drawn.classes).fit(train)]
    for call in calls:
        with pytest.raises(InputError, match=message):
            call(config)
    assert contents(mine) == before


@pytest.mark.parametrize("changes, message", [
    ({"init_from": "gone.ckpt"}, "checkpoint gone.ckpt does not exist"),
    ({"init_from": "folder/thesis.txt"}, "not a checkpoint"),
    ({"model": "lenet"}, "unknown model 'lenet': did you mean 'LeNet'"),
])  # fmt: skip
def test_a_run_that_cannot_start_ends_before_the_data_are_read(mine, changes, message):
    before = contents(mine)
    with pytest.raises(InputError, match=message):
        prepare(Config(data_path="other.npz", **changes))
    assert contents(mine) == before


@pytest.mark.parametrize("changes, message", [
    ({"save_path": "config.json/a.ckpt"}, "config.json cannot be written .*: rename the file that stands"),
    ({"record_path": "config.json"}, "config.json cannot be written .*: rename the file that stands"),
    ({"record_path": "empty.ckpt/a/b"}, "empty.ckpt/a/b cannot be written .*: rename the file that stands"),
    ({"save_path": "a" * 200}, "File name too long.: choose a shorter name or"),
    ({"record_path": "/proc/a"}, "/proc/a cannot be written"),
    ({"save_path": "/proc/a/b.ckpt"}, "/proc/a cannot be written"),
])  # fmt: skip
def test_a_path_that_cannot_be_written(mine, changes, message):
    before = contents(mine)
    with pytest.raises(StorageError, match=message):
        check_paths(Config(**changes))
    assert contents(mine) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(mine):
    (mine / "folder").chmod(0o500)
    with pytest.raises(StorageError, match="folder cannot be written .Permission denied.: change the permissions or"):
        check_paths(Config(save_path="folder/a.ckpt"))


def test_a_checkpoint_of_ours_and_paths_that_can_be_made_are_fine(mine, drawn):
    before = contents(mine)
    check_paths(Config(save_path="new/a.ckpt", record_path="new/record"))
    check_paths(Config(save_path=None, record_path=None))
    assert contents(mine) == before
    config = Config(save_path="save/a.ckpt", record_path=None, epochs=1, device="cpu")
    CNNClassifier(config, drawn.classes).save("save/a.ckpt")
    check_paths(config)
    prepare(Config(mode="test", save_path="folder", data_path="data/data.npz", stored_size=16))  # it saves nothing


def test_a_folder_that_appears_during_the_run_stays(mine, drawn):
    config = Config(save_path="save/a.ckpt", record_path=None, epochs=1, device="cpu")
    classifier = CNNClassifier(config, drawn.classes)
    classifier.fit(*split(drawn, 0.2), [lambda history, folder: (mine / "save/a.ckpt").mkdir()])
    assert (mine / "save/a.ckpt").is_dir() and checkpoint.read(classifier.checkpoint_)["epoch"] == 1
