import pytest
import torch

from models import LeNet


def test_lenet_is_the_reports():
    model = LeNet(1, 12)
    assert sum(parameter.numel() for parameter in model.parameters()) == 61_876
    assert [name for name, _ in model.named_children()] == ["conv1", "pool2", "conv3", "pool4", "conv5", "fc6", "fc7"]
    assert model.conv3.groups == 1 and model.conv3.weight.shape == (16, 6, 5, 5)
    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 12)
    assert LeNet(3, 5)(torch.zeros(2, 3, 32, 32)).shape == (2, 5)
    logits = model(torch.randn(8, 1, 32, 32))
    assert (logits < 0).any() and not torch.allclose(logits.sum(1), torch.ones(8))  # no softmax at the end


def test_f6_may_be_wider_which_many_classes_are_advised():
    model = LeNet(1, 12, hidden=200)
    assert model.fc6.weight.shape == (200, 120) and model(torch.zeros(2, 1, 32, 32)).shape == (2, 12)
    assert LeNet(1, 100).advice() == model.advice() == LeNet(1, 7356, hidden=512).advice() == ""
    assert LeNet(1, 3755).advice() == (
        "F6 has 84 units, few for 3,755 classes: model_options = {'hidden': 512} makes it wider"
    )
    with pytest.raises(ValueError, match="^hidden must be 1 or more units, not 0$"):
        LeNet(1, 12, hidden=0)


def test_relu_after_pooling_gives_the_same_as_before_it():
    model, x = LeNet(1, 12), torch.randn(4, 1, 32, 32)
    maps = model.pool4(model.conv3(model.pool2(model.conv1(x).relu())).relu())
    expected = model.fc7(model.fc6(model.conv5(maps).relu().flatten(1)).relu())
    torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize("size", [28, 31, 36])
def test_lenet_takes_no_other_size(size):
    with pytest.raises(RuntimeError):
        LeNet(1, 12)(torch.zeros(1, 1, size, size))


def test_every_parameter_gets_a_gradient():
    model = LeNet(1, 12)
    model(torch.randn(2, 1, 32, 32)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_images_get_a_gradient():
    x = torch.rand(2, 1, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(LeNet(1, 12).train()(x).sum(), x)
    assert gradient.abs().sum() > 0
