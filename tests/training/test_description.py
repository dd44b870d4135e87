from dataclasses import asdict

import numpy as np

from config import Config
from dataset import CharDataset
from training.backend import Backend
from training.description import describe_run


def test_a_description_names_images_writers_and_how_the_device_computes(drawn, monkeypatch):
    monkeypatch.setattr("training.pace.measured", {})
    train = CharDataset(drawn.x[:80], drawn.y[:80], None, ["博", "学"], "mine", group=["v", "w", "", "w"] * 20)
    about = describe_run(Config(), Backend(fused=True), 32, 5, train)
    assert about == {
        "input_size": 32, "source": "mine", "corrections": [], "epochs": 5, "train_images": 80, "val_images": 0,
        "writers": 2, "processes": 1, **asdict(Backend(fused=True)),
    }  # fmt: skip


def test_what_is_unusual_is_said(drawn, monkeypatch):
    monkeypatch.setattr("training.pace.measured", {"ResNet18 64×64": 50})
    train, val = drawn.subset([*range(40), *range(40, 50)]), drawn.subset(np.arange(80, 87))
    about = describe_run(Config(), Backend(), 64, 5, train, val)
    assert about["writers"] == "unknown: mixed writers" and about["val_images"] == 7
    assert about["measured_images_per_second"] == {"ResNet18 64×64": 50}
    assert about["smallest_class"][1:] == [0, 1.0] and about["class_weights"].startswith("0 images of")
