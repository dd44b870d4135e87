import os
import signal
import statistics
from dataclasses import replace

import numpy as np
import pytest

from analysis.validation import cross_validate, repeat
from classifier import CNNClassifier
from common.errors import InputError
from dataset import CharDataset, split
from imaging.pixels import identical_groups


def test_repeat_gives_mean_spread_and_the_median_run(drawn, quick, capsys):
    train, val = split(drawn, 0.3)
    result = repeat(quick(epochs=3, batch_size=32, learning_rate=0.004), train, val, range(3))
    assert result["seeds"] == [0, 1, 2] and len(set(result["accuracies"])) > 1
    assert result["mean"] == statistics.mean(result["accuracies"])
    assert result["std"] == statistics.stdev(result["accuracies"])
    assert result["median"].evaluate(val)["accuracy"] == sorted(result["accuracies"])[1]
    assert result["runs"][0]["n"] == len(val) and "standard deviation" in capsys.readouterr().out
    again = repeat(quick(epochs=3, batch_size=32, learning_rate=0.004), train, None, [1], test=val)
    assert again["std"] == 0 and again["median"].config.random_seed == 1


def test_nothing_learnt_before_gets_into_a_fold(drawn, quick, tmp_path):
    """Random labels: a model that has learnt them reads them, one that has not cannot."""
    labels = np.random.default_rng(0).integers(0, 12, 240)
    images = CharDataset(drawn.x[::2], labels, classes=drawn.classes)
    config = quick(epochs=60, batch_size=32, rotation=0, scale=0, shear=0, shift=0, elastic=0, label_smoothing=0)
    learnt = CNNClassifier(config, images.classes)
    learnt.fit(images)
    learnt.save(tmp_path / "learnt.ckpt")
    assert learnt.evaluate(images)["accuracy"] > 0.6
    later = replace(config, epochs=1, learning_rate=1e-6, init_from=str(tmp_path / "learnt.ckpt"))
    assert cross_validate(later, images, folds=2)["mean"] < 0.25


def test_a_class_with_fewer_images_than_folds_is_named(drawn, quick):
    few = drawn.subset([*range(80), 80, 81, 82, 82])
    with pytest.raises(InputError, match="^class '笃' has 3 different images, too few for 4 folds: take fewer folds$"):
        cross_validate(quick(), CharDataset(few.x, few.y, classes=drawn.classes[:3]), folds=4)


def test_what_cannot_be_judged_is_refused(drawn, quick):
    two = drawn.subset([*range(40), *range(40, 43)])
    two = CharDataset(two.x, two.y, classes=drawn.classes[:2])
    for folds, message in ((1, "takes two folds or more, not 1"), (4, "'学' has 3 different images, too few for 4")):
        with pytest.raises(InputError, match=message):
            cross_validate(quick(), two, folds)
    with pytest.raises(InputError, match="'学' has 1 different images, .* for 2 folds: add some, or leave the class"):
        cross_validate(quick(), two.subset(range(41)), folds=None)
    for seeds, val in (([], two), ([0], None)):
        with pytest.raises(InputError, match="^repeat needs a seed at least, and images to judge by"):
            repeat(quick(), two, val, seeds)


def test_folds_are_as_many_as_the_smallest_class_allows(drawn, quick):
    few = drawn.subset([*range(40), *range(40, 43), 42])
    few = CharDataset(few.x, few.y, classes=drawn.classes[:2])
    assert set(cross_validate(quick(epochs=1), few, folds=None)["fold"]) == {0, 1, 2}


def test_an_interrupted_run_is_no_evidence(drawn, quick, monkeypatch, capsys):
    class Stopped(CNNClassifier):
        def fit(self, train, val=None, callbacks=()):
            return super().fit(train, val, [lambda history, folder: os.kill(os.getpid(), signal.SIGINT)])

    monkeypatch.setattr("analysis.validation.CNNClassifier", Stopped)
    with pytest.raises(KeyboardInterrupt, match="stopped before the last epoch"):
        cross_validate(quick(epochs=3), drawn, folds=2)
    assert "the best weights so far are kept.\n" in (out := capsys.readouterr().out) and "fold 1" not in out
    with pytest.raises(KeyboardInterrupt):
        repeat(quick(epochs=3), *split(drawn, 0.3), seeds=[0])
    assert "Run again to go on" in (out := capsys.readouterr().out) and "seed 0" not in out


def test_every_seed_has_a_hash_id_of_its_own(drawn, quick):
    train, val = split(drawn.subset(range(0, 480, 8)), 0.3)
    config = quick(recipe="report", epochs=1, hash_id="8a7e8d55")
    assert (
        repeat(config, train, val, [7])["median"].config.hash_id == replace(config, random_seed=7, hash_id=None).hash_id
    )


def test_cross_validation_predicts_every_image_out_of_fold(drawn, quick, monkeypatch):
    images = drawn.subset([*range(480), 3, 3, 50])
    learnt = []

    class Watched(CNNClassifier):
        def fit(self, train, val=None, callbacks=()):
            learnt.append({image.tobytes() for image in train.x})
            assert val is None
            return super().fit(train, val, callbacks)

    monkeypatch.setattr("analysis.validation.CNNClassifier", Watched)
    result = cross_validate(quick(epochs=15, batch_size=32, learning_rate=0.01), images, folds=3)
    assert set(result["fold"]) == {0, 1, 2} and len(result["accuracies"]) == 3
    for k in range(3):
        assert not learnt[k] & {image.tobytes() for image in images.x[result["fold"] == k]}
    for group in identical_groups(images.x):
        assert len(set(result["fold"][group])) == 1
    np.testing.assert_allclose(result["probabilities"].sum(1), 1, rtol=1e-5)
    assert result["pooled"]["accuracy"] == (result["probabilities"].argmax(1) == images.y).mean() > 0.3
