import pytest
import torch
import torchvision

from models import ResBlock, ResNet18, layer_summary


def test_resnet18_is_torchvisions():
    ours, theirs = ResNet18(3, 1000).eval(), torchvision.models.resnet18().eval()
    assert sum(parameter.numel() for parameter in ours.parameters()) == 11_689_512
    with torch.no_grad():  # buffers other than the first ones, which would show a mix-up
        for name, buffer in theirs.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
            elif name.endswith("running_mean"):
                buffer.normal_()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("size", [32, 33, 64, 100])
@pytest.mark.parametrize("channels", [1, 3])
def test_resnet18_takes_any_size_from_32(size, channels):
    assert ResNet18(channels, 7)(torch.randn(2, channels, size, size)).shape == (2, 7)


def test_the_small_stem_keeps_the_size_of_small_images():
    model = ResNet18(1, 7, stem="small")
    assert model.conv1.weight.shape == (64, 1, 3, 3)
    rows = {name: (shape, description) for name, shape, _, description in layer_summary(model, 32)}
    assert rows["layer1"][0] == (64, 32, 32) and rows["layer4"][0] == (512, 4, 4)
    assert rows["conv1"][1] == "64 feature maps, 3×3 convolutions of stride 1"
    assert list(model.state_dict()) == list(ResNet18(1, 7).state_dict())
    with pytest.raises(ValueError, match="^stem must be paper or small, not 'tiny'$"):
        ResNet18(1, 7, stem="tiny")


@pytest.mark.parametrize("channels, stride, shortcut", [(16, 1, False), (16, 2, True), (32, 1, True)])
def test_resblock_has_a_projection_only_if_shapes_change(channels, stride, shortcut):
    block = ResBlock(16, channels, stride)
    assert (block.downsample is not None) == shortcut
    assert block(torch.randn(2, 16, 8, 8)).shape == (2, channels, 8 // stride, 8 // stride)
    assert block.conv1.bias is None and block.conv2.bias is None


def test_every_parameter_gets_a_gradient():
    model = ResNet18(1, 12)
    model(torch.randn(2, 1, 32, 32)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())
