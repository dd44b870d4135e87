"""A preparation of data by several processes that is stopped ends soon, leaves nothing, and can be made again."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from conftest import ROOT

SLOW = """
import sys, time
import fit_char
import readers.chunks as chunks

prepare = chunks._prepare
chunks.FEW, chunks.MOST, chunks._count_processes = 0, 1, lambda images: 2
chunks._prepare = lambda *values: (time.sleep(0.3), prepare(*values))[1]
sys.exit(fit_char.main(sys.argv[1:]))
"""
WORDS = ["train", "--epochs", "1", "--device", "cpu", "--mode", "train"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one process prepares")
@pytest.mark.parametrize(
    ("number", "to_all", "limit"),
    [(signal.SIGINT, True, None), (signal.SIGTERM, False, None), (signal.SIGTERM, True, "0")],
    ids=["Ctrl-C", "SIGTERM", "SIGTERM to all, a folder of arrays"],
)
def test_a_stop_leaves_nothing_and_it_can_be_made_again(raw, paper, tmp_path, number, to_all, limit):
    """Ctrl-C goes to all processes of a terminal, SIGTERM to one or, from a scheduler, to all."""
    folder = raw({name: paper(40, seed) for seed, name in enumerate("ab")})
    words = [*WORDS, "--raw-data-path", str(folder), *(["--npz-limit", limit] if limit else [])]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    with open(tmp_path / "said.txt", "wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW, *words], cwd=tmp_path, env=environment, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip
    try:
        workers: list[psutil.Process] = []
        while len(workers) < 2 and process.poll() is None:
            time.sleep(0.1)
            workers = psutil.Process(process.pid).children(recursive=True)
        time.sleep(1)
        (os.killpg if to_all else os.kill)(process.pid, number)
        assert process.wait(30) == 130, (tmp_path / "said.txt").read_text()
    finally:
        process.kill()
    assert "Traceback" not in (tmp_path / "said.txt").read_text()
    assert psutil.wait_procs(workers, timeout=15)[1] == []
    left = {path.name for path in (tmp_path / "data").glob("*")}
    assert left <= {".data.arrays.part", ".data.arrays.lock"}, "hidden files, from which it goes on"
    assert not left or limit
    assert list(temporary.iterdir()) == [] and not (tmp_path / "save").exists() and not (tmp_path / "record").exists()
    again = subprocess.run([sys.executable, str(ROOT / "fit_char.py"), *words], cwd=tmp_path, capture_output=True)
    assert again.returncode == 0, again.stderr.decode()
    assert (tmp_path / ("data/data.arrays" if limit else "data/data.npz")).exists()
    assert not list((tmp_path / "data").glob(".*.part"))
