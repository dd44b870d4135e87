"""What goes on inside a model: its filters and maps, where it looks, and what it finds alike."""

import numpy as np
import torch

from classifier import CNNClassifier
from dataset import CharDataset, as_dataset
from models import layer_outputs

SMALLEST = 4  # pixels a side of the maps that can say where a model looks


def _prepared(classifier: CNNClassifier, images: np.ndarray | CharDataset) -> torch.Tensor:
    """Return images as the model sees them, float32 (N, 1, S, S), on its device."""
    return torch.from_numpy(classifier.prepared(images))[:, None].to(classifier.device)


def filters(classifier: CNNClassifier) -> np.ndarray:
    """Return the filters of the first convolution, float32 (F, height, width)."""
    first = next(module for module in classifier.model.modules() if isinstance(module, torch.nn.Conv2d))
    return first.weight.detach()[:, 0].float().cpu().numpy()


def maps(classifier: CNNClassifier, image: np.ndarray) -> dict[str, np.ndarray]:
    """Return the maps that each layer makes of one image uint8 (H, W): name → float32 (maps, height, width)."""
    outputs = layer_outputs(classifier.model, _prepared(classifier, image))
    return {name: made[0].float().cpu().numpy() for name, made in outputs.items() if made.ndim == 4}


def where_it_looks(classifier: CNNClassifier, images: np.ndarray, read: np.ndarray) -> np.ndarray:
    """Return how much each part of each image speaks for a class, float32 (N, S, S) ≥ 0, by Grad-CAM.

    Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV 2017,
    at the last layer whose maps have 4×4 pixels or more.

    Args:
        images: uint8 (N, H, W).
        read: int64 (N,), the classes.
    """
    from captum.attr import LayerAttribution, LayerGradCam  # here, since it takes most of a second to import

    x = _prepared(classifier, images)
    large = [name for name, made in layer_outputs(classifier.model, x).items()
             if made.ndim == 4 and min(made.shape[2:]) >= SMALLEST]  # fmt: skip
    cam = LayerGradCam(classifier.model.eval(), classifier.model.get_submodule(large[-1]))
    looks = cam.attribute(x, target=torch.as_tensor(read, device=x.device), relu_attributions=True)
    return LayerAttribution.interpolate(looks, x.shape[2:], "bilinear")[:, 0].detach().float().cpu().numpy()


def features(classifier: CNNClassifier, images: np.ndarray | CharDataset) -> np.ndarray:
    """Return what the layer before the last makes of N images, float32 (N, F)."""
    images, outputs = as_dataset(images, classifier.classes_), []
    for part in torch.arange(len(images)).split(128):  # of which the device holds every layer's maps at once
        x = _prepared(classifier, images.subset(part))
        outputs.append(list(layer_outputs(classifier.model, x).values())[-2].flatten(1).float().cpu())
    return torch.cat(outputs).numpy()


def nearest(classifier: CNNClassifier, images: np.ndarray, predicted: np.ndarray, train: CharDataset) -> np.ndarray:
    """Return for each image the training image of a class whose features are the nearest, uint8 (M, H, W).

    Args:
        images: uint8 (M, H, W).
        predicted: int64 (M,), the class to look in.
        train: the images that the model has learnt from.
    """
    if not len(images):
        return np.zeros((0, *train.x.shape[1:]), np.uint8)
    ours, learnt = features(classifier, images), features(classifier, train.x)
    found = []
    for own, k in zip(ours, predicted, strict=True):
        among = np.flatnonzero(train.y == k)
        found.append(train.x[among[((learnt[among] - own) ** 2).sum(1).argmin()]])
    return np.stack(found)


def flattened(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return a place in the plane for each vector, float32 (N, 2), neighbours near each other.

    By t-SNE: van der Maaten and Hinton, "Visualizing data using t-SNE", JMLR 9, 2008.

    Args:
        vectors: float32 (N, F), at least 4; a few thousand take seconds.
    """
    from sklearn.manifold import TSNE  # here, since it takes a second to import

    return TSNE(perplexity=min(30, (len(vectors) - 1) / 3), init="pca", random_state=seed).fit_transform(vectors)
