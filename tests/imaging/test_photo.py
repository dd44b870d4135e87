import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from benchmarks.photos import photographed
from classifier import CNNClassifier
from common.errors import InputError
from dataset import CharDataset
from imaging.fitting import fit_image
from imaging.photo import is_photo, match_style, measure_style
from readers.drawn import draw


@pytest.fixture(scope="module")
def style(drawn):
    return measure_style(drawn.x)


def test_the_style_of_a_known_shape():
    x = np.full((3, 40, 40), 250, np.uint8)
    x[:, 10:30, 8:12] = 20  # a bar of 20×4 pixels
    x[:, 26:30, 8:18] = 20
    style = measure_style(x)
    assert style["dark"] and style["side"] == 0.5 and style["row"] == 0.5 and style["column"] == 13 / 40
    assert style["stroke"] == pytest.approx(4 / 40, rel=0.2)
    light = measure_style(255 - x)
    assert not light["dark"] and light | {"dark": True} == style
    assert measure_style(np.zeros((2, 28, 28), np.uint8))["stroke"] > 0  # blank


def test_size_place_stroke_and_polarity_are_brought_to_the_style(drawn, style):
    picture = np.full((300, 200), 255, np.uint8)
    picture[200:280, 20:32] = 0
    picture[200:212, 20:90] = 0
    for given in (picture, 255 - picture):
        for wanted in (style, style | {"dark": False}):
            found = measure_style(match_style(given, wanted, (28, 28))[None])
            assert found["dark"] == wanted["dark"]
            for key in ("side", "row", "column"):
                assert found[key] == pytest.approx(style[key], abs=1.5 / 28), key
            assert found["stroke"] == pytest.approx(style["stroke"], abs=0.6 / 28)


def test_specks_and_what_reaches_in_from_the_edge_are_dropped(style):
    picture = np.full((300, 300), 200, np.uint8)
    picture[100:200, 140:152] = 40
    picture[100:112, 100:200] = 40
    clean = match_style(picture, style, (28, 28))
    picture[:60, :50] = 20  # a table
    picture[250:253, 40:43] = 40
    np.testing.assert_allclose(match_style(picture, style, (28, 28)), clean, atol=40)


def test_edge_parts_that_are_like_the_strokes_are_kept(style):
    picture = np.full((120, 90), 240, np.uint8)
    picture[40:80, 40:48] = 30  # a stroke in the middle, and far from it four that touch the edges
    for rows, columns in ((slice(0, 8), slice(30, 60)), (slice(112, 120), slice(20, 70))):
        picture[rows, columns] = 30
    picture[50:80, 0:8] = picture[50:80, 82:90] = 30
    whole = match_style(picture, style, (28, 28))
    framed = match_style(np.pad(picture, 20, constant_values=240), style, (28, 28))
    np.testing.assert_allclose(whole, framed, atol=40)
    band = picture[60:, 40:].copy()
    band[:, -2:] = 30  # a page's edge, much thinner than the strokes
    assert (match_style(band, style, (28, 28))[:, -1] > 200).all()


def test_a_neighbour_in_a_photo_is_dropped(style):
    ink = np.zeros((200, 200), bool)
    ink[60:140, 90:100] = ink[130:140, 60:140] = True
    alone = match_style(photo(ink), style, (28, 28))
    ink[:30, 180:190] = True
    np.testing.assert_allclose(match_style(photo(ink), style, (28, 28)), alone, atol=40)


def test_usual_strokes_keep_their_grey_and_others_are_drawn_anew():
    """As in hwdb21, whose crops lost 14 points of accuracy when all their strokes were drawn anew."""
    rng = np.random.default_rng(0)
    crops = [np.full((90, 60), 255, np.uint8) for _ in range(40)]
    for crop in crops:
        crop[:, 20:24] = crop[10:14] = 70
        crop[rng.integers(20, 80) :, 50:54] = 90
    grey = measure_style(np.stack([fit_image(crop, 28, 28, crop=True) for crop in crops]))
    assert grey["faintest"] < grey["darkest"] < grey["contrast"] < 0.9
    for crop in crops:
        fitted = fit_image(crop, 28, 28, crop=True)
        assert np.abs(match_style(crop, grey, (28, 28)).astype(int) - fitted).mean() < 8
    thick = np.full((300, 200), 255, np.uint8)
    thick[:, 60:110] = thick[20:70] = 0
    for wanted in (grey, {key: grey[key] for key in ("dark", "side", "row", "column", "stroke")}):
        found = measure_style(match_style(thick, wanted, (28, 28))[None])
        assert found["stroke"] == pytest.approx(grey["stroke"], abs=0.6 / 28)


