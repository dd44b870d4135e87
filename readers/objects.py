"""Dataset objects of torchvision, Hugging Face and others, without importing these libraries."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from common.errors import InputError
from imaging.decoding import decode, image_to_grey
from imaging.fitting import fit_image
from readers.arrays import Arrays, to_grey
from readers.labels import number_labels

IMAGE_KEYS = ("image", "img", "pixel_values", "x")
LABEL_KEYS = ("label", "labels", "fine_label", "target", "class", "character", "y")


def read_dataset(dataset: Any, classes: Sequence[str] | None = None, size: int | None = None) -> Arrays:
    """Return the images of a dataset object as arrays; see `dataset.CharDataset.from_dataset`."""
    name = type(dataset).__name__
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise InputError(f"a {name} has no length or no items by index: list its items first, list(dataset)")
    images: list[np.ndarray] = []
    labels: list[int | float | str] = []
    for i in tqdm(range(len(dataset)), f"reading {name}", unit="image", delay=1):
        try:
            image, label = _unpack(dataset[i])
            images.append(_to_array(image))
            labels.append(_to_scalar(label))
        except InputError as error:
            raise InputError(f"item {i} of the {name} {error}") from None
        except Exception as error:  # whatever the library and the user's transform raise
            reason = f"{type(error).__name__}: {error!s:.200}"
            raise InputError(f"item {i} of the {name} cannot be read: {reason}") from error
    names = find_classes(dataset) if classes is None else [str(name) for name in classes]
    grey, image_notes = to_grey({str(i): image[None] for i, image in enumerate(images)})
    numbers, names, label_notes = number_labels({"train": np.array(labels)}, names)
    x = _stack([image[0] for image in grey.values()], size)
    return Arrays(x, numbers["train"], names, name, np.arange(len(x)).astype(str), notes=image_notes + label_notes)


def find_classes(dataset: Any) -> list[str] | None:
    """Return the names of a dataset's classes, also of one that is wrapped in others; None if it has none.

    Raises:
        InputError: the parts of a ConcatDataset have different classes.
    """
    features = getattr(dataset, "features", None)
    if getattr(dataset, "classes", None):
        return [str(name) for name in dataset.classes]
    if isinstance(features, dict):  # Hugging Face
        names = next((getattr(features[key], "names", None) for key in LABEL_KEYS if key in features), None)
        return None if names is None else [str(name) for name in names]
    if hasattr(dataset, "datasets"):  # ConcatDataset
        found = [find_classes(part) for part in dataset.datasets]
        if any(names != found[0] for names in found):
            raise InputError("the parts of the dataset have different classes: give the classes of all, classes=[…]")
        return found[0] if found else None
    return find_classes(dataset.dataset) if hasattr(dataset, "dataset") else None  # Subset


def _unpack(item: Any) -> tuple[Any, Any]:
    """Return image and label of an item, (image, label, …) or a dict. Raises InputError for any other."""
    if isinstance(item, tuple | list) and len(item) >= 2:
        return item[0], item[1]
    if isinstance(item, dict):
        image, label = (next((key for key in keys if key in item), None) for keys in (IMAGE_KEYS, LABEL_KEYS))
        if image is not None and label is not None:
            return item[image], item[label]
        raise InputError(f"has the keys {', '.join(map(str, item))}: name two of them image and label")
    raise InputError(f"is a {type(item).__name__}: it must be (image, label) or a dict of image and label")


def _to_array(image: Any) -> np.ndarray:
    """Return an image, PIL, array, tensor or the bytes of a file, as an array of any numeric dtype."""
    if isinstance(image, dict) and isinstance(image.get("bytes"), bytes):  # Hugging Face's Image(decode=False)
        image = image["bytes"]
    if isinstance(image, Image.Image):
        return image_to_grey(image)
    if isinstance(image, bytes):
        return decode(image)[0]
    return np.asarray(image.detach().cpu() if hasattr(image, "detach") else image)


def _to_scalar(label: Any) -> int | float | str:
    """Return a label, also one in an array or tensor, as a plain number or text."""
    label = label.item() if hasattr(label, "item") else label
    if not isinstance(label, int | float | str):
        raise InputError(f"has a label of type {type(label).__name__}: it must be a number or text")
    return label


def _stack(images: list[np.ndarray], size: int | None) -> np.ndarray:
    """Return images uint8 (H, W) as one array, fitted to size × size pixels if that is given."""
    if size is not None:
        return np.array([fit_image(image, size, size, False) for image in images], np.uint8).reshape(-1, size, size)
    shapes = Counter(image.shape for image in images)
    if len(shapes) > 1:
        examples = ", ".join(f"{width}×{height}" for (height, width), _ in shapes.most_common(3))
        raise InputError(f"the images have {len(shapes)} sizes, as {examples}: give the size they shall have, size=28")
    return np.stack(images) if images else np.empty((0, 1, 1), np.uint8)
