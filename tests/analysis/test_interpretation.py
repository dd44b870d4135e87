import numpy as np
import pytest
import torch
from torch.nn import functional

import plots
from analysis import interpretation as inside
from classifier import CNNClassifier
from dataset import split


@pytest.fixture(scope="module")
def trained(drawn, tmp_path_factory):
    from config import Config

    config = Config(epochs=40, batch_size=64, device="cpu", record_path=None, save_path=None)
    classifier = CNNClassifier(config, drawn.classes)
    train, val = split(drawn, 0.2)
    classifier.fit(train, val)
    return classifier, train, val


def resnet(drawn):
    from config import Config

    return CNNClassifier(Config("ResNet18", device="cpu", record_path=None, save_path=None), drawn.classes)


def test_maps_are_what_the_layers_make(trained):
    classifier, _, val = trained
    found = inside.maps(classifier, val.x[0])
    assert {name: made.shape for name, made in found.items()} == {
        "conv1": (6, 28, 28), "pool2": (6, 14, 14), "conv3": (16, 10, 10), "pool4": (16, 5, 5), "conv5": (120, 1, 1)
    }  # fmt: skip
    x = torch.from_numpy(classifier.prepared(val.x[0]))[None]
    np.testing.assert_allclose(found["conv1"], classifier.model.conv1(x)[0].detach(), atol=1e-5)
    assert inside.filters(classifier).shape == (6, 5, 5)
    plots.filters_and_maps(inside.filters(classifier), found).savefig("/dev/null", format="png")


def test_resnet_stages(drawn):
    found = inside.maps(resnet(drawn), drawn.x[0])
    assert found["layer1"].shape == (64, 16, 16) and found["layer4"].shape == (512, 2, 2)
    assert found["bn1"].min() < 0 <= found["relu"].min()  # what works in place changes no earlier map


@pytest.mark.parametrize("model", ["LeNet", "ResNet18"])
def test_where_it_looks_is_grad_cam(trained, drawn, model):
    classifier = trained[0] if model == "LeNet" else resnet(drawn)
    image, name = drawn.x[0], {"LeNet": "pool4", "ResNet18": "layer3"}[model]
    k = classifier.predict(image)[0]
    look, other = inside.where_it_looks(classifier, drawn.x[:2], np.array([k, k]))
    kept = {}
    layer = classifier.model.get_submodule(name)
    hook = layer.register_forward_hook(lambda module, given, made: kept.update(made=made))
    x = torch.from_numpy(classifier.prepared(image))[None]
    logits = classifier.model.eval()(x)
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[0, k], kept["made"])
    cam = (gradient.mean((2, 3), keepdim=True) * kept["made"]).sum(1, keepdim=True).relu()
    expected = functional.interpolate(cam, x.shape[2:], mode="bilinear")[0, 0].detach()
    np.testing.assert_allclose(look, expected, atol=1e-5)
    assert look.shape == (classifier.image_size,) * 2 and look.max() > 0 and (other != look).any()


def test_nearest_is_of_the_predicted_class_and_finds_itself(trained):
    classifier, train, _ = trained
    found = inside.nearest(classifier, train.x[:20], train.y[:20], train)
    np.testing.assert_array_equal(found, train.x[:20])
    other = inside.nearest(classifier, train.x[:3], np.array([5, 5, 5]), train)
    assert {image.tobytes() for image in other} <= {image.tobytes() for image in train.x[train.y == 5]}
    assert inside.nearest(classifier, train.x[:0], train.y[:0], train).shape == (0, 28, 28)


def test_features_keep_classes_together_in_the_plane(trained):
    classifier, _, val = trained
    vectors = inside.features(classifier, val)
    assert vectors.shape == (len(val), 84) and vectors.dtype == np.float32
    places = inside.flattened(vectors)
    assert places.shape == (len(val), 2)
    distance = ((places[:, None] - places) ** 2).sum(2) + np.diag(np.full(len(val), np.inf))
    assert (val.y[distance.argmin(1)] == val.y).mean() > 0.6
    plots.plane(places, val.y, classifier.predict(val), plots.exemplars(val.x, val.y, 12))
