"""Each augmentation changes images as much as it says."""

import torch
from torch.nn import functional

from config import Config
from training.augmentation import resample


def test_resampling_without_augmentation_is_a_plain_resize(drawn):
    x = 255 - torch.from_numpy(drawn.x[:8])
    torch.testing.assert_close(resample(x, 28)[:, 0], x / 255)
    for size in (20, 32, 65):
        expected = functional.interpolate(x[:, None] / 255, (size, size), mode="bilinear", antialias=True)
        torch.testing.assert_close(resample(x, size), expected)
    wide = torch.arange(120, dtype=torch.uint8).view(1, 10, 12)
    expected = functional.interpolate(wide[:, None] / 255, (16, 16), mode="bilinear", antialias=True)
    torch.testing.assert_close(resample(wide, 16), expected)


def test_each_strength_moves_the_ink_as_much_as_it_says():
    dot = torch.zeros(2000, 33, 33, dtype=torch.uint8)
    dot[:, 16, 16] = 255  # rotation, scale and shear leave the centre where it is

    def offsets(**strengths):
        none = dict.fromkeys(("rotation", "scale", "shear", "shift", "elastic"), 0.0)
        image = resample(dot, 33, Config(**none | strengths))[:, 0]
        grid = torch.arange(33.0) - 16
        mass = image.sum((1, 2))
        return torch.stack([(image.sum(1) * grid).sum(1), (image.sum(2) * grid).sum(1)], 1) / mass[:, None]

    torch.manual_seed(0)
    assert offsets(rotation=90, scale=0.3, shear=0.5).abs().max() < 1e-3
    dot.zero_()[:, 16, 24] = 255  # halfway to the right edge
    turned, sheared, scaled = offsets(rotation=90), offsets(shear=0.5), offsets(scale=0.3)
    assert turned.abs().max() <= 8.1 and turned[:, 1].abs().max() > 7 and turned[:, 1].mean().abs() < 0.5
    assert (sheared - torch.tensor([8.0, 0.0])).abs().max() < 0.1, "a shear leaves its own axis where it is"
    assert 5.9 <= scaled[:, 0].min() < 6.5 and 10 < scaled[:, 0].max() <= 8 / 0.69, "8 / 1.3 to 8 / 0.7"
    assert scaled[:, 1].abs().max() < 0.1
    dot.zero_()[:, 24, 16] = 255  # halfway to the bottom
    assert 3 < offsets(shear=0.5)[:, 0].abs().max() <= 4.1
    dot.zero_()[:, 16, 16] = 255
    moved = offsets(shift=0.1)
    assert 3.0 < moved.abs().max() <= 3.301 and moved.mean().abs() < 0.2
    assert 0.5 < offsets(elastic=0.06).std() < 1.5


def test_characters_are_never_mirrored():
    torch.manual_seed(0)
    letter = torch.zeros(1000, 28, 28, dtype=torch.uint8)
    letter[:, 8:20, 9:11] = letter[:, 18:20, 9:18] = 255  # an L
    upright = resample(letter, 28, Config(rotation=0))[:, 0]
    left, right = upright[:, :, :14].sum((1, 2)), upright[:, :, 14:].sum((1, 2))
    top, bottom = upright[:, :14].sum((1, 2)), upright[:, 14:].sum((1, 2))
    assert (left > right).float().mean() > 0.9 and (bottom > top).float().mean() > 0.9


def test_a_larger_image_is_shrunk_with_antialiasing():
    lines = torch.zeros(1, 64, 64, dtype=torch.uint8)
    lines[:, ::2] = 255  # a bilinear sample without antialiasing would be 0 or 1 somewhere
    assert resample(lines, 32)[0, 0, 2:-2].sub(0.5).abs().max() < 0.1
    high, still = torch.zeros(1, 112, 28, dtype=torch.uint8), Config(scale=0, shear=0, shift=0, elastic=0)
    high[:, 56] = 255
    torch.testing.assert_close(resample(high, 32, still), resample(high, 32))


def test_the_random_numbers_are_those_of_torch(drawn):
    x = 255 - torch.from_numpy(drawn.x[:8])
    torch.manual_seed(4)
    first, second = resample(x, 32, Config()), resample(x, 32, Config())
    torch.manual_seed(4)
    assert torch.equal(first, resample(x, 32, Config())) and not torch.equal(first, second)
    assert first.shape == (8, 1, 32, 32) and first.min() >= 0 and first.max() <= 1
