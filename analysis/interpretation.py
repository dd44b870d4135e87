"""Interpretation of a model: filters, feature maps, Grad-CAM, embeddings, nearest neighbours."""

import logging

import numpy as np
import torch

from classifier import CNNClassifier
from dataset import CharDataset, as_dataset
from imaging.planes import from_planes, to_planes
from models import layer_outputs

log = logging.getLogger("fit_char")
SMALLEST_MAP = 4  # pixels per side of the feature maps that Grad-CAM uses
CHUNK = 128  # images of which the device holds every layer's feature maps at once


def _model_input(classifier: CNNClassifier, images: np.ndarray | CharDataset) -> torch.Tensor:
    """Return images as the model sees them, float32 (N, 1 or 3, S, S), on its device."""
    return to_planes(torch.from_numpy(classifier.model_input(images))).to(classifier.device)


def filters(classifier: CNNClassifier) -> np.ndarray | None:
    """Return the filters of the first convolution, float32 (F, height, width[, 3]); None if the model has none."""
    first = next((module for module in classifier.model.modules() if isinstance(module, torch.nn.Conv2d)), None)
    if first is None:
        return None
    weight = first.weight.detach().float().cpu()  # (F, C, height, width)
    return from_planes(weight if weight.shape[1] == 3 else weight[:, :1]).numpy()


def feature_maps(classifier: CNNClassifier, image: np.ndarray) -> dict[str, np.ndarray]:
    """Return the feature maps of each layer for one image uint8 (H, W): name → float32 (maps, height, width).

    If no layer of the model has feature maps, that is logged, and there are none.
    """
    outputs = layer_outputs(classifier.model, _model_input(classifier, image))
    maps = {name: output[0].float().cpu().numpy() for name, output in outputs.items() if output.ndim == 4}
    if not maps:
        log.info("No feature maps: no layer of %s gives any.", classifier.config.model)
    return maps


def grad_cam(classifier: CNNClassifier, images: np.ndarray, classes: np.ndarray) -> np.ndarray | None:
    """Return the evidence for a class in each part of each image, float32 (N, S, S) ≥ 0, by Grad-CAM.

    Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV 2017, at
    the last layer whose feature maps have 4×4 pixels or more; None, and a logged line, if there is none.

    Args:
        images: uint8 (N, H, W).
        classes: int64 (N,), the class per image.
    """
    from captum.attr import LayerAttribution, LayerGradCam  # imported here because it takes most of a second

    x = _model_input(classifier, images)
    outputs = layer_outputs(classifier.model, x)
    large = [name for name, output in outputs.items() if output.ndim == 4 and min(output.shape[2:]) >= SMALLEST_MAP]
    if not large:
        size = f"{SMALLEST_MAP}×{SMALLEST_MAP}"
        log.info("No Grad-CAM: no layer of %s has feature maps of %s or more.", classifier.config.model, size)
        return None
    cam = LayerGradCam(classifier.model.eval(), classifier.model.get_submodule(large[-1]))
    heat = cam.attribute(x, target=torch.as_tensor(classes, device=x.device), relu_attributions=True)
    return LayerAttribution.interpolate(heat, x.shape[2:], "bilinear")[:, 0].detach().float().cpu().numpy()


def embeddings(classifier: CNNClassifier, images: np.ndarray | CharDataset) -> np.ndarray:
    """Return the output of the penultimate layer for N images, float32 (N, F)."""
    images = as_dataset(images, classifier.classes_, classifier.input_spec_)
    outputs = []
    for start in range(0, len(images), CHUNK):
        x = _model_input(classifier, images.subset(range(start, min(start + CHUNK, len(images)))))
        layers = list(layer_outputs(classifier.model, x).values())
        penultimate = layers[-2] if len(layers) > 1 else x  # before a single layer is the image
        outputs.append(penultimate.flatten(1).float().cpu())
    return torch.cat(outputs).numpy()


def nearest_neighbors(
    classifier: CNNClassifier, images: np.ndarray, classes: np.ndarray, train: CharDataset
) -> np.ndarray:
    """Return for each image the training image of a class with the nearest embedding, uint8 (M, H, W).

    Args:
        images: uint8 (M, H, W).
        classes: int64 (M,), the class to search per image.
        train: the images that the model was trained on; of many, a sample is searched.
    """
    if not len(images):
        return np.zeros((0, *train.shape[1:]), np.uint8)
    candidates = train.subset(np.isin(train.y, classes)).sample()
    queries, vectors = embeddings(classifier, images), embeddings(classifier, candidates)
    found = []
    for query, k in zip(queries, classes, strict=True):
        own = np.flatnonzero(candidates.y == k)
        nearest = own[((vectors[own] - query) ** 2).sum(1).argmin()]
        found.append(candidates.array[candidates.indices[nearest]])
    return np.stack(found)


def tsne(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return a point in the plane per vector, float32 (N, 2), with neighbours near each other, by t-SNE.

    van der Maaten and Hinton, "Visualizing data using t-SNE", JMLR 9, 2008.

    Args:
        vectors: float32 (N, F); a few thousand take seconds. Fewer than 4 have no neighbours: they stand in a row.
    """
    if len(vectors) < 4:
        return np.stack([np.arange(len(vectors)), np.zeros(len(vectors))], 1).astype(np.float32)
    from sklearn.manifold import TSNE  # imported here because it takes a second

    return TSNE(perplexity=min(30, (len(vectors) - 1) / 3), init="pca", random_state=seed).fit_transform(vectors)
