"""Checkpoints run nothing when read, describe themselves, and are read in every format there has been."""

import json
import lzma
import os
import pickle
from dataclasses import asdict

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import nn

from classifier import CNNClassifier
from common.errors import InputError
from config import Config
from dataset import load
from models import MODELS
from runs import checkpoint
from runs.state import STATE_SCHEMA

FILES = ROOT / "tests" / "files"
FORMER_PARAMETERS = {
    "samples_seen": "images_shown", "ema_decay": "weight_average", "stored_size": "raw_size",
    "input_size": "image_size",
}  # fmt: skip


def error(path) -> str:
    with pytest.raises(InputError) as caught:
        CNNClassifier.load(path, device="cpu")
    return str(caught.value)


@pytest.fixture
def saved(drawn, quick, tmp_path):
    classifier = CNNClassifier(quick(), drawn.classes)
    classifier.save(tmp_path / "a.ckpt")
    return classifier, tmp_path / "a.ckpt"


def format_1(content: dict) -> dict:
    """Return the content of a checkpoint as format 1 had it."""
    former = {key: value for key, value in content.items() if key != "input_spec"} | {"format": 1}
    spec = dict(content["input_spec"])
    former |= {"image_size": spec.pop("input_size")} | spec
    former["config"] = {FORMER_PARAMETERS.get(key, key): value for key, value in content["config"].items()}
    return former


# ---------------------------------------------------------------------------------------------- writing and reading


@pytest.mark.parametrize("model", ["LeNet", "ResNet18"])
@pytest.mark.parametrize("pipeline", ["resident", "per_image"])
def test_save_then_load_gives_identical_predictions(drawn, quick, tmp_path, model, pipeline):
    classifier = CNNClassifier(quick(model=model, pipeline=pipeline, input_size=32), drawn.classes)
    classifier.save(tmp_path / "a.ckpt")
    loaded = CNNClassifier.load(tmp_path / "a.ckpt", device="cpu")
    x = drawn.x[::20]
    np.testing.assert_array_equal(loaded.predict_proba(x), classifier.predict_proba(x))
    assert loaded.classes_ == drawn.classes and loaded.config == classifier.config
    assert loaded.input_spec_ == classifier.input_spec_ and loaded.input_spec_.input_size == 32
    assert loaded.checkpoint_ == tmp_path / "a.ckpt"


def test_a_checkpoint_describes_itself(saved):
    _, path = saved
    content = torch.load(path, weights_only=True)
    assert set(content) == {"format", "versions", *checkpoint.SCHEMA} and content["format"] == 2
    assert content["classes"] == list("博学笃志切问近思自由无用") and content["model"] == "LeNet"
    assert content["input_spec"] == {
        "input_size": 32, "source_shape": [28, 28], "cropped": False, "transformed": False, "photos": False,
        "style": None,
    }  # fmt: skip


def test_a_checkpoint_is_the_same_however_the_model_was_trained(drawn, quick, tmp_path):
    """Averaged, channels-last and fused, or not: the file holds plain contiguous weights of the model's own names."""
    files = []
    for options in ({}, {"channels_last": "off", "fused": "off", "ema_decay": 0.0, "precision": "float32"}):
        path = tmp_path / f"{len(files)}.ckpt"
        classifier = CNNClassifier(quick(epochs=1, **options), drawn.classes)
        classifier.fit(drawn)
        classifier.save(path)
        files.append(torch.load(path, weights_only=True)["state_dict"])
    assert list(files[0]) == list(files[1])
    for state in files:
        assert all(tensor.is_contiguous() and tensor.device.type == "cpu" for tensor in state.values())


# ---------------------------------------------------------------------------------------------- earlier formats


