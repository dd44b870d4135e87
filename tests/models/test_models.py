import pytest
import torch
import torchvision
from torch.nn import functional

from models import MODELS, LeNet, ResBlock, ResNet18, build, described
from models.LeNet import pooled_convolution


def parameters(model) -> int:
    return sum(p.numel() for p in model.parameters())


def test_lenet_is_the_reports():
    model = LeNet(1, 12)
    assert parameters(model) == 61_876
    assert [name for name, _ in model.named_children()] == ["conv1", "pool2", "conv3", "pool4", "conv5", "fc6", "fc7"]
    assert model.conv3.groups == 1 and model.conv3.weight.shape == (16, 6, 5, 5)
    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 12)
    assert LeNet(3, 5)(torch.zeros(2, 3, 32, 32)).shape == (2, 5)
    logits = model(torch.randn(8, 1, 32, 32))
    assert (logits < 0).any() and not torch.allclose(logits.sum(1), torch.ones(8))  # no softmax at the end


@pytest.mark.parametrize("channels, memory", [(1, torch.contiguous_format), (3, torch.channels_last)])
def test_lenet_fused_is_lenet(channels, memory):
    model = LeNet(channels, 7).to(memory_format=memory)
    x, y = torch.rand(9, channels, 32, 32), torch.arange(9) % 7

    def step(fused):
        model.fused = fused
        logits = model(x)
        return logits, torch.autograd.grad(functional.cross_entropy(logits, y), list(model.parameters()))

    (logits, gradients), (fused_logits, fused_gradients) = step(False), step(True)
    torch.testing.assert_close(fused_logits, logits)
    for ours, theirs in zip(fused_gradients, gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_pooled_convolution_is_a_convolution_and_a_pooling():
    x = torch.randn(3, 2, 11, 9, dtype=torch.double)
    weight = torch.randn(4, 2, 4, 2, dtype=torch.double, requires_grad=True)
    pooled = pooled_convolution(x, weight)
    torch.testing.assert_close(pooled, functional.max_pool2d(functional.conv2d(x, weight), 2))
    assert torch.autograd.gradcheck(lambda weight: pooled_convolution(x, weight), weight)
    flat = torch.ones(1, 2, 5, 3, dtype=torch.double)  # all equal: one of the four gets it all
    (gradient,) = torch.autograd.grad(pooled_convolution(flat, weight).sum(), weight)
    assert (gradient == 1).all()


def test_fused_lenet_gives_images_their_gradient():
    model, x = LeNet(1, 12), torch.rand(2, 1, 32, 32, requires_grad=True)
    model.fused = True
    (gradient,) = torch.autograd.grad(model(x).sum(), x)
    assert gradient.abs().sum() > 0


def test_resnet18_is_torchvisions():
    ours, theirs = ResNet18(3, 1000).eval(), torchvision.models.resnet18().eval()
    assert parameters(ours) == 11_689_512
    with torch.no_grad():  # buffers that are not the first ones, that a mix-up would show
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


@pytest.mark.parametrize("channels, stride, shortcut", [(16, 1, False), (16, 2, True), (32, 1, True)])
def test_resblock_has_a_projection_only_where_shapes_change(channels, stride, shortcut):
    block = ResBlock(16, channels, stride)
    assert (block.downsample is not None) == shortcut
    assert block(torch.randn(2, 16, 8, 8)).shape == (2, channels, 8 // stride, 8 // stride)
    assert block.conv1.bias is None and block.conv2.bias is None


@pytest.mark.parametrize("model", [LeNet(1, 12), ResNet18(1, 12)])
def test_every_parameter_gets_a_gradient(model):
    model(torch.randn(2, 1, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_build_names_the_nearest_model():
    assert set(MODELS) == {"LeNet", "ResNet18"}
    with pytest.raises(ValueError) as caught:
        build("lenet5", 1, 12)
    assert str(caught.value) == "unknown model 'lenet5': did you mean 'LeNet'? The models are LeNet, ResNet18."


def test_layers_are_described_as_in_the_papers():
    rows = described(LeNet(1, 12), 32)
    assert [row[1] for row in rows] == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120, 1, 1), (84,), (12,)]
    assert rows[2][2] == 2416 and rows[2][3] == "C3: 16 maps, 5×5, each of all of S2's"
    assert all(set(model.layers) == {name for name, _ in model(1, 12).named_children()} for model in MODELS.values())
    rows = {row[0]: row[1] for row in described(ResNet18(3, 1000), 224)}
    assert rows["conv1"] == (64, 112, 112) and rows["layer1"] == (64, 56, 56) and rows["layer4"] == (512, 7, 7)
