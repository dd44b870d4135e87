import hashlib

import numpy as np
import pytest
import torch
from conftest import error, without_seconds
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms

import dataset
from classifier import CNNClassifier
from common.errors import InputError
from common.files import fingerprint, write_atomically
from config import Config
from dataset import CharDataset, as_dataset, correct, leak_groups, load, load_parts, split, together
from imaging.fitting import fit_image
from imaging.input_spec import InputSpec
from init import prepare
from readers import npz


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


# ---------------------------------------------------------------------------------------------- CharDataset


def test_an_item_is_an_image_and_its_label(drawn):
    image, label = drawn[41]
    assert (image.shape, image.dtype, label) == ((1, 28, 28), torch.uint8, 1) and len(drawn) == 480
    image.zero_()
    assert drawn.array[41].any()  # an item is a copy
    images, labels = next(iter(DataLoader(drawn, batch_size=5)))
    assert images.shape == (5, 1, 28, 28) and labels.dtype == torch.int64


def test_names_are_numbers_unless_they_are_given():
    images = CharDataset(np.zeros((3, 8, 8), np.uint8), [0, 2, 1])
    assert images.classes == ["0", "1", "2"] and images.files.tolist() == ["0", "1", "2"] and images.source == ""
    assert (images.cropped, images.corrections, images.y.dtype) == (False, [], np.int64)
    assert CharDataset(images.x[:0], np.zeros(0, int)).classes == []


def test_a_subset_is_of_indices_or_of_a_mask(drawn):
    assert set(drawn.subset(drawn.y == 3).y) == {3} and drawn.subset([5, 4]).files.tolist() == ["5", "4"]
    assert len(drawn.subset([])) == 0
    nested = drawn.subset(range(1, 480, 2)).subset([0, 100, 100])
    assert nested.indices.tolist() == [1, 201, 201] and nested.y.tolist() == [0, 5, 5] and len(nested) == 3
    np.testing.assert_array_equal(nested.x, drawn.x[[1, 201, 201]])
    np.testing.assert_array_equal(nested[1][0][0], drawn.x[201])
    assert nested.shape == (3, 28, 28) and nested.classes == drawn.classes and nested.source == drawn.source


def test_subsets_and_splits_share_the_array_of_images(drawn):
    train, val = split(drawn, 0.2)
    for other in (drawn.subset([3, 4]), drawn.with_transform(lambda image: image), train, val, val.subset([0])):
        assert np.shares_memory(other.array, drawn.array) and other.array.shape == drawn.array.shape
    x = np.zeros((3, 8, 8), np.uint8)
    assert np.shares_memory(CharDataset(x, [0, 1, 1]).array, x)


def test_x_is_the_array_itself_if_all_images_are_meant(drawn):
    assert drawn.x is drawn.array and drawn.subset(range(480)).x is drawn.array
    for indices in (range(479, -1, -1), [*range(479), 0], range(240)):
        other = drawn.subset(indices)
        assert not np.shares_memory(other.x, drawn.array)
        np.testing.assert_array_equal(other.x, drawn.array[list(indices)])


def test_a_sample_of_many_images_has_as_many_of_each_class(drawn):
    assert drawn.sample() is drawn
    few = drawn.subset([*range(100), *range(440, 480)])  # 40, 40 and 20 of the first classes, 40 of the last
    sample = few.sample(96)
    assert np.bincount(sample.y).tolist() == [8, 8, 8, *[0] * 8, 8] and (np.diff(sample.indices) > 0).all()
    assert len(few.sample(3)) == 4, "one of each class"
    assert few.sample(96, seed=1).indices.tolist() != sample.indices.tolist() == few.sample(96).indices.tolist()


def test_chunks_and_images_are_the_images_in_order(drawn, monkeypatch):
    monkeypatch.setattr(dataset, "CHUNK", 7)
    few = drawn.subset(range(40, 0, -2))
    chunks = list(few.chunks())
    assert [len(chunk) for chunk in chunks] == [7, 7, 6]
    np.testing.assert_array_equal(np.concatenate(chunks), few.x)
    assert not any(np.shares_memory(chunk, drawn.array) for chunk in chunks)
    np.testing.assert_array_equal(np.stack(list(few.images())), few.x)


