import numpy as np

from readers.names import Names, as_names, encode, number_names

TEXTS = ["博/1.png", "", "a", "\udcff.bmp", "a"]


def make(texts=TEXTS) -> Names:
    encoded = [encode(text) for text in texts]
    return Names(np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([len(text) for text in encoded]))


def test_names_are_read_like_an_array_of_texts():
    names = make()
    assert names.tolist() == list(names) == TEXTS and len(names) == 5 and names.shape == (5,)
    assert names[0] == "博/1.png" and names[-2] == "\udcff.bmp" and names[np.int64(2)] == "a"
    chosen = names[np.array([3, 0, 0])]
    assert isinstance(chosen, Names) and chosen.tolist() == ["\udcff.bmp", "博/1.png", "博/1.png"]
    assert chosen[1:].tolist() == ["博/1.png"] * 2 and names[np.arange(5) > 3].tolist() == ["a"]
    assert chosen.data is names.data
    np.testing.assert_array_equal(np.asarray(names), np.array(TEXTS))


def test_names_may_all_be_empty():
    names = make(["", "", "a", ""])
    assert names.any() and not names[[0, 1, 3]].any() and names[[2]].any() and not names[:0].any()


def test_names_stay_as_they_are_and_other_texts_become_an_array():
    names = make()
    assert as_names(names) is names
    assert as_names([1, 2]).tolist() == ["1", "2"]


def test_different_texts_are_numbered_alike_in_an_array_and_in_names():
    table = make(["w2", "w1", ""])
    names = Names(table.data, table.ends, np.array([1, 0, 0, 1]))
    for texts in (names, np.asarray(names)):
        codes, found = number_names(texts)
        assert [found[code] for code in codes] == ["w1", "w2", "w2", "w1"] and len(found) == 2
