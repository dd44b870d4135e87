import numpy as np
import pytest

from benchmarks.photos import photographed
from classifier import CNNClassifier
from common.errors import InputError
from imaging import photo as scan
from readers import strokes


@pytest.fixture(scope="module")
def style(drawn):
    return scan.style_of(drawn.x)


def test_style_of_what_is_known():
    x = np.full((3, 40, 40), 250, np.uint8)
    x[:, 10:30, 8:12] = 20  # a bar of 20×4 pixels
    x[:, 26:30, 8:18] = 20
    style = scan.style_of(x)
    assert style["dark"] and style["side"] == 0.5 and style["row"] == 0.5 and style["column"] == 13 / 40
    assert style["stroke"] == pytest.approx(4 / 40, rel=0.2)
    light = scan.style_of(255 - x)
    assert not light["dark"] and light | {"dark": True} == style
    assert scan.style_of(np.zeros((2, 28, 28), np.uint8))["stroke"] > 0  # blank


def test_size_place_stroke_and_polarity_are_brought_to_the_style(drawn, style):
    picture = np.full((300, 200), 255, np.uint8)
    picture[200:280, 20:32] = 0
    picture[200:212, 20:90] = 0
    for given in (picture, 255 - picture):
        for wanted in (style, style | {"dark": False}):
            found = scan.style_of(scan.like_training(given, wanted, (28, 28))[None])
            assert found["dark"] == wanted["dark"]
            for key in ("side", "row", "column"):
                assert found[key] == pytest.approx(style[key], abs=1.5 / 28), key
            assert found["stroke"] == pytest.approx(style["stroke"], abs=0.6 / 28)


def test_specks_and_what_reaches_in_from_the_edge_are_dropped(style):
    picture = np.full((300, 300), 200, np.uint8)
    picture[100:200, 140:152] = 40
    picture[100:112, 100:200] = 40
    clean = scan.like_training(picture, style, (28, 28))
    picture[:60, :50] = 20  # a table
    picture[250:253, 40:43] = 40
    np.testing.assert_allclose(scan.like_training(picture, style, (28, 28)), clean, atol=40)


def test_blank_paper_is_an_error_with_a_remedy(style):
    for picture in (np.full((50, 60), 200, np.uint8), np.linspace(90, 200, 2500).astype(np.uint8).reshape(50, 50)):
        with pytest.raises(InputError, match="no character stands out from the paper: take the picture nearer"):
            scan.like_training(picture, style, (28, 28))


def test_other_pictures_are_named(style):
    for picture in (np.zeros((50, 60, 3), np.uint8), np.zeros((50, 60))):
        with pytest.raises(InputError, match="^a picture must be uint8 .h, w., not .*: see init.read_image"):
            scan.like_training(picture, style, (28, 28))
    thin = np.full((1, 30), 255, np.uint8)
    thin[0, 10:14] = 0
    assert scan.like_training(thin, style, (28, 28)).shape == (28, 28)


def test_photos_are_read_like_clean_images(drawn, quick):
    """More of them are measured by benchmarks/photos.py."""
    x, y = strokes.draw(per_class=150)
    learnt = drawn._like(x, y, None, np.arange(len(x)).astype(str))
    classifier = CNNClassifier(quick(epochs=25, record_path=None, save_path=None), drawn.classes)
    classifier.fit(learnt)
    fine, y = strokes.draw(5, 224, 7)
    rng = np.random.default_rng(0)
    images = np.stack([classifier.like_training(photographed(drawing, rng)) for drawing in fine])
    assert images.shape == (60, 28, 28) and images.dtype == np.uint8
    assert (classifier.predict(images) == y).mean() > 0.85


def test_weights_without_a_style_say_so(drawn):
    classifier = CNNClassifier(None, drawn.classes)
    with pytest.raises(InputError, match="fit again, or use predict alone"):
        classifier.like_training(drawn.x[0])
