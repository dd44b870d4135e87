import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms

import dataset as data
from config import Config, InputError
from dataset import CharDataset, backgrounds, batches, ink, load_npz, prepare, split, warp


def error(call, *args, **options) -> str:
    with pytest.raises(InputError) as caught:
        call(*args, **options)
    return str(caught.value)


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


# ---------------------------------------------------------------------------------------------- CharDataset


def test_an_item_is_an_image_and_its_label(drawn):
    image, label = drawn[41]
    assert (image.shape, image.dtype, label) == ((1, 28, 28), torch.uint8, 1) and len(drawn) == 480
    images, labels = next(iter(DataLoader(drawn, batch_size=5)))
    assert images.shape == (5, 1, 28, 28) and labels.dtype == torch.int64


def test_a_torchvision_transform_gets_a_pil_image(drawn):
    resized = drawn.with_transform(transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()]))
    images, _ = next(iter(DataLoader(resized, batch_size=5)))
    assert images.shape == (5, 1, 32, 32) and images.dtype == torch.float32
    assert images.min() >= 0 and images.max() == 1


def test_arrays_that_do_not_fit_are_named():
    x, y = np.zeros((3, 8, 8), np.uint8), np.array([0, 1, 1])
    assert error(CharDataset, x[0], y) == "x must be uint8 (N, H, W), not uint8 (8, 8)"
    assert error(CharDataset, x / 255, y) == "x must be uint8 (N, H, W), not float64 (3, 8, 8)"
    assert error(CharDataset, x, y[:2]) == "x holds 3 images and y 2 labels: they must be as many"
    assert error(CharDataset, x, y * 0.5) == "y must be integers (N,), not float64 (3,)"
    assert error(CharDataset, x, y, classes=["a"]) == "y has labels from 0 to 1: with 1 classes they must be 0 to 0"


# ---------------------------------------------------------------------------------------------- npz


def test_keras_layout_loads(tmp_path):
    x, y = np.arange(2 * 9, dtype=np.uint8).reshape(2, 3, 3), np.array([0, 2])
    path = saved(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x[:1], y_test=y[1:])
    train, test = load_npz(path), load_npz(path, "test")
    np.testing.assert_array_equal(train.x, x)
    assert train.classes == test.classes == ["0", "1", "2"] and test.y.tolist() == [2]


def test_a_file_without_test_images_has_an_empty_test_part(tmp_path):
    path = saved(tmp_path / "a.npz", x=np.zeros((2, 8, 8), np.uint8), y=[0, 1], classes=["a", "b"])
    assert len(load_npz(path, "test")) == 0 and load_npz(path, "test").classes == ["a", "b"]


@pytest.mark.parametrize("dtype, factor", [(np.float32, 1 / 255), (np.float64, 1), (np.int32, 1), (np.uint16, 1)])
@pytest.mark.parametrize("shape", [(2, 8, 8), (2, 1, 8, 8), (2, 8, 8, 1)])
def test_other_dtypes_and_a_channel_become_uint8(tmp_path, dtype, factor, shape):
    x = np.random.default_rng(0).integers(0, 256, (2, 8, 8))
    path = saved(tmp_path / "a.npz", x=(x * factor).astype(dtype).reshape(shape), y=[[0], [1]])
    np.testing.assert_array_equal(load_npz(path).x, x)


def test_bad_files_are_named_with_what_is_wrong(tmp_path):
    x, y, path = np.zeros((2, 8, 8), np.uint8), np.array([0, 1]), tmp_path / "a.npz"
    bad = np.zeros((2, 8, 8))
    bad[0, 0, 0] = np.nan
    for arrays, message in (
        ({"x": x}, "it has no 'y', only x"),
        ({"x": x, "y": y[:1]}, "x holds 2 images and y 1 labels: they must be as many"),
        ({"x": x, "y": y + 5, "classes": ["a", "b"]}, "y has labels from 5 to 6: with 2 classes they must be 0 to 1"),
        ({"x": x, "y": y - 1, "classes": ["a", "b"]}, "y has labels from -1 to 0: with 2 classes they must be 0 to 1"),
        ({"x": bad, "y": y}, "x holds values that are not finite (NaN or infinity): mend or drop those images"),
        ({"x": bad[1:] - 1, "y": y[:1]}, "x holds values from -1.0 to 0.0: they must be 0 to 255, or 0 to 1 as floats"),
        ({"x": np.zeros((2, 8, 8, 3), np.uint8), "y": y}, "x must be uint8 (N, H, W), not uint8 (2, 8, 8, 3)"),
    ):
        assert error(load_npz, saved(path, **arrays)) == f"{path}: {message}"
    np.savez(path, x=np.array([x, None], dtype=object), y=y)
    assert error(load_npz, path).startswith(f"{path} is not a readable npz of plain arrays: Object arrays cannot")
    path.write_bytes(path.read_bytes()[:50])
    assert error(load_npz, path).startswith(f"{path} is not a readable npz of plain arrays: ")
    np.save(tmp_path / "a.npy", x)
    assert "is not a readable npz" in error(load_npz, tmp_path / "a.npy")
    assert error(load_npz, tmp_path / "b.npz") == f"{tmp_path / 'b.npz'} does not exist: make it with dataset.prepare"


