import hashlib

import numpy as np
import pytest

from common.errors import InputError
from readers import characters
from readers.characters import CharactersSource


def images(source) -> np.ndarray:
    return np.stack([sample.image for sample in source])


def test_the_source_draws_each_character_by_each_writer(stroke_data):
    source = CharactersSource("二人T", per_class=3, size=40)
    samples = list(source)
    assert source.classes == ["二", "人", "T"] and len(source) == len(samples) == 9
    assert source.name.startswith(
        "synthetic handwriting (drawn from KanjiVG (Ulrich Apel, CC BY-SA 3.0), Make Me a Hanzi"
    )
    assert [sample.label for sample in samples] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [sample.group for sample in samples[:4]] == [f"drawn writer {k}" for k in (0, 1, 2, 0)]
    assert samples[3].file == "人/0" and source.sizes() == {(40, 40): 9} and source.modes == {"L": 9}
    assert {sample.image.shape for sample in samples} == {(40, 40)}


def test_a_character_does_not_depend_on_the_others(stroke_data):
    one, other = (images(CharactersSource(text, per_class=5)) for text in ("二人", "T人"))
    np.testing.assert_array_equal(one[5:], other[5:])


def test_the_same_bytes_on_every_machine(stroke_data):
    x = images(CharactersSource("0123456789", per_class=20, size=32))
    assert hashlib.sha256(x.tobytes()).hexdigest()[:16] == "989f668366562e7f"
    assert (x != images(CharactersSource("0123456789", per_class=20, size=32, seed=1))).any()
    x = images(CharactersSource("二人", per_class=50, size=32))
    assert hashlib.sha256(x.tobytes()).hexdigest()[:16] == "9fd3d17659a80bad"


def test_large_images_are_drawn_few_at_once(stroke_data, monkeypatch):
    def count(*args):
        counts.append(len(args[2].mouse))
        return draw_track(*args)

    counts: list[int] = []
    draw_track = characters.draw_track
    monkeypatch.setattr(characters, "draw_track", count)
    for size, expected in ((128, [128, 2]), (1024, [8, 1])):
        counts.clear()
        assert len(list(CharactersSource("17", per_class=sum(expected), size=size))) == 2 * sum(expected)
        assert max(counts) <= expected[0]


def test_every_image_has_ink_and_no_two_are_equal(stroke_data):
    x = images(CharactersSource("二人T7", per_class=100))
    assert (x < 200).sum((1, 2)).min() >= 5
    assert len(np.unique(x.reshape(len(x), -1), axis=0)) == len(x)


def test_classes_can_be_told_apart_by_their_means(stroke_data):
    x = images(CharactersSource("二人T7", per_class=100)).reshape(4, 100, -1).astype(float)
    means = x[:, :50].mean(1)
    distance = ((x[:, 50:, None] - means) ** 2).sum(-1)
    assert (distance.argmin(-1) == np.arange(4)[:, None]).mean() > 0.5


def test_fewer_images_of_many_characters(stroke_data):
    assert CharactersSource("01").per_class == 1500 and CharactersSource("latin").per_class == 576


def test_the_stamp_changes_with_what_makes_the_images(stroke_data):
    def stamp(*values) -> str:
        return repr(CharactersSource(*values).stamp())

    first = stamp("二人", 5)
    others = [stamp("二T", 5), stamp("二人", 6), stamp("二人", 5, 40), stamp("二人", 5, 28, 1)]
    assert stamp("二人", 5) == first and len({first, *others}) == 5


def test_a_missing_character_is_named(stroke_data):
    with pytest.raises(InputError, match="水"):
        CharactersSource("二水")
