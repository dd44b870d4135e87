import pytest
import torch
from torch.nn import functional

from models import FUSED_FORWARD, LeNet, ResNet18
from models.lenet_cpu import lenet_cpu_forward, pooled_convolution


@pytest.mark.parametrize("channels, memory, hidden", [(1, torch.contiguous_format, 84), (3, torch.channels_last, 20)])
def test_it_computes_what_lenet_does(channels, memory, hidden):
    model = LeNet(channels, 7, hidden).to(memory_format=memory)
    x, y = torch.rand(9, channels, 32, 32), torch.arange(9) % 7

    def step(forward):
        logits = forward(model, x)
        return logits, torch.autograd.grad(functional.cross_entropy(logits, y), list(model.parameters()))

    (logits, gradients), (fused_logits, fused_gradients) = step(LeNet.forward), step(lenet_cpu_forward)
    torch.testing.assert_close(fused_logits, logits)
    for ours, theirs in zip(fused_gradients, gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_it_computes_what_lenet_does_under_autocast():
    model, x = LeNet(1, 7), torch.rand(9, 1, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        logits, fused_logits = model(x), lenet_cpu_forward(model, x)
    assert logits.dtype == fused_logits.dtype == torch.bfloat16
    torch.testing.assert_close(fused_logits, logits, rtol=0, atol=0.01)


def test_it_stands_in_for_lenet_alone():
    assert {LeNet.forward: lenet_cpu_forward} == FUSED_FORWARD and ResNet18.forward not in FUSED_FORWARD

    class Other(LeNet):
        def forward(self, x):
            return super().forward(x) * 2

    assert Other.forward not in FUSED_FORWARD


def test_pooled_convolution_is_a_convolution_and_a_pooling():
    x = torch.randn(3, 2, 11, 9, dtype=torch.double)
    weight = torch.randn(4, 2, 4, 2, dtype=torch.double, requires_grad=True)
    pooled = pooled_convolution(x, weight)
    torch.testing.assert_close(pooled, functional.max_pool2d(functional.conv2d(x, weight), 2))
    assert torch.autograd.gradcheck(lambda weight: pooled_convolution(x, weight), weight)
    flat = torch.ones(1, 2, 5, 3, dtype=torch.double)  # all equal: one of the four gets all of the gradient
    (gradient,) = torch.autograd.grad(pooled_convolution(flat, weight).sum(), weight)
    assert (gradient == 1).all()
