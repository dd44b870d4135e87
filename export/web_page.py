"""A folder with a web page that classifies drawings and photos in the browser, offline, from any static server."""

import base64
import hashlib
import io
import json
import math
import re
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from common.errors import ExportError
from common.files import write_bytes, write_text
from dataset import CharDataset
from export.trained import Measured, Trained
from metrics import format_accuracy
from readers.drawn import SYNTHETIC

SOURCE = Path(__file__).with_name("page")
MODULES = ("filters", "measures", "match_style", "drawing")  # which page.mjs needs, each after those that it imports
RUNTIME = "onnxruntime-web-1.30.0.tgz"  # as `npm pack` names it, and its SHA-512 as npm gives it
INTEGRITY = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
RUNTIME_FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
MANY = 200  # classes of which more than one example is shown


def find_runtime(path: str | Path | None = None) -> dict[str, bytes]:
    """Return name → content of what the page needs of onnxruntime-web.

    Args:
        path: of npm's package, or of the folder that has it; by default the current folder.

    Raises:
        ExportError: it is not there, or is another version.
    """
    path = Path(path or ".")
    path = path / RUNTIME if path.is_dir() else path
    name = RUNTIME.removesuffix(".tgz").replace("web-", "web@")
    remedy = f"fetch it with `npm pack {name}`"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ExportError(f"the page needs {path} ({error.strerror}): {remedy}, or name where it is") from None
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != INTEGRITY:
        raise ExportError(f"{path} is damaged, or not the version that the page was tested with: {remedy}")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = {name: archive.extractfile(f"package/dist/{name}") for name in RUNTIME_FILES}
        return {name: member.read() for name, member in members.items() if member}


def check(trained: Trained) -> None:
    """Raise ExportError if there is no page for a model: the style of its images is not known, or it sees colours."""
    if trained.spec.channels == 3:
        raise ExportError("the page classifies drawings in grey, and this model sees colours: export it without a page")
    if trained.spec.style is None:
        raise ExportError("the page needs the style of the training images, which this checkpoint lacks: fit again")


def write(
    folder: Path,
    trained: Trained,
    measured: Measured,
    model: bytes,
    runtime: dict[str, bytes],
    images: CharDataset | None,
) -> None:
    """Write the page: index.html, which contains all that is ours, the model, and what it needs of onnxruntime-web.

    index.html comes last, so that the folder is complete once that is there.

    Args:
        folder: of the page.
        trained: the model and what belongs to it.
        measured: what it gives for held-out images.
        model: the content of the ONNX file.
        runtime: what `find_runtime` gives.
        images: from which each class is illustrated, or None.

    Raises:
        ExportError: see `check`.
        StorageError: the folder cannot be written.
    """
    check(trained)
    about: dict = {
        "title": f"{trained.config.model}: {len(trained.classes)} handwritten characters",
        "accuracy": _sentences(trained, measured), "classes": trained.classes,
        "style": trained.spec.style, "shape": trained.spec.source_shape,
    }  # fmt: skip
    if images is not None:
        sheet, where = example_sheet(images.fitted(trained.spec))
        about["examples"] = where | {"image": f"data:image/png;base64,{base64.b64encode(sheet).decode()}"}
    contents = {"model.onnx": model, **{f"ort/{name}": content for name, content in runtime.items()}}
    for name, content in contents.items():
        write_bytes(folder / name, content)
    write_text(folder / "index.html", _page(about))


def _page(about: dict) -> str:
    """Return the HTML with our modules, and what is to be known of the model, in it."""
    page = (SOURCE / "index.html").read_text(encoding="utf-8")
    values = json.dumps(about, ensure_ascii=False).replace("<", "\\u003c")  # a class may be named </script>
    page = page.replace('<script type="module" src="page.mjs">', f'<script type="module">\n{_script()}')
    return page.replace('id="model"></script>', f'id="model">{values}</script>')


def _script() -> str:
    """Return our modules as one; each but the last is a function of its own, so that their names do not collide."""
    parts = []
    for name in MODULES:
        text = _with_constants_for_imports(name)
        exported = re.findall(r"^export (?:const|function|class) (\w+)", text, re.M)
        text = re.sub(r"^export ", "", text, flags=re.M)
        parts.append(f"const {name} = (() => {{\n{text}return {{ {', '.join(exported)} }};\n}})();\n")
    return "\n".join([*parts, _with_constants_for_imports("page")])


def _with_constants_for_imports(name: str) -> str:
    """Return the text of a module, in which imports of our other modules are constants taken from these."""
    text = (SOURCE / f"{name}.mjs").read_text(encoding="utf-8")
    return re.sub(r'^import (\{[^}]+\}) from "\./(\w+)\.mjs";$', r"const \1 = \2;", text, flags=re.M)


def _sentences(trained: Trained, measured: Measured) -> str:
    """Return how accurate the model is, and whether it was trained on images whose licences ask to be named."""
    source, said = (trained.run or {}).get("source") or "", "Its accuracy is not known."
    if measured.accuracy:
        said = f"Accuracy on {measured.accuracy['on']} images: {format_accuracy(measured.accuracy)}."
    return f"{said} Trained on {source}." if SYNTHETIC in source else said


def example_sheet(images: CharDataset) -> tuple[bytes, dict[str, int]]:
    """Return a PNG with examples of all classes, and where they are in it.

    The sheet is about square. It has `perRow` classes per row in label order, each with `each` images side by side.
    """
    _, height, width = images.shape
    classes = len(images.classes)
    each = 3 if classes <= MANY else 1
    per_row = max(1, round(math.sqrt(classes * height / (each * width))))
    sheet = np.full((math.ceil(classes / per_row) * height, per_row * each * width), 255, np.uint8)
    for k in range(classes):
        members = np.flatnonzero(images.y == k)
        chosen = members[np.linspace(0, len(members) - 1, each).astype(int)] if len(members) else members
        top, left = k // per_row * height, k % per_row * each * width
        for i, image in enumerate(images.subset(chosen).images()):
            sheet[top : top + height, left + i * width : left + (i + 1) * width] = image
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "PNG", optimize=True)
    return file.getvalue(), {"each": each, "perRow": per_row}
