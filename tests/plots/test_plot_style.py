import numpy as np
import pytest
from matplotlib import pyplot as plt

from plots import samples, style


def test_titles_have_a_font_for_every_glyph(drawn, drawable):
    """Whatever fonts there are here: a missing glyph would warn, and warnings are errors."""
    drawable(samples(drawn.x, drawn.y, list("博学笃志切问近思自由无用"), per_class=2))


def test_a_styled_function_leaves_the_users_style_alone():
    @style.styled
    def draw(size, *, grid):
        return size, grid, plt.rcParams["axes.spines.top"], plt.rcParams["font.family"]

    before = dict(plt.rcParams)
    size, grid, top, family = draw(3, grid=True)
    assert (size, grid, top, family[0]) == (3, True, False, "DejaVu Sans") and dict(plt.rcParams) == before
    assert draw.__name__ == "draw"


def test_a_new_figure_is_forgotten_by_pyplot():
    figure, axes = style.new_figure(3, 2, 2, 3)
    assert axes.shape == (2, 3) and figure.get_size_inches().tolist() == [3, 2] and plt.get_fignums() == []


def test_a_sheet_is_measured_in_inches(drawable):
    figure, axis = style.new_sheet(4, 3)
    style.draw_image(axis, np.zeros((10, 20), np.uint8), 1, 0.5, 2)  # wider than high: centred
    drawable(figure)
    assert not axis.axison and axis.get_images()[0].get_extent() == [1, 3, 2, 1]
    left, top, right, bottom = axis.transData.transform([(1, 1), (3, 2)]).ravel() / figure.dpi
    np.testing.assert_allclose((left, top, right, bottom), (1, 2, 3, 1))  # matplotlib counts from the lower left corner
    assert axis.patches[0].get_bbox().bounds == (1, 1, 2, 1)  # the frame, without which blank paper cannot be seen


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_an_image_of_grey_levels_or_colours_is_shown_as_it_is(shape):
    _, axis = style.new_sheet(3, 1)
    image = np.full(shape, 30, np.uint8)
    style.show(axis, image, 0, 0, 1, "a title")
    np.testing.assert_array_equal(axis.get_images()[0].get_array(), image)
    assert axis.texts[0].get_text() == "a title" and axis.get_images()[0].get_clim() == (0, 255)


def test_model_input_is_shown_as_dark_ink_on_white_paper():
    _, axis = style.new_sheet(3, 1)
    ink = np.zeros((8, 8))
    ink[3:5] = 0.75
    style.show(axis, ink, 0, 0, 1)
    style.show(axis, 1 - ink, 1, 0, 1)
    for image in axis.get_images():
        np.testing.assert_array_equal(image.get_array(), 1 - ink)
        assert image.get_clim() == (0, 1)


def test_a_thumbnail_has_its_size_whatever_the_images(drawable):
    figure, ((axis,),) = style.new_figure(3, 3)
    style.thumbnail(axis, np.zeros((28, 14), np.uint8), (0.5, 0.5))
    style.thumbnail(axis, np.zeros((280, 140), np.uint8), (0, 1), (-14, 0))
    small, large = (box.offsetbox for box in axis.artists)
    assert small.get_zoom() * 28 == large.get_zoom() * 280 == 22
    drawable(figure)
