"""Dataset objects of torchvision, Hugging Face and others, without importing these libraries."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from common.errors import InputError
from common.text import plural
from imaging.decoding import decode, image_to_array, read_file
from imaging.fitting import fit_image
from readers.arrays import Arrays, convert_images
from readers.labels import number_labels
from readers.layout import natural_key

IMAGE_KEYS = ("image", "img", "pixel_values", "x")
LABEL_KEYS = ("label", "labels", "fine_label", "target", "class", "character", "y")


def read_dataset(
    dataset: Any, classes: Sequence[str] | None = None, size: int | None = None, channels: int = 1
) -> Arrays:
    """Return the images of a dataset object as arrays; see `dataset.CharDataset.from_dataset`."""
    name = type(dataset).__name__
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise InputError(f"a {name} has no length or no items by index: list its items first, list(dataset)")
    names = find_classes(dataset) if classes is None else [str(name) for name in classes]
    differ = len(_class_lists(dataset)) > 1  # so that a label of one part does not mean the same in another
    images: list[np.ndarray] = []
    labels: list[int | float | str] = []
    for i in tqdm(range(len(dataset)), f"reading {name}", unit="image", delay=1):
        try:
            image, label = _unpack(dataset[i])
            images.append(_to_array(image, channels))
            if 0 in images[-1].shape:
                raise InputError("has an image without pixels")
            label = _to_scalar(label)
            labels.append(_name_of(label, _classes_at(dataset, i) or names) if differ else label)
        except InputError as error:
            raise InputError(f"item {i} of the {name} {error}") from None
        except Exception as error:  # whatever the library and the user's transform raise
            reason = f"{type(error).__name__}: {error!s:.200}"
            raise InputError(f"item {i} of the {name} cannot be read: {reason}") from error
    converted, image_notes = convert_images({str(i): image[None] for i, image in enumerate(images)}, channels)
    numbers, names, label_notes = number_labels({"train": np.array(labels)}, names)
    x = _stack([image[0] for image in converted.values()], size)
    return Arrays(x, numbers["train"], names, name, np.arange(len(x)).astype(str), notes=image_notes + label_notes)


def find_classes(dataset: Any) -> list[str] | None:
    """Return the names of a dataset's classes, also of one that is wrapped in others; None if it has none.

    If the parts of a ConcatDataset have different classes, these are all of them, in natural order.

    Raises:
        InputError: some parts have names of classes, others have none.
    """
    lists = _class_lists(dataset)
    if len(lists) == 1:
        return lists[0]
    if None in lists:
        raise InputError("some parts of the dataset name their classes, others do not: give the names, classes=[…]")
    return sorted({name for names in lists for name in names or ()}, key=natural_key)


def _class_lists(dataset: Any) -> list[list[str] | None]:
    """Return the different lists of class names that the parts of a dataset have, each once."""
    if (own := _own_classes(dataset)) is not None:
        return [own]
    parts = getattr(dataset, "datasets", None) or ([dataset.dataset] if hasattr(dataset, "dataset") else [])
    lists: list[list[str] | None] = []
    for names in (names for part in parts for names in _class_lists(part)):
        lists += [] if names in lists else [names]
    return lists or [None]


def _own_classes(dataset: Any) -> list[str] | None:
    """Return the names of the classes that a dataset itself has, as those of torchvision and Hugging Face do."""
    if own := _as_names(getattr(dataset, "classes", None)):
        return own
    features = getattr(dataset, "features", None)
    if not isinstance(features, dict):
        return None
    return _as_names(next((getattr(features[key], "names", None) for key in LABEL_KEYS if key in features), None))


def _as_names(values: Any) -> list[str] | None:
    """Return a list, array or dict of names as text; None for anything else, such as the number of the classes."""
    values = values.tolist() if hasattr(values, "tolist") else values
    return [str(name) for name in values] if isinstance(values, Iterable) else None


def _classes_at(dataset: Any, i: int) -> list[str] | None:
    """Return the names of the classes of the part that item `i` is in."""
    while (own := _own_classes(dataset)) is None:
        if hasattr(dataset, "cumulative_sizes"):  # ConcatDataset
            part = bisect_right(dataset.cumulative_sizes, i)
            i -= [0, *dataset.cumulative_sizes][part]
            dataset = dataset.datasets[part]
        elif hasattr(dataset, "dataset") and hasattr(dataset, "indices"):  # Subset
            i, dataset = int(dataset.indices[i]), dataset.dataset
        else:
            return None
    return own


def _name_of(label: int | float | str, classes: list[str] | None) -> int | float | str:
    """Return the name of a label that is a number; the label if it is text, or if there are no names."""
    if classes is None or isinstance(label, str):
        return label
    if label not in range(len(classes)):
        raise InputError(f"has the label {label}, which none of its {plural(len(classes), 'class', 'classes')} has")
    return classes[int(label)]


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


def _to_array(image: Any, channels: int) -> np.ndarray:
    """Return an image, PIL, array, tensor or the bytes of a file, as an array of any numeric dtype."""
    if isinstance(image, dict) and {"bytes", "path"} & image.keys():  # Hugging Face's Image(decode=False)
        image = image.get("bytes") or read_file(image["path"])
    if isinstance(image, Image.Image):
        return image_to_array(image, channels)
    if isinstance(image, bytes):
        return decode(image, channels)[0]
    return np.asarray(image.detach().cpu() if hasattr(image, "detach") else image)


def _to_scalar(label: Any) -> int | float | str:
    """Return a label, also one in an array or tensor, as a plain number or text."""
    label = label.item() if hasattr(label, "item") else label
    if not isinstance(label, int | float | str):
        raise InputError(f"has a label of type {type(label).__name__}: it must be a number or text")
    return label


def _stack(images: list[np.ndarray], size: int | None) -> np.ndarray:
    """Return images uint8 (H, W) or (H, W, 3) as one array, fitted to size × size pixels if that is given."""
    if size is not None:
        images = [fit_image(image, size, size, False) for image in images]
    shapes = Counter(image.shape for image in images)
    if len(shapes) > 1:
        examples = ", ".join(f"{width}×{height}" for (height, width, *_), _ in shapes.most_common(3))
        raise InputError(f"the images have {len(shapes)} sizes, as {examples}: give the size they shall have, size=28")
    return np.stack(images) if images else np.empty((0, size or 1, size or 1), np.uint8)
