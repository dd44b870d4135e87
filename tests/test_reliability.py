"""The harnesses of benchmarks/ that look for lost, damaged and leaking things, each for a moment."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

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


def test_nothing_is_left_behind(tmp_path):
    _, figures = run(tmp_path, "soak", "--fits", 8, "--warm-up", 4)
    assert figures["after"]["figures"] == 0 and figures["after"]["handles"] <= figures["before"]["handles"]
