"""CNNClassifier.fit: what a run does, leaves behind and starts from, and how well it learns."""

import csv
import json
import random
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from conftest import error, same, without_seconds
from torch import nn
from torchvision import transforms

import dataset
import models
from classifier import CNNClassifier
from common.errors import InputError
from config import Config
from dataset import CharDataset, split
from init import prepare
from readers.drawn import CHARACTERS, draw
from training.optimizer import learning_rate


def weights(classifier) -> dict:
    return {name: tensor.clone() for name, tensor in classifier.model.state_dict().items()}


@pytest.mark.parametrize("model", ["LeNet", "ResNet18"])
@pytest.mark.parametrize("recipe", ["default", "report"])
def test_a_model_overfits_eight_images(drawn, quick, model, recipe):
    config = quick(
        model=model, recipe=recipe, epochs={"LeNet": 120, "ResNet18": 30}[model], batch_size=8, learning_rate=0.002,
        input_size=32, label_smoothing=0, ema_decay=0, rotation=0, scale=0, shear=0, shift=0, elastic=0,
        record_path=None, save_path=None,
    )  # fmt: skip
    eight = drawn.subset(range(0, 480, 60))
    classifier = CNNClassifier(config, drawn.classes)
    history = classifier.fit(eight)
    assert history[-1]["train_accuracy"] == 1 and history[-1]["train_loss"] < 0.05 < history[0]["train_loss"]
    if model == "LeNet":
        assert classifier.evaluate(eight)["accuracy"] == 1


@pytest.mark.parametrize("threads, recipe", [(1, "default"), (1, "report"), (2, "default")])
def test_the_same_seed_gives_the_same_weights(halves, quick, threads, recipe, request):
    before = torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(before))
    torch.set_num_threads(threads)

    def fitted(seed):
        classifier = CNNClassifier(quick(recipe=recipe, epochs=1, batch_size=64, random_seed=seed), halves[0].classes)
        classifier.fit(*halves)
        return weights(classifier), classifier.history_

    torch.manual_seed(5)  # whatever the state of the global generator
    state = torch.get_rng_state()
    first, history = fitted(1)
    assert torch.equal(torch.get_rng_state(), state), "fit must leave the user's random numbers alone"
    torch.manual_seed(6)
    second, again = fitted(1)
    assert same(first, second) and not same(first, fitted(2)[0])
    assert without_seconds(history) == without_seconds(again)


def test_random_numbers_of_the_user_are_kept(halves, quick):
    def seed():
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)

    def draw_numbers():
        return random.random(), np.random.rand(), torch.rand(()).item()

    seed()
    CNNClassifier(quick(epochs=1), halves[0].classes).fit(*halves)
    found = draw_numbers()
    seed()
    assert found == draw_numbers()


def test_a_new_classifier_leaves_the_random_numbers_alone(drawn, quick):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    CNNClassifier(quick(), drawn.classes)
    assert torch.equal(torch.get_rng_state(), before)


def test_fitting_again_starts_afresh(halves, quick):
    classifier = CNNClassifier(quick(epochs=1), halves[0].classes)
    classifier.fit(*halves)
    first = weights(classifier)
    classifier.fit(*halves)
    assert same(first, weights(classifier)) and len(classifier.history_) == 1


