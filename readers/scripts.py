"""How the handwriting of Chinese characters differs from that of letters, digits and kana."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Script:
    """What hands do to the characters of a script. Pairs are of two kinds of change, or the two ends of a range.

    Attributes:
        rise: mean and standard deviation over writers of how far to the right what should be level rises, y per x.
        width: mean over writers, relative to the height.
        hooks: the least and the greatest length of a writer's hooks, relative to those in print.
        longest_hook: relative to print, whatever the writer and the chance.
        evenness: the greatest of a writer, see `writing.Habits`.
        component, stroke: how far they stray: stretch, as a fraction, and shift, in grid units.
        point: how far a control point strays, in grid units.
        bow: how far the middle of a stroke leaves its chord, as a fraction of the chord.
        bend: of the character as a whole, per grid unit.
        sizes: range of a character's longer side below 0.95, as a fraction of the side of the image.
    """

    rise: tuple[float, float]
    width: float
    hooks: tuple[float, float]
    longest_hook: float
    evenness: float
    component: tuple[float, float]
    stroke: tuple[float, float]
    point: float
    bow: float
    bend: float
    sizes: float


LETTERS = Script(
    rise=(0.07, 0.07), width=0.9, hooks=(0.0, 1.4), longest_hook=1.3, evenness=1.0, component=(0.08, 2.0),
    stroke=(0.08, 1.5), point=1.8, bow=0.04, bend=0.0012, sizes=0.4,
)  # fmt: skip
# Most hands write Chinese characters narrower than they are printed, rising to the right and with longer hooks. Chosen
# by the accuracy of a LeNet that was trained on drawn characters alone, on images that RESULTS.md names.
IDEOGRAPHS = Script(
    rise=(0.12, 0.06), width=0.83, hooks=(0.1, 1.8), longest_hook=1.8, evenness=0.7, component=(0.11, 2.8),
    stroke=(0.1, 2.0), point=1.0, bow=0.03, bend=0.0022, sizes=0.2,
)  # fmt: skip


def script_of(character: str) -> Script:
    """Return the script of a character: Unicode's blocks of ideographs, or else what is true of letters."""
    code = ord(character)
    is_ideograph = 0x3400 <= code < 0xA000 or 0xF900 <= code < 0xFB00 or code >= 0x20000
    return IDEOGRAPHS if is_ideograph else LETTERS