# ---------------------------------------------------------------------------------------------- prepare


def test_without_images_characters_are_drawn_and_called_synthetic(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(data.strokes, "draw", lambda size, real=data.strokes.draw: real(per_class=3, size=size))
    images = load_npz(prepare(Config()))
    assert images.classes == list("博学笃志切问近思自由无用") and len(images) == 36
    assert images.source.startswith("synthetic") and "synthetic" in capsys.readouterr().out
    prepare(Config())
    assert "is up to date" in capsys.readouterr().out


def test_raw_images_replace_drawn_ones(tmp_path, monkeypatch, raw, paper):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(data.strokes, "draw", lambda size, real=data.strokes.draw: real(per_class=3, size=size))
    prepare(Config())
    raw({"a": paper(2), "b": paper(2, 1)}, "data/raw")
    assert load_npz(prepare(Config())).classes == ["a", "b"]


def test_an_npz_of_the_users_is_used_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path / "mine.npz", x=np.zeros((2, 8, 8), np.uint8), y=[0, 1])
    assert load_npz(prepare(Config(data_path=str(path)))).classes == ["0", "1"]
    assert "is used as it is" in capsys.readouterr().out


def test_a_folder_that_was_named_must_be_there(tmp_path):
    config = Config(raw_data_path=str(tmp_path / "none"), data_path=str(tmp_path / "data.npz"))
    assert "does not exist" in error(prepare, config)


# ---------------------------------------------------------------------------------------------- split


def test_split_is_seeded_and_stratified(drawn):
    train, val = split(drawn, 0.1, seed=1)
    assert np.bincount(train.y).tolist() == [36] * 12 and np.bincount(val.y).tolist() == [4] * 12
    again, other = split(drawn, 0.1, seed=1)[1], split(drawn, 0.1, seed=2)[1]
    assert val.files.tolist() == again.files.tolist() != other.files.tolist()
    assert sorted([*train.files, *val.files]) == sorted(drawn.files)


@pytest.mark.parametrize("seed", range(20))
def test_no_identical_images_on_two_sides(drawn, seed):
    rng = np.random.default_rng(seed)
    copies = rng.integers(0, len(drawn), 300)  # many groups, some of three and more, some across classes
    labels = np.where(rng.random(300) < 0.1, rng.integers(0, 12, 300), drawn.y[copies])
    both = CharDataset(np.concatenate([drawn.x, drawn.x[copies]]), np.concatenate([drawn.y, labels]))
    train, val = split(both, 0.2, seed)
    assert not {image.tobytes() for image in train.x} & {image.tobytes() for image in val.x}
    assert len(train) + len(val) == 780 and abs(len(val) - 156) < 20


def test_small_classes_stand_on_both_sides():
    x = np.arange(6, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    for seed in range(10):
        train, val = split(CharDataset(x, np.array([0, 0, 1, 1, 1, 1])), 0.1, seed)
        assert set(train.y) == set(val.y) == {0, 1}
    x[1] = x[0]
    message = "class '0' has 1 different images: a split needs at least two of each class"
    assert error(split, CharDataset(x, np.array([0, 0, 1, 1, 1, 1]))) == message
    assert error(split, CharDataset(x, np.zeros(6, int)), 1.5) == "val_fraction must be between 0 and 1, not 1.5"


def test_the_labs_split_does_not_leak(real_images, tmp_path):
    images = load_npz(prepare(Config(raw_data_path=str(real_images), data_path=str(tmp_path / "data.npz"))))
    train, val = split(images)
    assert (len(train), len(val)) == (6696, 744) and np.bincount(val.y).tolist() == [62] * 12
    assert not {image.tobytes() for image in train.x} & {image.tobytes() for image in val.x}


# ---------------------------------------------------------------------------------------------- batches


def test_ink_is_the_distance_from_the_background(drawn):
    x = torch.from_numpy(drawn.x[:20])

    def inked(images):
        return ink(images, backgrounds(images))

    assert torch.equal(inked(x), 255 - x) and torch.equal(inked(255 - x), 255 - x)
    grey = torch.where(x == 255, 180, 30).to(torch.uint8)
    assert torch.equal(inked(grey), (255 - x) // 255 * 150)


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


def test_batches_give_every_image_once(drawn):
    device = torch.device("cpu")
    x, y = torch.from_numpy(drawn.x), torch.from_numpy(drawn.y)
    torch.manual_seed(1)
    images, labels = zip(*batches(x, backgrounds(x), y, 64, 32, device, shuffle=True), strict=True)
    assert [len(part) for part in labels] == [64] * 7 + [32] and images[0].shape == (64, 1, 32, 32)
    torch.manual_seed(1)
    order = torch.randperm(len(y))
    assert torch.equal(torch.cat(labels), y[order])
    torch.testing.assert_close(torch.cat(images), warp(255 - x[order], 32))