def test_files_of_format_1_are_still_read(tmp_path):
    """They were written when the format was new; what they gave then, they give now."""
    for name in ("LeNet_best.ckpt", "LeNet_last.ckpt"):
        (tmp_path / name).write_bytes(lzma.decompress((FILES / f"{name}.xz").read_bytes()))
    images = load(FILES / "data.npz")
    assert images.classes == ["博", "学"] and len(images) == 4 and images.files[0] == "1/0"
    classifier = CNNClassifier.load(tmp_path / "LeNet_best.ckpt", device="cpu")
    expected = json.loads((FILES / "expected.json").read_text(encoding="utf-8"))
    np.testing.assert_allclose(classifier.predict_proba(images), expected["probabilities"], atol=1e-4)
    assert (classifier.input_spec_.input_size, classifier.input_spec_.source_shape) == (32, (28, 28))
    assert (classifier.config.samples_seen, classifier.config.ema_decay) == (1_004_400, 0.99)
    assert Config.load(FILES / "config.json").model == "LeNet"
    state = checkpoint.read(tmp_path / "LeNet_last.ckpt", STATE_SCHEMA)
    assert state["finished"] and len(state["history"]) == 1
    assert set(state["training"]) == {"model", "ema", "optimizer", "global_step"}


def test_a_checkpoint_of_format_1_gives_what_it_gave(drawn, quick, tmp_path):
    classifier = CNNClassifier(quick(epochs=1, ema_decay=0.5, stored_size=20), drawn.classes)
    classifier.fit(drawn)
    classifier.temperature_ = 0.5
    classifier.save(path := tmp_path / "a.ckpt")
    content = torch.load(path, weights_only=True)
    former = format_1(content)
    assert {"image_size", "source_shape", "style", "cropped", "transformed", "temperature"} <= former.keys()
    assert FORMER_PARAMETERS.keys().isdisjoint(former["config"]) and former["style"]["stroke"] > 0
    torch.save(former, path)
    loaded = CNNClassifier.load(path, device="cpu")
    assert loaded.config == classifier.config and loaded.input_spec_ == classifier.input_spec_
    assert (loaded.temperature_, loaded.best_epoch_) == (0.5, 1) and loaded.trained_on(drawn)
    x = drawn.x[::20]
    np.testing.assert_array_equal(loaded.predict_proba(x), classifier.predict_proba(x))
    loaded.save(path)
    again = torch.load(path, weights_only=True)
    assert again.keys() == content.keys() and again["format"] == 2
    assert again["input_spec"] == content["input_spec"]


def test_the_first_files_lacked_some_values(saved, tmp_path):
    _, path = saved
    former = format_1(torch.load(path, weights_only=True))
    for key in checkpoint.FORMAT_1_DEFAULTS:
        del former[key]
    torch.save(former, path)
    loaded = CNNClassifier.load(path, device="cpu")
    assert loaded.temperature_ == 1 and loaded.input_spec_.style is None
    assert not loaded.input_spec_.cropped and not loaded.input_spec_.transformed
    with pytest.raises(InputError) as caught:
        loaded.match_style(np.full((28, 28), 255, np.uint8))
    assert str(caught.value) == (
        "this checkpoint does not know the style of its training images: fit again, or use predict alone"
    )


@pytest.mark.parametrize("key, value", [("image_size", 5), ("source_shape", [28]), ("style", {"dark": True}),
                                        ("cropped", 1), ("transformed", None)])  # fmt: skip
def test_bad_values_of_format_1_are_refused(saved, key, value):
    _, path = saved
    former = format_1(torch.load(path, weights_only=True)) | {key: value}
    torch.save(former, path)
    assert error(path) == f"{path} is not a usable checkpoint: its input_spec makes no sense"


# ---------------------------------------------------------------------------------------------- bad files