def test_the_fingerprint_is_of_images_labels_and_classes_whatever_the_chunks(drawn, monkeypatch):
    few = drawn.subset(range(0, 480, 5))
    expected = fingerprint(few.x, few.y, np.array(few.classes))
    assert few.fingerprint() == expected and len(expected) == 16
    monkeypatch.setattr(dataset, "CHUNK", 7)
    assert few.fingerprint() == expected
    copied = CharDataset(few.x, few.y, classes=few.classes, source="other", files=few.files)
    assert copied.fingerprint() == expected  # wherever the images come from
    for other in (few.subset(range(95)), few.subset([1, 0, *range(2, 96)]), drawn,
                  CharDataset(few.x, (few.y + 1) % 12, classes=few.classes),
                  CharDataset(few.x, few.y, classes=few.classes[::-1])):  # fmt: skip
        assert other.fingerprint() != expected
    assert drawn.subset([]).fingerprint() == fingerprint(drawn.x[:0], drawn.y[:0], np.array(drawn.classes))
    whole = hashlib.sha256(b"(480, 28, 28)uint8" + drawn.x.tobytes() + b"(480,)int64" + drawn.y.tobytes())
    whole.update(b"(12,)<U1" + np.array(drawn.classes).tobytes())
    assert drawn.fingerprint() == whole.hexdigest()[:16]


def test_a_read_only_memory_map_is_used_as_it_is(drawn, tmp_path, quick):
    """Training on it raises no warning either: warnings are errors."""
    few = drawn.subset(range(0, 480, 4))
    np.save(tmp_path / "x.npy", few.x)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert isinstance(x, np.memmap) and not x.flags.writeable
    images = CharDataset(x, few.y, classes=few.classes)
    train, val = split(images, 0.2)
    for part in (images, train, val):
        assert np.shares_memory(part.array, x) and not part.array.flags.writeable
    assert images[3][0].dtype == torch.uint8 and images.fingerprint() == few.fingerprint()
    config = quick(epochs=1, batch_size=32)
    history = CNNClassifier(config, images.classes).fit(train, val)
    expected = CNNClassifier(config, few.classes).fit(*split(few, 0.2))
    assert without_seconds(history) == without_seconds(expected)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), few.x)


def test_a_torchvision_transform_gets_a_pil_image(drawn):
    resized = drawn.with_transform(transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()]))
    images, _ = next(iter(DataLoader(resized, batch_size=5)))
    assert images.shape == (5, 1, 32, 32) and images.dtype == torch.float32
    assert images.min() >= 0 and images.max() == 1
    assert drawn.with_transform(lambda image: (image.mode, image.size))[0] == (("L", (28, 28)), 0)
    assert drawn.transform is None


def test_arrays_that_do_not_fit_are_named():
    x, y = np.zeros((3, 8, 8), np.uint8), np.array([0, 1, 1])
    assert error(CharDataset, x[0], y) == "x must be uint8 (N, H, W), or in colour (N, H, W, 3), not uint8 (8, 8)"
    assert error(CharDataset, [x[0], x[0, 1:]], y[:2]) == (
        "the images differ in size: CharDataset.from_dataset(list(zip(x, y)), size=28) fits them to one"
    )
    assert len(CharDataset.from_dataset(list(zip([x[0], x[0, 1:]], [0, 1], strict=True)), size=28)) == 2
    assert (
        error(CharDataset, x / 255, y) == "x must be uint8 (N, H, W), or in colour (N, H, W, 3), not float64 (3, 8, 8)"
    )
    assert error(CharDataset, x, y[:2]) == "x holds 3 images and y 2 labels: give one label per image"
    assert error(CharDataset, x, y * 0.5) == "y must be integers (N,), not float64 (3,)"
    assert error(CharDataset, x, y, classes=["a"]) == "y has labels from 0 to 1: with 1 class they must be 0 to 0"
    assert error(CharDataset, x, y - 1) == "y has labels from -1 to 0: with 1 class they must be 0 to 0"
    assert error(CharDataset, x, y, files=["a"]) == "files must be names (N,), one per image, not (1,)"


