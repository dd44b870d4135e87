"""Fields of a dataclass that have a range or a choice of values."""

from dataclasses import Field, field
from typing import Any

from common.errors import InputError, did_you_mean


def setting(default: object, low: float | None = None, high: float | None = None, choices: tuple = ()) -> Any:
    """Return a dataclass field whose values other than None are between low and high, or one of the choices."""
    return field(default=default, metadata={"low": low, "high": high, "choices": choices})


def check_value(one: Field, value: Any) -> None:
    """Raise InputError, which names the field, for a value of another type than its own or out of its range."""
    name = one.name
    limits = one.metadata
    may_be_bool = one.type in (bool, bool | None)
    if not isinstance(value, one.type) or (isinstance(value, bool) and not may_be_bool):  # type: ignore[arg-type]
        kind = getattr(one.type, "__name__", str(one.type).removesuffix(" | None"))
        raise InputError(f"{name} must be {kind}, not {value!r:.100} ({type(value).__name__})")
    if value is None:
        return
    choices = limits.get("choices")
    if choices and value not in choices:
        near = did_you_mean(value, map(str, choices))
        raise InputError(f"unknown {name} {value!r:.100}: {near} It is one of {', '.join(map(str, choices))}.")
    if limits.get("low") is not None and not limits["low"] <= value <= limits["high"]:
        raise InputError(f"{name} must be between {limits['low']} and {limits['high']}, not {value!r:.100}")
    if isinstance(value, str) and "\0" in value:
        raise InputError(f"{name} must not contain the character NUL")
