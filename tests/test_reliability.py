"""The harnesses of benchmarks/, each for a moment; and files of earlier versions, which every later one must read."""

import json
import lzma
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT

from classifier import CNNClassifier
from config import Config
from dataset import load_npz, split
from runs.resume import CONTENT, checkpoints

FILES = ROOT / "tests" / "files"


def run(tmp_path, name: str, *options: object) -> tuple[str, dict]:
    """Return what a harness printed and the figures that it wrote; it exits with 0 when all went as it must."""
    output = tmp_path / "figures.json"
    words = [sys.executable, ROOT / "benchmarks" / name, *options, "--output", output]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads(output.read_text(encoding="utf-8"))


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_killed_runs_end_alike(tmp_path):
    text, figures = run(tmp_path, "kill.py", "--runs", 2)
    assert "2 runs that went on, all ended alike" in text and sum(figures["kills"].values()) >= figures["runs"] == 2


@pytest.mark.skipif(sys.platform == "win32", reason="its limits are POSIX's")
def test_damaged_and_hostile_files_are_refused(tmp_path):
    _, figures = run(tmp_path, "fuzz.py", "--files", 150)
    for reader in ("folder", "zip", "npz", "checkpoint", "config"):
        counts = figures["readers"][reader]
        assert counts["read"] + counts["refused"] == 150 and counts["found"] == [] and counts["refused"] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="its limits are POSIX's")
def test_a_full_disk_is_one_clear_error(tmp_path):
    text, figures = run(tmp_path, "disk.py", "--sizes", 64, 1024)
    assert "StorageError" in text and figures["cases"]["files of 64 KiB at most"]


def test_nothing_is_left_behind(tmp_path):
    _, figures = run(tmp_path, "soak.py", "--fits", 12, "--warm-up", 6)
    assert figures["after"]["figures"] == 0 and figures["after"]["handles"] <= figures["before"]["handles"]


def test_files_of_format_1_are_still_read(tmp_path):
    """They were written when the format was new; what they gave then, they give now."""
    for name in ("LeNet_best.ckpt", "LeNet_last.ckpt"):
        (tmp_path / name).write_bytes(lzma.decompress((FILES / f"{name}.xz").read_bytes()))
    images = load_npz(FILES / "data.npz")
    assert images.classes == ["博", "学"] and len(images) == 4 and images.files[0] == "1/0"
    classifier = CNNClassifier.load(tmp_path / "LeNet_best.ckpt", device="cpu")
    expected = json.loads((FILES / "expected.json").read_text(encoding="utf-8"))
    np.testing.assert_allclose(classifier.predict_proba(images), expected["probabilities"], atol=1e-4)
    assert Config.load(FILES / "config.json").model == "LeNet"
    state = checkpoints.read(tmp_path / "LeNet_last.ckpt", CONTENT)
    assert state["finished"] and len(state["history"]) == 1


def test_a_checkpoint_is_the_same_however_the_model_was_trained(drawn, quick, tmp_path):
    """Averaged, channels-last and fused, or not: the file holds plain contiguous weights of the model's own names."""
    files = []
    for uses in ({}, {"channels_last": "off", "fused": "off", "weight_average": 0.0, "precision": "float32"}):
        path = tmp_path / f"{len(files)}.ckpt"
        classifier = CNNClassifier(quick(epochs=1, **uses), drawn.classes)
        classifier.fit(drawn)
        classifier.save(path)
        files.append(torch.load(path, weights_only=True)["state_dict"])
    assert list(files[0]) == list(files[1])
    for state in files:
        assert all(tensor.is_contiguous() and tensor.device.type == "cpu" for tensor in state.values())


def test_paths_of_any_script(drawn, tmp_path):
    """Spaces, quotes, Chinese characters, and as many letters as a file's name may have."""
    folder = tmp_path / "用户 'a\"b" / ("名" * 60)
    paths = {"record_path": str(folder / "record"), "save_path": str(folder / ("存" * 60 + ".ckpt"))}
    train, val = split(drawn, 0.2)
    classifier = CNNClassifier(Config(epochs=1, device="cpu", **paths), drawn.classes)
    classifier.fit(train, val)
    assert CNNClassifier.load(classifier.checkpoint_, device="cpu").best_epoch_ == 1
