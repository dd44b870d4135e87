"""The notebook in a real browser: JupyterLab on the loopback address, a headless Chromium, a mouse that draws.

Run by `make test-browser`; the screenshots go to record/browser.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from common import ROOMS
from readers.drawn import read_skeletons

ROOT = Path(__file__).resolve().parents[1]
SCREENSHOTS = ROOT / "record" / "browser"

playwright = pytest.importorskip("playwright.sync_api")


def copy_product(folder: Path) -> None:
    """Copy the modules of the top level, and the Python and text files of every room."""
    for path in ROOT.glob("*.py"):
        shutil.copy(path, folder)
    for name in ("common", *ROOMS):
        if (ROOT / name).is_dir():
            (folder / name).mkdir()
            for path in (*(ROOT / name).glob("*.py"), *(ROOT / name).glob("*.txt")):
                shutil.copy(path, folder / name)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Serve a copy of the project, whose notebook has no output and trains for less time; give its address."""
    folder = tmp_path_factory.mktemp("lab")
    copy_product(folder)
    notebook = json.loads((ROOT / "fit_char.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
            cell["source"] = "".join(cell["source"]).replace("\nepochs = None", "\nepochs = 40")
    (folder / "fit_char.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    for name, values in {  # every cell is on the page, also those that are out of sight; nothing asks anything
        "notebook-extension/tracker": {"windowingMode": "none", "autoStartDefaultKernel": True},
        "apputils-extension/notification": {"fetchNews": "false"},
    }.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    words = ["lab", "--no-browser", "--ip=127.0.0.1", f"--port={port}", f"--IdentityProvider.token={token}",
             "--allow-root", "--ServerApp.port_retries=0"]  # fmt: skip
    environment = os.environ | {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "OMP_NUM_THREADS": "1"}
    with open(folder / "lab.log", "w") as log:
        server = subprocess.Popen([sys.executable, "-m", "jupyter", *words], cwd=folder, env=environment, stdout=log,
                                  stderr=log)  # fmt: skip
    try:
        for _ in range(120):
            try:
                urlopen(f"http://127.0.0.1:{port}/api?token={token}").close()
                break
            except OSError:
                assert server.poll() is None, (folder / "lab.log").read_text()
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/lab/tree/fit_char.ipynb?token={token}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def page(lab):
    """Give the page of the notebook, all of whose cells have run."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    assert browser, "no Chromium: on Debian and Ubuntu, apt install chromium"
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1400, "height": 1000})
        try:
            yield run_all(page, lab)
        finally:
            page.screenshot(path=SCREENSHOTS / "end.png")
            chromium.close()


def run_all(page, address: str):
    """Open the notebook, run its cells, and keep the pictures of the curves that were seen meanwhile."""
    page.goto(address)
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=60_000)
    page.get_by_text("| Idle").wait_for(timeout=60_000)
    page.wait_for_timeout(5000)  # the widgets get ready without a sign
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    fit = page.locator(".jp-CodeCell", has_text="LiveCurves(")
    curves = fit.locator(".jp-OutputArea-output img")
    curves.wait_for(timeout=120_000)
    cells = page.locator(".jp-CodeCell")
    table = page.locator(".jp-CodeCell", has_text="comparison.format_runs(runs)")
    seen, end = [], table.locator(".jp-OutputArea-output", has_text="checkpoint  ")
    while not end.count():
        assert not page.get_by_text("Traceback (most recent call last)").count()
        source = curves.get_attribute("src")
        if source not in seen:
            seen.append(source)
            fit.screenshot(path=SCREENSHOTS / f"fit-{len(seen):02}.png")
        assert curves.count() == 1, "one figure that is redrawn"
        page.wait_for_timeout(300)
    cells.last.locator(".jp-InputPrompt", has_text=f"[{cells.count()}]:").wait_for(timeout=60_000)
    page.curves_seen = seen
    return page


def test_the_curves_are_redrawn_during_training(page):
    assert len(page.curves_seen) >= 2
    assert page.locator(".jp-CodeCell", has_text="LiveCurves(").locator("pre").count() <= 3  # no flood of lines


def test_every_cell_has_run_without_an_error(page):
    page.wait_for_timeout(2000)
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()
    assert prompts == [f"[{n}]:" for n in range(1, len(prompts) + 1)]
    assert not page.locator("[data-mime-type='application/vnd.jupyter.error']").count()
    for i, cell in enumerate(page.locator(".jp-CodeCell").all()):
        if cell.locator(".jp-OutputArea-output").count():
            cell.scroll_into_view_if_needed()
            cell.screenshot(path=SCREENSHOTS / f"cell-{i:02}.png")


def final_text(page, locator) -> str:
    """Return the text of an element once it no longer changes: every stroke is followed by a prediction."""
    locator.wait_for(timeout=20_000)
    text, before = locator.inner_text(), None
    while text != before:
        page.wait_for_timeout(4000)
        text, before = locator.inner_text(), text
    return text


@pytest.mark.parametrize("name", ["自", "志"])
def test_a_drawn_character_is_predicted(page, name):
    cell = page.locator(".jp-CodeCell", has_text="drawing_pad(best")
    canvas = cell.locator("canvas").first
    cell.get_by_role("button", name="Clear").click()
    cell.get_by_text("Draw a character.").wait_for()
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for component in read_skeletons()[name]:
        for stroke in max(component, key=lambda way: way[0])[1]:
            points = [(box["x"] + 30 + 2.2 * x, box["y"] + 30 + 2.2 * y) for x, y in stroke.tolist()]
            page.mouse.move(*points[0])
            page.mouse.down()
            for point in points[1:]:
                page.mouse.move(*point, steps=10)
            page.mouse.up()
    assert final_text(page, cell.get_by_text("Prediction: ")).startswith(f"Prediction: {name} (class")
    cell.screenshot(path=SCREENSHOTS / f"drawn-{name}.png")
    cell.get_by_role("button", name="Undo").click()
    cell.get_by_role("button", name="Add to my data").click()
    cell.get_by_text("Added as").wait_for(timeout=20_000)
