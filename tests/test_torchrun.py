"""torchrun and fit_char.py: a worker is killed, the run is restarted and ended, and goes on in one process."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from conftest import ROOT

import fit_char
from classifier import CNNClassifier
from runs.comparison import read_history


def wait_for(condition, process) -> None:
    """Wait until a condition holds, while a process runs."""
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="its signals are those of POSIX")
def test_a_killed_worker_is_replaced_and_a_run_that_is_ended_goes_on_alone(raw, paper, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    three = raw({name: paper(30, seed) for seed, name in enumerate("博学笃")})
    words = ["train", "--raw-data-path", str(three), "--device", "cpu", "--batch-size", "10", "--epochs"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    launcher += ["--max-restarts", "1", "--monitor-interval", "0.1", str(ROOT / "fit_char.py"), *words, "100000"]
    said, record = tmp_path / "said.txt", tmp_path / "record"

    def epochs() -> int:
        return sum(len(path.read_text().splitlines()) - 1 for path in record.glob("*/history.csv"))

    with said.open("wb") as errors, subprocess.Popen(
        launcher, stdout=subprocess.PIPE, stderr=errors, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ) as run:  # fmt: skip
        try:
            wait_for(lambda: epochs() > 2, run)
            workers = {worker.environ()["RANK"]: worker for worker in psutil.Process(run.pid).children()}
            before = epochs()
            workers["1"].kill()
            wait_for(lambda: "continuing after epoch" in said.read_text(), run)
            wait_for(lambda: epochs() > before + 3, run)  # it is training again: the rows of before are written anew
            run.send_signal(signal.SIGTERM)
            out, _ = run.communicate(timeout=60)
        finally:
            run.kill()
    assert out == b"" and run.returncode != 0
    text = said.read_text()
    assert text.count("another process of this run has ended") == text.count("Interrupted in epoch ") == 1
    assert text.count("continuing after epoch") == 1, "only the main process speaks"

    def stop(self, trainer):
        os.kill(os.getpid(), signal.SIGINT)

    done = epochs()
    monkeypatch.setattr(CNNClassifier, "_warn_if_stuck", stop)
    assert fit_char.main([*words, "100000"]) == 130
    assert "Those epochs ran in 2 processes, the next in 1: sums" in capsys.readouterr().err
    (folder,) = record.iterdir()
    rows = read_history(folder)
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1)) and 1 < len(rows) <= done + 1