def test_blank_paper_is_an_error_with_a_remedy(style):
    rng, (rows, columns) = np.random.default_rng(0), np.mgrid[:150, :180] / 180
    slope = 220 - 90 * rows - 40 * columns
    grain = [slope + rng.normal(0, 5, slope.shape), 200 + 8 * gaussian_filter(rng.normal(0, 8, slope.shape), 1.5)]
    blank = [slope, *grain, np.full((50, 60), 200), np.zeros((60, 60)), np.linspace(90, 200, 2500).reshape(50, 50)]
    for picture in (image.astype(np.uint8) for image in blank):
        with pytest.raises(InputError) as caught:
            match_style(picture, style, (28, 28))
        assert str(caught.value) == (
            "no character stands out from the paper: take the picture from closer, or in better light"
        )


def test_other_pictures_are_named(style):
    for picture, found in (
        (np.zeros((50, 60, 3), np.uint8), "uint8 (50, 60, 3)"),
        (np.zeros((5, 6)), "float64 (5, 6)"),
    ):
        with pytest.raises(InputError) as caught:
            match_style(picture, style, (28, 28))
        assert str(caught.value) == f"a picture must be uint8 (h, w), not {found}: see imaging.decoding.read_image"
    thin = np.full((1, 30), 255, np.uint8)
    thin[0, 10:14] = 0
    assert match_style(thin, style, (28, 28)).shape == (28, 28)


def test_photos_are_classified_like_clean_images(drawn, quick):
    """benchmarks/photos.py measures more of them."""
    x, y = draw(per_class=100)
    classifier = CNNClassifier(quick(epochs=25, record_path=None, save_path=None), drawn.classes)
    classifier.fit(CharDataset(x, y, classes=drawn.classes))
    fine, y = draw(5, 224, 7)
    rng = np.random.default_rng(0)
    images = np.stack([classifier.match_style(photographed(drawing, rng)) for drawing in fine])
    assert images.shape == (60, 28, 28) and images.dtype == np.uint8
    assert (classifier.predict(images) == y).mean() > 0.85


def test_a_classifier_without_a_style_names_the_remedy(drawn):
    classifier = CNNClassifier(None, drawn.classes)
    with pytest.raises(InputError, match="fit again, or use predict alone"):
        classifier.match_style(drawn.x[0])


def photo(ink: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return strokes bool (h, w) as a photo uint8 (h, w): uneven light, grey paper, noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : ink.shape[0], 0 : ink.shape[1]] / max(ink.shape)
    light = 210 - 70 * rows - 60 * columns * rng.random()
    return np.clip(np.where(ink, 60, light) + rng.normal(0, 5, ink.shape), 0, 255).astype(np.uint8)


def test_photos_are_told_from_scans_and_drawings(drawn):
    ink = np.zeros((200, 200), bool)
    ink[60:140, 90:110] = True
    assert is_photo(photo(ink)) and is_photo(255 - photo(ink, 1)) and is_photo(photo(ink)[:, 30:170])
    assert not is_photo(np.where(ink, 0, 255).astype(np.uint8))
    scan = np.clip(np.where(ink, 30, 235) + np.random.default_rng(0).normal(0, 3, ink.shape), 0, 255).astype(np.uint8)
    assert not is_photo(scan)
    assert not any(is_photo(image) for image in drawn.images())
    assert not any(is_photo(np.kron(image, np.ones((4, 4), np.uint8))) for image in drawn.subset(range(0, 480, 7)).x)