def test_history_has_a_dict_per_epoch_and_the_best_epochs_weights_are_restored(halves, quick):
    seen = []
    classifier = CNNClassifier(quick(epochs=5, learning_rate=0.01, schedule="constant"), halves[0].classes)

    def callback(history, folder):
        assert history is classifier.history_
        seen.append((len(history), folder))

    history = classifier.fit(*halves, callbacks=[callback])
    scores = [f"{part}_{key}" for part in ("train", "val") for key in ("loss", "accuracy", "low", "high", "n")]
    assert [list(row) for row in history] == [["epoch", *scores, "learning_rate", "seconds"]] * 5
    assert all(row["val_low"] < row["val_accuracy"] < row["val_high"] for row in history)
    assert {(row["train_n"], row["val_n"]) for row in history} == {tuple(map(len, halves))}
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5] and history is classifier.history_
    best = max(history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    assert classifier.best_epoch_ == best["epoch"]
    result = classifier.evaluate(halves[1])
    assert result == classifier.metrics_ and result["accuracy"] == best["val_accuracy"]
    assert result["loss"] < best["val_loss"], "calibrated"
    assert result["interval"] == (best["val_low"], best["val_high"])
    assert seen == [(n, classifier.record_.folder) for n in (1, 2, 3, 4, 5)]


def test_callbacks_of_the_user_come_in_order_after_the_record(halves, quick):
    seen = []

    def first(history, folder):
        with open(folder / "history.csv", encoding="utf-8") as file:
            seen.append(("first", len(list(csv.DictReader(file)))))

    def second(history, folder):
        seen.append(("second", len(history)))

    CNNClassifier(quick(), halves[0].classes).fit(*halves, callbacks=[first, second])
    assert seen == [("first", 1), ("second", 1), ("first", 2), ("second", 2)]


def test_the_learning_rate_is_the_schedules(halves, quick):
    config = quick(epochs=3, batch_size=100)  # four steps per epoch
    history = CNNClassifier(config, halves[0].classes).fit(*halves)
    expected = [learning_rate(config, step, 12) for step in (3, 7, 11)]
    assert [row["learning_rate"] for row in history] == pytest.approx(expected)


def test_a_run_leaves_its_record_and_its_checkpoint(halves, quick, tmp_path):
    halves[0].corrections = [{"file": "1/3", "given": "博", "corrected": "学"}]
    classifier = CNNClassifier(quick(), halves[0].classes)
    history = classifier.fit(*halves)
    folder = classifier.record_.folder
    with open(folder / "history.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_accuracy"]) for row in rows] == [row["val_accuracy"] for row in history]
    assert len((folder / "log.txt").read_text(encoding="utf-8").splitlines()) == 3
    about = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    assert about["corrections"] == halves[0].corrections != []
    assert (about["train_images"], about["val_images"]) == (len(halves[0]), len(halves[1]))
    assert (about["epochs"], about["input_size"], about["source"]) == (2, 32, "drawn for a test")
    assert asdict(classifier.backend).items() <= about.items()
    assert len(about["train_fingerprint"]) == 16 and about["train_fingerprint"] != about["val_fingerprint"]
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["best_epoch"] == classifier.best_epoch_ and metrics["validation"]["n"] == len(halves[1])
    assert classifier.checkpoint_ == tmp_path / "save/LeNet_best.ckpt"
    assert list(tmp_path.glob("save/*.ckpt")) == [classifier.checkpoint_]
    loaded = CNNClassifier.load(classifier.checkpoint_, device="cpu")
    assert same(weights(loaded), weights(classifier)) and loaded.best_epoch_ == classifier.best_epoch_


