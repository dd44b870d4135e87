import csv
import json

import numpy as np
import torch

from config import Config
from init import fingerprint
from records import RunRecord, earlier_predictions, environment, read_runs, table


def test_a_row_is_on_disk_as_soon_as_its_epoch_ends(tmp_path):
    record = RunRecord(tmp_path, Config(), {"device": "cpu"})
    for epoch in (1, 2):
        record.epoch({"epoch": epoch, "val_loss": None, "seconds": 0.5})
        with open(record.folder / "history.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [row["epoch"] for row in rows] == ["1", "2"][:epoch]
    record.log("学而不思")
    assert (record.folder / "log.txt").read_text(encoding="utf-8").endswith("  学而不思\n")


def test_two_runs_of_one_second_have_folders_of_their_own(tmp_path):
    folders = {RunRecord(tmp_path, Config(), {}).folder for _ in range(5)}
    assert len(folders) == 5
    assert all(json.loads((f / "config.json").read_text())["hash_id"] == Config().hash_id for f in folders)


def test_environment_says_what_a_run_runs_on():
    about = environment(torch.device("cpu"))
    assert (
        about["packages"]["torch"] == torch.__version__.split("+")[0] or about["packages"]["torch"] == torch.__version__
    )
    assert about["device"] == "cpu" and about["device_name"] and about["threads"] >= 1
    json.dumps(about)


def test_runs_are_read_newest_first_and_unfinished_ones_left_out(tmp_path):
    about = {"device": "cpu", "source": "a test", "epochs": 7}
    finished = RunRecord(tmp_path, Config(), about)
    RunRecord(tmp_path, Config(epochs=1), about)
    result = {"accuracy": 0.9, "n": 10, "interval": (0.6, 0.98)}
    finished.metrics(best_epoch=3, seconds=2.0, validation=result)
    finished.metrics(test=result | {"accuracy": 0.8})
    (run,) = read_runs(tmp_path)
    assert (run["run"], run["accuracy"], run["low"], run["n"]) == (finished.folder.name, 0.8, 0.6, 10)
    assert "80.00% (60.00% to 98.00%, n = 10)" in table(tmp_path)
    assert len(table(None).splitlines()) == 1


def test_the_newest_earlier_run_on_the_same_images_is_found(tmp_path, drawn):
    result, folders = {"accuracy": 0.9, "n": 10, "interval": (0.6, 0.98)}, []
    for images in (drawn, drawn, drawn.subset(range(10)), drawn):
        record = RunRecord(tmp_path, Config(), {})
        shift = len(folders)
        record.test(result, images, np.eye(12)[(images.y + shift) % 12])
        folders.append(record.folder)
    name, predicted = earlier_predictions(tmp_path, drawn, but=folders[3])
    assert name == folders[1].name
    np.testing.assert_array_equal(predicted, (drawn.y + 1) % 12)
    assert earlier_predictions(tmp_path, drawn.subset([1])) is None and earlier_predictions(None, drawn) is None
    metrics = json.loads((folders[0] / "metrics.json").read_text())
    assert metrics["test"]["fingerprint"] == fingerprint(drawn.x, drawn.y)
