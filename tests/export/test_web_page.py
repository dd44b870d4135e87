"""The page's folder; tests/browser_page.py uses the page in a browser."""

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from common.errors import ExportError, InputError
from dataset import CharDataset
from export import bundle, web_page
from export.trained import Measured
from readers.characters import CharactersSource


def about_the_model(page) -> dict:
    """Return what a page says of its model."""
    text = page.read_text(encoding="utf-8")
    return json.loads(re.findall(r'<script type="application/json" id="model">(.*?)</script>', text, re.S)[0])


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package like npm's of onnxruntime-web, with small files."""
    path = tmp_path / web_page.RUNTIME
    with tarfile.open(path, "w:gz") as archive:
        for name in (*web_page.RUNTIME_FILES, "other.mjs"):
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    monkeypatch.setattr(web_page, "INTEGRITY", digest)
    return path


def test_the_folder_is_complete(lenet, package, tmp_path):
    written = lenet.classifier.export(tmp_path / "out" / "model.onnx", lenet.val, page=package)
    folder = written["page"].parent
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    runtime = {f"ort/{name}" for name in web_page.RUNTIME_FILES}
    assert found == {"index.html", "model.onnx", *runtime}
    assert (folder / "model.onnx").read_bytes() == written["onnx"].read_bytes()
    about = about_the_model(written["page"])
    assert about["classes"] == lenet.classifier.classes_ and about["shape"] == [28, 28]
    assert about["style"] == lenet.classifier.input_spec_.style
    assert about["accuracy"].startswith("Accuracy on validation images: ") and "n = 240" in about["accuracy"]


def test_every_file_that_the_page_names_is_in_its_folder(lenet, package, tmp_path):
    page = lenet.classifier.export(tmp_path / "out" / "model.onnx", lenet.val, page=package)["page"]
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"""["'](?:\./)?([\w/.-]+\.(?:mjs|wasm|onnx|json|png))["']""", text))
    assert named == {"model.onnx", *(f"ort/{name}" for name in web_page.RUNTIME_FILES)}
    assert "://" not in text  # nothing from elsewhere


def test_a_page_of_drawn_characters_says_so_and_shows_each(lenet, tmp_path):
    digits = CharactersSource("0123456789", per_class=4)
    run = lenet.trained.run | {"source": digits.name}
    trained = replace(lenet.trained, classes=digits.classes, metrics=None, run=run)
    y = np.repeat(np.arange(10), 4)
    images = CharDataset(np.stack([sample.image for sample in digits]), y, classes=digits.classes, source=digits.name)
    web_page.write(tmp_path, trained, trained.measure(None), b"", {}, images)
    about = about_the_model(tmp_path / "index.html")
    assert about["accuracy"] == f"Its accuracy is not known. Trained on {digits.name}."
    sheet = Image.open(io.BytesIO(base64.b64decode(about["examples"]["image"].partition("base64,")[2])))
    where, drawn = about["examples"], np.asarray(sheet)
    for k in range(10):
        top, left = k // where["perRow"] * 28, k % where["perRow"] * 3 * 28
        np.testing.assert_array_equal(drawn[top : top + 28, left : left + 28], images.x[4 * k])


def test_a_class_may_have_any_name(lenet, package, tmp_path):
    names = ["</script><script>alert(1)</script>", "<!--", *lenet.trained.classes[2:]]
    trained = replace(lenet.trained, classes=names)
    web_page.write(tmp_path, trained, trained.measure(None), b"", {}, None)
    assert about_the_model(tmp_path / "index.html")["classes"] == names
    assert (tmp_path / "index.html").read_text(encoding="utf-8").count("<script") == 2


