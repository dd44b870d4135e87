"""A run that would take too long on this CPU is reduced, by a speed that the tests give."""

import pytest
import torch

from config import Config
from training import pace
from training.pace import first_quick, measured_speed, reductions

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def nothing_measured(monkeypatch):
    monkeypatch.setattr(pace, "measured", {})


def speed_of(full: float):
    """Return a measured speed, given that at 64×64."""
    return lambda config, device: full * {None: 1, 48: 1.5, 32: 3}[config.input_size]


@pytest.mark.parametrize(
    ("full", "size", "samples"), [(300, None, 133_920), (150, 48, 133_920), (80, 32, 133_920), (20, 32, 66_960)]
)
def test_the_first_that_is_quick_enough_is_chosen(full, size, samples, capsys):
    default = Config("ResNet18")
    chosen = first_quick([default, *reductions(default, CPU)], CPU, speed_of(full))
    assert (chosen.input_size, chosen.samples_seen, chosen.epochs) == (size, samples, None)
    assert (chosen.hash_id == default.hash_id) == (size is None)
    text = capsys.readouterr().out
    assert f"ResNet18 trains on {full} images/s of 64×64 pixels" in text
    assert ("input_size = " in text) == (size is not None)
    assert pace.measured["ResNet18 64×64"] == full


def test_what_is_said(capsys):
    default = Config("ResNet18")
    first_quick([default, *reductions(default, CPU)], CPU, speed_of(80))
    assert capsys.readouterr().out == (
        "ResNet18 trains on 80 images/s of 64×64 pixels, 120 images/s of 48×48 pixels, 240 images/s of 32×32 pixels "
        "here.\nSo that training takes about 9 minutes, rather than 28 (longer with more than 6696 images or dozens of "
        "classes), the run has input_size = 32 and samples_seen = 133920. Set either of them, or epochs, to choose for "
        "yourself.\n"
    )
    assert pace.measured == {"ResNet18 64×64": 80, "ResNet18 48×48": 120, "ResNet18 32×32": 240}


@pytest.mark.parametrize(
    "changes", [{"input_size": 64}, {"epochs": 20}, {"samples_seen": 9}, {"recipe": "report"}, {"model": "LeNet"},
                {"pipeline": "per_image"}],
)  # fmt: skip
def test_what_the_user_has_chosen_stays(changes):
    assert reductions(Config(**{"model": "ResNet18"} | changes), CPU) == []


def test_a_gpu_is_not_slow():
    assert reductions(Config("ResNet18"), torch.device("cuda")) == []


def test_characters_stored_at_64_pixels_are_not_reduced_below():
    sizes = {n: [one.input_size for one in reductions(Config("ResNet18", stored_size=n), CPU)] for n in (28, 64, 96)}
    assert sizes == {28: [48, 32, 32], 64: [64], 96: [64]}
    assert reductions(Config("ResNet18", stored_size=64), CPU)[0].samples_seen == 66_960


def test_half_the_budget_is_half_the_epochs():
    default = Config("ResNet18")
    assert [one.epochs_for(6696, 12) for one in [default, *reductions(default, CPU)]] == [20, 20, 20, 10]


def test_the_speed_is_measured_without_a_trace():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert measured_speed(Config("ResNet18", input_size=32, batch_size=2), CPU) > 0
    assert torch.equal(torch.get_rng_state(), before)