def test_fitted_images_have_the_size_of_the_models_training_images(drawn):
    few = drawn.subset([5, 300])
    assert few.fitted(InputSpec(32, (28, 28))) is few and len(few.subset([]).fitted(InputSpec(32, (20, 24)))) == 0
    for cropped in (False, True):
        other = few.fitted(InputSpec(32, (20, 24), cropped))
        assert other.shape == (2, 20, 24) and other.files.tolist() == ["5", "300"] and other.y.tolist() == [0, 7]
        for ours, image in zip(other.x, few.x, strict=True):
            np.testing.assert_array_equal(ours, fit_image(image, 20, 24, cropped))
    assert few.shape == (2, 28, 28)


def test_arrays_to_predict_become_a_dataset(drawn):
    spec = InputSpec(32, (20, 20))
    assert as_dataset(drawn, ["a", "b"], spec) is drawn
    for x, shape in ((drawn.x[:3], (3, 20, 20)), (drawn.x[0], (1, 20, 20)), (drawn.x[:0], (0, 28, 28))):
        images = as_dataset(x, ["a", "b"], spec)
        assert images.shape == shape and images.classes == ["a", "b"] and not images.y.any()
    images = as_dataset([drawn.x[0], drawn.x[1].repeat(2, 0)], ["a", "b"], spec)
    np.testing.assert_array_equal(images.x, [spec.fit(drawn.x[0]), spec.fit(drawn.x[1].repeat(2, 0))])


# ---------------------------------------------------------------------------------------------- load


def test_our_own_npz_loads_with_all_that_it_holds(drawn, tmp_path):
    path = saved(
        tmp_path / "data.npz", x=drawn.x[:80], y=drawn.y[:80], classes=["博", "学"], source="a test", cropped=True,
        files=[f"1/{i}.bmp" for i in range(80)], x_test=drawn.x[:2], y_test=[0, 1], files_test=["test/1/a", "test/2/b"],
    )  # fmt: skip
    train, test = load(path), load(path, "test")
    np.testing.assert_array_equal(train.x, drawn.x[:80])
    assert train.classes == test.classes == ["博", "学"] and train.source == "a test" and train.cropped and test.cropped
    assert train.files[7] == "1/7.bmp" and test.files.tolist() == ["test/1/a", "test/2/b"] and test.y.tolist() == [0, 1]


def test_keras_layout_loads(tmp_path):
    x, y = np.arange(2 * 9, dtype=np.uint8).reshape(2, 3, 3), np.array([0, 2])
    path = saved(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x[:1], y_test=y[1:])
    train, test = load(path), load(path, "test")
    np.testing.assert_array_equal(train.x, x)
    assert train.classes == test.classes == ["0", "2"] and test.y.tolist() == [1]


def test_a_part_is_train_or_test(tmp_path, drawn):
    path = saved(tmp_path / "data.npz", x=drawn.x, y=drawn.y)
    assert error(load, path, "Test") == "unknown part 'Test': it is one of train, val, test"
    path = saved(tmp_path / "data.npz", x=drawn.x, y=drawn.y / 2)
    assert error(load, path) == f"{path}: y must be integers or text (N,), or one-hot (N, C), not float64 (480,)"


def test_a_file_without_test_images_has_an_empty_test_part(tmp_path):
    path = saved(tmp_path / "a.npz", x=np.zeros((2, 8, 8), np.uint8), y=[0, 1], classes=["a", "b"])
    assert len(load(path, "test")) == 0 and load(path, "test").classes == ["a", "b"]