def test_bad_files_are_refused(saved, tmp_path):
    classifier, path = saved
    content = torch.load(path, weights_only=True)
    spec = content["input_spec"]
    for change, message in (
        ({"format": 99}, f"{path} has format 99, newer than 2: update this program"),
        ({"classes": None}, f"{path} is not a complete checkpoint: classes is NoneType"),
        ({"temperature": 0.0}, f"{path} is not a usable checkpoint: its temperature makes no sense"),
        ({"run": {"train": "a"}}, f"{path} is not a usable checkpoint: its run makes no sense"),
        ({"metrics": {"accuracy": "all"}}, f"{path} is not a usable checkpoint: its metrics makes no sense"),
        ({"metrics": {}}, f"{path} is not a usable checkpoint: its metrics makes no sense"),
        ({"input_spec": spec | {"input_size": 9}}, f"{path} is not a usable checkpoint: its input_spec makes no sense"),
        ({"input_spec": spec | {"input_size": 48}}, f"{path}: LeNet takes images of 32×32 pixels, not 48: "),
        ({"input_spec": {}}, f"{path} is not a usable checkpoint: its input_spec makes no sense"),
        ({"model": "LeNe"}, f"{path}: unknown model 'LeNe': did you mean 'LeNet'?"),
        ({"classes": ["a", "b"]}, f"{path} does not hold the weights of a LeNet: "),
        ({"state_dict": {}}, f"{path} does not hold the weights of a LeNet: "),
    ):
        if "model" in change:
            change = {"config": content["config"] | change}
        torch.save(content | change, path)
        assert error(path).startswith(message)
    del content["temperature"]  # only the first files of format 1 may lack it
    torch.save(content, path)
    assert error(path) == f"{path} is not a complete checkpoint: temperature is NoneType"
    torch.save([1, 2], path)
    assert error(path) == f"{path} is not a checkpoint of this program"
    classifier.save(path)
    path.write_bytes(path.read_bytes()[:5000])
    assert error(path).startswith(f"{path} is damaged or not a checkpoint: ")
    path.write_bytes(b"")
    assert error(path).startswith(f"{path} is damaged or not a checkpoint: ")
    assert error(tmp_path / "b.ckpt") == (
        f"checkpoint {tmp_path / 'b.ckpt'} does not exist: train first (mode train_and_test)"
    )


@pytest.mark.parametrize(
    "key, value", [("fc7.bias", torch.nan), ("conv1.weight", torch.inf), ("fc6.weight", -torch.inf)]
)
def test_weights_that_are_not_finite_are_refused(saved, key, value, quick, drawn):
    classifier, path = saved
    weights = {name: tensor.clone() for name, tensor in classifier.model.state_dict().items()}
    weights[key].view(-1)[0] = value
    classifier.save(path, weights)
    message = f"{path} holds weights that are not finite: train again, with a lower learning_rate"
    assert error(path) == message
    with pytest.raises(InputError) as caught:
        CNNClassifier(quick(init_from=str(path)), drawn.classes).fit(drawn)
    assert str(caught.value) == message


def test_a_variance_that_makes_predictions_nan_is_refused(quick, drawn, tmp_path):
    classifier = CNNClassifier(quick(model="ResNet18", input_size=32), drawn.classes)
    classifier.model.bn1.running_var.fill_(-1)
    classifier.save(path := tmp_path / "a.ckpt")
    assert error(path) == f"{path} holds weights that are not finite: train again, with a lower learning_rate"


def test_an_input_size_that_the_model_does_not_take_is_refused(drawn, quick, tmp_path, monkeypatch):
    class Narrow(nn.Module):
        """A model of the user's own that says nothing of its input size."""

        def __init__(self, in_channels, classes):
            super().__init__()
            self.fc = nn.Linear(in_channels * 24 * 24, classes)

        def forward(self, images):
            return self.fc(images.flatten(1))

    monkeypatch.setitem(MODELS, "Narrow", Narrow)
    classifier = CNNClassifier(quick(model="Narrow", input_size=24), drawn.classes)
    classifier.save(path := tmp_path / "a.ckpt")
    assert CNNClassifier.load(path, device="cpu").predict(drawn.x[:2]).shape == (2,)
    content = torch.load(path, weights_only=True)
    content["input_spec"]["input_size"] = 32
    torch.save(content, path)
    assert error(path).startswith(f"{path}: its model takes no images of 32×32 pixels: ")


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))]
)
@pytest.mark.parametrize("version", [1, 2])
def test_pickled_code_is_refused_and_does_not_run(tmp_path, write, version):
    path, trace = tmp_path / "a.ckpt", tmp_path / "it_ran"
    write({"format": version, "state_dict": Attack(trace)}, path)
    message = error(path)
    if write is torch.save:
        assert "(posix mkdir): it is refused, nothing in it was run" in message
    else:
        assert message.startswith(f"{path} is damaged or not a checkpoint: ")
    assert not trace.exists()


