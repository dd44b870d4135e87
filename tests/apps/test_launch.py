"""Several processes are started, followed live and interrupted from a notebook."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest
import torch
from conftest import ROOT

import init
from apps.launch import _follow, fit
from apps.steps import read_data
from classifier import CNNClassifier
from common.errors import InputError, TrainingError
from common.files import write_json
from runs.comparison import read_history


@pytest.fixture
def config(raw, paper, quick, tmp_path):
    """The config of a run in two processes, whose data are prepared."""
    three = raw({name: paper(30, seed) for seed, name in enumerate("博学笃")})
    made = quick(raw_data_path=str(three), data_path=str(tmp_path / "data.npz"), devices=2, batch_size=10, epochs=10**5)
    init.prepare(made)
    return made


def test_a_run_in_two_processes_is_followed_and_interrupted(config, tmp_path, capsys):
    _, (train, val, held_out, part) = read_data(config)
    assert part == "validation" and held_out is val
    seen = []

    def watch(history, folder):
        seen.append((len(history), folder))
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    classifier = fit(config, train, val, [watch])
    said = capsys.readouterr().out
    assert "Interrupted in epoch" in said and "LeNet " in said
    (folder,) = (tmp_path / "record").iterdir()
    assert {found for _, found in seen} == {folder} and seen[0][0] < seen[1][0]
    rows = read_history(folder)
    assert len(rows) == len(classifier.history_) >= seen[1][0]
    assert classifier.record_.folder == folder and classifier.checkpoint_.exists() and classifier.trained_on(train)
    validated = (folder / "metrics.json").read_text()
    classifier.record_.update_metrics(test={"accuracy": 1.0})  # as the notebook goes on
    assert '"best_epoch"' in validated and '"best_epoch"' in (folder / "metrics.json").read_text()


def test_other_images_than_those_on_disk_are_refused(config, quick):
    _, (train, val, _, _) = read_data(config)
    with pytest.raises(InputError, match="2 processes train on the images of .*data.npz, which these are not: set"):
        fit(config, train.subset(range(20)), val)
    alone = fit(replace(config, devices=1, epochs=1), train, val)
    ours = CNNClassifier(replace(config, devices=1, epochs=1, save_path=None, record_path=None), train.classes)
    ours.fit(train, val)
    assert all(torch.equal(a, b) for a, b in zip(alone.model.parameters(), ours.model.parameters(), strict=True))


def test_devices_of_a_fit_in_one_process_are_not_silently_ignored(config, capsys):
    _, (train, val, _, _) = read_data(config)
    CNNClassifier(replace(config, epochs=1, record_path=None), train.classes).fit(train, val)
    assert "This fit runs in one process; apps.launch.fit starts 2 (devices)." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("Warning\nfit_char: the disk is full\n", "the disk is full"),
        ("Killed\n", "Killed"),
        ("", "the processes could"),
    ],
)
def test_the_reason_of_a_failure_is_the_processes_own(tmp_path, written, reason, capsys):
    folder = tmp_path / "log/none/attempt_0/0"
    folder.mkdir(parents=True)
    (folder / "stderr.log").write_text(written)
    failing = [sys.executable, "-c", "raise SystemExit(2)"]
    with subprocess.Popen(failing) as process, pytest.raises(TrainingError, match=reason):
        _follow(process, tmp_path / "report.json", [])
    assert capsys.readouterr().out == written


@pytest.mark.skipif(sys.platform == "win32", reason="its signals are those of POSIX")
def test_nobody_is_left_when_torchrun_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "one")
    own = "import apps.launch, time; apps.launch.end_with_launcher(False); print(flush=True); time.sleep(600)"
    parent = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {own!r}]).pid); sys.stdout.flush()"
    with subprocess.Popen(
        [sys.executable, "-c", f"{parent}; input()"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as launcher:
        assert launcher.stdout is not None
        worker = psutil.Process(int(launcher.stdout.readline()))
        launcher.stdout.readline()  # it waits
        launcher.kill()
        gone, _ = psutil.wait_procs([worker], timeout=60)
        assert gone
    with pytest.raises(TrainingError, match="^torchrun was ended by signal 9: run it again to continue$"):
        _follow(launcher, tmp_path / "report.json", [])


def test_what_is_reported_reaches_the_callbacks_once(tmp_path):
    seen = []
    write_json(tmp_path / "report.json", {"history": [{"epoch": 1}], "record": None, "checkpoint": "a.ckpt"})
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1)"]) as process:
        history, record, checkpoint = _follow(process, tmp_path / "report.json", [lambda *now: seen.append(now)])
    assert seen == [([{"epoch": 1}], None)] and (record, str(checkpoint)) == (None, "a.ckpt")