def test_all_parts_are_of_one_file(tmp_path, drawn, monkeypatch):
    """Also if another process replaces it meanwhile."""
    path = tmp_path / "data.npz"

    def write(value: int) -> None:
        x = np.full((2, 8, 8), value, np.uint8)
        write_atomically(path, lambda file: np.savez(file, x=x, y=[0, 1], x_test=x, y_test=[0, 1], files=["a", "b"]))

    check_archive = npz.check_archive

    def replaced(*arguments):
        check_archive(*arguments)
        write(200)

    write(100)
    monkeypatch.setattr(npz, "check_archive", replaced)
    parts = load_parts(path)
    assert list(parts) == ["train", "val", "test"] and len(parts["val"]) == 0
    assert parts["train"].x.max() == parts["test"].x.max() == 100 and load(path).x.max() == 200
    monkeypatch.undo()
    correct(path, {"a": None})
    assert [len(part) for part in load_parts(path).values()] == [1, 0, 2]
    assert len(load_parts(path, corrected=False)["train"]) == 2


def test_bad_files_are_named_with_what_is_wrong(tmp_path):
    """See also tests/readers/test_npz.py."""
    x, y, path = np.zeros((2, 8, 8), np.uint8), np.array([0, 1]), tmp_path / "a.npz"
    for arrays, message in (
        ({"x": x}, "it has no 'y', only x"),
        ({"x": x, "y": y[:1]}, "x holds 2 images and y 1 labels: give one label per image"),
        ({"x": x, "y": y + 5, "classes": ["a", "b"]}, "y has labels from 5 to 6: with 2 classes they must be 0 to 1"),
        ({"x": x, "y": y - 1, "classes": ["a", "b"]}, "y has labels from -1 to 0: with 2 classes they must be 0 to 1"),
        ({"x": x[:, :2], "y": y[:1], "source": "a"}, "x holds 2 images and y 1 labels: give one label per image"),
        ({"x": x, "y": y, "files": ["a"]}, "files must be names (N,), one per image, not (1,)"),
    ):
        assert error(load, saved(path, **arrays)) == f"{path}: {message}"
    assert error(load, tmp_path / "b.npz") == f"{tmp_path / 'b.npz'} does not exist: make it with init.prepare"


# ---------------------------------------------------------------------------------------------- split


def test_split_is_seeded_and_stratified(drawn):
    train, val = split(drawn, 0.1, seed=1)
    assert np.bincount(train.y).tolist() == [36] * 12 and np.bincount(val.y).tolist() == [4] * 12
    again, other = split(drawn, 0.1, seed=1)[1], split(drawn, 0.1, seed=2)[1]
    assert val.files.tolist() == again.files.tolist() != other.files.tolist()
    assert sorted([*train.files, *val.files]) == sorted(drawn.files)


def test_the_split_of_a_seed_is_the_same_on_every_machine(drawn):
    assert split(drawn, 0.1)[1].indices[:12].tolist() == [0, 20, 26, 33, 40, 45, 51, 55, 80, 91, 96, 100]


@pytest.mark.parametrize("seed", range(20))
def test_no_identical_images_on_two_sides(drawn, seed):
    rng = np.random.default_rng(seed)
    copies = rng.integers(0, len(drawn), 300)  # many groups, some of three and more, some across classes
    labels = np.where(rng.random(300) < 0.1, rng.integers(0, 12, 300), drawn.y[copies])
    both = CharDataset(np.concatenate([drawn.x, drawn.x[copies]]), np.concatenate([drawn.y, labels]))
    train, val = split(both, 0.2, seed)
    assert not {image.tobytes() for image in train.x} & {image.tobytes() for image in val.x}
    assert len(train) + len(val) == 780 and abs(len(val) - 156) < 20


