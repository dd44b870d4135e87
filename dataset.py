"""Labelled images: the torch Dataset, the npz format, splits without leaks."""

import math
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from common.errors import InputError
from common.files import fingerprint
from config import DEFAULT_RAW, Config
from imaging.pixels import fit_image, identical_groups
from init import build_npz, check_archive, has_images, preprocess, summarize
from readers import corrections, strokes

MAX_CLASSES = 65_536


class CharDataset(Dataset):
    """Hold images and their labels; `dataset[i]` is (image, label).

    Args:
        x: uint8 (N, H, W), ink as in the source.
        y: integers (N,), 0 ≤ y < C.
        transform: applied to each image as a PIL image of mode L, as torchvision's are. Without one, an image is a
            uint8 tensor (1, H, W), and training takes the whole set to the device at once.
        classes: names of the C classes in label order; by default "0", "1" …
        source: where the images come from.
        files: names of the N images.

    Attributes:
        cropped: whether the images were cropped to their ink (`init.preprocess`).
        corrections: the rows of the corrections file that were applied, dicts of file, given, corrected.

    Raises:
        InputError: arrays whose shape, dtype or range is not as said.
    """

    def __init__(self, x, y, transform=None, classes: Sequence[str] | None = None, source: str = "", files=None):
        self.x, self.y = np.require(x, requirements="CW"), np.asarray(y)  # torch shares such memory
        if self.x.dtype != np.uint8 or self.x.ndim != 3 or 0 in self.x.shape[1:]:
            raise InputError(f"x must be uint8 (N, H, W), not {self.x.dtype} {self.x.shape}")
        if self.y.ndim != 1 or not np.issubdtype(self.y.dtype, np.integer):
            raise InputError(f"y must be integers (N,), not {self.y.dtype} {self.y.shape}")
        if len(self.x) != len(self.y):
            raise InputError(f"x holds {len(self.x)} images and y {len(self.y)} labels: they must be as many")
        self.y = self.y.astype(np.int64)
        if classes is None:
            classes = range(int(self.y.max(initial=-1)) + 1)
        self.classes = [str(name) for name in classes]
        if len(self.y) and not (self.y.min() >= 0 and self.y.max() < len(self.classes)):
            raise InputError(
                f"y has labels from {self.y.min()} to {self.y.max()}: with {len(self.classes)} classes they must be "
                f"0 to {len(self.classes) - 1}"
            )
        self.transform, self.source = transform, str(source)
        self.files = np.arange(len(self.x)).astype(str) if files is None else np.asarray(files)
        if self.files.shape != self.y.shape:
            raise InputError(f"files must be names (N,), as many as images, not {self.files.shape}")
        self.cropped, self.corrections = False, []

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int):
        image, label = self.x[index], int(self.y[index])
        if self.transform is None:
            return torch.from_numpy(image)[None], label
        return self.transform(Image.fromarray(image)), label

    def fingerprint(self) -> str:
        """Return 16 hex digits that stand for these images, their labels and what the classes are called."""
        return fingerprint(self.x, self.y, np.array(self.classes))

    def subset(self, indices) -> "CharDataset":
        """Return the images at `indices`, integers (n,) or bool (N,), as a CharDataset of their own."""
        i = np.asarray(indices)
        i = np.flatnonzero(i) if i.dtype == bool else i.astype(np.int64)
        return self._like(self.x[i], self.y[i], self.transform, self.files[i])

    def with_transform(self, transform) -> "CharDataset":
        """Return the same images under another transform."""
        return self._like(self.x, self.y, transform, self.files)

    def fitted(self, height: int, width: int, crop: bool = False) -> "CharDataset":
        """Return the images brought to a size, as `pixels.fit_image` does; themselves where they have it."""
        if self.x.shape[1:] == (height, width) or not len(self):
            return self
        x = np.stack([fit_image(image, height, width, crop) for image in self.x])
        return self._like(x, self.y, self.transform, self.files)

    def _like(self, x, y, transform, files) -> "CharDataset":
        other = CharDataset(x, y, transform, self.classes, self.source, files)
        other.cropped, other.corrections = self.cropped, self.corrections
        return other


