"""Repeated seeds and cross-validation: no image is predicted by a model that was trained on it."""

import os
import signal
import statistics
from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis import validation
from analysis.validation import cross_validate, repeat
from classifier import CNNClassifier
from common.errors import InputError
from dataset import CharDataset, leak_groups, split, together
from imaging.ink import identical_groups
from metrics import format_scores
from training.evaluation import Predictions

FAST = {"epochs": 3, "batch_size": 32, "learning_rate": 0.004}


@pytest.fixture
def few(drawn):
    """Forty images of one class and three different ones of another."""
    images = drawn.subset([*range(40), *range(40, 43)])
    return CharDataset(images.x, images.y, classes=drawn.classes[:2])


def test_repeat_gives_mean_spread_and_the_median_run(drawn, quick, capsys):
    train, val = split(drawn, 0.3)
    result = repeat(quick(**FAST), train, val, range(3))
    assert result["seeds"] == [0, 1, 2] and len(set(result["accuracies"])) > 1
    assert result["mean"] == statistics.mean(result["accuracies"])
    assert result["std"] == statistics.stdev(result["accuracies"])
    assert result["median"].evaluate(val)["accuracy"] == sorted(result["accuracies"])[1]
    assert [run["accuracy"] for run in result["runs"]] == result["accuracies"]
    assert result["runs"][0]["n"] == len(val)
    out = capsys.readouterr().out
    for seed, run in enumerate(result["runs"]):
        assert f"seed {seed}: {format_scores(run)}\n" in out
    assert f"mean {100 * result['mean']:.2f}%, standard deviation {100 * result['std']:.2f}%\n" in out
    again = repeat(quick(**FAST), train, None, [1], test=val)
    assert again["std"] == 0 and again["median"].config.random_seed == 1


def test_earlier_weights_are_used_in_no_fold(drawn, quick, tmp_path):
    """Random labels: a model that was trained on them predicts them, one that was not cannot."""
    labels = np.random.default_rng(0).integers(0, 12, 240)
    images = CharDataset(drawn.x[::2], labels, classes=drawn.classes)
    config = quick(epochs=60, batch_size=32, rotation=0, scale=0, shear=0, shift=0, elastic=0, label_smoothing=0)
    trained = CNNClassifier(replace(config, record_path=None, save_path=None), images.classes)
    trained.fit(images)
    trained.save(tmp_path / "trained.ckpt")
    assert trained.evaluate(images)["accuracy"] > 0.6
    later = replace(config, epochs=1, learning_rate=1e-6, init_from=str(tmp_path / "trained.ckpt"))
    assert cross_validate(later, images, folds=2)["mean"] < 0.25
    assert [path.name for path in tmp_path.iterdir()] == ["trained.ckpt"], "folds leave no record or checkpoint"


def test_a_class_with_fewer_images_than_folds_is_named(drawn, quick):
    three = drawn.subset([*range(80), 80, 81, 82, 82])
    with pytest.raises(InputError, match="^class '笃' has 3 different images, too few for 4 folds: take fewer folds$"):
        cross_validate(quick(), CharDataset(three.x, three.y, classes=drawn.classes[:3]), folds=4)


def test_what_cannot_be_evaluated_is_refused(few, quick):
    for folds, message in (
        (1, "^cross-validation takes two folds or more, not 1$"),
        (4, "^class '学' has 3 different images, too few for 4 folds: take fewer folds$"),
    ):
        with pytest.raises(InputError, match=message):
            cross_validate(quick(), few, folds)
    message = "^class '学' has 1 different image, too few for 2 folds: add some, or leave the class out$"
    with pytest.raises(InputError, match=message):
        cross_validate(quick(), few.subset(range(41)), folds=None)
    for seeds, val in (([], few), ([0], None)):
        with pytest.raises(InputError) as caught:
            repeat(quick(), few, val, seeds)
        assert str(caught.value) == (
            "repeat needs at least one seed, and validation or test images to evaluate on"
        )  # fmt: skip


def test_folds_are_as_many_as_the_smallest_class_allows(few, quick):
    images = few.subset([*range(43), 42])
    assert set(cross_validate(quick(epochs=1), images, folds=None)["fold"]) == {0, 1, 2}


