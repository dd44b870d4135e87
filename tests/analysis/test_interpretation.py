"""What the layers of a model give, and where a model finds the evidence for a class."""

import io

import numpy as np
import pytest
import torch
from torch.nn import functional

import plots
from analysis import interpretation
from classifier import CNNClassifier
from config import Config
from dataset import split


@pytest.fixture(scope="module")
def trained(drawn):
    config = Config(epochs=40, batch_size=64, device="cpu", record_path=None, save_path=None)
    classifier = CNNClassifier(config, drawn.classes)
    train, val = split(drawn, 0.2)
    classifier.fit(train, val)
    return classifier, train, val


@pytest.fixture(scope="module")
def resnet(drawn):
    return CNNClassifier(Config("ResNet18", device="cpu", record_path=None, save_path=None), drawn.classes)


def test_feature_maps_are_the_outputs_of_the_layers(trained):
    classifier, _, val = trained
    maps = interpretation.feature_maps(classifier, val.x[0])
    assert {name: found.shape for name, found in maps.items()} == {
        "conv1": (6, 28, 28), "pool2": (6, 14, 14), "conv3": (16, 10, 10), "pool4": (16, 5, 5), "conv5": (120, 1, 1)
    }  # fmt: skip
    x = torch.from_numpy(classifier.model_input(val.x[0]))[None]
    np.testing.assert_allclose(maps["conv1"], classifier.model.conv1(x)[0].detach(), atol=1e-5)
    filters = interpretation.filters(classifier)
    np.testing.assert_array_equal(filters, classifier.model.conv1.weight.detach()[:, 0])
    assert filters.shape == (6, 5, 5) and filters.dtype == np.float32
    plots.feature_maps(filters, maps).savefig(io.BytesIO())


def test_feature_maps_of_resnets_stages(resnet, drawn):
    maps = interpretation.feature_maps(resnet, drawn.x[0])
    assert maps["layer1"].shape == (64, 16, 16) and maps["layer4"].shape == (512, 2, 2)
    assert maps["bn1"].min() < 0 <= maps["relu"].min()  # what works in place changes no earlier map


@pytest.mark.parametrize("model, layer", [("LeNet", "pool4"), ("ResNet18", "layer3")])
def test_grad_cam_is_that_of_the_paper(trained, resnet, drawn, model, layer):
    classifier = trained[0] if model == "LeNet" else resnet
    image = drawn.x[0]
    k = classifier.predict(image)[0]
    heat, other = interpretation.grad_cam(classifier, drawn.x[:2], np.array([k, k]))
    outputs = {}
    hook = classifier.model.get_submodule(layer).register_forward_hook(
        lambda module, inputs, output: outputs.update(output=output)
    )
    x = torch.from_numpy(classifier.model_input(image))[None]
    logits = classifier.model.eval()(x)
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[0, k], outputs["output"])
    cam = (gradient.mean((2, 3), keepdim=True) * outputs["output"]).sum(1, keepdim=True).relu()
    expected = functional.interpolate(cam, x.shape[2:], mode="bilinear")[0, 0].detach()
    np.testing.assert_allclose(heat, expected, atol=1e-5)
    assert heat.shape == (classifier.input_spec_.input_size,) * 2 and heat.max() > 0 and (other != heat).any()


def test_the_nearest_neighbor_has_the_class_and_an_image_finds_itself(trained):
    classifier, train, _ = trained
    found = interpretation.nearest_neighbors(classifier, train.x[:20], train.y[:20], train)
    np.testing.assert_array_equal(found, train.x[:20])
    other = interpretation.nearest_neighbors(classifier, train.x[:3], np.array([5, 5, 5]), train)
    assert other.shape == (3, 28, 28)
    assert {image.tobytes() for image in other} <= {image.tobytes() for image in train.x[train.y == 5]}
    none = interpretation.nearest_neighbors(classifier, train.x[:0], train.y[:0], train)
    assert none.shape == (0, 28, 28) and none.dtype == np.uint8


def test_embeddings_are_those_of_the_penultimate_layer(trained, resnet, drawn, monkeypatch):
    classifier, _, val = trained
    vectors = interpretation.embeddings(classifier, val)
    assert vectors.shape == (len(val), 84) and vectors.dtype == np.float32
    logits = functional.linear(torch.from_numpy(vectors).relu(), *classifier.model.fc7.parameters())
    np.testing.assert_array_equal(logits.argmax(1).numpy(), classifier.predict(val))
    monkeypatch.setattr(interpretation, "CHUNK", 7)
    np.testing.assert_allclose(interpretation.embeddings(classifier, val.x), vectors, atol=1e-4)
    assert interpretation.embeddings(resnet, drawn.x[:3]).shape == (3, 512)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_tsne_of_few_images(count):
    points = interpretation.tsne(np.random.default_rng(0).random((count, 8), np.float32))
    assert points.shape == (count, 2) and points.dtype == np.float32 and len(np.unique(points, axis=0)) == count


def test_tsne_keeps_classes_together(trained):
    classifier, _, val = trained
    points = interpretation.tsne(interpretation.embeddings(classifier, val))
    assert points.shape == (len(val), 2)
    distance = ((points[:, None] - points) ** 2).sum(2) + np.diag(np.full(len(val), np.inf))
    assert (val.y[distance.argmin(1)] == val.y).mean() > 0.6
    plots.plot_embedding(points, val.y, classifier.predict(val), plots.exemplars(val.x, val.y, 12), val.classes)