def as_dataset(images: np.ndarray | CharDataset, classes: Sequence[str]) -> CharDataset:
    """Return images uint8 (N, H, W), or one (H, W), as a CharDataset, labelled 0; a dataset as it is.

    Raises:
        InputError: another rank or dtype.
    """
    if isinstance(images, CharDataset):
        return images
    x = np.asarray(images)
    if x.dtype != np.uint8:
        raise InputError(
            f"images must be uint8, 0 to 255, not {x.dtype}: values in [0, 1] take (x * 255).astype('uint8')"
        )
    if x.ndim not in (2, 3) or 0 in x.shape[-2:]:
        raise InputError(f"images must be (N, H, W) or (H, W), not {x.shape}: make them grey first")
    x = x[None] if x.ndim == 2 else x
    return CharDataset(x, np.zeros(len(x), np.int64), None, classes)


def load_npz(path: str | Path, part: str = "train", corrected: bool = True) -> CharDataset:
    """Read data.npz, or a file in Keras's layout (x_train, y_train, x_test, y_test).

    Args:
        path: the file; nothing in it is unpickled.
        part: "train", or "test" for the images kept for testing (an empty set where the file has none).
        corrected: whether the corrections file beside it is applied (see `correct`); never to the test images.

    Raises:
        InputError: an unknown part; no such file, damaged, a key missing, arrays that do not fit; names the file and
            the remedy.
    """
    if part not in ("train", "test"):
        raise InputError(f"unknown part {part!r}: it is 'train' or 'test'")
    images = _read_npz(path, part)
    if not corrected or part == "test":
        return images
    y, kept, rows = corrections.applied(images, path)
    if rows:
        images = images._like(images.x, y, images.transform, images.files).subset(kept)
        images.corrections = rows
    return images


def _read_npz(path: str | Path, part: str) -> CharDataset:
    try:
        _check_npz(Path(path))
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as npz:
            keras = "x_train" in npz.files
            suffix = "_test" if part == "test" else "_train" if keras else ""
            if part == "test" and "x_test" not in npz.files:
                return _read_npz(path, "train").subset([])
            for key in ("x" + suffix, "y" + suffix):
                if key not in npz.files:
                    raise InputError(f"it has no {key!r}, only {', '.join(npz.files) or 'nothing'}")
            x, y = _to_uint8(npz["x" + suffix]), npz["y" + suffix]
            y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
            if "classes" in npz.files:
                classes = [str(name) for name in npz["classes"]]
            else:  # those of both parts, that a label means the same in each
                labels = [npz[key] for key in npz.files if key.startswith("y")]
                last = max((int(one.max(initial=0)) for one in labels if one.dtype.kind in "iu"), default=0)
                if last >= MAX_CLASSES:
                    raise InputError(f"it has a label of {last}: there can be {MAX_CLASSES} classes at most")
                classes = range(last + 1)
            source = str(npz["source"]) if "source" in npz.files else Path(path).name
            files = npz["files" + suffix].tolist() if "files" + suffix in npz.files else None  # fails if it is no text
            images = CharDataset(x, y, None, classes, source, files)
            images.cropped = "cropped" in npz.files and bool(npz["cropped"])
            return images
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: make it with dataset.prepare") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # NumPy and zipfile raise nearly anything on a damaged file
        raise InputError(f"{path} is not a readable npz of plain arrays: {error!s:.200}") from None


def _check_npz(path: Path) -> None:
    """Raise InputError for a file whose arrays are not what they claim to be, before any is read."""
    with zipfile.ZipFile(path) as archive:
        check_archive(path, archive)
        if len(archive.infolist()) > 100:
            raise InputError("it holds more than 100 arrays")
        for info in archive.infolist():
            with archive.open(info) as member:
                version = np.lib.format.read_magic(member)
                read = {(1, 0): np.lib.format.read_array_header_1_0}.get(version, np.lib.format.read_array_header_2_0)
                shape, _, dtype = read(member)
                if dtype.hasobject:
                    raise InputError(f"{info.filename!r:.100} holds Python objects, which only pickle could read")
                if math.prod(shape) * dtype.itemsize != info.file_size - member.tell():
                    raise InputError(f"{info.filename!r:.100} does not hold as much as it claims: {shape} of {dtype}")


