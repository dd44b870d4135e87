import numpy as np
import torch

from imaging.ink import backgrounds, hash_images, identical_groups, ink


def test_ink_is_the_difference_from_the_background(drawn):
    x = torch.from_numpy(drawn.x[:20])

    def inked(images):
        return ink(images, backgrounds(images))

    assert torch.equal(inked(x), 255 - x) and torch.equal(inked(255 - x), 255 - x)
    grey = torch.where(x == 255, 180, 30).to(torch.uint8)
    assert torch.equal(inked(grey), (255 - x) // 255 * 150)
    assert inked(x).dtype == torch.uint8


def test_a_background_is_the_median_of_the_border():
    noise = torch.randint(0, 256, (50, 9, 7)).to(torch.uint8)
    border = torch.cat([noise[:, 0], noise[:, -1], noise[:, :, 0], noise[:, :, -1]], 1)
    assert torch.equal(backgrounds(noise), border.median(1).values)


def test_identical_groups_are_of_two_or_more_images():
    x = np.random.default_rng(0).integers(0, 256, (8, 5, 5), np.uint8)
    x[3] = x[7] = x[1]
    x[6] = x[2]
    assert identical_groups(hash_images(x)) == identical_groups(hash_images(iter(x))) == [[1, 3, 7], [2, 6]]
    x[7, 4, 4] ^= 1  # one pixel by one grey level
    for images, groups in ((x, [[1, 3], [2, 6]]), (np.asfortranarray(x), [[1, 3], [2, 6]]), (x[:1], []), (x[:0], [])):
        assert identical_groups(hash_images(images)) == groups
