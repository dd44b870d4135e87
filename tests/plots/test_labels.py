from pathlib import Path

import matplotlib
import numpy as np
import pytest
from fontTools.ttLib import TTFont
from matplotlib.backends.backend_agg import FigureCanvasAgg

from plots import labels, samples

CACHES = (labels.font_families, labels._glyphs, labels._outline, labels._class_labels, labels._advise_on_fonts)
DEJAVU = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"


@pytest.fixture
def fonts(monkeypatch):
    """Let matplotlib know no Chinese font, and return the list of files that the system has."""
    files = [str(DEJAVU)]
    known = [font for font in labels.fontManager.ttflist if font.name not in labels.CJK]
    monkeypatch.setattr(labels.fontManager, "ttflist", known)
    monkeypatch.setattr(labels, "findSystemFonts", lambda: files)
    for function in CACHES:
        function.cache_clear()
    yield files
    for function in CACHES:
        function.cache_clear()


def test_no_label_is_another_class(fonts):
    names = ["1", "2", "中", "好", "letter_alpha_upper", "0"]
    assert labels.class_labels(names) == ["1", "2", "U+4E2D", "U+597D", "letter…upper", "0"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["letter_alpha_upper", "letter_beta_upper"], ["…alpha_upper", "…_beta_upper"]),
        (["a" * 20 + "_of_1", "a" * 20 + "_of_2"], ["aaaaaa…_of_1", "aaaaaa…_of_2"]),
        (["x" * 40, "x" * 39], ["xxxxxx… (class 0)", "xxxxxx… (class 1)"]),
        (["U+4E2D", "中"], ["U+4E2D… (class 0)", "U+4E2D… (class 1)"]),
        (["letter…upper", "letter_alpha_upper"], ["…U+2026upper", "…alpha_upper"]),
        (["same", "same", "other"], ["same… (class 0)", "same… (class 1)", "other"]),
        (["", "  ", "a\n"], ["no name… (class 0)", "no name… (class 1)", "aU+000A"]),
        (["a", "a "], ["a… (class 0)", "a… (class 1)"]),
        (["e\u0301", "\u00e9"], ["e\u0301… (class 0)", "\u00e9… (class 1)"]),
        (["A", "\u0410", "B"], ["A… (class 0)", "\u0410… (class 1)", "B"]),  # a Cyrillic A
        (["a\u200b", "a"], ["aU+200B", "a"]),
        (list("0Oo1lI"), list("0Oo1lI")),
        (["$x$", "$y$"], ["$x$", "$y$"]),
    ],
)  # fmt: skip
def test_labels_differ(fonts, names, expected):
    assert labels.class_labels(names) == expected


def test_thousands_of_labels_differ(fonts):
    for names in ([chr(0x4E00 + k) for k in range(7356)], [f"character_number_{k}" for k in range(7356)]):
        found = labels.class_labels(names)
        assert len(set(found)) == 7356 and max(map(len, found)) <= 22


def test_which_font_to_install_is_said_once(fonts, capsys):
    for names in (["中", "a"], ["好", "b"], ["c\n", "d"]):
        labels.class_labels(names)
    (line,) = capsys.readouterr().out.splitlines()
    assert "apt install fonts-noto-cjk" in line


def test_nothing_is_said_of_names_that_can_be_drawn(fonts, capsys):
    labels.class_labels(["a", "b\n"])
    assert not capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_font_that_was_installed_later_is_found(fonts, tmp_path, drawable, caplog):
    font = TTFont(DEJAVU)
    for record in font["name"].names:
        if record.nameID in (1, 16):
            record.string = "SimHei"
    for table in font["cmap"].tables:
        table.cmap[ord("中")] = "A"
    font["OS/2"].usWeightClass = 500
    font.save(tmp_path / "simhei.ttf")
    (tmp_path / "damaged.ttf").write_bytes(b"no font")
    fonts += [str(tmp_path / "simhei.ttf"), str(tmp_path / "damaged.ttf")]
    assert labels.font_families() == ("DejaVu Sans", "SimHei")
    assert labels.class_labels(["中", "好"]) == ["中", "U+597D"]
    x = np.zeros((2, 8, 8), np.uint8)
    drawable(samples(x, np.arange(2), ["中", "好"]))  # a missing glyph would warn, and warnings are errors
    assert {record.name for record in caplog.records} == {"fit_char"}, "matplotlib says nothing about its weight"


def test_the_end_of_a_long_file_name_is_its_title(fonts):
    assert labels.file_title("a" * 18) == "a" * 18
    assert labels.file_title("train/" + "b" * 15 + "12.bmp").endswith("b12.bmp")
    assert len(labels.file_title("c" * 100)) == 18
    assert labels.file_title("学 $a$/1.bmp\n") == "? $a$/1.bmp?"


def test_text_is_as_wide_as_estimated(drawn):
    figure = samples(drawn.x[:40], drawn.y[:40], ["letter_beta"])
    text = figure.axes[0].texts[0]
    width = text.get_window_extent(FigureCanvasAgg(figure).get_renderer()).width / figure.dpi
    assert 0.75 * labels.text_width(text.get_text()) < width < labels.text_width(text.get_text()) * 1.05
