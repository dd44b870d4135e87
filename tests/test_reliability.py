"""The harnesses of benchmarks/ that look for lost, damaged and leaking things, each for a moment."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from benchmarks.common import drawn
from classifier import CNNClassifier
from common.errors import InputError
from config import Config
from dataset import load
from imaging.pictures import as_images
from init import preprocess
from readers import corrections, open_source

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="its signals and limits are those of POSIX")


def run(tmp_path, name: str, *options: object) -> tuple[str, dict]:
    """Return what a harness printed and the figures that it wrote; it exits with 0 if all went as it must."""
    output = tmp_path / "figures.json"
    words = [sys.executable, "-m", f"benchmarks.{name}", *options, "--output", output]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads(output.read_text(encoding="utf-8"))


@POSIX
def test_killed_runs_give_the_same_weights(tmp_path):
    text, figures = run(tmp_path, "kill", "--runs", 2)
    assert "2 resumed runs, all with the same weights" in text
    assert sum(figures["kills"].values()) >= figures["runs"] == 2


def test_processes_that_share_folders_lose_nothing(tmp_path):
    _, figures = run(tmp_path, "stress", "--rounds", 1)
    assert figures["rounds"] == {"runs": 1, "corrections": 1, "data": 1}


@POSIX
def test_damaged_and_hostile_files_are_refused(tmp_path):
    _, figures = run(tmp_path, "fuzz", "--files", 80)
    assert set(figures["readers"]) >= {"folder", "zip", "npz", "checkpoint", "config"}
    for reader, counts in figures["readers"].items():
        assert counts["read"] + counts["refused"] == 80 and counts["found"] == [], reader
        assert counts["refused"] > 0 or reader == "folder", "a damaged file of a folder is skipped"


@POSIX
def test_a_full_disk_is_one_clear_error(tmp_path):
    text, figures = run(tmp_path, "disk", "--sizes", 64, 1024)
    assert "StorageError" in text and figures["cases"]["files of 64 KiB at most"]


def _prepare_over(path, tmp_path) -> None:
    for name in ("a", "b"):
        (tmp_path / "raw" / name).mkdir(parents=True)
        Image.new("L", (9, 9), len(name)).save(tmp_path / "raw" / name / "1.png")
    preprocess(open_source(tmp_path / "raw"), path)


@POSIX
@pytest.mark.parametrize(
    "name, read",
    [
        *((f"raw{suffix}", lambda path, _: open_source(path)) for suffix in ("", ".zip", ".npz", ".gnt", ".csv")),
        ("train-images.npy", lambda path, _: open_source(path)),
        ("data.npz", _prepare_over),
        ("data.npz", lambda path, _: load(path)),
        (
            "data.corrections.csv",
            lambda path, _: corrections.add(drawn(12), np.arange(12), path.parent / "data.npz", {}),
        ),
        ("config.json", lambda path, _: Config.load(path)),
        ("best.ckpt", lambda path, _: CNNClassifier.load(path)),
        ("x.png", lambda path, _: as_images(path)),
    ],
)
def test_nobody_waits_for_a_pipe(name, read, tmp_path):
    """A pipe has no end, and nothing may come out of it."""
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError):
        read(tmp_path / name, tmp_path)


def test_nothing_is_left_behind(tmp_path):
    _, figures = run(tmp_path, "soak", "--fits", 8, "--warm-up", 4)
    assert figures["after"]["figures"] == 0 and figures["after"]["handles"] <= figures["before"]["handles"]
