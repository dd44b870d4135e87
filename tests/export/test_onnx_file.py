"""The ONNX file: it agrees with torch, says what it is, and is refused otherwise."""

import os
import sys

import numpy as np
import pytest
import torch
from torch import nn

import models
from common.errors import ExportError, InputError
from dataset import CharDataset, load, split
from export import onnx_file
from init import preprocess
from readers import open_source


@pytest.fixture(scope="session")
def lenet_onnx(lenet, drawn, tmp_path_factory):
    path = tmp_path_factory.mktemp("lenet") / "model.onnx"
    lenet.classifier.export(path, drawn)
    return path


@pytest.mark.parametrize("batch", [1, 7, 480])
def test_it_gives_the_classifiers_probabilities(lenet, lenet_onnx, drawn, batch):
    found = onnx_file.Session(lenet_onnx)(drawn.x, batch)
    np.testing.assert_allclose(found, lenet.classifier.predict_proba(drawn), atol=onnx_file.TOLERANCE)


def test_it_says_what_it_is(lenet, lenet_onnx, drawn):
    found, result = onnx_file.Session(lenet_onnx).metadata, lenet.classifier.evaluate(drawn)
    assert found["model"] == "LeNet" and found["classes"] == drawn.classes
    assert found["input_spec"] == lenet.classifier.input_spec_.as_dict()
    assert found["data"] == lenet.train.fingerprint() and found["source"] == "drawn for a test"
    assert found["accuracy"]["on"] == "test" and found["accuracy"]["data"] == drawn.fingerprint()
    assert found["accuracy"]["accuracy"] == result["accuracy"]
    assert tuple(found["accuracy"]["interval"]) == result["interval"]
    assert {"temperature", "pipeline", "run", "torch"} <= found.keys()


def test_without_held_out_images_the_accuracy_is_of_the_validation_set(lenet):
    remembered, measured = (lenet.trained.measure(images).accuracy for images in (None, lenet.val))
    assert remembered["on"] == measured["on"] == "validation"
    assert remembered["data"] == measured["data"] == lenet.val.fingerprint()
    assert remembered["accuracy"] == measured["accuracy"] and remembered["interval"] == measured["interval"]


def test_resnet18_and_the_reports_recipe(train_quickly, resnet, drawn, tmp_path):
    report = train_quickly(drawn, recipe="report")
    for one in (resnet, report):
        one.classifier.export(tmp_path / "model.onnx", drawn)
        found = onnx_file.Session(tmp_path / "model.onnx")(drawn.x)
        np.testing.assert_allclose(found, one.classifier.predict_proba(drawn), atol=onnx_file.TOLERANCE)


def test_real_images(train_quickly, real_images, tmp_path):
    preprocess(open_source(real_images), tmp_path / "data.npz")
    train, val = split(load(tmp_path / "data.npz"))
    one = train_quickly(train)
    one.classifier.export(tmp_path / "model.onnx", val)
    found = onnx_file.Session(tmp_path / "model.onnx")(val.x)
    np.testing.assert_allclose(found, one.classifier.predict_proba(val), atol=onnx_file.TOLERANCE)


class OwnModel(nn.Module):
    def __init__(self, in_channels: int, classes: int):
        super().__init__()
        self.lstm, self.head = nn.LSTM(32, 8, batch_first=True), nn.Linear(8, classes)

    def forward(self, x):
        return self.head(self.lstm(x[:, 0])[0][:, -1])


class DependsOnTheBatch(OwnModel):
    def forward(self, x):
        return super().forward(x) * (1.0 + float(len(x)))


class WithoutOnnx(OwnModel):
    def forward(self, x):
        return super().forward(x) + torch.linalg.svdvals(x[:, 0]).sum(1, keepdim=True)


def test_a_model_of_ones_own_is_exported(train_quickly, drawn, tmp_path, monkeypatch):
    monkeypatch.setitem(models.MODELS, "Own", OwnModel)
    one = train_quickly(drawn, model="Own")
    one.classifier.export(tmp_path / "model.onnx", drawn)
    found = onnx_file.Session(tmp_path / "model.onnx")(drawn.x)
    np.testing.assert_allclose(found, one.classifier.predict_proba(drawn), atol=onnx_file.TOLERANCE)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (
            DependsOnTheBatch,
            "Own as ONNX gives other probabilities than torch for random images, by up to",
        ),
        (WithoutOnnx, "Own cannot be written as ONNX: .*svd"),
    ],
)
def test_a_model_that_cannot_be_exported_is_refused(train_quickly, drawn, tmp_path, monkeypatch, model, reason):
    monkeypatch.setitem(models.MODELS, "Own", model)
    one = train_quickly(drawn, model="Own")
    with pytest.raises(ExportError, match=reason):
        one.classifier.export(tmp_path / "model.onnx", drawn)
    assert not os.listdir(tmp_path)


def test_images_of_a_transform_are_refused(train_quickly, drawn, tmp_path):
    one = drawn.subset(range(0, 480, 8))
    classifier = train_quickly(drawn).classifier
    classifier.input_spec_ = type(classifier.input_spec_).from_images(one.with_transform(lambda image: image), 32)
    with pytest.raises(ExportError, match="a transform of your own made, which does not go into a file"):
        classifier.export(tmp_path / "model.onnx")


def test_what_is_not_installed_is_named(lenet, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ExportError, match=r"needs onnx \(.*\): pip install -r requirements-export.txt"):
        lenet.classifier.export(tmp_path / "model.onnx")


def test_another_suffix_and_other_classes_are_refused(lenet, drawn, tmp_path):
    with pytest.raises(InputError, match="must end in .onnx"):
        lenet.classifier.export(tmp_path / "model")
    with pytest.raises(InputError, match="the images have the classes"):
        lenet.classifier.export(tmp_path / "model.onnx", CharDataset(drawn.x[:2], [0, 1]))
