import pytest
import torch
from torch import nn

from models import MODELS, LeNet, ResNet18, advice, build, changed_options, input_size, layer_outputs, layer_summary


def test_build_names_the_nearest_model():
    assert {"LeNet": LeNet, "ResNet18": ResNet18} == MODELS
    assert type(build("LeNet", 1, 12)) is LeNet and build("ResNet18", 3, 7).fc.out_features == 7
    with pytest.raises(ValueError) as caught:
        build("lenet5", 1, 12)
    assert str(caught.value) == "unknown model 'lenet5': did you mean 'LeNet'? The models are LeNet, ResNet18."


def test_options_are_checked_and_the_papers_ones_left_out(monkeypatch):
    assert build("LeNet", 1, 12, hidden=100).fc6.out_features == 100
    assert changed_options("ResNet18", {"stem": "small"}) == {"stem": "small"}
    assert changed_options("LeNet", {"hidden": 84}) == changed_options("LeNet", {}) == {}
    for options, message in (
        ({"hiden": 100}, "LeNet has no option 'hiden': did you mean 'hidden'?"),
        ({"hidden": "100"}, "hidden of LeNet must be int, not '100' (str)"),
        ({"hidden": True}, "hidden of LeNet must be int, not True (bool)"),
    ):
        with pytest.raises(ValueError) as caught:
            build("LeNet", 1, 12, **options)
        assert str(caught.value) == message
    monkeypatch.setitem(MODELS, "Plain", lambda in_channels, classes: nn.Flatten())
    assert type(build("Plain", 1, 2)) is nn.Flatten and advice(nn.Flatten()) == ""
    with pytest.raises(ValueError, match="^Plain has no option 'hidden': it has none.$"):
        build("Plain", 1, 2, hidden=3)


@pytest.mark.parametrize("hidden", [10**13, 10**30])
def test_a_model_too_large_for_the_memory_is_refused(hidden):
    with pytest.raises(ValueError, match=f"^LeNet cannot be built with {{'hidden': {hidden}}}: "):
        build("LeNet", 1, 12, hidden=hidden)


def test_the_input_size_is_the_papers_unless_another_is_requested():
    assert (input_size("LeNet"), input_size("LeNet", 32), input_size("LeNet", at_most=64)) == (32, 32, 32)
    assert (input_size("ResNet18"), input_size("ResNet18", at_most=64), input_size("ResNet18", 96, 64)) == (224, 64, 96)
    with pytest.raises(ValueError) as caught:
        input_size("LeNet", 64)
    assert str(caught.value) == (
        "LeNet takes images of 32×32 pixels, not 64: leave input_size out, or use another model"
    )


def test_a_model_without_attributes_takes_any_size_and_is_made_for_32(monkeypatch):
    monkeypatch.setitem(MODELS, "Plain", lambda in_channels, classes: nn.Flatten())
    assert input_size("Plain") == 32 and input_size("Plain", 48) == 48


def test_layers_are_described_as_in_the_papers():
    rows = layer_summary(LeNet(1, 12), 32)
    assert [row[1] for row in rows] == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120, 1, 1), (84,), (12,)]
    assert [row[2] for row in rows] == [156, 0, 2416, 0, 48_120, 10_164, 1020]
    assert rows[2][0] == "conv3" and rows[2][3] == "C3: 16 feature maps, 5×5, each sees all of S2"
    assert all(set(model.layers) == {name for name, _ in model(1, 12).named_children()} for model in MODELS.values())
    rows = {row[0]: row[1] for row in layer_summary(ResNet18(3, 1000), 224)}
    assert rows["conv1"] == (64, 112, 112) and rows["layer1"] == (64, 56, 56) and rows["layer4"] == (512, 7, 7)


def test_layers_without_a_description_are_named_by_their_class():
    rows = layer_summary(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), 8)
    assert rows == [("0", (2, 6, 6), 20, "Conv2d"), ("1", (2, 6, 6), 0, "ReLU")]


def test_layer_outputs_are_those_before_later_layers_and_leave_the_model_as_it_is():
    model, x = ResNet18(1, 7).train(), torch.randn(2, 1, 32, 32)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    outputs = layer_outputs(model, x)
    assert model.training and list(outputs) == [name for name, _ in model.named_children()]
    assert (outputs["bn1"] < 0).any() and (outputs["relu"] >= 0).all()  # although this ReLU works in place
    torch.testing.assert_close(outputs["fc"], model.eval()(x))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert not any(module._forward_hooks for module in model.modules())


def test_layer_outputs_leave_the_model_as_it_is_after_an_error():
    model = LeNet(1, 12).train()
    with pytest.raises(RuntimeError):
        layer_outputs(model, torch.zeros(1, 1, 8, 8))
    assert model.training and not any(module._forward_hooks for module in model.modules())