def test_weights_beyond_reason_are_no_predictions(saved, drawn, tmp_path):
    """Finite ones, of which the sums are not."""
    classifier, path = saved
    for name, tensor in classifier.model.state_dict().items():
        tensor.mul_(0 if name.endswith("bias") else 1e30)  # so that an empty image gives numbers
    classifier.save(path)
    loaded = CNNClassifier.load(path, device="cpu")
    few = drawn.subset(np.arange(0, len(drawn), 400))
    for call in (loaded.predict, loaded.predict_proba, loaded.evaluate, loaded.calibrate, loaded.predict_labelled):
        with pytest.raises(InputError, match="^the model gives values that are not finite: its weights are beyond"):
            call(few)


def test_a_file_of_another_size_than_its_model_is_refused_unread(saved, monkeypatch):
    _, path = saved
    content = torch.load(path, weights_only=True)
    monkeypatch.setattr(checkpoint.unpickling, "MAX_PICKLE", 2**19)
    torch.save(content | {"state_dict": content["state_dict"] | {"more": torch.zeros(300_000)}}, path)
    read = checkpoint._load
    monkeypatch.setattr(
        checkpoint, "_load", lambda path, tensors: pytest.fail("read") if tensors else read(path, False)
    )
    assert "is not a usable checkpoint: it has 1.4 MiB, and the weights of its model 0.2" in error(path)
    options = content["config"] | {"model_options": {"hidden": 10_000_000}}
    torch.save(content | {"config": options}, path)
    assert "is not a usable checkpoint: it has 0.2 MiB, and the weights of its model 5," in error(path)


def test_a_file_larger_than_the_memory_is_refused(saved, monkeypatch):
    monkeypatch.setattr(checkpoint, "available_memory", lambda: 3 * 2**10)
    CNNClassifier.load(saved[1], device="cpu")  # a small one is always read
    monkeypatch.setattr(checkpoint, "SMALL", 2**10)
    assert "has 0 MiB and takes 3 times as much memory, of which 0 MiB are free: end other programs" in error(saved[1])


# ---------------------------------------------------------------------------------------------- the best checkpoint


def make_checkpoint(accuracy: float, name: str, **changes) -> dict:
    content = {"model": "LeNet", "in_channels": 1, "classes": ["a", "b"], "config": asdict(Config()), "epoch": 1}
    content["input_spec"] = CNNClassifier(Config(device="cpu"), ["a", "b"]).input_spec_.as_dict()
    content["metrics"] = {"accuracy": accuracy, "loss": 0.1, "n": 10, "interval": [0.0, 1.0]}
    content |= {"temperature": 1.0, "run": {"name": name, "train": "t", "val": "v"}, "state_dict": {}}
    return content | changes


def published(tmp_path, accuracy: float, name: str, **changes):
    own = tmp_path / f"best.{name}.ckpt"
    checkpoint.write(own, make_checkpoint(accuracy, name, **changes))
    return checkpoint.publish(own, tmp_path / "best.ckpt")


