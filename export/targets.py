"""Where an export may write: nowhere else than in place of files of an earlier export."""

import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

from common.errors import InputError
from common.files import check_writable
from export.model_card import MARK
from export.onnx_file import require

OURS = {"input_spec", "classes", "temperature"}  # keys of `Trained.metadata`
PAGE = {"classes", "style", "shape", "title"}  # keys of what a page says of its model
ABOUT = re.compile(rb'<script type="application/json" id="model">(.*?)</script>', re.S)
MAX_HEADER = 2**26  # bytes


def check_targets(path: Path, page: bool) -> None:
    """Raise an error if an export could not be made or written, or would replace a file that none has made.

    Args:
        path: of the ONNX file.
        page: whether there will be a web page.

    Raises:
        InputError: another suffix than .onnx, or a file or folder of the user's that would be replaced.
        StorageError: a folder that cannot be written.
        ExportError: a package is missing.
    """
    require("onnx")
    if path.suffix != ".onnx":
        raise InputError(f"{path} must end in .onnx: its folder also gets the weights and the model card")
    targets: dict[Path, Callable[[Path], bool]] = {
        path: _is_our_onnx, path.with_suffix(".int8.onnx"): _is_our_onnx,
        path.with_suffix(".safetensors"): _are_our_weights, path.with_name("MODEL_CARD.md"): _is_our_card,
    }  # fmt: skip
    targets |= {path.with_name("page"): _is_our_page} if page else {}
    for target, is_ours in targets.items():
        if os.path.lexists(target) and not _holds(is_ours, target):  # also a link to nothing
            raise InputError(
                f"{target} was not made by an export and is not replaced: name a file in another folder, or move it"
            )
    check_writable(path.parent)
    if page:
        check_writable(path.with_name("page"))


def _holds(is_ours: Callable[[Path], bool], path: Path) -> bool:
    if not (path.is_file() or path.is_dir()):  # a pipe, from which nothing may ever come
        return False
    try:
        return is_ours(path)
    except (OSError, ValueError, struct.error, LookupError, TypeError, AttributeError):  # it is something else
        return False


def _is_our_onnx(path: Path) -> bool:
    import onnx  # an optional package, which check_targets has asked for

    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception:  # protobuf has no public class of its errors
        return False
    return {one.key for one in model.metadata_props} >= OURS


def _are_our_weights(path: Path) -> bool:
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(min(length, MAX_HEADER)))
    return header["__metadata__"].keys() >= OURS


def _is_our_card(path: Path) -> bool:
    with open(path, encoding="utf-8") as file:
        return MARK in file.read(2000)


def _is_our_page(path: Path) -> bool:
    """Return whether a folder is empty, or a page, whose model.onnx is written first and whose index.html last."""
    if all(file.name.startswith(".") for file in path.iterdir()):
        return True
    index = path / "index.html"
    return _is_our_onnx(path / "model.onnx") and (not index.exists() or _tells_of_a_model(index))


def _tells_of_a_model(index: Path) -> bool:
    with open(index, "rb") as file:
        found = ABOUT.search(file.read(MAX_HEADER))
    return found is not None and json.loads(found[1]).keys() >= PAGE
