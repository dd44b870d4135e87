"""Labelled images: the torch Dataset, the npz format, splits without leaks, batches prepared on the device."""

import hashlib
import math
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

import strokes
from config import DEFAULT_RAW, Config, InputError
from init import build_npz, has_images, identical_groups, preprocess, summarize


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

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int):
        image, label = self.x[index], int(self.y[index])
        if self.transform is None:
            return torch.from_numpy(image)[None], label
        return self.transform(Image.fromarray(image)), label

    def subset(self, indices) -> "CharDataset":
        """Return the images at `indices`, integers (n,), as a CharDataset of their own."""
        i = np.asarray(indices, dtype=np.int64)
        return CharDataset(self.x[i], self.y[i], self.transform, self.classes, self.source, self.files[i])

    def with_transform(self, transform) -> "CharDataset":
        """Return the same images under another transform."""
        return CharDataset(self.x, self.y, transform, self.classes, self.source, self.files)


def load_npz(path: str | Path, part: str = "train") -> CharDataset:
    """Read data.npz, or a file in Keras's layout (x_train, y_train, x_test, y_test).

    Args:
        path: the file; nothing in it is unpickled.
        part: "train", or "test" for the images kept for testing (an empty set where the file has none).

    Raises:
        InputError: no such file, damaged, a key missing, arrays that do not fit; names the file and the remedy.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as npz:
            keras = "x_train" in npz.files
            suffix = "_test" if part == "test" else "_train" if keras else ""
            if part == "test" and "x_test" not in npz.files:
                train = load_npz(path)
                return train.subset([])
            for key in ("x" + suffix, "y" + suffix):
                if key not in npz.files:
                    raise InputError(f"it has no {key!r}, only {', '.join(npz.files) or 'nothing'}")
            x, y = _to_uint8(npz["x" + suffix]), npz["y" + suffix]
            y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
            if "classes" in npz.files:
                classes = [str(name) for name in npz["classes"]]
            else:  # those of both parts, that a label means the same in each
                labels = [npz[key].max(initial=0) for key in npz.files if key.startswith("y")]
                classes = range(int(max(labels)) + 1)
            source = str(npz["source"]) if "source" in npz.files else Path(path).name
            files = npz["files" + suffix] if "files" + suffix in npz.files else None
            return CharDataset(x, y, None, classes, source, files)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: make it with dataset.prepare") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        # np.load's own: a damaged file, object arrays that only pickle could read, an .npy named .npz
        raise InputError(f"{path} is not a readable npz of plain arrays: {error}") from None


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


def prepare(config: Config) -> Path:
    """Make `config.data_path` of the raw images, or of drawn strokes where there are none; print what it holds.

    A data.npz of the user's own is taken as it is where there are no raw images. Returns the path.

    Raises:
        InputError: see `init.preprocess`.
    """
    path = Path(config.data_path)
    if config.raw_data_path != DEFAULT_RAW or has_images(config.raw_data_path):
        preprocess(config.raw_data_path, path, config.raw_size)
    elif path.exists() and not load_npz(path).source.startswith("synthetic"):
        print(f"{path} is used as it is: there are no images in {config.raw_data_path}.")
    else:
        code = Path(strokes.__file__).read_bytes()  # drawn anew when it has changed
        stamp = hashlib.sha256(code + str(config.raw_size).encode()).hexdigest()[:16]
        build_npz(path, stamp, lambda: _draw(config.raw_size))
    return path


def _draw(size: int) -> tuple[dict, dict]:
    """Return the arrays and the summary of a data.npz of drawn characters."""
    x, y = strokes.draw(size=size)
    classes, source = list(strokes.CHARACTERS), "synthetic handwriting (drawn by strokes.py)"
    files = [f"{classes[k]}/{i}" for i, k in enumerate(y.tolist())]
    arrays = {"x": x, "y": y, "classes": np.array(classes), "source": source, "files": np.array(files)}
    return arrays, summarize(x, y, classes, source, files)


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
    group = np.arange(len(dataset))
    for same in identical_groups(dataset.x):
        group[same] = same[0]
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


# ---------------------------------------------------------------------------------------------- batches


def backgrounds(images: torch.Tensor) -> torch.Tensor:
    """Return the background of each image of uint8 (N, H, W), the median of its border, as uint8 (N,)."""
    parts = [torch.cat([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]], 1).median(1).values for x in images.split(4096)]
    return torch.cat(parts)


def ink(images: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
    """Return images uint8 (N, H, W) as their distance, uint8, from their background (N,).

    So the background is 0, whether the ink is dark on light or light on dark.
    """
    background = background[:, None, None]
    return torch.maximum(images, background) - torch.minimum(images, background)


def warp(images: torch.Tensor, size: int, config: Config | None = None) -> torch.Tensor:
    """Resample ink uint8 (N, H, W) to float (N, 1, size, size) in [0, 1], once: resize and augmentation together.

    Args:
        config: how strongly to augment, with numbers from torch's global generator; None: not at all.
    """
    images, (height, width) = images / 255, images.shape[1:]
    if config is None or width > size:  # sampled as they are, larger ones would lose strokes between the points
        rows, columns = (_resampling(side, size, images.device) for side in (height, width))
        images = rows @ (images @ columns.T)
    images = images[:, None]
    if config is None:
        return images
    n, device = len(images), images.device
    turn, sx, sy, shear, dx, dy = torch.empty(6, n, device=device).uniform_(-1, 1)
    turn = turn * math.radians(config.rotation)
    sx, sy, shear = 1 + sx * config.scale, 1 + sy * config.scale, shear * config.shear
    cos, sin = turn.cos(), turn.sin()
    rows = [cos * sx, (cos * shear - sin) * sy, 2 * dx * config.shift]
    rows += [sin * sx, (sin * shear + cos) * sy, 2 * dy * config.shift]
    moves = torch.stack(rows, 1).view(n, 2, 3)
    bend = torch.randn(n, 2, 25, device=device) * config.elastic
    grid = torch.cat([moves, bend], 2).view(2 * n, 28) @ _grid_basis(size, device)
    grid = grid.view(n, 2, size, size).permute(0, 2, 3, 1)
    return functional.grid_sample(images, grid, align_corners=False)  # 0, no ink, beyond the border


@lru_cache
def _resampling(length: int, size: int, device: torch.device) -> torch.Tensor:
    """Return float (size, length): bilinear resampling with antialiasing, of which an image needs one a side."""
    unit = torch.eye(length)[None, None]
    return functional.interpolate(unit, (size, length), mode="bilinear", antialias=True)[0, 0].to(device)


@lru_cache
def _grid_basis(size: int, device: torch.device) -> torch.Tensor:
    """Return float (28, size²), of which every sampling grid is a weighted sum.

    The rows are x, y and 1, for the affine part, and the bicubic weights of a 5×5 grid of displacements.
    """
    affine = functional.affine_grid(torch.eye(2, 3)[None], (1, 1, size, size), align_corners=False)
    bend = functional.interpolate(torch.eye(25).view(25, 1, 5, 5), (size, size), mode="bicubic", align_corners=True)
    return torch.cat([affine.view(-1, 2).T, torch.ones(1, size * size), bend.view(25, -1)]).to(device)


def leaves_one(count: int, batch_size: int) -> bool:
    """Return whether the last batch would hold one image, in which batch normalization has nothing to learn from."""
    return count > 1 and count % batch_size == 1


def batches(
    images: torch.Tensor, background: torch.Tensor, labels: torch.Tensor, batch_size: int, size: int,
    device: torch.device, augment: Config | None = None, shuffle: bool = False,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:  # fmt: skip
    """Yield (float (B, 1, size, size), int64 (B,)) on the device, of images uint8 (N, H, W) there or in host memory."""
    order = torch.randperm(len(images)) if shuffle else torch.arange(len(images))  # on the CPU: the same on any device
    if shuffle and leaves_one(len(images), batch_size):
        order = order[:-1]
    for indices in order.to(images.device).split(batch_size):
        x, fills, y = (values.index_select(0, indices) for values in (images, background, labels))
        yield warp(ink(x, fills).to(device), size, augment), y.to(device)


def report_transform(size: int) -> transforms.Compose:
    """Return the report's preparation of one PIL image: float (1, size, size), pixels scaled to [0, 1]."""
    return transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor()])


def loader_batches(
    dataset: CharDataset, batch_size: int, device: torch.device, shuffle: bool = False
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield (float (B, …), int64 (B,)) of a dataset whose transform is applied to one image at a time."""
    for images, labels in DataLoader(
        dataset, batch_size, shuffle, drop_last=shuffle and leaves_one(len(dataset), batch_size)
    ):
        yield images.to(device), labels.to(device)
