"""Loaders give every image once, in an order that depends on torch's generator alone."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchvision import transforms

from config import Config
from dataset import CharDataset
from imaging.ink import backgrounds
from imaging.input_spec import InputSpec
from training.augmentation import resample
from training.loader import EVALUATION_BATCH, PerImageLoader, ResidentLoader, ahead, has_singleton_batch, make_loader

CPU, SPEC = torch.device("cpu"), InputSpec(32, (28, 28))
LOADERS = pytest.mark.parametrize("loader", [ResidentLoader, PerImageLoader])


def test_batches_give_every_image_once(drawn):
    x, y = torch.from_numpy(drawn.x), torch.from_numpy(drawn.y)
    torch.manual_seed(1)
    images, labels = zip(*ResidentLoader(drawn, SPEC, 64, CPU, shuffle=True), strict=True)
    assert [len(part) for part in labels] == [64] * 7 + [32] and images[0].shape == (64, 1, 32, 32)
    torch.manual_seed(1)
    order = torch.randperm(len(y))
    assert torch.equal(torch.cat(labels), y[order])
    torch.testing.assert_close(torch.cat(images), resample(255 - x[order], 32))


def test_augmented_batches_of_a_seed_are_those_of_the_order_and_then_of_each_batch(drawn):
    """As in the versions before loaders were objects, so that runs of theirs continue bit for bit."""
    config, x = Config(batch_size=100), torch.from_numpy(drawn.x)
    torch.manual_seed(7)
    found = list(make_loader(drawn, SPEC, config, CPU, training=True))
    torch.manual_seed(7)
    for (images, labels), chosen in zip(found, torch.randperm(480).split(100), strict=True):
        assert torch.equal(images, resample(255 - x[chosen], 32, config))
        assert torch.equal(labels, torch.from_numpy(drawn.y)[chosen])


def test_the_reports_batches_of_a_seed_are_those_of_torchs_dataloader(drawn):
    prepare = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()])
    torch.manual_seed(7)
    found = list(make_loader(drawn, SPEC, Config(recipe="report"), CPU, training=True))
    torch.manual_seed(7)
    for (images, labels), (other, other_labels) in zip(
        found, DataLoader(drawn.with_transform(prepare), 32, shuffle=True), strict=True
    ):
        assert torch.equal(images, other) and torch.equal(labels, other_labels)


def test_images_are_resized_one_by_one_as_in_the_report(drawn):
    images, labels = zip(*PerImageLoader(drawn, SPEC, 64, CPU), strict=True)
    assert torch.equal(torch.cat(labels), torch.from_numpy(drawn.y))
    prepare = transforms.Compose([transforms.ToPILImage(), transforms.Resize((32, 32)), transforms.ToTensor()])
    assert torch.equal(torch.cat(images), torch.stack([prepare(image) for image in drawn.x]))


@LOADERS
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("count, batch_size", [(480, 64), (128, 64), (65, 64), (1, 64), (5, 1), (63, 64), (9, 4)])
def test_its_length_is_its_number_of_batches(drawn, loader, shuffle, count, batch_size):
    batches = loader(drawn.subset(range(count)), SPEC, batch_size, CPU, shuffle=shuffle)
    sizes = [len(labels) for _, labels in batches]
    assert len(batches) == len(sizes)
    dropped = 1 if shuffle and count > 1 and count % batch_size == 1 and batch_size > 1 else 0
    assert sum(sizes) == count - dropped and sizes[:-1] == [batch_size] * (len(sizes) - 1)


@LOADERS
def test_it_can_be_iterated_again(drawn, loader):
    def labels(batches):
        return torch.cat([y for _, y in batches]).tolist()

    plain, shuffled = (loader(drawn, SPEC, 64, CPU, shuffle=shuffle) for shuffle in (False, True))
    assert labels(plain) == labels(plain) == drawn.y.tolist()
    first, second = labels(shuffled), labels(shuffled)
    assert first != second and sorted(first) == sorted(second) == sorted(drawn.y.tolist())


def test_a_batch_of_one_image_is_found():
    assert [n for n in range(12) if has_singleton_batch(n, 4)] == [5, 9]
    assert not has_singleton_batch(1, 4), "there is no other batch"


@LOADERS
def test_a_subset_of_a_read_only_memory_map(drawn, tmp_path, loader):
    np.save(tmp_path / "x.npy", drawn.x)
    stored = np.load(tmp_path / "x.npy", mmap_mode="r")
    chosen = [470, 3, 3, 250]
    images = CharDataset(stored, drawn.y, classes=drawn.classes).subset(chosen)
    assert np.shares_memory(images.array, stored) and not images.array.flags.writeable
    found, labels = zip(*loader(images, SPEC, 3, CPU), strict=True)
    expected, _ = zip(*loader(drawn.subset(chosen), SPEC, 3, CPU), strict=True)
    assert torch.cat(labels).tolist() == drawn.y[chosen].tolist()
    assert torch.equal(torch.cat(found), torch.cat(expected))


def test_images_stay_in_host_memory_on_a_cpu(drawn):
    loader = ResidentLoader(drawn, SPEC, 64, CPU)
    assert loader._resident is None and torch.equal(loader._background, backgrounds(torch.from_numpy(drawn.x)))


def test_images_that_are_resident_give_the_same_batches(drawn, monkeypatch):
    images = drawn.subset(range(7, 480, 5))
    expected = list(ResidentLoader(images, SPEC, 64, CPU))
    monkeypatch.setattr(ResidentLoader, "_fits_device", lambda self: True)
    loader = ResidentLoader(images, SPEC, 64, CPU)
    assert loader._resident.shape == (95, 28, 28)
    for (x, y), (other_x, other_y) in zip(loader, expected, strict=True):
        assert torch.equal(x, other_x) and torch.equal(y, other_y)


def test_the_loader_suits_config_and_images(drawn):
    config = Config(batch_size=50)
    training, evaluating = (make_loader(drawn, SPEC, config, CPU, training=flag) for flag in (True, False))
    assert (training.batch_size, training.shuffle, training.augmentation) == (50, True, config)
    assert (evaluating.batch_size, evaluating.shuffle, evaluating.augmentation) == (EVALUATION_BATCH, False, None)
    assert make_loader(drawn, SPEC, config, CPU, augment=True).augmentation is config
    still = Config(scale=0, shear=0, shift=0, elastic=0)
    assert make_loader(drawn, SPEC, still, CPU, training=True).augmentation is None
    report = make_loader(drawn, SPEC, Config(recipe="report"), CPU, training=True)
    assert isinstance(report, PerImageLoader) and len(report) == 480 / 32
    transformed = drawn.with_transform(transforms.ToTensor())
    (images, _), *_ = make_loader(transformed, SPEC, config, CPU)
    assert images.shape == (480, 1, 28, 28), "the transform alone prepares the images"


def test_a_memory_map_is_read_ahead_in_its_order_and_gives_the_same_batches(drawn, tmp_path):
    np.save(tmp_path / "x.npy", drawn.x)
    mapped = CharDataset(np.load(tmp_path / "x.npy", mmap_mode="r"), drawn.y, classes=drawn.classes)
    batches = []
    for images in (drawn, mapped):
        torch.manual_seed(1)
        loader = ResidentLoader(images.subset(range(100, 300)), SPEC, 32, CPU, Config(), shuffle=True)
        batches.append(list(loader))
    for (x, y), (other_x, other_y) in zip(*batches, strict=True):
        assert x.equal(other_x) and y.equal(other_y)


def test_what_is_computed_ahead_is_bounded_and_in_order():
    begun = []

    def double(i: int) -> int:
        begun.append(i)
        return 2 * i

    results = ahead(double, range(10))
    assert next(results) == 0 and len(begun) <= 3
    assert list(results) == list(range(2, 20, 2)) and begun == list(range(10))


def test_an_error_of_what_is_computed_ahead_is_raised_where_it_is_used():
    with pytest.raises(ZeroDivisionError):
        list(ahead(lambda i: 1 // i, [1, 0, 1, 1, 1]))
    results = ahead(lambda i: i, range(10))
    next(results)
    results.close()
