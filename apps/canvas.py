"""A canvas in the notebook: draw a character, see its prediction at once, and add it to your own data."""

import html
import io
import logging
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import plots
from apps.drawings import add_drawing
from classifier import CNNClassifier
from common.errors import InputError
from dataset import CharDataset

SIDE, PEN = 280, 12  # pixels
MARGIN = PEN  # pixels around the canvas in the picture, so that no stroke is cut off at the edge
log = logging.getLogger("fit_char")


def drawing_pad(classifier: CNNClassifier, train: CharDataset, folder: str | Path) -> "DrawingPad | None":
    """Return a DrawingPad, or log how to install what it needs and return None."""
    try:
        import ipycanvas  # noqa: F401
    except ImportError:
        log.warning("To draw characters here, install ipycanvas (pip install ipycanvas) and open the notebook again.")
        return None
    return DrawingPad(classifier, train, folder)


class DrawingPad:
    """A canvas for mouse and finger, with a prediction after each stroke.

    Args:
        classifier: trained or loaded.
        train: the images that it was trained on, which illustrate the predictions.
        folder: where drawings are added: a raw folder with one sub-folder per class (`drawings.add_drawing`).

    Attributes:
        widget: to be displayed.
        strokes: lists of points (x, y), in pixels of the canvas.
    """

    def __init__(self, classifier: CNNClassifier, train: CharDataset, folder: str | Path):
        import ipywidgets

        self.classifier, self.folder = classifier, Path(folder)
        self.strokes: list[list[tuple[float, float]]] = []
        self._pressed = False
        few = train.sample()
        self.exemplars = plots.exemplars(few.x, few.y, len(train.classes))
        self.canvas = self._make_canvas()
        self.answer, self.figure = ipywidgets.HTML("Draw a character."), ipywidgets.Image(format="png")
        self.figure.layout.display = "none"
        undo, clear, add = (ipywidgets.Button(description=text) for text in ("Undo", "Clear", "Add to my data"))
        undo.on_click(lambda button: self.undo())
        clear.on_click(lambda button: self.clear())
        add.on_click(lambda button: self.add())
        options = [(name, k) for k, name in enumerate(classifier.classes_)]
        self.label = ipywidgets.Dropdown(options=options, description="It is", layout={"width": "220px"})
        self.message = ipywidgets.HTML()
        buttons = ipywidgets.HBox([undo, clear, self.label, add])
        parts = [self.canvas, buttons, self.answer, self.figure, self.message]
        self.widget = ipywidgets.VBox(parts, layout={"align_items": "flex-start"})

    def _make_canvas(self):
        from ipycanvas import Canvas

        layout = {"width": f"{SIDE}px", "height": f"{SIDE}px", "border": "1px solid #555555"}
        canvas = Canvas(width=SIDE, height=SIDE, layout=layout)
        canvas.line_width, canvas.line_cap, canvas.line_join = PEN, "round", "round"
        canvas.on_mouse_down(self.press)
        canvas.on_mouse_move(self.move)
        canvas.on_mouse_up(self.lift)
        canvas.on_mouse_out(self.lift)
        canvas.on_touch_start(lambda points: self.press(*points[0]))
        canvas.on_touch_move(lambda points: self.move(*points[0]))
        canvas.on_touch_end(lambda points: self.lift())
        return canvas

    def press(self, x: float, y: float) -> None:
        """Begin a stroke."""
        self._pressed = True
        self.strokes.append([(x, y)])
        self.move(x, y)

    def move(self, x: float, y: float) -> None:
        """Continue the stroke, if the pen is down."""
        if self._pressed:
            self.canvas.stroke_line(*self.strokes[-1][-1], x, y)
            self.strokes[-1].append((x, y))

    def lift(self, *place) -> None:
        """End a stroke and predict the character so far."""
        if self._pressed:
            self._pressed = False
            self._predict()

    def undo(self) -> None:
        """Remove the last stroke."""
        self.strokes = self.strokes[:-1]
        self._redraw()

    def clear(self) -> None:
        """Remove all strokes."""
        self.strokes = []
        self._redraw()

    def _redraw(self) -> None:
        from ipycanvas import hold_canvas

        with hold_canvas():
            self.canvas.clear()
            for points in self.strokes:
                self.canvas.stroke_lines(np.array(points))
        self._predict()

    def picture(self) -> np.ndarray:
        """Return the drawing with its margin, uint8 (SIDE + 2 MARGIN, SIDE + 2 MARGIN), black on white."""
        image = Image.new("L", (SIDE + 2 * MARGIN, SIDE + 2 * MARGIN), 255)
        draw = ImageDraw.Draw(image)
        for stroke in self.strokes:
            points = [(x + MARGIN, y + MARGIN) for x, y in stroke]
            draw.line(points, 0, PEN, "curve")
            for x, y in (points[0], points[-1]):  # round ends
                draw.ellipse((x - PEN / 2, y - PEN / 2, x + PEN / 2, y + PEN / 2), 0)
        return np.asarray(image)

    def _predict(self) -> None:
        self.message.value = ""
        self.figure.layout.display = "none"
        if not self.strokes:
            self.answer.value = "Draw a character."
            return
        try:
            image = self.classifier.match_style(self.picture())
            probabilities = self.classifier.predict_proba(image)[0]
        except InputError as error:
            self.answer.value = html.escape(str(error))
            return
        k = int(probabilities.argmax())
        name = html.escape(self.classifier.classes_[k])
        self.answer.value = f"Prediction: <b>{name}</b> (class {k}), probability {probabilities[k]:.1%}"
        self.label.value = k
        png = io.BytesIO()
        model_input = self.classifier.model_input(image)[0]
        plots.prediction(image, model_input, probabilities, self.exemplars, self.classifier.classes_).savefig(png)
        self.figure.value = png.getvalue()
        self.figure.layout.display = ""

    def add(self) -> Path | None:
        """Save the drawing, in the style of the training images, under the class that is chosen; return its path."""
        if not self.strokes:
            self.message.value = "Nothing is drawn yet."
            return None
        try:
            image = self.classifier.match_style(self.picture())
            path = add_drawing(self.folder, self.classifier.classes_, self.label.value, image)
        except (InputError, OSError) as error:
            self.message.value = html.escape(str(error))
            return None
        added = f"Added as {html.escape(str(path))}"
        there = html.escape(str(self.folder))
        self.message.value = f"{added}: to train on them, set raw_data_path = '{there}', with at least two per class"
        return path
