"""The weights alone, read by safetensors and by torchvision's model."""

import json

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torchvision.models import resnet18

from export import weights


def test_they_load_into_torchvisions_resnet18(resnet, drawn, tmp_path):
    weights.write(tmp_path / "model.safetensors", resnet.trained, None)
    theirs = resnet18(num_classes=len(drawn.classes))
    theirs.conv1 = torch.nn.Conv2d(1, 64, 7, 2, 3, bias=False)  # grey images have one channel
    theirs.load_state_dict(load_file(tmp_path / "model.safetensors"))
    images = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(theirs.eval()(images), resnet.trained.model(images))


def test_they_say_what_they_are(lenet, tmp_path):
    weights.write(tmp_path / "model.safetensors", lenet.trained, lenet.trained.measure(None).accuracy)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata == lenet.trained.metadata(lenet.trained.measure(None).accuracy)
    assert json.loads(metadata["classes"]) == lenet.classifier.classes_
    loaded = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(loaded[key], value) for key, value in lenet.classifier.model.state_dict().items())
