"""The exported page in a real browser: mouse, finger and pen draw, a photo is dropped, pasted and chosen.

Run by `make test-browser`; the screenshots go to record/browser, and so do the times of loading, of preparing an image
and of predicting its class.
"""

import base64
import functools
import io
import json
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from benchmarks.photos import photographed
from classifier import CNNClassifier
from config import Config
from dataset import CharDataset
from export import web_page
from readers.drawn import CHARACTERS, draw, read_skeletons

ROOT = Path(__file__).resolve().parents[1]
SCREENSHOTS = ROOT / "record" / "browser"
SIDE = 280  # of a drawing

playwright = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def classifier() -> CNNClassifier:
    x, y = draw(per_class=100)
    classifier = CNNClassifier(Config(epochs=25, record_path=None, save_path=None, device="cpu"), list(CHARACTERS))
    train, val = (CharDataset(x[i::5], y[i::5], classes=list(CHARACTERS)) for i in (0, 1))
    classifier.fit(CharDataset(x, y, classes=list(CHARACTERS)), val)
    return classifier


@pytest.fixture(scope="module")
def folder(classifier, tmp_path_factory):
    """Export the page of a small LeNet."""
    package = ROOT / ".venv" / web_page.RUNTIME
    x, y = draw(10, 28, 7)
    held_out = CharDataset(x, y, classes=list(CHARACTERS), source="drawn for a test")
    folder = tmp_path_factory.mktemp("export")
    return classifier.export(folder / "model.onnx", held_out, page=package)["page"].parent


@pytest.fixture(scope="module")
def address(folder):
    """Serve the page, and give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def times():
    """Collect the milliseconds until the page is ready, and of each answer; write the medians."""
    times: dict[str, list[float]] = {"ready": [], "prepare": [], "predict": []}
    yield times
    medians = {name: float(np.median(found)) for name, found in times.items() if found}
    (SCREENSHOTS / "page.json").write_text(json.dumps({"median milliseconds": medians, **times}))


@pytest.fixture(scope="module")
def chromium():
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    assert browser, "no Chromium: on Debian and Ubuntu, apt install chromium"
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(params=[("light", 1000), ("dark", 390)], ids=["light", "dark-phone"])
def page(request, chromium, address, times):
    """Give the loaded page, after which nothing can be loaded any more; errors in it fail the test."""
    scheme, width = request.param
    context = chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, has_touch=True)
    page, errors, asked = context.new_page(), [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.on("request", lambda sent: asked.append(sent.url))
    page.goto(address)
    page.get_by_text("Draw a character, or drop").wait_for(timeout=60_000)
    context.set_offline(True)
    page.scheme = scheme
    yield page
    for name, start, duration in page.evaluate(
        "['mark', 'measure'].flatMap((kind) => performance.getEntriesByType(kind))"
        ".map((entry) => [entry.name, entry.startTime, entry.duration])"
    ):
        times[name].append(start if name == "ready" else duration)
    page.screenshot(path=SCREENSHOTS / f"page-{scheme}-{request.node.originalname}.png", full_page=True)
    context.close()
    assert not errors
    assert all(url.removeprefix("blob:").startswith(address) for url in asked)


def strokes(page, name: str) -> list[list[tuple[float, float]]]:
    """Return the strokes of a character in pixels of the page."""
    box = page.locator("#pad").bounding_box()
    scale = box["width"] / SIDE
    return [
        [(box["x"] + scale * (30 + 2.2 * x), box["y"] + scale * (30 + 2.2 * y)) for x, y in stroke.tolist()]
        for component in read_skeletons()[name]
        for stroke in max(component, key=lambda way: way[0])[1]
    ]


def expect_answer(page, name: str) -> None:
    """Wait until a class is the most probable of five."""
    playwright.expect(page.locator("#answers .name").first).to_have_text(name, timeout=20_000)
    assert page.locator("#answers li").count() == 5
    shares = [float(text.removesuffix(" %")) for text in page.locator("#answers .percent").all_inner_texts()]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 100.3


def draw_with_mouse(page, name: str) -> None:
    for points in strokes(page, name):
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=5)
        page.mouse.up()
        page.locator("#answers li").nth(4).wait_for()  # after every stroke


@pytest.mark.parametrize("name", ["自", "志"])
def test_a_mouse_draws(page, name):
    assert page.locator("#known").is_visible() and name in page.locator("#known").inner_text()
    draw_with_mouse(page, name)
    expect_answer(page, name)
    assert page.locator("#answers canvas").count() == 5 and page.locator("#known").is_hidden()  # examples, and no list
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_any_name_fits_a_phone(chromium, address, folder):
    name = f'L{60 * "o"}ng <b>name</b> & "co"'
    page = chromium.new_page(viewport={"width": 320, "height": 640})
    text = (folder / "index.html").read_text(encoding="utf-8").replace('"自"', json.dumps(name))
    page.route(address, lambda route: route.fulfill(body=text, content_type="text/html"))
    page.goto(address)
    page.get_by_text("Draw a character, or drop").wait_for(timeout=60_000)
    draw_with_mouse(page, "自")
    expect_answer(page, name)
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert page.locator("#answers b").count() == 0
    page.close()


def test_a_finger_draws(page):
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points) -> None:
        places = [{"x": x, "y": y} for x, y in points]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    for points in strokes(page, "由"):
        touch("touchStart", points[0])
        for start, end in zip(points, points[1:], strict=False):
            for share in (0.25, 0.5, 0.75, 1):
                touch("touchMove", tuple(a + share * (b - a) for a, b in zip(start, end, strict=True)))
        touch("touchEnd")
    expect_answer(page, "由")
    assert page.evaluate("scrollY") == 0


def test_a_pen_draws(page):
    session = page.context.new_cdp_session(page)

    def pen(kind: str, point) -> None:
        values = {"type": kind, "x": point[0], "y": point[1], "button": "left", "buttons": 1, "pointerType": "pen"}
        session.send("Input.dispatchMouseEvent", values)

    for points in strokes(page, "自"):
        pen("mousePressed", points[0])
        for point in points[1:]:
            pen("mouseMoved", point)
        pen("mouseReleased", points[-1])
    expect_answer(page, "自")


@pytest.fixture(scope="module")
def photo() -> tuple[bytes, np.ndarray]:
    """A photo of 无, as a PNG file and as pixels."""
    fine, y = draw(1, 224, 7)
    pixels = photographed(fine[CHARACTERS.index("无")], np.random.default_rng(3))
    return png(Image.fromarray(pixels)), pixels


@pytest.mark.parametrize("way", ["choose", "drop", "paste"])
def test_a_photo_is_given(page, photo, classifier, way):
    content, pixels = photo
    if way == "choose":
        give(page, "photo.png", content)
    else:
        script = """([event, key, text]) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "photo.png", { type: "image/png" }));
            document.body.dispatchEvent(new event_(event, key, transfer));
        }""".replace("new event_(event, key, transfer)", "new (event === 'drop' ? DragEvent : ClipboardEvent)"
                     "(event, { bubbles: true, cancelable: true, [key]: transfer })")  # fmt: skip
        key = {"drop": "dataTransfer", "paste": "clipboardData"}[way]
        page.evaluate(script, [way, key, base64.b64encode(content).decode()])
    expected = classifier.match_style(pixels)
    expect_answer(page, classifier.classes_[classifier.predict(expected)[0]])
    seen = page.locator("#seen canvas").evaluate("(canvas) => canvas.toDataURL().split(',')[1]")
    found = np.asarray(Image.open(io.BytesIO(base64.b64decode(seen))).convert("L"))
    assert np.median(np.abs(found.astype(int) - expected)) <= 2 and (found == expected).mean() > 0.98


def give(page, name: str, content: bytes, kind: str = "image/png") -> None:
    """Choose a file."""
    page.locator("#file").set_input_files({"name": name, "mimeType": kind, "buffer": content})


def png(image: Image.Image) -> bytes:
    """Return an image as a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_what_shows_no_character_is_said_to(page):
    give(page, "blank.png", png(Image.new("L", (200, 150), 230)))
    page.get_by_text("No character stands out from the paper").wait_for()
    give(page, "no.png", b"no image")
    page.get_by_text("no.png is not an image that this browser can read").wait_for()
    give(page, "notes.txt", b"no image", "text/plain")
    page.get_by_text("notes.txt is not an image that this browser can read").wait_for()
    give(page, "thin.png", png(Image.new("L", (9000, 1), 230)))
    page.get_by_text("No character stands out from the paper").wait_for()