def test_nothing_is_written_where_no_path_is_given(halves, quick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classifier, seen = CNNClassifier(quick(record_path=None, save_path=None, epochs=1), halves[0].classes), []
    classifier.fit(*halves, callbacks=[lambda history, folder: seen.append((len(history), folder))])
    assert list(tmp_path.iterdir()) == [] and seen == [(1, None)]
    assert classifier.record_ is None and classifier.checkpoint_ is None


def test_paths_of_any_script(halves, tmp_path):
    """Spaces, quotes, Chinese characters, and as many letters as a file's name may have."""
    folder = tmp_path / "用户 'a\"b" / ("名" * 60)
    paths = {"record_path": str(folder / "record"), "save_path": str(folder / ("存" * 60 + ".ckpt"))}
    classifier = CNNClassifier(Config(epochs=1, device="cpu", **paths), halves[0].classes)
    classifier.fit(*halves)
    assert CNNClassifier.load(classifier.checkpoint_, device="cpu").best_epoch_ == 1


def test_without_validation_images_the_last_epoch_is_kept(drawn, quick):
    classifier = CNNClassifier(quick(epochs=3), drawn.classes)
    history = classifier.fit(drawn)
    assert classifier.best_epoch_ == 3 and {row["val_accuracy"] for row in history} == {None}


def test_a_last_batch_of_one_image_does_not_stop_batch_normalization(drawn, quick):
    for recipe in ("default", "report"):
        config = quick(
            model="ResNet18", recipe=recipe, input_size=32, epochs=1, batch_size=8, record_path=None, save_path=None
        )
        (row,) = CNNClassifier(config, drawn.classes).fit(drawn.subset(range(0, 340, 20)))
        assert row["train_n"] == 16


def test_a_dataset_with_a_transform_is_taken_as_it_comes(halves, quick, tmp_path):
    prepare = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()])
    train, val = (half.with_transform(prepare) for half in halves)
    classifier = CNNClassifier(quick(epochs=1), train.classes)
    classifier.fit(train, val)
    report = CNNClassifier(quick(epochs=1, pipeline="per_image"), train.classes)
    report.fit(*halves)
    assert same(weights(classifier), weights(report))
    classifier.save(tmp_path / "transformed.ckpt")
    for trained in (classifier, CNNClassifier.load(tmp_path / "transformed.ckpt", device="cpu")):
        np.testing.assert_array_equal(trained.predict(val), report.predict(halves[1]))
        assert error(trained.predict, halves[1].x) == (
            "this model was trained on images that a transform made: give a CharDataset with the same transform"
        )


def test_a_model_of_ones_own_is_named_in_one_place(halves, quick, monkeypatch):
    class Linear(nn.Module):
        def __init__(self, in_channels, classes):
            super().__init__()
            self.layer = nn.Linear(in_channels * 32 * 32, classes)

        def forward(self, x):
            return self.layer(x.flatten(1))

    monkeypatch.setitem(models.MODELS, "Linear", Linear)
    classifier = CNNClassifier(quick(model="Linear", epochs=3), halves[0].classes)
    classifier.fit(*halves)
    loaded = CNNClassifier.load(classifier.checkpoint_, device="cpu")
    np.testing.assert_array_equal(loaded.predict(halves[1]), classifier.predict(halves[1]))


