import csv
import json

import numpy as np
import torch

from classifier import CNNClassifier
from common.files import fingerprint
from config import Config
from dataset import CharDataset
from runs.record import RunRecord, compare, earlier_predictions, environment, read_history, read_runs, table


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
    about = {"device": "cpu", "source": "a test", "epochs": 7, "val_fingerprint": "a"}
    finished = RunRecord(tmp_path, Config(), about)
    RunRecord(tmp_path, Config(epochs=1), about)
    result = {"accuracy": 0.9, "n": 10, "interval": (0.6, 0.98)}
    finished.metrics(best_epoch=3, seconds=2.0, validation=result)
    finished.metrics(test=result | {"accuracy": 0.8, "fingerprint": "b"})
    (run,) = read_runs(tmp_path)
    assert (run["run"], run["accuracy"], run["low"], run["n"]) == (finished.folder.name, 0.8, 0.6, 10)
    assert "80.00% (60.00% to 98.00%, n = 10)" in table([run])
    assert len(table(read_runs(None)).splitlines()) == 1


def test_runs_are_sorted_and_the_best_on_its_images_is_marked(tmp_path, capsys):
    for k, (accuracy, images) in enumerate(((0.9, "a"), (0.8, "a"), (0.95, "b"), (None, "c"), (0.7, "b"))):
        about = {"device": "cpu", "source": "a test", "epochs": 7, "val_fingerprint": images}
        record = RunRecord(tmp_path, Config(random_seed=k), about)
        result = accuracy and {"accuracy": accuracy, "n": 10, "interval": (0.6, 0.98)}
        record.metrics(best_epoch=1, seconds=10.0 - k, validation=result)
    (tmp_path / "no record").mkdir()
    (tmp_path / "no record" / "metrics.json").write_text("[]")
    runs = read_runs(tmp_path, sort="accuracy")
    assert [run["random_seed"] for run in runs] == [2, 0, 1, 4, 3]
    assert [run["random_seed"] for run in runs if run["best"]] == [2, 0]
    assert "no record is not the record of a run and is left out" in capsys.readouterr().out
    assert [run["random_seed"] for run in read_runs(tmp_path, sort="seconds")] == [0, 1, 2, 3, 4]
    text = table(runs).splitlines()
    assert len(text) == 6 and [line[0] for line in text[1:]] == list("**   ") and "not validated" in text[5]


def test_two_runs_are_compared(tmp_path, drawn):
    result, folders = {"accuracy": 0.9, "n": 480, "interval": (0.6, 0.98)}, []
    for k, images in enumerate((drawn, drawn, drawn.subset(range(9)))):
        record = RunRecord(tmp_path, Config(random_seed=k), {})
        wrong = np.arange(len(images)) < 20 * k
        record.test(result, images, np.eye(12)[(images.y + wrong) % 12])
        folders.append(record.folder)
    text = compare(folders[0], folders[1]).splitlines()
    assert text[0].endswith(" differ in random_seed 0 and 1")
    assert f"{folders[0].name} alone reads 20 rightly" in text[1] and f"{folders[0].name} is better" in text[1]
    assert "not tested on the same images" in compare(folders[0], folders[2])
    assert "differ in no parameter" in compare(folders[0], folders[0])
    assert "not tested on the same" in compare(folders[0], RunRecord(tmp_path, Config(), {}).folder)


def test_a_history_is_read_as_it_was_written(tmp_path):
    record = RunRecord(tmp_path, Config(), {})
    rows = [{"epoch": 1, "val_loss": None, "seconds": 0.5}, {"epoch": 2, "val_loss": 0.25, "seconds": 0.5}]
    for row in rows:
        record.epoch(row)
    assert read_history(record.folder) == rows


def test_the_newest_earlier_run_on_the_same_images_is_found(tmp_path, drawn):
    result, folders = {"accuracy": 0.9, "n": 10, "interval": (0.6, 0.98)}, []
    for images in (drawn, drawn, drawn.subset(range(10)), drawn):
        about = {"device": "cpu", "source": "a test", "epochs": 7}
        record = RunRecord(tmp_path, Config(), about)
        record.metrics(best_epoch=1, seconds=1.0, validation=None)
        shift = len(folders)
        record.test(result, images, np.eye(12)[(images.y + shift) % 12])
        folders.append(record.folder)
    name, predicted = earlier_predictions(tmp_path, drawn, but=folders[3])
    assert name == folders[1].name
    np.testing.assert_array_equal(predicted, (drawn.y + 1) % 12)
    assert earlier_predictions(tmp_path, drawn.subset([1])) is None and earlier_predictions(None, drawn) is None
    renamed = CharDataset(drawn.x, drawn.y, classes=range(1, 13))  # other answers, on the same images
    assert earlier_predictions(tmp_path, renamed) is None
    metrics = json.loads((folders[0] / "metrics.json").read_text())
    assert metrics["test"]["fingerprint"] == fingerprint(drawn.x, drawn.y, np.array(drawn.classes))


def test_tested_and_validated_runs_on_the_same_images_are_ranked_together(drawn, quick, tmp_path):
    train, val = drawn.subset(range(0, 480, 2)), drawn.subset(range(1, 480, 10))
    for epochs in (1, 2):
        classifier = CNNClassifier(quick(epochs=epochs), drawn.classes)
        classifier.fit(train, val)
    classifier.record_.test(classifier.evaluate(val) | {"accuracy": 1.0}, val, classifier.predict_proba(val))
    assert [(run["accuracy"] == 1, run["best"]) for run in read_runs(tmp_path / "record", "accuracy")] == [
        (True, True), (False, False),
    ]  # fmt: skip
