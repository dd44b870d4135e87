from collections import UserList

import numpy as np
import pytest
import torch
from conftest import encoded
from PIL import Image
from torch.utils.data import ConcatDataset, Subset, TensorDataset
from torchvision import datasets, transforms

from common.errors import InputError
from dataset import CharDataset

X = np.random.default_rng(0).integers(0, 256, (6, 8, 9), np.uint8)
Y = [0, 1, 2, 0, 1, 2]
PILS = [Image.fromarray(image) for image in X]


class Named(UserList):
    classes = ("a", "b", "c")


def error(*args, **options) -> str:
    with pytest.raises(InputError) as caught:
        CharDataset.from_dataset(*args, **options)
    return str(caught.value)


@pytest.mark.parametrize("images", [
    PILS, X, torch.tensor(X), torch.tensor(X)[:, None], torch.tensor(X)[:, None] / 255, X[..., None],
    np.stack([X] * 3, 1), np.stack([X] * 3, 3) / 255, [image.convert("RGB") for image in PILS],
    [image.convert("CMYK") for image in PILS], [{"bytes": encoded(image), "path": None} for image in PILS],
])  # fmt: skip
def test_images_of_any_kind(images):
    for make in (lambda image, label: (image, label), lambda image, label: {"image": image, "label": label}):
        items = [make(image, label) for image, label in zip(images, Y, strict=True)]
        found = CharDataset.from_dataset(items)
        np.testing.assert_array_equal(found.x, X)
        assert found.y.tolist() == Y and found.classes == ["0", "1", "2"] and found.source == "list"


@pytest.mark.parametrize("label", [int, np.int64, torch.tensor, str, lambda k: np.array([k])])
def test_labels_of_any_kind(label):
    found = CharDataset.from_dataset([(image, label(k)) for image, k in zip(X, Y, strict=True)])
    assert found.y.tolist() == Y and found.classes == ["0", "1", "2"]


def test_wrapped_datasets_keep_the_names_of_their_classes():
    items = Named(zip(PILS, Y, strict=True))
    for dataset, chosen in (
        (items, range(6)), (Subset(items, [4, 1]), [4, 1]), (Subset(Subset(items, [4, 1, 0]), [2]), [0]),
        (ConcatDataset([Subset(items, [5]), items]), [5, *range(6)]),
    ):  # fmt: skip
        found = CharDataset.from_dataset(dataset)
        assert found.classes == ["a", "b", "c"] and found.y.tolist() == [Y[k] for k in chosen]
        np.testing.assert_array_equal(found.x, X[list(chosen)])
    assert CharDataset.from_dataset(items, ["x", "y", "z"]).classes == ["x", "y", "z"]


def test_parts_with_different_classes_are_put_together_by_the_names():
    items, other = Named(zip(PILS, Y, strict=True)), Named([(PILS[0], 1), (PILS[1], 0)])
    other.classes = ("d", "b")
    both = ConcatDataset([items, Subset(other, [1, 0])])
    found = CharDataset.from_dataset(Subset(both, [7, 6, 1]))
    assert found.classes == ["a", "b", "c", "d"] and [found.classes[label] for label in found.y] == ["b", "d", "b"]
    found = CharDataset.from_dataset(both, ["d", "c", "b", "a"])
    assert [found.classes[label] for label in found.y] == list("abcabc") + ["d", "b"], "not by their places"
    assert error(both, ["a", "b", "c"]) == "the label 'd' is none of its classes: a, b, c"
    nameless = ConcatDataset([items, list(items)])
    assert error(nameless) == (
        "some parts of the dataset name their classes, others do not: give the names, classes=[…]"
    )
    assert CharDataset.from_dataset(nameless, ["a", "b", "c"]).y.tolist() == Y + Y
    other[0] = (PILS[0], 2)
    assert error(both) == "item 7 of the ConcatDataset has the label 2, which none of its 2 classes has"


def test_a_dataset_of_hugging_face():
    class Feature:
        names = ["a", "b", "c"]

    items = UserList({"image": image, "label": label} for image, label in zip(PILS, Y, strict=True))
    items.features = {"image": None, "label": Feature()}
    assert CharDataset.from_dataset(items).classes == ["a", "b", "c"]