def test_a_picture_without_paper_is_on_white(page, classifier):
    """A vector graphic, and pixels that are transparent."""
    lines = [
        [(70, 15), (60, 30)],
        [(40, 35), (40, 90), (90, 90), (90, 35), (40, 35)],
        [(40, 53), (90, 53)],
        [(40, 71), (90, 71)],
    ]
    paths = "".join("M" + "L".join(f"{x} {y}" for x, y in line) for line in lines)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 130 110" width="260" height="220"><path d="{paths}" '
    give(page, "自.svg", f'{svg} fill="none" stroke="black" stroke-width="5"/></svg>'.encode(), "image/svg+xml")
    expect_answer(page, "自")
    clear = Image.new("RGBA", (260, 220))
    for line in lines:
        ImageDraw.Draw(clear).line([(2 * x, 2 * y) for x, y in line], (0, 0, 0, 255), 10)
    page.locator("#clear").click()
    give(page, "clear.png", png(clear))
    expect_answer(page, "自")
    corner = page.locator("#pad").evaluate(
        "(pad) => [...pad.getContext('2d').getImageData(9, pad.height / 2, 1, 1).data]"
    )
    assert corner == [255] * 4


def test_a_page_that_is_opened_without_a_server_says_so(chromium, folder):
    page = chromium.new_page()
    page.goto((folder / "index.html").as_uri())
    page.get_by_text(
        "A browser reads this page from a server only: run `python -m http.server` in its folder"
    ).wait_for()
    page.close()


def test_the_keyboard_reaches_everything(page):
    box = page.locator("#pad").bounding_box()
    for shift in (60, 120):
        page.mouse.move(box["x"] + shift, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + shift, box["y"] + 200, steps=5)
        page.mouse.up()
    page.locator("#answers li").nth(4).wait_for()
    reached = []
    for _ in range(3):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached == ["undo", "clear", "file"]
    page.keyboard.press("Control+z")
    playwright.expect(page.locator("#undo")).to_be_enabled()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")  # on Clear
    page.get_by_text("Draw a character, or drop").wait_for()
    assert page.locator("#undo").is_disabled() and not page.locator("#answers li").count()
