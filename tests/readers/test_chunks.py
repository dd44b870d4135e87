"""The images of a source are the same, whatever the chunks and the processes that read them."""

import os
import zipfile

import numpy as np
import pytest

from imaging.input_spec import InputSpec
from readers import chunks, open_source
from readers.chunks import Found, read_chunks

SPEC = InputSpec(32, (28, 28))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(chunks, "MOST", 4)


@pytest.fixture
def sources(raw, paper, tmp_path):
    """A folder, a zip, .gnt files and a table of the same images."""
    folder = raw({"a": [*paper(5), b"no image"], "b": paper(6, 1)})
    with zipfile.ZipFile(tmp_path / "raw.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.glob("*/*")):
            archive.write(path, path.relative_to(folder))
    for writer in range(3):
        records = b"".join(
            (10 + 28 * 28).to_bytes(4, "little") + text.encode("gbk") + bytes([28, 0, 28, 0]) + image.tobytes()
            for text, image in zip("啊阿埃挨", paper(4, writer), strict=True)
        )
        (tmp_path / "gnt").mkdir(exist_ok=True)
        (tmp_path / f"gnt/{writer}.gnt").write_bytes(records)
    rows = "\n".join(f"raw/{path.relative_to(folder)},{path.parent.name}" for path in sorted(folder.glob("*/*")))
    (tmp_path / "table.csv").write_text("path,label\n" + rows)
    return [open_source(tmp_path / name) for name in ("raw", "raw.zip", "gnt", "table.csv")]


def read(source, **options) -> tuple[list, Found]:
    """Return what `read_chunks` gives of a source, as rows, and what was found."""
    rows, found = [], Found()
    for columns, here in read_chunks(source, SPEC, **options):
        assert len(columns["x"]) <= 4
        rows += zip(*(values.tolist() for values in columns.values()), strict=True)
        found.add(here)
    return rows, found


def test_several_processes_read_what_one_reads(sources):
    for source in sources:
        expected, found = read(source, processes=1)
        assert read(source, processes=2) == (expected, found)
        samples = list(source)
        assert [row[2] for row in expected] == [sample.file for sample in samples]
        assert [row[0] for row in expected] == [sample.image.tolist() for sample in samples]
        assert [row[4:6] for row in expected] == [(sample.group, sample.part) for sample in samples]
        modes, skipped = source.modes, source.skipped
        assert found.modes == modes and found.damaged == [one for one in skipped if one in found.damaged]


def test_reading_begins_with_any_chunk(sources, monkeypatch):
    for source in sources:
        expected, _ = read(source)
        for processes in (1, 2):
            rows, _ = read(source, first=1, processes=processes)
            assert rows == expected[-len(rows) :] and 4 <= len(expected) - len(rows) + 1 <= 5
    monkeypatch.setattr("readers.source.Source.share", lambda source, start, stop: None)
    monkeypatch.setattr("readers.gnt.GntSource.share", lambda source, start, stop: None)
    rows, _ = read(sources[2])
    assert read(sources[2], first=2)[0] == rows[8:] and len(rows) == 12


def test_one_process_goes_on_if_another_dies(sources, monkeypatch, capsys):
    prepare, here = chunks._prepare, os.getpid()

    def die(*args):
        return prepare(*args) if os.getpid() == here else os._exit(1)

    expected, _ = read(sources[2])
    monkeypatch.setattr(chunks, "_prepare", die)
    assert read(sources[2], processes=2)[0] == expected
    assert "One of 2 processes that read images has died; this one goes on alone." in capsys.readouterr().out


def test_few_images_are_read_by_one_process_and_chunks_are_of_limited_size(monkeypatch):
    assert chunks._count_processes(100) == 1
    monkeypatch.undo()
    assert chunks.chunk_length(SPEC) == 1024 and chunks.chunk_length(InputSpec(32, (1024, 1024))) == 16


def test_random_numbers_are_left_alone(sources):
    import torch

    before = torch.get_rng_state()
    read(sources[2], processes=2)
    np.testing.assert_array_equal(before, torch.get_rng_state())
