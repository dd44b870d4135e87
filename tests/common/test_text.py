from common.text import first_lines, first_names, plural


def test_a_count_has_its_noun():
    assert [plural(n, "error") for n in (0, 1, 2, 1234)] == ["0 errors", "1 error", "2 errors", "1,234 errors"]
    assert [plural(n, "class", "classes") for n in (1, 2)] == ["1 class", "2 classes"]


def test_of_many_the_first_are_given_and_the_others_counted():
    names = [*"abcd"]
    assert [first_names(names[:n], 2) for n in range(5)] == ["", "a", "a, b", "a, b and 1 other", "a, b and 2 others"]
    assert first_lines(names, 4, "  ") == ["  a", "  b", "  c", "  d"] and first_lines([], 4, "") == []
    assert first_lines(names, 3, "  ") == ["  a", "  b", "  c", "  and 1 other"]
