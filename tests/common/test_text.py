from common.text import plural


def test_a_count_has_its_noun():
    assert [plural(n, "error") for n in (0, 1, 2, 1234)] == ["0 errors", "1 error", "2 errors", "1,234 errors"]
    assert [plural(n, "class", "classes") for n in (1, 2)] == ["1 class", "2 classes"]
