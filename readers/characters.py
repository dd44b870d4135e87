"""Characters of the user's choice, drawn from public stroke data: a training set without a single image."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from common.files import fingerprint
from readers.charsets import read_characters
from readers.drawn import SYNTHETIC
from readers.pen import Pens, draw_track, make_pens, match_pens
from readers.scripts import Script, script_of
from readers.skeleton import Skeleton
from readers.source import Sample, Source
from readers.strokes import StrokeData
from readers.writing import Habits, make_habits, write

FEWEST, MOST, IN_ALL = 100, 1500, 30_000  # images per class, the latter of 20 classes or fewer, and in all
CHUNK, PIXELS = 128, 2**23  # images that are drawn at once, and their pixels, at most


class CharactersSource(Source):
    """Drawn characters; the same bytes on every machine. Image i of every class is by the i-th of the drawn writers.

    Args:
        characters: see `charsets.read_characters`, also for what is raised.
        per_class: images per character; None: 1500, or fewer if there are more than 20 characters.
        size: pixels per side.
        seed: int in [0, 2**32).
        hanzi_path: see `strokes.StrokeData`, also for what is raised.
        like: float64 (m, 6), measured on images of the user's own (`imaging.photo.measure_each`), whose size, place,
            stroke width and strength of ink the drawn ones get; None: all kinds.
    """

    def __init__(
        self,
        characters: str,
        per_class: int | None = None,
        size: int = 28,
        seed: int = 42,
        hanzi_path: str | Path | None = None,
        like: np.ndarray | None = None,
    ):
        super().__init__()
        self.classes = read_characters(characters)
        self.size, self.seed, self.like = size, seed, like
        self.per_class = per_class or max(FEWEST, min(MOST, IN_ALL // len(self.classes)))
        self.data = StrokeData(self.classes, hanzi_path)
        self.name = f"{SYNTHETIC} (drawn from {', '.join(self.data.licences)})"

    def stamp(self) -> object:
        like = None if self.like is None else fingerprint(self.like)
        return self.classes, self.per_class, self.size, self.seed, self.data.digest(), like

    def sizes(self) -> Counter[tuple[int, int]]:
        return Counter({(self.size, self.size): len(self)})

    def __len__(self) -> int:
        return self.per_class * len(self.classes)

    def __iter__(self) -> Iterator[Sample]:
        self.modes = Counter({"L": len(self)})
        for label, character in enumerate(self.classes):
            # Seeded by itself, so that a character does not depend on which others are drawn.
            rng, script = np.random.RandomState([self.seed, ord(character)]), script_of(character)
            images = draw(rng, self.data.ways(character), *self.writers(script), self.size, script)
            for i, image in enumerate(images):
                yield Sample(image, label, f"{character}/{i}", group=f"drawn writer {i}")

    def writers(self, script: Script) -> tuple[Habits, Pens]:
        """Return the habits and the pens of the drawn writers when they write a script."""
        rng = np.random.RandomState(self.seed)
        habits, pens = make_habits(rng, self.per_class, script), make_pens(rng, self.per_class, self.size, script)
        return habits, pens if self.like is None else match_pens(rng, pens, self.like, self.size)


def draw(
    rng: np.random.RandomState, ways: list[Skeleton], habits: Habits, pens: Pens, size: int, script: Script
) -> np.ndarray:
    """Return an image of a character by each of n writers, uint8 (n, size, size), ink dark on paper 255."""
    n = len(pens.mouse)
    images = np.empty((n, size, size), np.uint8)
    shares = np.cumsum([way.share for way in ways])
    chunk = max(1, min(CHUNK, PIXELS // size**2))
    choice = np.searchsorted(shares, rng.random_sample(n) * shares[-1], side="right")
    for k, way in enumerate(ways):
        chosen = np.flatnonzero(choice == k)
        for start in range(0, len(chosen), chunk):
            some = chosen[start : start + chunk]
            images[some] = draw_track(rng, write(rng, way, habits.of(some), script), pens.of(some), size)
    return images
