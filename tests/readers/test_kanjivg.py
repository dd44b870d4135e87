import numpy as np
import pytest
from conftest import svg

from common.errors import InputError
from readers import kanjivg


def test_lines_and_curves_become_points_on_the_grid():
    skeleton = kanjivg.parse(svg("M10.9,21.8h54.5v54.5", "M0,0l10.9,10.9", "M98.1,0H0").encode())
    np.testing.assert_allclose(skeleton.strokes[0], [[10, 20], [60, 20], [60, 70]])
    np.testing.assert_allclose(skeleton.strokes[2], [[90, 0], [0, 0]])
    assert [len(names) for names in skeleton.components] == [1, 1, 0], "the first two are a component"
    assert skeleton.components[0] == skeleton.components[1]


def test_a_curve_passes_through_its_middle_and_a_smooth_one_goes_on():
    points = kanjivg.flatten("M0,0c0,40,40,80,80,80S160,120,160,160")
    assert len(points) == 17 and points[8].tolist() == [80, 80] and points[-1].tolist() == [160, 160]
    np.testing.assert_allclose(points[4], [25, 55])
    np.testing.assert_allclose(160 - points[::-1], points, atol=1e-9)  # the second half is the first, turned


def test_written_forms_are_read_beside_the_usual_one(tmp_path):
    for name in ("04e8c.svg", "04e8c-Kaisho.svg", "04e8c-VtFst.svg"):
        (tmp_path / name).write_text(svg("M0,0h50"), encoding="utf-8")
    assert list(kanjivg.read_files(tmp_path, "二")) == ["", "-Kaisho"] and kanjivg.read_files(tmp_path, "三") == {}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<svg><g>", "it is damaged (no element found: line 1, column 8)"),
        (b"\xff", "it is damaged ('utf-8' codec can't decode byte 0xff in position 0: invalid start byte)"),
        (b'<!DOCTYPE svg [<!ENTITY a "b">]><svg/>', "it is too large, or declares entities"),
        (b" " * 2**18 + b"<svg/>", "it is too large, or declares entities"),
        (svg("M0,0A1,1").encode(), "a path cannot be read: 'M0,0A1,1'"),
        (svg("M0,0L1,1,2").encode(), "a path ends within a command: 'M0,0L1,1,2'"),
        (svg("M0,0L5", "M0,0h1").encode(), "a path ends within a command: 'M0,0L5'"),
        (svg("").encode(), "a stroke has no points"),
        (b"<svg/>", "it has 0 strokes of 0 points"),
        (b"<g>" * 200 + b"</g>" * 200, "it has too many strokes or groups"),
        (svg("M0,0h1e999").encode(), "a stroke is not a list of points x, y near the grid"),
    ],
)
def test_damage_is_named(data, message):
    with pytest.raises(InputError) as error:
        kanjivg.parse(data)
    assert str(error.value) == message


def test_a_large_file_is_not_read(tmp_path):
    path = tmp_path / "04e8c.svg"
    path.write_bytes(bytes(2**18 + 1))
    with pytest.raises(InputError) as error:
        kanjivg.read_files(tmp_path, "二")
    assert str(error.value) == f"{path} is no drawing of KanjiVG: it is larger than 262144 bytes"


def test_without_the_package_there_is_no_folder(monkeypatch, tmp_path):
    def missing(name):
        raise kanjivg.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(kanjivg.metadata, "distribution", missing)
    assert kanjivg.find_folder() is None
