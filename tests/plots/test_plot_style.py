import numpy as np
import pytest
from matplotlib import pyplot as plt

from plots import samples, style


@pytest.fixture(params=[False, True], ids=["no CJK font", "a CJK font"])
def glyphs(request, monkeypatch):
    """Let the fonts have no Chinese character but, perhaps, 学."""
    codes = frozenset(range(32, 127)) | ({ord("学")} if request.param else set())
    monkeypatch.setattr(style, "_glyphs", lambda: codes)
    return request.param


def test_a_name_of_any_script_is_a_title(glyphs):
    """Without a warning that a glyph is missing, and without mathematics between dollar signs."""
    assert style.file_title("学 $a$/1.bmp\n") == ("学" if glyphs else "?") + r" \$a\$/1.bmp?"
    assert style.class_name(1, ["博", "学"]) == ("学" if glyphs else "1") and style.class_name(0, ["博", "学"]) == "0"
    assert style.class_name(0, ["a" * 200, "b"]) == "0" and style.class_name(0, ["$x$"]) == r"\$x\$"


def test_the_end_of_a_long_file_name_is_its_title(glyphs):
    assert style.file_title("a" * 18) == "a" * 18
    assert style.file_title("train/" + "b" * 15 + "12.bmp").endswith("b12.bmp")
    assert len(style.file_title("c" * 100)) == 18


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
    figure, axes = style.new_figure(3, 2, 2, 3, bare=True)
    assert axes.shape == (2, 3) and figure.get_size_inches().tolist() == [3, 2] and plt.get_fignums() == []
    assert not any(axis.axison for axis in axes.flat) and style.new_figure(3, 2)[1][0, 0].axison


def test_images_are_shown_as_dark_ink_on_white_paper():
    figure, ((first, second, third),) = style.new_figure(3, 1, 1, 3, bare=True)
    grey = np.full((8, 8), 30, np.uint8)
    style.show(first, grey, "as it is")
    np.testing.assert_array_equal(first.get_images()[0].get_array(), grey)
    assert first.get_title() == "as it is" and first.get_images()[0].get_clim() == (0, 255)
    ink = np.zeros((8, 8))
    ink[3:5] = 0.75
    style.show(second, ink)
    style.show(third, 1 - ink)
    for axis in (second, third):
        np.testing.assert_array_equal(axis.get_images()[0].get_array(), 1 - ink)
        assert axis.get_images()[0].get_clim() == (0, 1)


def test_a_thumbnail_has_its_size_whatever_the_images(drawable):
    figure, ((axis,),) = style.new_figure(3, 3)
    style.thumbnail(axis, np.zeros((28, 14), np.uint8), (0.5, 0.5))
    style.thumbnail(axis, np.zeros((280, 140), np.uint8), (0, 1), (-14, 0))
    small, large = (box.offsetbox for box in axis.artists)
    assert small.get_zoom() * 28 == large.get_zoom() * 280 == 22
    drawable(figure)