def test_a_worse_result_never_replaces_a_better_one(tmp_path, capsys):
    best = tmp_path / "best.ckpt"
    assert published(tmp_path, 0.8, "first") == best and published(tmp_path, 0.9, "second") == best
    assert not capsys.readouterr().out
    own = tmp_path / "best.third.ckpt"
    assert published(tmp_path, 0.7, "third") == own and own.exists()
    assert capsys.readouterr().out == f"{best} keeps the better weights of second; this run's are in {own}.\n"
    assert checkpoint.read(best)["metrics"]["accuracy"] == 0.9


def test_a_better_result_of_format_1_is_kept_too(tmp_path):
    best = tmp_path / "best.ckpt"
    torch.save(format_1(make_checkpoint(0.9, "earlier")), best)
    assert published(tmp_path, 0.8, "worse") == tmp_path / "best.worse.ckpt"
    assert published(tmp_path, 0.95, "better") == best and checkpoint.read(best)["run"]["name"] == "better"


def test_a_copy_is_kept_of_what_is_of_other_classes(tmp_path, capsys):
    """Its name says the run and the images; a copy never takes the place of another file."""
    best, kept = tmp_path / "best.ckpt", tmp_path / "best.first.my-digits.ckpt"
    run = {"name": "first", "train": "t", "val": "v", "source": "my digits"}
    published(tmp_path, 0.9, "of the first", run=run)
    assert published(tmp_path, 0.5, "second", classes=["c", "d"]) == best
    assert checkpoint.read(kept)["classes"] == ["a", "b"] and checkpoint.read(best)["classes"] == ["c", "d"]
    assert capsys.readouterr().out == f"{best} was of another model or other images: it is now {kept}.\n"
    before = kept.read_bytes()
    for classes in (["e", "f"], ["c", "d"]):
        published(tmp_path, 0.6, "of the first", run=run, classes=classes)
    assert kept.read_bytes() == before
    assert checkpoint.read(tmp_path / "best.first.my-digits_2.ckpt")["classes"] == ["e", "f"]


def test_a_copy_is_kept_of_a_model_of_other_options(tmp_path):
    published(tmp_path, 0.9, "wide", config={"model_options": {"hidden": 512}})
    assert published(tmp_path, 0.5, "the paper's") == tmp_path / "best.ckpt"
    kept = checkpoint.read(tmp_path / "best.wide.ckpt")
    assert checkpoint.model_options(kept) == {"hidden": 512}


def test_a_copy_that_was_kept_before_a_kill_is_not_kept_twice(tmp_path):
    published(tmp_path, 0.9, "first")
    (tmp_path / "best.first.ckpt").write_bytes((tmp_path / "best.ckpt").read_bytes())
    published(tmp_path, 0.5, "second", classes=["c", "d"])
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["best.ckpt", "best.first.ckpt"]


@pytest.mark.parametrize("make", [lambda path: path.write_bytes(b"mine"), lambda path: path.mkdir(),
                                  lambda path: path.symlink_to("nowhere")])  # fmt: skip
def test_what_is_no_checkpoint_of_ours_stays(tmp_path, capsys, make):
    best, own = tmp_path / "best.ckpt", tmp_path / "best.third.ckpt"
    make(best)
    before = os.lstat(best)
    assert published(tmp_path, 0.5, "third") == own and checkpoint.read(own)["run"]["name"] == "third"
    assert os.lstat(best).st_ino == before.st_ino and os.lstat(best).st_mtime_ns == before.st_mtime_ns
    assert f"it stays, and this run's weights are in {own}.\n" in capsys.readouterr().out


def test_the_name_of_a_run_in_a_file_cannot_lead_elsewhere(tmp_path):
    run = {"name": "../../etc/passwd", "train": "t", "val": "v", "source": "C:\\data\\.."}
    published(tmp_path / "save", 0.9, "first", run=run)
    published(tmp_path / "save", 0.9, "second", classes=["c", "d"])
    names = sorted(path.name for path in (tmp_path / "save").glob("[!.]*"))
    assert names == ["best.ckpt", "best.etc-passwd.C-data.ckpt"] and len(list(tmp_path.iterdir())) == 1
