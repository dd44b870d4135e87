"""A run's record is on disk as soon as there is anything to say, in a folder of its own."""

import csv
import json
import logging
import re

import numpy as np
import pytest
import torch

import runs.record
from classifier import CNNClassifier
from common.errors import StorageError
from common.files import fingerprint
from config import Config
from dataset import split
from runs.record import RunRecord, environment

LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)  (.*)")
log = logging.getLogger("fit_char")


def logged(folder) -> list[str]:
    """Return the lines of log.txt without their times, each of which has one."""
    lines = (folder / "log.txt").read_text(encoding="utf-8").splitlines()
    return [LINE.fullmatch(line)[2] for line in lines]


def read_json(path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_row_is_on_disk_as_soon_as_its_epoch_ends(tmp_path):
    record = RunRecord.create(tmp_path, Config(), {"device": "cpu"})
    for epoch in (1, 2):
        record.log_epoch({"epoch": epoch, "val_loss": None, "seconds": 0.5})
        with open(record.folder / "history.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [row["epoch"] for row in rows] == ["1", "2"][:epoch]
    record.log("学而不思")
    assert (record.folder / "log.txt").read_text(encoding="utf-8").endswith("  学而不思\n")
    assert logged(record.folder) == ["学而不思"]


def test_two_runs_of_one_second_have_folders_of_their_own(tmp_path):
    folders = {RunRecord.create(tmp_path, Config(), {}).folder for _ in range(5)}
    assert len(folders) == 5
    assert all(read_json(folder / "config.json")["hash_id"] == Config().hash_id for folder in folders)
    assert all(f"_LeNet_{Config().hash_id}" in folder.name for folder in folders)


def test_environment_says_what_a_run_runs_on(monkeypatch):
    about = environment(torch.device("cpu"))
    assert (
        about["packages"]["torch"] == torch.__version__.split("+")[0] or about["packages"]["torch"] == torch.__version__
    )
    assert about["device"] == "cpu" and about["device_name"] and about["threads"] >= 1
    json.dumps(about)

    def missing(*arguments, **options):
        raise FileNotFoundError("git")

    monkeypatch.setattr(runs.record.subprocess, "run", missing)
    assert environment(torch.device("cpu"))["git_revision"] is None


def test_the_lines_of_a_run_are_logged_with_times_while_it_runs(drawn, quick):
    log.info("before the run")

    def callback(history, folder):
        log.info("after %d", len(history))
        assert logged(folder)[-1] == f"after {len(history)}", "it is on disk at once"

    classifier = CNNClassifier(quick(), drawn.classes)
    classifier.fit(*split(drawn, 0.2), callbacks=[callback])
    folder = classifier.record_.folder
    lines = logged(folder)
    log.warning("after the run")
    assert logged(folder) == lines
    starts = [line.split("  ")[0].split(":")[0] for line in lines]
    last = f"the weights of epoch {classifier.best_epoch_} are kept"
    assert starts == ["epoch 1/2", "after 1", "epoch 2/2", "after 2", last]
    scores = r"loss \d.\d{4}  accuracy .*  val loss \d.\d{4}  val accuracy .*"
    assert re.fullmatch(rf"epoch 2/2  {scores}  \d+\.\d s", lines[2])


def test_a_record_is_closed_when_a_run_fails(drawn, quick):
    class Stop(Exception):
        pass

    def callback(history, folder):
        raise Stop

    handlers = list(log.handlers)
    classifier = CNNClassifier(quick(), drawn.classes)
    with pytest.raises(Stop):
        classifier.fit(drawn, callbacks=[callback])
    assert log.handlers == handlers
    lines = logged(classifier.record_.folder)
    log.warning("of no run")
    assert logged(classifier.record_.folder) == lines and len(lines) == 1


def test_lines_are_logged_between_start_and_stop(tmp_path, capsys):
    record, other = (RunRecord.create(tmp_path, Config(), {}) for _ in range(2))
    log.info("neither")
    record.start_logging()
    log.info("one: %s", "学")
    other.start_logging()
    log.warning("both")
    record.stop_logging()
    log.info("other")
    other.stop_logging()
    log.info("none")
    assert logged(record.folder) == ["one: 学", "both"] and logged(other.folder) == ["both", "other"]
    assert capsys.readouterr().out == "neither\none: 学\nboth\nother\nnone\n", "the console gets no times"


def test_a_reopened_record_forgets_later_epochs(tmp_path):
    record = RunRecord.create(tmp_path, Config(), {})
    rows = [{"epoch": epoch, "seconds": 0.5} for epoch in (1, 2, 3)]
    for row in rows:
        record.log_epoch(row)
    (record.folder / ".metrics.json.0.part").write_text("{")
    again = RunRecord.reopen(record.folder, rows[:2])
    assert (again.folder / "history.csv").read_text() == "epoch,seconds\n1,0.5\n2,0.5\n"
    assert logged(again.folder) == ["continuing after epoch 2"] and not list(again.folder.glob(".*"))


def test_metrics_and_predictions_are_written(tmp_path, drawn):
    record, images = RunRecord.create(tmp_path, Config(), {}), drawn.subset([0, 100, 479])
    record.update_metrics(best_epoch=3, validation=None)
    result = {"accuracy": 2 / 3, "n": 3, "interval": (0.2, 0.9)}
    record.write_predictions(result, images, np.array([0, 1, 11]), np.full(3, 0.78, np.float32))
    assert (record.folder / "predictions.csv").read_text(encoding="utf-8").splitlines() == [
        "file,given,predicted,probability", "0,博,博,0.780000", "100,笃,学,0.780000", "479,用,用,0.780000",
    ]  # fmt: skip
    metrics = read_json(record.folder / "metrics.json")
    assert metrics["best_epoch"] == 3 and metrics["validation"] is None and metrics["test"]["n"] == 3
    assert metrics["test"]["fingerprint"] == fingerprint(images.x, images.y, np.array(images.classes))
    record.write("audit.json", [{"files": ["学"]}])
    assert '"学"' in (record.folder / "audit.json").read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match=r"file.record.*cannot be written \(.*\): rename the file that stands"):
        RunRecord.create(tmp_path / "file" / "record", Config(), {})