def _to_uint8(x: np.ndarray) -> np.ndarray:
    """Return images of any numeric dtype, (N, H, W) or with one channel, as uint8 (N, H, W)."""
    if x.ndim == 4 and 1 in (x.shape[1], x.shape[3]):
        x = x[:, 0] if x.shape[1] == 1 else x[..., 0]
    if x.dtype == np.uint8:
        return x
    if x.dtype == bool:
        return x.astype(np.uint8) * 255
    if x.dtype.kind not in "iuf":
        raise InputError(f"x must be numbers, not {x.dtype}")
    if not np.isfinite(x).all():
        raise InputError("x holds values that are not finite (NaN or infinity): mend or drop those images")
    low, high = x.min(initial=0), x.max(initial=0)
    if low < 0 or high > 255:
        raise InputError(f"x holds values from {low} to {high}: they must be 0 to 255, or 0 to 1 as floats")
    return np.rint(x * 255 if x.dtype.kind == "f" and high <= 1 else x).astype(np.uint8)


def correct(data_path: str | Path, labels: dict[str, str | None]) -> Path:
    """Note labels that are wrong, in the corrections file, which every later `load_npz` applies.

    Args:
        data_path: the data.npz; neither it nor the raw images are changed.
        labels: file of a training image → its right class, or None to drop it. To take a note back, delete its line.

    Raises:
        InputError: a file or a class that the data does not have.
    """
    return corrections.note(load_npz(data_path, corrected=False), data_path, labels)


def prepare(config: Config) -> Path:
    """Make `config.data_path` of the raw images, or of drawn strokes where there are none; print what it holds.

    A data.npz of the user's own is taken as it is where there are no raw images. Returns the path.

    Raises:
        InputError: see `init.preprocess`.
    """
    path = Path(config.data_path)
    former = _read_npz(path, "train").source if path.exists() else None
    if config.raw_data_path != DEFAULT_RAW or has_images(config.raw_data_path):
        preprocess(config.raw_data_path, path, config.raw_size)
    elif former is not None and not former.startswith("synthetic"):
        print(f"{path} is used as it is: there are no images in {config.raw_data_path}.")
    else:
        code = Path(strokes.__file__).read_bytes()  # drawn anew when it has changed
        build_npz(path, (code, config.raw_size), lambda: _draw(config.raw_size))
    if former not in (None, now := _read_npz(path, "train").source):
        corrections.swap(path, former, now)
    return path


def _draw(size: int) -> tuple[dict, dict]:
    """Return the arrays and the summary of a data.npz of drawn characters."""
    x, y = strokes.draw(size=size)
    classes, source = list(strokes.CHARACTERS), "synthetic handwriting (drawn by strokes.py)"
    files = [f"{k + 1}/{i}" for i, k in enumerate(y.tolist())]
    arrays = {"x": x, "y": y, "classes": np.array(classes), "source": source, "files": np.array(files)}
    return arrays, summarize(x, y, classes, source, files)


def leak_groups(images: CharDataset) -> np.ndarray:
    """Return the group of each image, int64 (N,): identical images share one, and must stay on one side of a split."""
    group = np.arange(len(images))
    for same in identical_groups(images.x):
        group[same] = same[0]
    return group


def split(dataset: CharDataset, val_fraction: float = 0.1, seed: int = 42) -> tuple[CharDataset, CharDataset]:
    """Split at random into (train, val), every class in proportion, no image on both sides.

    Byte-identical images stay together, also those that stand under two classes.

    Args:
        dataset: N images.
        val_fraction: of each class, 0 < val_fraction < 1; at least one image of each on either side.
        seed: the same seed gives the same split on every machine.

    Raises:
        InputError: a class with fewer than two different images, or a fraction out of range.
    """
    if not 0 < val_fraction < 1:
        raise InputError(f"val_fraction must be between 0 and 1, not {val_fraction}")
    group = leak_groups(dataset)
    order = np.random.default_rng(seed).permutation(len(dataset))
    in_val = {}  # group → whether it is for validation
    for k, name in enumerate(dataset.classes):
        count = Counter(group[order[dataset.y[order] == k]].tolist())  # in the order drawn
        if len(count) < 2:
            raise InputError(
                f"class {name!r} has {len(count)} different images: a split needs at least two of each class"
            )
        wanted = max(1, round(val_fraction * count.total()))
        have = sum(count[g] for g in count if in_val.get(g))
        free = [g for g in count if g not in in_val]
        in_val |= dict.fromkeys(free, False)
        candidates = free if len(free) < len(count) else free[:-1]  # one at least is for training
        for g in candidates:
            if have + count[g] <= wanted:
                in_val[g] = True
                have += count[g]
        if not have and candidates:
            in_val[min(candidates, key=count.get)] = True
    val = np.array([in_val[g] for g in group.tolist()])
    return dataset.subset(np.flatnonzero(~val)), dataset.subset(np.flatnonzero(val))