def test_the_pages_script_is_its_modules(lenet, tmp_path):
    """It runs as one module, whose preparation gives what that of the modules gives."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js: on Debian and Ubuntu, apt install nodejs")
    trained = lenet.trained
    web_page.write(tmp_path, trained, trained.measure(None), b"", {}, None)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    script = re.findall(r'<script type="module">(.*?)</script>', text, re.S)[0]
    assert not re.search(r"""^export |from "\./\w+\.mjs""", script, re.M)
    modules, _, _ = script.partition("// The page: ")  # which needs a browser
    call = f"""
        const data = new Uint8Array(80 * 80).fill(255);
        for (let y = 20; y < 60; y++) data.fill(0, 80 * y + 30, 80 * y + 35);
        const picture = {{ data, width: 80, height: 80 }};
        const style = {json.dumps(trained.spec.style)};
        const modules = await import("{(web_page.SOURCE / "match_style.mjs").as_uri()}");
        const [one, other] = [match_style, modules].map((from) => from.matchStyle(picture, style, [28, 28]).data);
        console.log(Buffer.compare(one, other), new Set(one).size > 1);
    """
    for words, code in ((["--check"], script), ([], modules + call)):
        file = tmp_path / "script.mjs"
        file.write_text(code, encoding="utf-8")
        ended = subprocess.run([node, *words, str(file)], capture_output=True, text=True, timeout=60)
        assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "0 true\n"


def test_the_package_is_found_or_its_command_is_named(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (None, tmp_path, package, str(package)):
        assert web_page.find_runtime(path) == {name: name.encode() for name in web_page.RUNTIME_FILES}
    with pytest.raises(ExportError, match=r"npm pack onnxruntime-web@[\d.]+`, or name where it is"):
        web_page.find_runtime(tmp_path / "elsewhere")
    package.write_bytes(package.read_bytes()[:-1])
    with pytest.raises(ExportError, match="is damaged, or not the version that the page was tested with"):
        web_page.find_runtime(package)


def test_the_makefile_fetches_the_same_version():
    name = web_page.RUNTIME.removesuffix(".tgz").replace("web-", "web@")
    assert f"npm pack --pack-destination .venv {name} " in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("missing", "said"),
    [({"style": None}, "needs the style of the training images, which this checkpoint lacks"),
     ({"source_shape": (28, 28, 3)}, "in grey, and this model sees colours: export it without a page")],
    ids=["style", "grey"],
)  # fmt: skip
def test_of_some_models_there_is_no_page_and_nothing_else_is_written(lenet, package, tmp_path, missing, said):
    trained = replace(lenet.trained, spec=replace(lenet.trained.spec, **missing))
    with pytest.raises(ExportError, match=said):
        bundle.export(trained, tmp_path / "out" / "model.onnx", page=package)
    with pytest.raises(ExportError, match=said):
        web_page.write(tmp_path / "out" / "page", trained, Measured(None), b"", {}, None)
    assert not (tmp_path / "out").exists()


def test_a_page_is_replaced_also_one_that_was_not_finished(lenet, package, tmp_path):
    path = tmp_path / "out" / "model.onnx"
    page = lenet.classifier.export(path, lenet.val, page=package)["page"]
    first = page.read_bytes()
    (page.parent / "CNAME").write_text("of the server")
    page.write_bytes(b"")
    with pytest.raises(InputError, match="page was not made by an export and is not replaced"):
        lenet.classifier.export(path, lenet.val, page=package)
    page.unlink()  # as it is written last
    for _ in range(2):
        assert lenet.classifier.export(path, lenet.val, page=package)["page"].read_bytes() == first
    assert (page.parent / "CNAME").read_text() == "of the server"


@pytest.mark.parametrize(("classes", "each"), [(1, 3), (7, 3), (250, 1)])
def test_examples_of_all_classes(classes, each):
    y = np.repeat(np.arange(classes), 4)
    x = np.broadcast_to((y % 250).astype(np.uint8)[:, None, None], (len(y), 6, 5))
    content, where = web_page.example_sheet(CharDataset(x, y))
    sheet = np.asarray(Image.open(io.BytesIO(content)))
    assert where["each"] == each
    for k in range(classes):
        top, left = k // where["perRow"] * 6, k % where["perRow"] * each * 5
        assert (sheet[top : top + 6, left : left + each * 5] == k % 250).all()
