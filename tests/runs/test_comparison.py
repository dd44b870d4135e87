"""Runs are compared from their records alone."""

import json

import numpy as np
import pytest

from classifier import CNNClassifier
from common.errors import InputError
from common.files import fingerprint, write_json
from config import Config
from dataset import CharDataset
from runs.comparison import HEADINGS, compare, earlier_predictions, format_runs, read_history, read_runs
from runs.record import RunRecord

ABOUT = {"device": "cpu", "source": "a test", "epochs": 7}
RESULT = {"accuracy": 0.9, "n": 10, "interval": (0.6, 0.98)}


def test_runs_are_read_and_unfinished_ones_left_out(tmp_path, capsys):
    finished = RunRecord.create(tmp_path, Config(), ABOUT | {"val_fingerprint": "a"})
    RunRecord.create(tmp_path, Config(epochs=1), ABOUT | {"val_fingerprint": "a"})
    finished.update_metrics(best_epoch=3, seconds=2.0, validation=RESULT)
    finished.update_metrics(test=RESULT | {"accuracy": 0.8, "fingerprint": "b"})
    (run,) = read_runs(tmp_path)
    assert (run["run"], run["accuracy"], run["low"], run["n"]) == (finished.folder.name, 0.8, 0.6, 10)
    assert (run["images"], run["epochs"], run["best_epoch"], run["source"]) == ("b", 7, 3, "a test")
    assert "80.00% (60.00% to 98.00%, n = 10)" in format_runs([run]) and "test images of a test" in format_runs([run])
    assert len(format_runs(read_runs(None)).splitlines()) == 1 and capsys.readouterr().out == ""
    assert "balanced" not in format_runs([run])
    finished.update_metrics(test=RESULT | {"fingerprint": "b", "balanced_accuracy": 0.7, "macro_f1": 0.65})
    heading, line = format_runs([*read_runs(tmp_path)]).splitlines()
    assert "  balanced  macro F1  " in heading and "    70.00%    65.00%  " in line


def test_images_that_chose_the_epoch_are_called_validation(tmp_path, drawn):
    for part in ("validation", "test"):  # as it is recorded, and as earlier versions recorded it
        record = RunRecord.create(tmp_path, Config(), ABOUT | {"val_fingerprint": drawn.fingerprint()})
        record.update_metrics(best_epoch=3, seconds=2.0, validation=RESULT)
        record.write_predictions(RESULT, drawn, drawn.y, np.ones(480), part)
    runs = read_runs(tmp_path)
    assert [run["part"] for run in runs] == ["validation"] * 2 and {run["images"] for run in runs} == {
        drawn.fingerprint()
    }
    assert "no significant difference" in compare(*(tmp_path / run["run"] for run in runs))


def test_the_newest_run_comes_first(tmp_path):
    names = ["20260102-000000_LeNet_a", "20250101-000000_LeNet_b", "20260102-000001_ResNet18_c"]
    for name in names:
        record = RunRecord.create(tmp_path, Config(), ABOUT | {"val_fingerprint": "a"})
        record.update_metrics(best_epoch=1, seconds=1.0, validation=None)
        record.folder.rename(tmp_path / name)
    assert [run["run"] for run in read_runs(tmp_path)] == [names[2], names[0], names[1]]


def test_runs_are_sorted_and_the_best_on_its_images_is_marked(tmp_path, capsys):
    for k, (accuracy, images) in enumerate(((0.9, "a"), (0.8, "a"), (0.95, "b"), (None, "c"), (0.7, "b"))):
        record = RunRecord.create(tmp_path, Config(random_seed=k), ABOUT | {"val_fingerprint": images})
        result = accuracy and RESULT | {"accuracy": accuracy}
        record.update_metrics(best_epoch=1, seconds=10.0 - k, validation=result)
    (tmp_path / "no record").mkdir()
    (tmp_path / "no record" / "metrics.json").write_text("[]")
    runs = read_runs(tmp_path, sort="accuracy")
    assert [run["random_seed"] for run in runs] == [2, 0, 1, 4, 3]
    assert [run["random_seed"] for run in runs if run["best"]] == [2, 0]
    assert f"{tmp_path / 'no record'} is not the record of a run and is left out: " in capsys.readouterr().out
    assert [run["random_seed"] for run in read_runs(tmp_path, sort="seconds")] == [0, 1, 2, 3, 4]
    for name in ("random_seed", "seed", "Seed"):
        assert [run["random_seed"] for run in read_runs(tmp_path, sort=name)] == [4, 3, 2, 1, 0]
    for key, heading in HEADINGS.items():
        assert f" {heading} " in format_runs([run | {"macro_f1": 0.5, "balanced_accuracy": 0.5} for run in runs])
        assert read_runs(tmp_path, sort=heading) == read_runs(tmp_path, sort=key)
    for name, nearest in (("accuracies", "accuracy"), ("rates", "rate"), ("macro", "macro_f1")):
        with pytest.raises(InputError, match=f"runs have no column '{name}': did you mean '{nearest}'?"):
            read_runs(tmp_path, sort=name)
    text = format_runs(runs).splitlines()
    assert len(text) == 6 and [line[0] for line in text[1:]] == list("**   ") and "not validated" in text[5]


