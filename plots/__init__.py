"""Figures, from arrays and histories alone, of any number of classes in bounded time and size."""

from plots.curves import compared_curves, curves
from plots.data import augmented, exemplars, issues, samples
from plots.interpretation import feature_maps, grad_cam, plot_embedding
from plots.predictions import confusion, errors, most_confident_errors, prediction, reliability

__all__ = [
    "augmented", "compared_curves", "confusion", "curves", "errors", "exemplars", "feature_maps", "grad_cam",
    "issues", "most_confident_errors", "plot_embedding", "prediction", "reliability", "samples",
]  # fmt: skip
