import hashlib

import numpy as np
import pytest

from readers.drawn import CHARACTERS, SKELETONS, DrawnSource, draw, read_skeletons


@pytest.fixture
def sample(drawn):
    """40 images of each character, which `draw` made."""
    return drawn.x, drawn.y


def test_same_seed_gives_the_same_bytes_on_every_machine():
    x, _ = draw(per_class=3)
    assert hashlib.sha256(x.tobytes()).hexdigest()[:16] == "79b8ed7f319218c5"


def test_drawing_neither_reads_nor_changes_the_global_random_state():
    np.random.seed(1)
    first, _ = draw(per_class=1)
    after = np.random.random_sample()
    np.random.seed(1)
    assert after == np.random.random_sample()
    assert np.array_equal(first, draw(per_class=1)[0])


def test_other_seed_gives_other_bytes():
    assert not np.array_equal(draw(per_class=1, seed=42)[0], draw(per_class=1, seed=43)[0])


def test_shapes_types_and_labels(sample):
    x, y = sample
    assert CHARACTERS == "博学笃志切问近思自由无用"
    assert x.shape == (480, 28, 28) and x.dtype == np.uint8
    assert y.shape == (480,) and y.dtype == np.int64
    assert np.array_equal(y, np.repeat(np.arange(12), 40))


def test_skeletons_are_those_of_the_characters_in_order():
    assert "".join(read_skeletons()) == CHARACTERS


def test_skeletons_stay_on_the_grid():
    for character, components in read_skeletons().items():
        for way in (way for component in components for way in component):
            assert way[0] >= 1, character
            for stroke in way[1]:
                assert len(stroke) >= 2 and stroke.min() >= 0 and stroke.max() <= 100, (character, stroke)


def test_ink_is_black_and_paper_is_white(sample):
    assert set(np.unique(sample[0])) == {0, 255}


def test_every_image_has_the_ink_of_a_character(sample):
    ink = (sample[0] == 0).sum((1, 2))
    assert ink.min() >= 20 and ink.max() <= 260


def test_no_two_images_are_equal(sample):
    assert len(np.unique(sample[0].reshape(len(sample[0]), -1), axis=0)) == len(sample[0])


def test_lines_are_one_pixel_wide(sample):
    ink = sample[0] == 0
    blocks = ink[:, 1:, 1:] & ink[:, 1:, :-1] & ink[:, :-1, 1:] & ink[:, :-1, :-1]
    assert blocks.sum() < 0.06 * ink.sum()


def test_class_means_differ(sample):
    x, y = sample
    means = np.stack([x[y == k].mean(0) for k in range(12)])
    distance = abs(means[:, None] - means[None]).mean((2, 3))
    assert distance[~np.eye(12, dtype=bool)].min() > 8


@pytest.mark.parametrize("size", [16, 28, 56])
def test_characters_fill_the_frame_and_stay_in_it(size):
    x, _ = draw(per_class=20, size=size)
    assert x.shape == (240, size, size)
    ink = x == 0
    rows, columns = ink.any(2).sum(1) / size, ink.any(1).sum(1) / size
    assert rows.mean() > 0.5 and columns.mean() > 0.5
    border = ink[:, 0].sum() + ink[:, -1].sum() + ink[:, :, 0].sum() + ink[:, :, -1].sum()
    assert border < 0.05 * ink.sum()


def test_per_class_below_one_names_the_remedy():
    with pytest.raises(ValueError) as error:
        draw(per_class=0)
    assert str(error.value) == "per_class is 0: ask for at least 1 image per character"


def test_size_below_sixteen_names_the_remedy():
    with pytest.raises(ValueError) as error:
        draw(size=15)
    assert str(error.value) == "size is 15: ask for at least 16 pixels, which the strokes of 博 need"


def test_the_source_is_what_draw_draws(monkeypatch):
    monkeypatch.setattr("readers.drawn.PER_CLASS", 3)
    source = DrawnSource(20)
    samples = list(source)
    assert source.name.startswith("synthetic handwriting") and source.classes == list(CHARACTERS)
    assert len(source) == len(samples) == 36 and source.sizes() == {(20, 20): 36} and not source.cropped
    x, y = draw(3, 20)
    np.testing.assert_array_equal(np.stack([sample.image for sample in samples]), x)
    assert [sample.label for sample in samples] == y.tolist()
    assert samples[4].file == "2/4" and len({sample.file for sample in samples}) == 36
    assert {(sample.part, sample.group) for sample in samples} == {("train", "")}
    assert source.modes == {"L": 36} and source.skipped == []


def test_the_source_draws_as_many_as_the_lab_has_unless_told_otherwise():
    assert len(DrawnSource()) == 7440 and DrawnSource().sizes() == {(28, 28): 7440}


def test_the_stamp_changes_with_the_size_and_the_skeletons(tmp_path, monkeypatch):
    stamps = [repr(DrawnSource(28).stamp()), repr(DrawnSource(28).stamp()), repr(DrawnSource(32).stamp())]
    assert stamps[0] == stamps[1] != stamps[2]
    (tmp_path / "skeletons.txt").write_text(SKELETONS.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    monkeypatch.setattr("readers.drawn.SKELETONS", tmp_path / "skeletons.txt")
    assert repr(DrawnSource(28).stamp()) not in stamps
