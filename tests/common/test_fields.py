from dataclasses import dataclass, fields

import pytest

from common.errors import InputError
from common.fields import check_value, setting


@dataclass
class Settings:
    size: int | None = setting(None, 1, 9)
    colour: str = setting("red", choices=("red", "blue"))
    ready: bool = setting(False)


def test_values_in_range_pass():
    for one, values in zip(fields(Settings), ((None, 1, 9), ("red", "blue"), (True, False)), strict=True):
        for value in values:
            check_value(one, value)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, 0, "size must be between 1 and 9, not 0"),
        (0, True, "size must be int, not True (bool)"),
        (1, "rad", "unknown colour 'rad': did you mean 'red'? It is one of red, blue."),
        (1, None, "colour must be str, not None (NoneType)"),
        (2, 1, "ready must be bool, not 1 (int)"),
    ],
)
def test_other_values_are_named(place, value, message):
    with pytest.raises(InputError) as caught:
        check_value(fields(Settings)[place], value)
    assert str(caught.value) == message