def test_images_that_hugging_face_has_not_decoded_are_read_from_their_paths(raw):
    path = raw({name: list(X[k::3]) for k, name in enumerate("abc")})
    files = [str(path / f"{name}/1.bmp") for name in "abc"]
    found = CharDataset.from_dataset([{"image": {"bytes": None, "path": file}, "label": 0} for file in files])
    np.testing.assert_array_equal(found.x, X[:3])


def test_datasets_of_torchvision(raw):
    path = raw({name: list(X[k::3]) for k, name in enumerate("abc")})
    for transform in (None, transforms.Grayscale(), transforms.ToTensor()):
        found = CharDataset.from_dataset(datasets.ImageFolder(str(path), transform))
        np.testing.assert_array_equal(found.x, X[[0, 3, 1, 4, 2, 5]])
        assert found.classes == ["a", "b", "c"] and found.y.tolist() == [0, 0, 1, 1, 2, 2]
    fake = datasets.FakeData(4, (1, 8, 8), 2, transforms.ToTensor())
    assert CharDataset.from_dataset(fake).shape == (4, 8, 8)
    assert CharDataset.from_dataset(TensorDataset(torch.tensor(X), torch.tensor(Y))).y.tolist() == Y


def test_a_char_dataset_remains_what_it_is(drawn):
    found = CharDataset.from_dataset(drawn.subset([5, 50, 500 - 100]))
    assert found.classes == drawn.classes
    np.testing.assert_array_equal(found.x, drawn.x[[5, 50, 400]])


def test_images_of_different_sizes_need_a_size():
    items = [(X[0], 0), (X[1, :5], 1), (X[2], 2)]
    assert error(items) == "the images have 2 sizes, as 9×8, 9×5: give the size they shall have, size=28"
    assert CharDataset.from_dataset(items, size=12).shape == (3, 12, 12)


def test_what_was_decided_is_said(capsys):
    CharDataset.from_dataset([(X[0] > 99, 1), (X[1] > 99, 2)])
    assert "list: labels are 1, 2: they are renumbered from 0." in capsys.readouterr().out


def test_what_is_no_dataset_of_labelled_images_is_named_with_the_remedy():
    for dataset, message in (
        (iter([]), "a list_iterator has no length or no items by index: list its items first, list(dataset)"),
        ([X[0]], "item 0 of the list is a ndarray: it must be (image, label) or a dict of image and label"),
        ([{"picture": X[0], "label": 1}],
         "item 0 of the list has the keys picture, label: name two of them image and label"),
        ([(X[0], 0), (b"no image", 1)],
         "item 1 of the list cannot be read: ValueError: not an image, judging by its content"),
        ([(np.array([[-2.0, 1.5]]), 0)],
         "x holds values from -2.0 to 1.5: they must be 0 to 255, or 0 to 1 as floats, not normalized"),
        ([(X[0], 0.5)], "y must be integers or text (N,), or one-hot (N, C), not float64 (1,)"),
        ([(X[0], None)], "item 0 of the list has a label of type NoneType: it must be a number or text"),
        (Named([(X[0], 3)]), "y has labels from 3 to 3: with 3 classes they must be 0 to 2"),
    ):  # fmt: skip
        assert error(dataset) == message


@pytest.mark.parametrize("given, classes", [
    (np.array(["a", "b"]), ["a", "b"]), ({"a": 0, "b": 1}, ["a", "b"]), (2, ["0", "1"]), (lambda: 2, ["0", "1"]),
], ids=["array", "dict", "number", "method"])  # fmt: skip
def test_what_a_dataset_calls_classes(given, classes):
    class Images(list):
        pass

    images = Images((np.full((4, 4), 255 * (k % 2), np.uint8), k % 2) for k in range(4))
    images.classes = given
    assert CharDataset.from_dataset(images).classes == classes
    images.classes = ["a", "a"]
    with pytest.raises(InputError, match="its classes are not all different: a, a"):
        CharDataset.from_dataset(images)


@pytest.mark.parametrize("size", [None, 28])
def test_an_image_without_pixels_is_named(size):
    with pytest.raises(InputError, match="item 0 of the list has an image without pixels"):
        CharDataset.from_dataset([(np.zeros((0, 4), np.uint8), 0)], size=size)
