"""The model with its preparation gives what the classifier gives."""

import numpy as np
import pytest
import torch
from PIL import Image

from export.graph import ImageClassifier, Ink, Pictures
from export.onnx_file import random_images
from imaging.ink import backgrounds, ink
from training.augmentation import resample


@pytest.mark.parametrize(("shape", "size"), [((28, 28), 32), ((64, 48), 32), ((20, 30), 64)])
def test_ink_is_prepared_as_by_the_loader(shape, size):
    x = torch.from_numpy(random_images(shape)[0])
    expected = resample(ink(x, backgrounds(x)), size)
    torch.testing.assert_close(Ink(*shape, size)(x), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("shape", "size"), [((28, 28), 32), ((61, 47), 32), ((20, 30), 224), ((32, 32), 32)])
def test_pictures_are_resized_as_by_pillow_to_the_bit(shape, size):
    x, _ = random_images(shape)
    expected = [np.asarray(Image.fromarray(one).resize((size, size), Image.Resampling.BILINEAR)) for one in x]
    found = Pictures(*shape, size)(torch.from_numpy(x)) * 255
    assert (found[:, 0].round().numpy() == expected).all()


@torch.inference_mode()
def test_the_whole_gives_the_classifiers_probabilities(lenet, drawn):
    found = ImageClassifier(lenet.trained).eval()(torch.from_numpy(drawn.x))
    np.testing.assert_allclose(found, lenet.classifier.predict_proba(drawn), atol=1e-6)
