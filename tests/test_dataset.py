import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchvision import transforms

import dataset as data
from common.errors import InputError
from config import Config
from dataset import CharDataset, load_npz, prepare, split


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


def test_a_subset_is_of_indices_or_of_a_mask(drawn):
    assert set(drawn.subset(drawn.y == 3).y) == {3} and drawn.subset([5, 4]).files.tolist() == ["5", "4"]
    assert len(drawn.subset([])) == 0


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
    assert error(CharDataset, x, y, files=["a"]) == "files must be names (N,), as many as images, not (1,)"


# ---------------------------------------------------------------------------------------------- npz


def test_keras_layout_loads(tmp_path):
    x, y = np.arange(2 * 9, dtype=np.uint8).reshape(2, 3, 3), np.array([0, 2])
    path = saved(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x[:1], y_test=y[1:])
    train, test = load_npz(path), load_npz(path, "test")
    np.testing.assert_array_equal(train.x, x)
    assert train.classes == test.classes == ["0", "1", "2"] and test.y.tolist() == [2]


def test_a_part_is_train_or_test(tmp_path, drawn):
    path = saved(tmp_path / "data.npz", x=drawn.x, y=drawn.y)
    assert error(load_npz, path, "Test") == "unknown part 'Test': it is 'train' or 'test'"
    path = saved(tmp_path / "data.npz", x=drawn.x, y=np.array(drawn.classes)[drawn.y])
    assert error(load_npz, path).endswith("data.npz: y must be integers (N,), not <U1 (480,)")


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
        ({"x": x, "y": y, "files": ["a"]}, "files must be names (N,), as many as images, not (1,)"),
    ):
        assert error(load_npz, saved(path, **arrays)) == f"{path}: {message}"
    np.savez(path, x=np.array([x, None], dtype=object), y=y)
    assert error(load_npz, path) == f"{path}: 'x.npy' holds Python objects, which only pickle could read"
    no_text = np.full(2, 0x110000, np.uint32).view("U1")  # there are fewer characters
    assert "is not a readable npz of plain arrays: " in error(load_npz, saved(path, x=x, y=y, files=no_text))
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
