"""Figures, of arrays and histories alone. Classes are labelled by an image of theirs, so that no font is needed."""

from plots.answers import confusion, mistakes, prediction, reliability, surest_mistakes
from plots.data import augmented, exemplars, findings, samples
from plots.inside import attention, filters_and_maps, plane
from plots.runs import LiveCurves, curves, overlaid

__all__ = [
    "LiveCurves", "attention", "augmented", "confusion", "curves", "exemplars", "filters_and_maps", "findings",
    "mistakes", "overlaid", "plane", "prediction", "reliability", "samples", "surest_mistakes",
]  # fmt: skip