def test_leak_groups_are_of_identical_images():
    x = np.arange(6, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    x[4] = x[1]
    images = CharDataset(x, np.zeros(6, int))
    assert leak_groups(images).tolist() == [0, 1, 2, 3, 1, 4]
    assert leak_groups(images.subset([4, 2, 1])).tolist() == [0, 1, 0]


def test_labels_with_gaps_cannot_be_split():
    images = CharDataset(np.zeros((4, 8, 8), np.uint8), [1, 1, 2, 2])
    assert error(split, images) == "class '0' has no image: labels must be 0 to 2 without gaps, so give y - 1"


def test_small_classes_stand_on_both_sides():
    x = np.arange(6, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    for seed in range(10):
        train, val = split(CharDataset(x, np.array([0, 0, 1, 1, 1, 1])), 0.1, seed)
        assert set(train.y) == set(val.y) == {0, 1}


def test_a_class_with_one_image_or_writer_is_trained_on(capsys):
    x = np.arange(6, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    x[1] = x[0]  # the same image twice
    y = np.array([0, 0, 1, 1, 1, 1])
    writers = ["v", "w", "w", "w", "v", "v"]
    alone = CharDataset(x[1:], np.array([0, 1, 1, 2, 2]), group=["w", "v", "w", "v", "w"])  # a writer of all classes
    for seed in range(10):
        train, val = split(CharDataset(x, y), 0.1, seed)
        assert set(train.y) == {0, 1} and set(val.y) == {1}
        assert "Only one different image or one writer: 0. These classes are not validated" in capsys.readouterr().out
        train, val = split(CharDataset(x, y, group=writers), 0.3, seed)
        assert set(train.y) == {0, 1} and not set(train.group) & set(val.group)
        assert set(split(alone, 0.4, seed)[0].y) == {0, 1, 2}


@pytest.mark.parametrize("fraction", [0, 1, 1.5])
def test_a_fraction_out_of_range_is_named(drawn, fraction):
    assert error(split, drawn, fraction) == f"val_fraction must be between 0 and 1, not {fraction}"


def test_the_labs_split_does_not_leak(real_images, tmp_path):
    images = load(prepare(Config(raw_data_path=str(real_images), data_path=str(tmp_path / "data.npz"))))
    train, val = split(images)
    assert (len(train), len(val)) == (6696, 744) and np.bincount(val.y).tolist() == [62] * 12
    assert not {image.tobytes() for image in train.x} & {image.tobytes() for image in val.x}


def test_real_and_drawn_images_together():
    real = CharDataset(np.zeros((2, 4, 4), np.uint8), [0, 1], None, ["b", "a"], "mine", group=["me", "me"])
    drawn = CharDataset(np.ones((9, 4, 4), np.uint8), [0] * 5 + [1] * 4, None, ["a", "b"], "drawn")
    both = together(real, drawn)
    assert both.classes == ["b", "a"] and both.source == "mine, and drawn" and both.shape == (17, 4, 4)
    assert [both.classes[label] for label in both.y] == ["b", "a"] * 4 + ["a"] * 5 + ["b"] * 4
    assert both.x.sum((1, 2)).tolist() == [0] * 8 + [16] * 9 and both.group[:3].tolist() == ["me"] * 3
    assert len(both.array) == 11, "an image that is repeated is held once"
    assert len(together(real, drawn, 0.01)) == 11, "all real images are there"
    for other, share in ((drawn, 1.0), (CharDataset(drawn.x, drawn.y, None, ["a", "c"]), 0.5)):
        with pytest.raises(InputError, match="the same size and classes, and share, .*, must be between 0 and 1"):
            together(real, other, share)


def test_pictures_are_cropped_like_the_training_images_whatever_their_size(tmp_path):
    """A file of 28×28 pixels is not prepared yet, as an array of the training images' shape is."""
    image = np.full((28, 28), 255, np.uint8)
    image[2:8, 2:8] = 0
    spec = InputSpec(32, (28, 28), cropped=True)
    expected = fit_image(image, 28, 28, crop=True)[None]
    Image.fromarray(image).save(tmp_path / "a.png")
    pictures = [tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(image)]
    for given in (*pictures, pictures, iter(pictures), tuple(pictures)):
        x = as_dataset(given, ["a", "b"], spec).x
        np.testing.assert_array_equal(x, np.repeat(expected, len(x), 0))
    for given in (image, image[None], [image, image], iter([image])):
        np.testing.assert_array_equal(as_dataset(given, ["a", "b"], spec).x[0], image)
    assert len(as_dataset([], ["a", "b"], spec)) == 0
