"""Figures, from arrays and histories alone. Classes are labelled by an image of theirs, so that no font is needed."""

from plots.curves import LiveCurves, compared_curves, curves
from plots.data import augmented, exemplars, issues, samples
from plots.interpretation import feature_maps, grad_cam, plot_embedding
from plots.predictions import confusion, errors, most_confident_errors, prediction, reliability

__all__ = [
    "LiveCurves", "augmented", "compared_curves", "confusion", "curves", "errors", "exemplars", "feature_maps",
    "grad_cam", "issues", "most_confident_errors", "plot_embedding", "prediction", "reliability", "samples",
]  # fmt: skip