def test_an_interrupted_run_is_no_result(drawn, quick, monkeypatch, capsys):
    class Stopped(CNNClassifier):
        def fit(self, train, val=None, callbacks=()):
            return super().fit(train, val, [lambda history, folder: os.kill(os.getpid(), signal.SIGINT)])

    monkeypatch.setattr("analysis.validation.CNNClassifier", Stopped)
    with pytest.raises(KeyboardInterrupt, match="^stopped before the last epoch$"):
        cross_validate(quick(epochs=3), drawn, folds=2)
    out = capsys.readouterr().out
    assert "Interrupted in epoch 2: the best weights so far are in memory.\n" in out and "fold 1" not in out
    with pytest.raises(KeyboardInterrupt, match="^stopped before the last epoch$"):
        repeat(quick(epochs=3), *split(drawn, 0.3), seeds=[0])
    out = capsys.readouterr().out
    assert ".ckpt. Run again to continue.\n" in out and "seed 0" not in out


def test_every_seed_has_a_hash_id_of_its_own(drawn, quick):
    train, val = split(drawn.subset(range(0, 480, 8)), 0.3)
    config = quick(recipe="report", epochs=1, hash_id="8a7e8d55")
    expected = replace(config, random_seed=7, hash_id=None).hash_id
    assert repeat(config, train, val, [7])["median"].config.hash_id == expected != config.hash_id


def test_cross_validation_predicts_every_image_out_of_fold(drawn, quick, monkeypatch, capsys):
    images = drawn.subset([*range(480), 3, 3, 50])
    trained_on, seeds = [], []

    class Watched(CNNClassifier):
        def fit(self, train, val=None, callbacks=()):
            trained_on.append({image.tobytes() for image in train.images()})
            seeds.append(self.config.random_seed)
            assert val is None
            return super().fit(train, val, callbacks)

    monkeypatch.setattr("analysis.validation.CNNClassifier", Watched)
    result = cross_validate(quick(epochs=12, batch_size=32, learning_rate=0.01), images, folds=3)
    assert set(result["fold"]) == {0, 1, 2} and len(result["accuracies"]) == 3 and seeds == [42, 43, 44]
    for k in range(3):
        assert not trained_on[k] & {image.tobytes() for image in images.x[result["fold"] == k]}
    for group in identical_groups(images.hashes()):
        assert len(set(result["fold"][group])) == 1
    np.testing.assert_array_equal(result["predictions"].y, images.y)
    assert result["pooled"]["accuracy"] == (result["predictions"].predicted == images.y).mean() > 0.3
    assert result["mean"] == statistics.mean(result["accuracies"])
    assert result["std"] == statistics.stdev(result["accuracies"])
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("fold ") for line in lines) == 3
    assert f"all folds: {format_scores(result['pooled'])}" in lines


def test_folds_train_on_what_is_added_to_their_images(drawn, quick, monkeypatch):
    trained_on = []
    monkeypatch.setattr(CNNClassifier, "fit", lambda self, train, val: trained_on.append(train) or range(1))
    real, other = drawn.subset(range(0, 480, 4)), drawn.subset(range(20))
    cross_validate(quick(epochs=1), real, folds=3, add=lambda train: together(train, other))
    assert [len(train) for train in trained_on] == [100] * 3
    assert all(train.source == f"{real.source}, and {other.source}" for train in trained_on)


def test_folds_of_many_groups_and_classes_are_dealt_in_linear_time(drawn, monkeypatch):
    monkeypatch.setattr(validation, "MOST_COUNTS", 1000)
    images = drawn.subset([*range(480), *range(0, 480, 7)])  # some images twice
    pairs = validation.split_folds(images, 4)
    assert sorted(np.concatenate([held_out for _, held_out in pairs]).tolist()) == list(range(len(images)))
    groups = leak_groups(images)
    for train, held_out in pairs:
        assert not set(groups[train]) & set(groups[held_out]) and len(train) + len(held_out) == len(images)
        assert set(np.bincount(images.y[held_out], minlength=12)) <= set(range(9, 16))
    again = validation.split_folds(images, 4)
    assert all(np.array_equal(one[1], other[1]) for one, other in zip(pairs, again, strict=True))
    assert not np.array_equal(pairs[0][1], validation.split_folds(images, 4, seed=1)[0][1])


def test_the_predictions_may_be_of_the_callers_making(few, quick):
    calls = []

    def predict(classifier, held_out):
        calls.append(len(held_out))
        logits = torch.tensor([0.25, 0.75]).log().repeat(len(held_out), 1)
        return Predictions.from_logits(logits, torch.from_numpy(held_out.y))

    result = cross_validate(quick(epochs=1), few, 3, predict)
    assert sum(calls) == 43 and (result["predictions"].predicted == 1).all()
    np.testing.assert_allclose(result["predictions"].confidence, 0.75)
    assert result["pooled"]["accuracy"] == 3 / 43
