"""Labelled images: the torch Dataset, loading and correcting them, and splits without leaks."""

import copy
import hashlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from common.errors import InputError
from common.files import update_digest, zeros
from common.text import first_names
from config import Config
from imaging.channels import count_channels
from imaging.ink import hash_images
from imaging.input_spec import InputSpec
from imaging.pictures import as_images
from imaging.planes import to_planes
from readers import corrections, splits
from readers.added import combine
from readers.arrays import Arrays
from readers.names import Names, as_names
from readers.npz import one_part, read_npz, read_parts
from readers.objects import read_dataset
from readers.source import PARTS, as_array, check_arrays
from readers.store import drawn_path, find_data, kept_hashes, remember

log = logging.getLogger("fit_char")
CHUNK = 4096  # images that are copied at once
SAMPLE = 20_000  # images that are enough for a figure


class CharDataset(Dataset):
    """Hold images and their labels; `dataset[i]` is (image, label).

    A subset or a split shares the array of images, which is never copied, also not a read-only memory map.

    Args:
        x: uint8 (M, H, W), ink as in the source, or in colour (M, H, W, 3).
        y: integers (M,), 0 ≤ y < C.
        transform: applied to each image as a PIL image of mode L or RGB, as torchvision's are. Without one, an item is
            a uint8 tensor (1 or 3, H, W), and training takes the whole set to the device at once.
        classes: names of the C classes in label order; by default "0", "1" …
        source: where the images come from.
        files: names of the M images.
        group: the writers of the M images, or whatever else must not stand on two sides of a split; "" if unknown.

    Attributes:
        array: uint8 (M, H, W) or (M, H, W, 3), shared with other datasets.
        indices: int64 (N,), which images of the array these are.
        y: int64 (N,), their labels.
        files: str (N,), their names, or Names, which stay on disk.
        group: str (N,), their writers, or Names; "" if unknown.
        cropped: whether the images were cropped to their ink (`init.preprocess`).
        photos: whether they are characters found in photos.
        corrections: the rows of the corrections file that were applied, dicts of file, given, corrected.

    Raises:
        InputError: arrays whose shape, dtype or range is not as stated.
    """

    def __init__(
        self,
        x,
        y,
        transform=None,
        classes: Sequence | None = None,
        source: str = "",
        files: Sequence | np.ndarray | Names | None = None,
        group: Sequence | np.ndarray | Names | None = None,
    ):
        self.array, y = as_array(x), np.asarray(y)
        check_arrays(self.array, y, None if classes is None else len(classes))
        self.y = y.astype(np.int64)
        self.classes = [str(name) for name in (range(int(self.y.max(initial=-1)) + 1) if classes is None else classes)]
        check_arrays(self.array, self.y, len(self.classes))  # negative labels too
        self.indices = np.arange(len(self.array))
        self.files = self.indices.astype(str) if files is None else as_names(files)
        self.group = np.full(len(self.y), "") if group is None else as_names(group)
        for name, values in (("files", self.files), ("group", self.group)):
            if values.shape != self.y.shape:
                raise InputError(f"{name} must be names (N,), one per image, not {values.shape}")
        self.transform, self.source = transform, str(source)
        self.cropped = self.photos = False
        self.corrections: list[dict[str, str]] = []

    @classmethod
    def from_dataset(
        cls, dataset, classes: Sequence[str] | None = None, size: int | None = None, channels: int = 1
    ) -> "CharDataset":
        """Return the images of a dataset object: torchvision's, Hugging Face's, Subset, ConcatDataset, a list …

        Args:
            dataset: has a length; its items are (image, label) or dicts of image and label. Images are PIL images, or
                arrays or tensors (H, W), (C, H, W) or (H, W, C), 0 to 255, or 0 to 1 as floats; labels whole numbers
                or text.
            classes: names of the classes in label order; by default the dataset's own, else the labels as text.
            size: pixels per side, to which images are fitted; necessary if their sizes differ.
            channels: 1 for grey images, 3 for colour.

        Raises:
            InputError: no length, another item, an image that cannot be read, or images of different sizes.
        """
        return _from_arrays(read_dataset(dataset, classes, size, channels), type(dataset).__name__)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int):
        image, label = self.array[self.indices[index]], int(self.y[index])
        if self.transform is None:
            return to_planes(torch.tensor(image)[None])[0], label
        return self.transform(Image.fromarray(image)), label

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W), or (N, H, W, 3)."""
        return len(self), *self.array.shape[1:]

    @property
    def channels(self) -> int:
        """1, or 3 in colour."""
        return count_channels(self.array.shape[1:])

    @property
    def x(self) -> np.ndarray:
        """The images as one array, uint8 (N, H, W[, 3]): a copy, unless these are all images of the array."""
        if len(self) == len(self.array) and (self.indices == np.arange(len(self))).all():
            return self.array
        return self.array[self.indices]

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield copies uint8 (n, H, W[, 3]) of all images, at most CHUNK at a time."""
        for start in range(0, len(self), CHUNK):
            yield self.array[self.indices[start : start + CHUNK]]

    def images(self) -> Iterator[np.ndarray]:
        """Yield the images one by one, uint8 (H, W[, 3])."""
        return (self.array[i] for i in self.indices)

    def hashes(self) -> np.ndarray:
        """Return the hashes of the images, uint64 (N, 2), see `imaging.ink.hash_images`; a folder holds them."""
        kept = kept_hashes(self.array)
        return hash_images(self.images()) if kept is None else kept[self.indices]

    def fingerprint(self) -> str:
        """Return 16 hex digits of SHA-256 over these images, their labels and the names of the classes.

        Those of images in a memory map are computed once and kept beside them (`readers.store.remember`).
        """
        labels = self.y, np.array(self.classes)

        def compute() -> str:
            digest = hashlib.sha256()
            update_digest(digest, self.shape, self.array.dtype, self.chunks())
            for values in labels:
                update_digest(digest, values.shape, values.dtype, [values])
            return digest.hexdigest()[:16]

        return remember(self.array, (self.indices, *labels), compute)

    def subset(self, indices) -> "CharDataset":
        """Return the images at `indices`, integers (n,) or bool (N,), as a CharDataset of their own."""
        chosen = np.asarray(indices)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        other = copy.copy(self)
        for name in ("indices", "y", "files", "group"):
            setattr(other, name, getattr(self, name)[chosen])
        return other

    def sample(self, most: int = SAMPLE, seed: int = 0) -> "CharDataset":
        """Return these images, or, if they are more than `most`, as many of each class at random, at least one."""
        if len(self) <= most:
            return self
        order = np.random.default_rng(seed).permutation(len(self))
        counts = np.bincount(self.y)
        order = order[np.argsort(self.y[order], kind="stable")]  # class by class
        rank = np.arange(len(self)) - np.repeat(np.cumsum(counts) - counts, counts)
        return self.subset(np.sort(order[rank < max(1, most // len(self.classes))]))

    def with_transform(self, transform) -> "CharDataset":
        """Return the same images under another transform."""
        other = copy.copy(self)
        other.transform = transform
        return other

    def with_classes(self, classes: Sequence[str]) -> "CharDataset":
        """Return the same images with their labels as indices into `classes`; these themselves if they are so already.

        Args:
            classes: those of these images, in any order, perhaps with others.

        Raises:
            InputError: a class of these images is not among them.
        """
        if self.classes == list(classes):
            return self
        number = {name: k for k, name in enumerate(classes)}
        unknown = [name for name in self.classes if name not in number]
        if unknown:
            raise InputError(
                f"{first_names(unknown)}: classes of the images, but not of the classifier, which has "
                f"{first_names(classes)}: name the images' folders as these, or name them in a classes.txt"
            )
        other = copy.copy(self)
        other.classes = list(classes)
        other.y = np.array([number[name] for name in self.classes])[self.y]
        return other

    def fitted(self, spec: InputSpec) -> "CharDataset":
        """Return the images in the shape of a model's training images; these themselves if they have it."""
        if self.shape[1:] == tuple(spec.source_shape) or not len(self):
            return self
        other = copy.copy(self)
        other.array, other.indices = zeros((len(self), *spec.source_shape), np.uint8), np.arange(len(self))
        for fitted, image in zip(other.array, self.images(), strict=True):
            fitted[:] = spec.fit(image)
        return other


def together(real: CharDataset, drawn: CharDataset, share: float = 0.5) -> CharDataset:
    """Return real and drawn images as one training set, the real ones repeated until they are `share` of it.

    With few real images per class, this is better than training on drawn ones first and on real ones last (RESULTS.md).
    Split the real images before: what is repeated must not be validated.

    Args:
        share: 0 < share < 1; all real images are there at least once.

    Raises:
        InputError: other classes or sizes, or a share out of range.
    """
    arrays, chosen = combine(real, drawn, share)
    both = _from_arrays(arrays, arrays.source)
    both.corrections = real.corrections
    return both.subset(chosen)


def add_drawn(train: CharDataset, config: Config) -> CharDataset:
    """Return training images together with those that `init.prepare` has drawn in addition, if it was to do so.

    Args:
        train: what the split leaves to train on, so that only real images are validated and tested.
        config: of the run. Data at its `data_path` that were not prepared for it have no drawn ones beside them.

    Raises:
        InputError: see `load` and `together`.
    """
    path = find_data(drawn_path(config.data_path))
    return together(train, load(path, corrected=False)) if config.adds_drawn and path.exists() else train


def as_dataset(images, classes: Sequence[str], spec: InputSpec) -> CharDataset:
    """Return one or several images as a CharDataset with labels 0; a dataset as it is.

    Args:
        images: see `imaging.pictures.as_images`, also for what is raised.
        classes: names of the classes.
        spec: what images of other sizes are fitted to, and photos among them matched to in style. Arrays of the
            training images' shape are prepared already; files and PIL images are not, whatever their size.
    """
    if isinstance(images, CharDataset):
        return images
    images = list(images) if isinstance(images, Iterator) else images
    several = images if isinstance(images, list | tuple) else [images]
    are_pictures = all(isinstance(one, str | Path | Image.Image) for one in several)
    x = as_images(images, spec.channels)
    if isinstance(x, list) or (len(x) and (are_pictures or x.shape[1:] != tuple(spec.source_shape))):
        x = np.stack([spec.fit_unseen(image) for image in x])
    return CharDataset(x, np.zeros(len(x), np.int64), None, classes)


def load(path: str | Path, part: str = "train", corrected: bool = True) -> CharDataset:
    """Read data.npz, the folder of a large set, or an .npz in another of `readers.npz.LAYOUTS`, as Keras's.

    The images in a folder are a read-only memory map.

    Args:
        path: the file, or where it would be if the set were smaller; nothing in it is unpickled.
        part: "train", or "val" or "test" for the images that the source keeps for validation and testing (an empty set
            if it has none).
        corrected: whether the corrections file beside it is applied (see `correct`), which is of training images.

    Raises:
        InputError: an unknown part; no such file, damaged, a missing key, arrays that do not fit.
    """
    if part not in PARTS:
        raise InputError(f"unknown part {part!r}: it is one of {', '.join(PARTS)}")
    return _to_dataset(read_npz(path, part), path, corrected and part == "train")


def load_parts(path: str | Path, corrected: bool = True) -> dict[str, CharDataset]:
    """Return part → images of an npz or a folder, "train", "val" and "test", as `load` does.

    All are of one file, also if another process replaces it at that moment.
    """
    parts = read_parts(path)
    return {part: _to_dataset(one_part(parts, part), path, corrected and part == "train") for part in PARTS}


def _to_dataset(arrays: Arrays, path: str | Path, corrected: bool) -> CharDataset:
    """Return a part of an npz, with the corrections beside it if wanted."""
    images = _from_arrays(arrays, str(path))
    if not corrected or not corrections.corrections_path(path).exists():
        return images
    images.y, keep, rows = corrections.apply(images, arrays.source_digests(), path)
    if rows:
        images = images.subset(keep)
        images.corrections = rows
    return images


def _from_arrays(arrays: Arrays, name: str) -> CharDataset:
    """Return arrays as a CharDataset, and log what was decided about them."""
    for note in arrays.notes:
        log.info("%s: %s.", name, note)
    images = CharDataset(arrays.x, arrays.y, None, arrays.classes, arrays.source, arrays.files, arrays.group)
    images.cropped, images.photos = arrays.cropped, arrays.photos
    return images


def correct(data_path: str | Path, labels: dict[str, str | None]) -> Path:
    """Add wrong labels to the corrections file, which every later `load` applies, and return its path.

    Args:
        data_path: the data.npz; neither it nor the raw images are changed.
        labels: file of a training image → its correct class, or None to drop it. To undo a correction, delete its line.

    Raises:
        InputError: a file or a class that the data does not have.
        StorageError: the file cannot be written.
    """
    arrays = read_npz(data_path)
    return corrections.add(_from_arrays(arrays, str(data_path)), arrays.source_digests(), data_path, labels)


def leak_groups(images: CharDataset) -> np.ndarray:
    """Return the group of each image, int64 (N,), which must stay on one side of a split.

    Images of one writer share a group, and so do identical images and all that these link.
    """
    return splits.leak_groups(images.hashes(), images.group)


def split(dataset: CharDataset, val_fraction: float = 0.1, seed: int = 42) -> tuple[CharDataset, CharDataset]:
    """Split at random into (train, val), stratified by class, with no image and no writer on both sides.

    Byte-identical images stay together, also those that are in two classes, and so do the images of one writer.

    Args:
        dataset: N images.
        val_fraction: of each class, 0 < val_fraction < 1; at least one image of each class on either side. A class
            with a single image, or a single writer, is trained on alone, which is logged.
        seed: the same seed gives the same split on every machine.

    Raises:
        InputError: a class without images, or a fraction out of range.
    """
    if not np.any(dataset.group != ""):
        log.info("The writers are unknown: the training and the validation images may be by the same ones.")
    is_val = splits.validation_mask(dataset.y, dataset.classes, leak_groups(dataset), val_fraction, seed)
    return dataset.subset(~is_val), dataset.subset(is_val)
