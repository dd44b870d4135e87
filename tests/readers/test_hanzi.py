import gzip
import tarfile

import numpy as np
import pytest
from conftest import write_hanzi

from common.errors import InputError
from readers import hanzi

LINE = [[0, 900], [1024, 900]]


def test_medians_become_points_on_the_grid():
    skeleton = hanzi.parse(
        b'{"medians": [[[0, 900], [512, 388]], [[0, 0], [0, -124]], [[1024, 900], [1024, 0]]], "radStrokes": [1, 2]}'
    )
    np.testing.assert_allclose(skeleton.strokes[0], [[0, 0], [50, 50]])
    np.testing.assert_allclose(skeleton.strokes[1][-1], [0, 100])
    assert [names[0] for names in skeleton.components] == [0, 1, 1], "the radical is a component"
    assert [names[1] for names in skeleton.components] == [2, 3, 4], "and so is each stroke that stands apart"


def test_a_tarball_and_its_folder_hold_the_same(tmp_path):
    path = write_hanzi(tmp_path / "a.tgz", {"一": [LINE], "二": [LINE, LINE], "三": [LINE]})
    files = hanzi.read_files(path, "一二四")
    assert list(files) == ["一", "二"] and len(hanzi.parse(files["二"]).strokes) == 2
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    assert hanzi.read_files(tmp_path / "unpacked", "一二四") == files
    assert hanzi.read_files(tmp_path / "unpacked/package", "一二四") == files


def test_the_environment_variable_names_it_unless_a_path_is_given(tmp_path, monkeypatch):
    monkeypatch.delenv(hanzi.VARIABLE, raising=False)
    assert hanzi.find_path() is None
    monkeypatch.setenv(hanzi.VARIABLE, str(tmp_path))
    assert hanzi.find_path() == tmp_path
    with pytest.raises(InputError) as error:
        hanzi.find_path(tmp_path / "none.tgz")
    remedy = "make it with npm pack hanzi-writer-data, and set hanzi_path to it"
    assert str(error.value) == f"{tmp_path / 'none.tgz'} does not exist: {remedy}"


def member(size: int) -> bytes:
    """Return the header of a member of that size."""
    info = tarfile.TarInfo("package/一.json")
    info.size = size
    return info.tobuf()


@pytest.mark.parametrize(
    "data",
    [b"", b"text", gzip.compress(b"text" * 999), gzip.compress(member(2**20) + bytes(2**20))],
    ids=["empty", "text", "compressed text", "too much"],
)
def test_other_files_are_refused(tmp_path, monkeypatch, data):
    monkeypatch.setattr(hanzi, "MOST_IN_ALL", 2**20)
    path = tmp_path / "a.tgz"
    path.write_bytes(data)
    with pytest.raises(InputError, match="is not a tarball of hanzi-writer-data .*: make it with npm pack"):
        hanzi.read_files(path, "一")


def test_a_member_that_claims_too_much_is_not_skipped_block_by_block(tmp_path):
    (tmp_path / "a.tgz").write_bytes(gzip.compress(member(2**36) + bytes(512)))
    with pytest.raises(InputError, match="claims 68719476736 bytes"):
        hanzi.read_files(tmp_path / "a.tgz", "一")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"[" * 10**5, b'{"medians": 3}', b'{"medians": [[]]}', b'{"medians": [[["a", 1]]]}',
             b'{"medians": [[[NaN, 1]]]}', b'{"medians": [[[1e999, 1]]]}',
             b'{"medians": [[[1, 1]]], "radStrokes": [[]]}'],
    ids=range(10),
)  # fmt: skip
def test_damage_is_refused(data):
    with pytest.raises(InputError):
        hanzi.parse(data)
