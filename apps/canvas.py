"""A canvas in the notebook: draw a character, see at once what it is read as, and add it to your own data."""

import html
import io
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import plots
from classifier import CNNClassifier
from common.errors import InputError
from common.files import write_atomically
from dataset import CharDataset

SIDE, PEN = 280, 12  # pixels


def drawing_pad(classifier: CNNClassifier, train: CharDataset, folder: str | Path) -> "DrawingPad | None":
    """Return a DrawingPad, or say how to get what it needs and return None."""
    try:
        import ipycanvas  # noqa: F401
    except ImportError:
        print("To draw characters here, install ipycanvas (pip install ipycanvas) and open the notebook again.")
        return None
    return DrawingPad(classifier, train, folder)


class DrawingPad:
    """A canvas for mouse and finger, read after each stroke.

    Args:
        classifier: trained, or loaded.
        train: the images that it has learnt from, which label the answers and give the classes their folders.
        folder: where drawings are added, a raw folder: a sub-folder a class, like that of the training images.

    Attributes:
        widget: to be displayed.
        strokes: lists of points (x, y), in pixels of the canvas.
    """

    def __init__(self, classifier: CNNClassifier, train: CharDataset, folder: str | Path):
        import ipywidgets
        from ipycanvas import Canvas

        self.classifier, self.folder, self.strokes, self._pressed = classifier, Path(folder), [], False
        self.labels = plots.exemplars(train.x, train.y, len(train.classes))
        # The raw folder of each class, by the files of its images; of arrays without files, its index.
        first = [next(iter(train.files[train.y == k].tolist()), "") for k in range(len(train.classes))]
        self.folders = [file.split("/")[0] if "/" in file else str(k) for k, file in enumerate(first)]
        layout = {"width": f"{SIDE}px", "height": f"{SIDE}px", "border": "1px solid #555555"}
        self.canvas = Canvas(width=SIDE, height=SIDE, layout=layout)
        self.canvas.line_width, self.canvas.line_cap, self.canvas.line_join = PEN, "round", "round"
        self.canvas.on_mouse_down(self.press)
        self.canvas.on_mouse_move(self.move)
        self.canvas.on_mouse_up(self.lift)
        self.canvas.on_mouse_out(self.lift)
        self.canvas.on_touch_start(lambda points: self.press(*points[0]))
        self.canvas.on_touch_move(lambda points: self.move(*points[0]))
        self.canvas.on_touch_end(lambda points: self.lift())
        self.answer, self.figure = ipywidgets.HTML("Draw a character."), ipywidgets.Image(format="png")
        self.figure.layout.display = "none"
        undo, clear, add = (ipywidgets.Button(description=text) for text in ("Undo", "Clear", "Add to my data"))
        undo.on_click(lambda button: self.undo())
        clear.on_click(lambda button: self.clear())
        add.on_click(lambda button: self.add())
        options = [(name, k) for k, name in enumerate(classifier.classes_)]
        self.label = ipywidgets.Dropdown(options=options, description="It is", layout={"width": "220px"})
        self.said = ipywidgets.HTML()
        buttons = ipywidgets.HBox([undo, clear, self.label, add])
        parts = [self.canvas, buttons, self.answer, self.figure, self.said]
        self.widget = ipywidgets.VBox(parts, layout={"align_items": "flex-start"})

    def press(self, x: float, y: float) -> None:
        """Begin a stroke."""
        self._pressed = True
        self.strokes.append([(x, y)])
        self.move(x, y)

    def move(self, x: float, y: float) -> None:
        """Draw on, if the pen is down."""
        if self._pressed:
            self.canvas.stroke_line(*self.strokes[-1][-1], x, y)
            self.strokes[-1].append((x, y))

    def lift(self, *place) -> None:
        """End a stroke and read the character so far."""
        if self._pressed:
            self._pressed = False
            self._read()

    def undo(self) -> None:
        """Take the last stroke back."""
        self.strokes = self.strokes[:-1]
        self._redraw()

    def clear(self) -> None:
        """Take all strokes back."""
        self.strokes = []
        self._redraw()

    def _redraw(self) -> None:
        from ipycanvas import hold_canvas

        with hold_canvas():
            self.canvas.clear()
            for points in self.strokes:
                self.canvas.stroke_lines(np.array(points))
        self._read()

    def picture(self) -> np.ndarray:
        """Return the drawing, uint8 (SIDE, SIDE), black on white."""
        image = Image.new("L", (SIDE, SIDE), 255)
        draw = ImageDraw.Draw(image)
        for points in self.strokes:
            draw.line(points, 0, PEN, "curve")
            for x, y in (points[0], points[-1]):  # round ends
                draw.ellipse((x - PEN / 2, y - PEN / 2, x + PEN / 2, y + PEN / 2), 0)
        return np.asarray(image)

    def _read(self) -> None:
        self.said.value = ""
        self.figure.layout.display = "none" if not self.strokes else ""
        if not self.strokes:
            self.answer.value = "Draw a character."
            return
        image = self.classifier.like_training(self.picture())
        probabilities = self.classifier.predict_proba(image)[0]
        k = int(probabilities.argmax())
        name = html.escape(self.classifier.classes_[k])
        self.answer.value = f"Read as <b>{name}</b> (class {k}), probability {probabilities[k]:.1%}"
        self.label.value = k
        png = io.BytesIO()
        seen = self.classifier.prepared(image)[0]
        plots.prediction(image, seen, probabilities, self.labels, self.classifier.classes_).savefig(png)
        self.figure.value = png.getvalue()

    def add(self) -> Path | None:
        """Save the drawing, made like the training images, under the class that is chosen; return its path."""
        if not self.strokes:
            self.said.value = "Nothing is drawn yet."
            return None
        try:
            path = self.folder / self.folders[self.label.value] / f"drawn-{time.time_ns()}.png"
            image = Image.fromarray(self.classifier.like_training(self.picture()))
            write_atomically(path, lambda file: image.save(file, "PNG"))
            self._name_classes()
        except (InputError, OSError) as error:
            self.said.value = html.escape(str(error))
            return None
        self.said.value = f"Added as {html.escape(str(path))}: train on two or more a class with raw_data_path"
        return path

    def _name_classes(self) -> None:
        """Write the classes that have drawings to classes.txt, unless it names others than ours."""
        path, names = self.folder / "classes.txt", self.classifier.classes_
        have = [name for name, folder in zip(names, self.folders, strict=True) if (self.folder / folder).is_dir()]
        ours = not path.exists() or set(path.read_text(encoding="utf-8").split("\n")) <= {*names, ""}
        if ours and self.folders != names:
            write_atomically(path, lambda file: file.write("\n".join([*have, ""]).encode()))
