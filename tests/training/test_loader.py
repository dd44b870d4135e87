import torch
from torch.nn import functional

from config import Config
from training.loader import backgrounds, ink, prepared, warp


def test_ink_is_the_distance_from_the_background(drawn):
    x = torch.from_numpy(drawn.x[:20])

    def inked(images):
        return ink(images, backgrounds(images))

    assert torch.equal(inked(x), 255 - x) and torch.equal(inked(255 - x), 255 - x)
    grey = torch.where(x == 255, 180, 30).to(torch.uint8)
    assert torch.equal(inked(grey), (255 - x) // 255 * 150)
    noise = torch.randint(0, 256, (50, 9, 7)).to(torch.uint8)
    border = torch.cat([noise[:, 0], noise[:, -1], noise[:, :, 0], noise[:, :, -1]], 1)
    assert torch.equal(backgrounds(noise), border.median(1).values)


def test_warp_without_augmentation_is_a_plain_resize(drawn):
    x = 255 - torch.from_numpy(drawn.x[:8])
    torch.testing.assert_close(warp(x, 28)[:, 0], x / 255)
    for size in (20, 32, 65):
        expected = functional.interpolate(x[:, None] / 255, (size, size), mode="bilinear", antialias=True)
        torch.testing.assert_close(warp(x, size), expected)
    wide = torch.arange(120, dtype=torch.uint8).view(1, 10, 12)
    expected = functional.interpolate(wide[:, None] / 255, (16, 16), mode="bilinear", antialias=True)
    torch.testing.assert_close(warp(wide, 16), expected)


def test_warp_moves_as_much_as_it_says():
    dot = torch.zeros(2000, 33, 33, dtype=torch.uint8)
    dot[:, 16, 16] = 255  # rotation, scale and shear leave the centre where it is

    def offsets(**strengths):
        none = dict.fromkeys(("rotation", "scale", "shear", "shift", "elastic"), 0.0)
        image = warp(dot, 33, Config(**none | strengths))[:, 0]
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


def test_warp_never_mirrors():
    torch.manual_seed(0)
    letter = torch.zeros(1000, 28, 28, dtype=torch.uint8)
    letter[:, 8:20, 9:11] = letter[:, 18:20, 9:18] = 255  # an L
    upright = warp(letter, 28, Config(rotation=0))[:, 0]
    left, right = upright[:, :, :14].sum((1, 2)), upright[:, :, 14:].sum((1, 2))
    top, bottom = upright[:, :14].sum((1, 2)), upright[:, 14:].sum((1, 2))
    assert (left > right).float().mean() > 0.9 and (bottom > top).float().mean() > 0.9


def test_a_larger_image_is_shrunk_with_antialiasing():
    lines = torch.zeros(1, 64, 64, dtype=torch.uint8)
    lines[:, ::2] = 255  # a bilinear sample without antialiasing would be 0 or 1 somewhere
    assert warp(lines, 32)[0, 0, 2:-2].sub(0.5).abs().max() < 0.1
    high, still = torch.zeros(1, 112, 28, dtype=torch.uint8), Config(scale=0, shear=0, shift=0, elastic=0)
    high[:, 56] = 255
    torch.testing.assert_close(warp(high, 32, still), warp(high, 32))


def test_batches_give_every_image_once(drawn):
    device = torch.device("cpu")
    x, y = torch.from_numpy(drawn.x), torch.from_numpy(drawn.y)
    torch.manual_seed(1)
    images, labels = zip(*prepared(x, backgrounds(x), y, 64, 32, device, shuffle=True), strict=True)
    assert [len(part) for part in labels] == [64] * 7 + [32] and images[0].shape == (64, 1, 32, 32)
    torch.manual_seed(1)
    order = torch.randperm(len(y))
    assert torch.equal(torch.cat(labels), y[order])
    torch.testing.assert_close(torch.cat(images), warp(255 - x[order], 32))