def test_two_runs_are_compared(tmp_path, drawn):
    folders = []
    for k, images in enumerate((drawn, drawn, drawn.subset(range(9)))):
        record = RunRecord.create(tmp_path, Config(random_seed=k), {})
        wrong = np.arange(len(images)) < 20 * k
        record.write_predictions(RESULT | {"n": 480}, images, (images.y + wrong) % 12, np.ones(len(images)))
        folders.append(record.folder)
    first, second = folders[0].name, folders[1].name
    text = compare(folders[0], folders[1]).splitlines()
    assert text[0] == f"{first} and {second} differ in random_seed 0 and 1"
    assert text[1].startswith(
        f"of 480 images, only {first} classifies 20 correctly and only {second} 0: {first} is better (McNemar's"
    )
    never = "\nThey were not evaluated on the same images, and cannot be compared image by image."
    assert compare(folders[0], folders[2]).endswith(" differ in random_seed 0 and 2" + never)
    assert compare(folders[0], folders[0]).startswith(f"{first} and {first} differ in no parameter\nof 480 images")
    assert compare(folders[0], RunRecord.create(tmp_path, Config(), {}).folder).endswith(never)


def test_parameters_are_compared_under_their_present_names(tmp_path):
    one, other = (RunRecord.create(tmp_path, Config(ema_decay=decay), {}).folder for decay in (0.5, 0.25))
    former = {"ema_decay": "weight_average", "samples_seen": "images_shown", "stored_size": "raw_size",
              "input_size": "image_size"}  # fmt: skip
    values = json.loads((one / "config.json").read_text())
    write_json(one / "config.json", {former.get(key, key): value for key, value in values.items()})
    assert compare(one, other).splitlines()[0] == f"{one.name} and {other.name} differ in ema_decay 0.5 and 0.25"


def test_a_history_is_read_as_it_was_written(tmp_path):
    record = RunRecord.create(tmp_path, Config(), {})
    rows = [{"epoch": 1, "val_loss": None, "seconds": 0.5}, {"epoch": 2, "val_loss": 0.25, "seconds": 0.5}]
    for row in rows:
        record.log_epoch(row)
    assert read_history(record.folder) == rows


def test_the_newest_earlier_run_on_the_same_images_is_found(tmp_path, drawn):
    folders = []
    for images in (drawn, drawn, drawn.subset(range(10)), drawn):
        record = RunRecord.create(tmp_path, Config(), ABOUT)
        record.update_metrics(best_epoch=1, seconds=1.0, validation=None)
        shift = len(folders)
        record.write_predictions(RESULT, images, (images.y + shift) % 12, np.ones(len(images)))
        folders.append(record.folder)
    name, predicted = earlier_predictions(tmp_path, drawn, exclude=folders[3])
    assert name == folders[1].name
    np.testing.assert_array_equal(predicted, (drawn.y + 1) % 12)
    assert earlier_predictions(tmp_path, drawn.subset([1])) is None and earlier_predictions(None, drawn) is None
    renamed = CharDataset(drawn.x, drawn.y, classes=range(1, 13))  # other classes, on the same images
    assert earlier_predictions(tmp_path, renamed) is None
    metrics = json.loads((folders[0] / "metrics.json").read_text())
    assert metrics["test"]["fingerprint"] == fingerprint(drawn.x, drawn.y, np.array(drawn.classes))


@pytest.mark.parametrize("tested", [1, 2])
def test_tested_and_validated_runs_on_the_same_images_are_ranked_together(drawn, quick, tmp_path, tested):
    train, val = drawn.subset(range(0, 480, 2)), drawn.subset(range(1, 480, 10))
    for epochs in (1, 2):
        classifier = CNNClassifier(quick(epochs=epochs), drawn.classes)
        classifier.fit(train, val)
        if epochs == tested:
            perfect = classifier.evaluate(val) | {"accuracy": 1.0}
            classifier.record_.write_predictions(perfect, val, classifier.predict(val), np.ones(len(val)))
    runs = read_runs(tmp_path / "record", "accuracy")
    assert [(run["accuracy"] == 1, run["best"], run["epochs"]) for run in runs] == [
        (True, True, tested), (False, False, 3 - tested),
    ]  # fmt: skip
    assert runs[0]["images"] == runs[1]["images"] == val.fingerprint()
