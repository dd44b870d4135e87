"""What a run starts with: random seeds, the device, and raw images made into data.npz."""

import hashlib
import json
import os
import random
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from common.errors import InputError, did_you_mean
from common.files import write_atomically
from imaging.pixels import decode, fit_image, identical_groups


def set_seed(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global random generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # it takes no larger ones
    torch.manual_seed(seed)  # CUDA's and MPS's too


@contextmanager
def random_numbers_kept(device: torch.device) -> Iterator[None]:
    """Give the generators that `set_seed` seeds back as they were."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def pick_device(name: str = "auto") -> torch.device:
    """Return the device of that name; "auto" picks CUDA, then Apple's MPS, then the CPU.

    Raises:
        InputError: no such device, or not on this machine.
    """
    have = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in have.items() if there))
    kind, _, index = name.partition(":")
    if kind not in have or (index and not index.isdigit()):
        raise InputError(f"unknown device {name!r}: {did_you_mean(kind, ['auto', *have])}")
    if not have[kind] or (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()):
        raise InputError(f"device {name!r} is not on this machine: use device='auto'")
    return torch.device(name)


IMAGE_SUFFIXES = {".bmp", ".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".webp"}
HIDDEN = re.compile(r"(^|/)(\.|__MACOSX)")  # .DS_Store, .ipynb_checkpoints and their like
MAX_EXPANSION = 200  # of an archive or an npz of more than 64 MiB: no images are that alike


def natural_key(name: str) -> list:
    """Return a sort key that puts 2 before 10."""
    parts = ((part, part.lstrip("0")) for part in re.split(r"(\d+)", name) if part)
    return [(0, len(digits), digits) if part.isdecimal() else (1, 0, part) for part, digits in parts]


def has_images(folder: str | Path) -> bool:
    """Return whether there is any image below a folder."""
    return any(Path(name).suffix.lower() in IMAGE_SUFFIXES for _, _, names in os.walk(folder) for name in names)


def read_image(path: str | Path) -> np.ndarray:
    """Return an image file as grey uint8 (H, W), as preprocessing reads it. Raises InputError."""
    try:
        return decode(Path(path).read_bytes())[0]
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise InputError(f"{path} cannot be read as an image: {error}") from error


def preprocess(raw_data_path: str | Path, data_path: str | Path, size: int = 28) -> dict:
    """Make data.npz of a folder (or a .zip) of images with one sub-folder a class, and print what was met.

    One extra level above the classes is fine; where it holds both `train` and `test`, the test images become
    `x_test`, `y_test`. A `classes.txt` beside or above the classes, one line a class in natural order, gives their
    characters. Nothing is done when data.npz was made from these very files with this size.

    Where more than half of the images are of one size, characters stay where and as large as they are. Else they were
    cut out by somebody, and how much was left around a character tells nothing of it: all are cropped to the ink.

    Args:
        raw_data_path: the folder or the .zip.
        data_path: the npz to write: x uint8 (N, size, size) ink as in the source, y int64 (N,), classes str (C,),
            source str, files str (N,), cropped bool, summary str (JSON).
        size: pixels a side; images of other sizes are fitted (see `fit_image`).

    Returns:
        The summary: source, fingerprint, images a class, sizes, modes, skipped files, identical images.

    Raises:
        InputError: no such folder, no images, an empty class, most images damaged, or a data_path that holds a
            file which this function did not make.
    """
    raw = Path(raw_data_path)
    names, stamps, read = _list_raw(raw)
    code = [(Path(__file__).parent / name).read_bytes() for name in ("init.py", "imaging/pixels.py")]
    stamp = code, sorted(stamps), size  # read anew when the code has changed
    return build_npz(data_path, stamp, lambda: _read_raw(raw, names, read, size))


def build_npz(data_path: str | Path, stamp: object, make: Callable[[], tuple[dict, dict]]) -> dict:
    """Write the arrays that `make` returns to data_path unless a file with this stamp is there; print the summary."""
    path, former, current = Path(data_path), None, False
    stamp = hashlib.sha256(repr(stamp).encode()).hexdigest()[:16]
    if path.exists():
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as npz:
                former = json.loads(str(npz["summary"]))
            current = former["fingerprint"] == stamp
        except Exception as error:  # whatever it is, it is not a file of ours
            raise InputError(
                f"{path} was not made by this program and is not overwritten: move it or set another data_path"
            ) from error
    if current:
        print(f"{path} is up to date.")
    else:
        if former:
            print(f"{path} was made from other images or settings: it is made anew.")
        arrays, former = make()
        former["fingerprint"] = stamp
        arrays["summary"] = json.dumps(former, ensure_ascii=False)
        write_atomically(path, lambda file: np.savez_compressed(file, **arrays))
    print(describe(former))
    return former


def describe(summary: dict) -> str:
    """Return the summary of a data.npz as text."""
    lines = [f"{sum(summary['images'].values())} images of {len(summary['images'])} classes from {summary['source']}"]
    lines.append("  images a class: " + ", ".join(f"{name} {n}" for name, n in summary["images"].items()))
    if summary["test_images"]:
        lines.append(f"  test images: {summary['test_images']}")
    for what in ("sizes", "modes"):
        met = [f"{name} ({n})" for name, n in summary[what].items()]
        lines.append(f"  {what}: " + ", ".join(met[:6]) + (f" and {len(met) - 6} others" if len(met) > 6 else ""))
    if summary.get("cropped"):
        lines.append("  cropped to the ink, since the sizes differ")
    lines.append(f"  skipped: {len(summary['skipped'])} files")
    lines += [f"    {name}: {why}" for name, why in summary["skipped"][:20]]
    same, across = summary["identical"], summary["identical_across_classes"]
    lines.append(f"  identical images: {len(same)} groups ({sum(map(len, same))} files), {len(across)} across classes")
    return "\n".join(lines + ["    " + " = ".join(group) for group in across[:20]])


def summarize(x, y, classes: Sequence[str], source: str, files: Sequence[str], **more) -> dict:
    """Return the summary of images x (N, H, W) with labels y (N,): counts, and which of them are identical."""
    groups = identical_groups(x)
    across = [g for g in groups if len(set(y[g])) > 1]
    summary = {
        "source": source,
        "images": {name: int((y == k).sum()) for k, name in enumerate(classes)},
        "test_images": 0,
        "sizes": {f"{x.shape[2]}×{x.shape[1]}": len(x)},
        "modes": {"L": len(x)},
        "skipped": [],
        "identical": [[files[i] for i in g] for g in groups],
        "identical_across_classes": [[files[i] for i in g] for g in across],
    }
    return summary | more


def _list_raw(raw: Path) -> tuple[list[str], list, Callable[[str], bytes]]:
    """Return the names below a folder or in a .zip (a folder's ends in /), what tells that they changed, a reader."""
    if raw.is_dir():
        paths = {_text(p.relative_to(raw)) + "/" * p.is_dir(): p for p in raw.rglob("*") if p.is_dir() or p.is_file()}
        names = {name: p for name, p in paths.items() if not HIDDEN.search(name)}
        stamps = [(n, s.st_size, s.st_mtime_ns) for n, p in names.items() if not n.endswith("/") for s in [p.stat()]]
        return list(names), stamps, lambda name: names[name].read_bytes()
    if not raw.exists():
        raise InputError(
            f"raw_data_path {str(raw)!r} does not exist: give a folder with one sub-folder a class, or a .zip"
        )
    try:
        archive = zipfile.ZipFile(raw)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(
            f"{raw} is neither a folder nor a readable .zip ({error}): unpack it and give the folder"
        ) from None
    check_archive(raw, archive)
    infos = [i for i in archive.infolist() if not HIDDEN.search(i.filename)]
    return [i.filename for i in infos], [(i.filename, i.file_size, i.CRC) for i in infos], archive.read


def _text(path: Path) -> str:
    """Return a path's name as text that can be printed and stored, whatever bytes it is made of."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


def check_archive(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise InputError for a .zip whose names point outside it, which holds links, or expands beyond measure."""
    infos = archive.infolist()
    for info in infos:
        name = info.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or re.match("[A-Za-z]:", name):
            raise InputError(f"{path} holds a file named {info.filename!r:.100}, outside of it: it is refused")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise InputError(f"{path} holds a link, {info.filename!r:.100}: it is refused, pack the file itself")
    size = sum(info.file_size for info in infos)
    if size > 64 * 2**20 and size > MAX_EXPANSION * path.stat().st_size:
        raise InputError(
            f"{path} would expand to {size / 2**20:,.0f} MiB, more than {MAX_EXPANSION} fold: it is refused"
        )


def _layout(raw: Path, names: list[str]) -> tuple[str, str | None]:
    """Return the prefixes of the classes' folder and of the test images' one: "", "train/", "test/" …"""
    images = [n for n in names if Path(n).suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise InputError(
            f"{raw} holds no image: put one sub-folder a class in it, with {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    depths = {n.count("/") for n in images}
    if min(depths) > 2 and len(tops := {n.split("/")[0] + "/" for n in images}) == 1:  # train/ and test/, zipped in one
        (top,) = tops
        train, test = _layout(raw, [n[len(top) :] for n in images])
        return top + train, test and top + test
    if 1 in depths:
        return "", None
    tops = {n.split("/")[0].lower(): n.split("/")[0] + "/" for n in images if n.count("/") == 2}
    if len(tops) == 1:
        return next(iter(tops.values())), None
    if set(tops) == {"train", "test"}:
        return tops["train"], tops["test"]
    raise InputError(
        f"{raw} does not have one sub-folder a class (or train/ and test/ above the classes): "
        f"it has images at depths {sorted(depths)} below {sorted(tops) or 'itself'}"
    )


def _read_raw(raw: Path, names: list[str], read: Callable[[str], bytes], size: int) -> tuple[dict, dict]:
    """Decode every image; return the npz's arrays and the summary."""
    prefix, test_prefix = _layout(raw, names)
    folders = {n[len(prefix) :].split("/")[0] for n in names if n.startswith(prefix) and n.count("/", len(prefix))}
    folders = sorted(folders, key=natural_key)
    above = prefix.split("/")[:-1]  # the folders that the classes stand in
    beside = ["/".join([*above[:k], "classes.txt"]) for k in range(len(above), -1, -1)]
    names_file = next((name for name in beside if name in names), None)
    classes = _class_names(raw, names_file, folders, read)
    index = {folder: k for k, folder in enumerate(folders)}
    parts = {"": ([], [], []), "_test": ([], [], [])}
    sizes, modes, skipped, damaged = Counter(), Counter(), [], []
    for name in tqdm(sorted(names, key=natural_key), desc=f"reading {raw.name}", unit="file", delay=1):
        if name.endswith("/") or name == names_file:
            continue
        part, start = ("_test", test_prefix) if test_prefix and name.startswith(test_prefix) else ("", prefix)
        path = name[len(start) :].split("/")
        if Path(name).suffix.lower() not in IMAGE_SUFFIXES:
            skipped.append((name, "not an image's name"))
        elif not name.startswith(start) or len(path) != 2 or path[0] not in index:
            skipped.append((name, "not in a class folder"))
        else:
            try:
                image, mode, met = decode(read(name))
            except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
                damaged.append((name, f"{type(error).__name__}: {error}"))
                continue
            sizes[f"{met[0]}×{met[1]}"] += 1
            modes[mode] += 1
            image = [fit_image(image, size, size, crop) for crop in (False, True)]  # which one, their sizes will tell
            part_name = "test/" if part else ""  # an image of the training part may have the same name
            for values, value in zip(parts[part], (image, index[path[0]], part_name + "/".join(path)), strict=True):
                values.append(value)
    counts = Counter(parts[""][1])
    tried = len(damaged) + sizes.total()
    if len(damaged) > tried / 2:
        name, why = damaged[0]
        raise InputError(f"{len(damaged)} of the {tried} images in {raw} cannot be read, the first {name} ({why})")
    for folder, k in index.items():
        if counts[k] < 2:
            had = "no image that can be read" if counts[k] == 0 else "only one image"
            raise InputError(
                f"class {folder!r} in {raw} has {had}: each class needs at least two, one to train on and one to "
                "validate; add some or remove the folder"
            )
    cropped = max(sizes.values()) <= sizes.total() / 2
    arrays = {"classes": np.array(classes), "source": f"{raw.name} (raw images)", "cropped": cropped}
    for part, (x, y, files) in parts.items():
        if x:
            arrays |= {
                "x" + part: np.stack([images[cropped] for images in x]),
                "y" + part: np.array(y, np.int64),
                "files" + part: np.array(files),
            }
    summary = summarize(
        arrays["x"], arrays["y"], classes, arrays["source"], parts[""][2], test_images=len(parts["_test"][0]),
        cropped=cropped, sizes=dict(sizes.most_common()), modes=dict(modes.most_common()), skipped=damaged + skipped,
    )  # fmt: skip
    return arrays, summary


def _class_names(raw: Path, names_file: str | None, folders: list[str], read: Callable) -> list[str]:
    """Return the classes' characters from classes.txt, or else their folders' names."""
    if not names_file:
        return folders
    try:
        lines = read(names_file).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{raw}: classes.txt is not UTF-8: save it again in that encoding") from None
    except Exception as error:  # whatever a damaged archive makes of it
        raise InputError(f"{raw}: classes.txt cannot be read: {error}") from None
    classes = [line.strip() for line in lines if line.strip()]
    if len(classes) != len(folders) or len(set(classes)) != len(classes):
        raise InputError(
            f"{raw}: classes.txt names {len(set(classes))} different classes for {len(folders)} folders: write a name "
            f"a line, in the order {', '.join(folders[:20])}"
        )
    return classes
