import os
import pickle

import numpy as np
import pytest
import torch

from classifier import CNNClassifier
from common.errors import InputError
from runs import checkpoint as checkpoints


def error(path) -> str:
    with pytest.raises(InputError) as caught:
        CNNClassifier.load(path, device="cpu")
    return str(caught.value)


@pytest.fixture
def saved(drawn, quick, tmp_path):
    classifier = CNNClassifier(quick(), drawn.classes)
    classifier.save(tmp_path / "a.ckpt")
    return classifier, tmp_path / "a.ckpt"


@pytest.mark.parametrize("model", ["LeNet", "ResNet18"])
@pytest.mark.parametrize("pipeline", ["resident", "per_image"])
def test_save_then_load_gives_identical_predictions(drawn, quick, tmp_path, model, pipeline):
    classifier = CNNClassifier(quick(model=model, pipeline=pipeline, image_size=32), drawn.classes)
    classifier.source_shape = list(drawn.x.shape[1:])
    classifier.save(tmp_path / "a.ckpt")
    loaded = CNNClassifier.load(tmp_path / "a.ckpt", device="cpu")
    x = drawn.x[::20]
    np.testing.assert_array_equal(loaded.predict_proba(x), classifier.predict_proba(x))
    assert loaded.classes_ == drawn.classes and loaded.image_size == 32 and loaded.config == classifier.config


def test_a_checkpoint_from_before_temperatures_means_one(saved):
    _, path = saved
    content = torch.load(path, weights_only=True)
    del content["temperature"]
    torch.save(content, path)
    assert CNNClassifier.load(path, device="cpu").temperature_ == 1


def test_a_checkpoint_describes_itself(saved):
    _, path = saved
    content = torch.load(path, weights_only=True)
    assert set(content) == {"format", "versions", *checkpoints.CONTENT}
    assert content["classes"] == list("博学笃志切问近思自由无用") and content["model"] == "LeNet"


def test_bad_files_are_refused(saved, tmp_path):
    classifier, path = saved
    content = torch.load(path, weights_only=True)
    for change, message in (
        ({"format": 99}, f"{path} has format 99, newer than 1: update this program"),
        ({"classes": None}, f"{path} is not a whole checkpoint: classes is NoneType"),
        ({"classes": ["a", "b"]}, f"{path} does not hold the weights of a LeNet: "),
        ({"state_dict": {}}, f"{path} does not hold the weights of a LeNet: "),
    ):
        torch.save(content | change, path)
        assert error(path).startswith(message)
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


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))]
)
def test_pickled_code_is_refused_and_does_not_run(tmp_path, write):
    path, trace = tmp_path / "a.ckpt", tmp_path / "it_ran"
    write({"format": 1, "state_dict": Attack(trace)}, path)
    says = error(path)
    if write is torch.save:
        assert "(posix mkdir): it is refused, nothing in it was run" in says
    else:
        assert says.startswith(f"{path} is damaged or not a checkpoint: ")
    assert not trace.exists()


def published(tmp_path, accuracy: float, run: str, **changes):
    own = tmp_path / f"best.{run}.ckpt"
    run = {"name": run, "train": "t", "val": "v"}
    content = {"model": "LeNet", "classes": ["a", "b"], "run": run, "epoch": 1}
    content["metrics"] = {"accuracy": accuracy, "loss": 0.1, "n": 10, "interval": [0.0, 1.0]}
    content |= {"in_channels": 1, "image_size": 32, "source_shape": [28, 28], "config": {}, "state_dict": {}}
    checkpoints.write(own, content | changes)
    return checkpoints.publish(own, tmp_path / "best.ckpt")


def test_a_worse_result_never_replaces_a_better_one(tmp_path, capsys):
    best = tmp_path / "best.ckpt"
    assert published(tmp_path, 0.8, "first") == best and published(tmp_path, 0.9, "second") == best
    assert not capsys.readouterr().out
    assert published(tmp_path, 0.7, "third") == tmp_path / "best.third.ckpt"
    assert "keeps the better weights of second; this run's are in" in capsys.readouterr().out
    assert checkpoints.read(best)["metrics"]["accuracy"] == 0.9


def test_what_is_of_other_classes_or_unreadable_is_put_aside(tmp_path, capsys):
    best = tmp_path / "best.ckpt"
    published(tmp_path, 0.9, "first")
    assert published(tmp_path, 0.5, "second", classes=["c", "d"]) == best
    assert checkpoints.read(tmp_path / "best.first.ckpt")["classes"] == ["a", "b"]
    assert "was not of this model and these images: it is now" in capsys.readouterr().out
    best.write_bytes(b"mine")
    assert published(tmp_path, 0.5, "third") == best
    assert (tmp_path / "best.earlier.ckpt").read_bytes() == b"mine"