def test_a_memory_map_is_trained_on_and_predicted_as_an_array_is(halves, quick, tmp_path):
    x, y = halves[0].x, halves[0].y
    np.save(tmp_path / "x.npy", x)
    stored = np.load(tmp_path / "x.npy", mmap_mode="r")
    results = []
    for array in (x, stored):
        images = CharDataset(array, y, classes=halves[0].classes).subset(range(0, len(y), 2))
        classifier = CNNClassifier(quick(epochs=1, record_path=None, save_path=None), images.classes)
        classifier.fit(images)
        results.append((weights(classifier), classifier.predict_proba(images)))
    assert same(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


# ---------------------------------------------------------------------------------------------- staged training


def test_options_of_the_model_are_kept_in_the_checkpoint(halves, quick, tmp_path):
    config = quick(model_options={"hidden": 30})
    classifier = CNNClassifier(config, halves[0].classes)
    classifier.fit(*halves)
    loaded = CNNClassifier.load(classifier.checkpoint_)
    assert loaded.config.model_options == {"hidden": 30} and loaded.model.fc6.out_features == 30
    np.testing.assert_array_equal(loaded.predict(halves[1]), classifier.predict(halves[1]))
    again = replace(config, init_from=str(classifier.checkpoint_), model_options=None, hash_id=None)
    with pytest.raises(InputError, match="has model_options {'hidden': 30}, this run None: they must be the same$"):
        CNNClassifier(again, halves[0].classes).fit(*halves)
    with pytest.raises(InputError, match="^hidden must be 1 or more units, not 0$"):
        CNNClassifier(quick(model_options={"hidden": 0}), halves[0].classes)


def test_classes_that_differ_in_size_are_said_and_may_count_alike(drawn, quick, capsys):
    images = drawn.subset([*range(40), *range(40, 50), *range(80, 480)])  # ten images of the second class
    results = {}
    for how in ("off", "balanced"):
        classifier = CNNClassifier(quick(class_weights=how, epochs=1), images.classes)
        classifier.fit(images)
        results[how] = classifier.model.state_dict()["fc7.bias"]
        line = json.loads((classifier.record_.folder / "environment.json").read_text(encoding="utf-8"))["class_weights"]
        assert line.startswith("10 images of '学' to 40 of '博': ") and f"{line}.\n" in capsys.readouterr().out
        assert line in (classifier.record_.folder / "log.txt").read_text(encoding="utf-8")
    assert line.endswith("counts 3.75 to 0.938 times, so all classes count equally")
    assert not torch.equal(results["off"], results["balanced"])
    result = classifier.evaluate(images)
    assert result["balanced_accuracy"] != result["accuracy"] and 0 <= result["macro_f1"] <= 1
    assert "balanced_accuracy" not in classifier.evaluate(drawn)


def test_a_run_starts_from_the_weights_of_another(halves, quick, tmp_path, capsys):
    first = CNNClassifier(quick(epochs=1), halves[0].classes)
    first.fit(*halves)
    path = tmp_path / "start.ckpt"
    first.save(path)
    second = CNNClassifier(quick(epochs=1, init_from=str(path), learning_rate=1e-9), halves[0].classes)
    second.fit(*halves)
    assert "was trained on other images" not in capsys.readouterr().out and second.trained_on(halves[0])
    other = CNNClassifier(quick(epochs=1, init_from=str(path)), halves[0].classes)
    other.fit(halves[0].subset(range(100)), halves[1])
    line = f"{path} was trained on other images: some of the validation images may be among them.\n"
    assert line in capsys.readouterr().out
    assert not other.trained_on(halves[0])
    for a, b in zip(weights(first).values(), weights(second).values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=0)


def test_what_does_not_fit_is_named(halves, quick, tmp_path):
    path, classes = tmp_path / "start.ckpt", halves[0].classes
    others = halves[0].classes[:-1] + ["他"]
    for saved, changes, names, message in (
        ({}, {"model": "ResNet18", "input_size": 32}, classes, "model LeNet, this run ResNet18"),
        ({}, {}, others, f"classes {classes}, this run {others}"),
        ({}, {"pipeline": "per_image"}, classes, "pipeline resident, this run per_image"),
        ({"model": "ResNet18"}, {"model": "ResNet18", "input_size": 32}, classes, "input_size 64, this run 32"),
    ):
        CNNClassifier(quick(**saved), classes).save(path)
        images = CharDataset(halves[0].x, halves[0].y, classes=names)
        classifier = CNNClassifier(quick(init_from=str(path), **changes), names)
        assert error(classifier.fit, images) == f"init_from {path} has {message}: they must be the same"


# ---------------------------------------------------------------------------------------------- how well it learns


def test_the_default_recipe_learns_drawn_characters(quick):
    x, y = draw(per_class=150)
    train, val = split(CharDataset(x, y, classes=list(CHARACTERS)), 0.2)
    classifier = CNNClassifier(quick(epochs=30), train.classes)
    classifier.fit(train, val)
    assert classifier.evaluate(val)["accuracy"] > 0.8


def test_the_default_recipe_learns_the_labs_images(real_images, quick, tmp_path):
    config = quick(epochs=6, raw_data_path=str(real_images), data_path=str(tmp_path / "data.npz"))
    train, val = split(dataset.load(prepare(config)))
    classifier = CNNClassifier(config, train.classes)
    classifier.fit(train, val)
    assert classifier.evaluate(val)["accuracy"] > 0.96
