"""What determines the result of a run besides parameters and images: code, threads, the version of torch."""

import functools
import hashlib
import re
import sys
from collections.abc import Iterator
from enum import Enum
from types import CodeType, FunctionType, MethodType, ModuleType

import numpy as np
import torch
from torch import nn

from common.files import fingerprint

PLAIN = bool | int | float | complex | str | bytes | Enum | None
ADDED = ("model code", "transforms", "threads", "torch")  # states of earlier versions lack them


def identity(model: nn.Module, transforms: list, device: torch.device) -> dict[str, object]:
    """Return plain values, under the names of ADDED, that must be the same in a run that continues another.

    Args:
        model: the classes of its modules count, except for those of libraries.
        transforms: of the training and validation images, or None.
        device: on a CPU, sums depend on the number of threads.
    """
    classes = {f"{cls.__module__}.{cls.__qualname__}": cls for cls in map(type, model.modules())}
    values = (
        code_fingerprint([classes[name] for name in sorted(classes)]),
        code_fingerprint(transforms),
        torch.get_num_threads() if device.type == "cpu" else None,
        str(torch.__version__),
    )
    return dict(zip(ADDED, values, strict=True))


def code_fingerprint(things: object) -> str:
    """Return 16 hex digits of SHA-256 over functions, classes and objects, whatever they consist of.

    Of a function count its bytecode, defaults, closure and the functions, classes and constants that it names; of an
    object its class and its attributes; of what is a library's, only the name. Comments and addresses do not count.
    """
    return hashlib.sha256("\n".join(_describe(things, {})).encode()).hexdigest()[:16]


def _describe(thing: object, seen: dict[int, object]) -> Iterator[str]:
    """Yield texts that change with the thing; `seen` are those that were described before, by id."""
    if isinstance(thing, PLAIN):
        yield repr(thing)
        return
    if id(thing) in seen:
        return
    seen[id(thing)] = thing  # also keeps it, so that no other thing gets its id
    yield type(thing).__qualname__
    if isinstance(thing, torch.Tensor | np.ndarray):
        yield fingerprint(np.asarray(thing.detach().cpu() if isinstance(thing, torch.Tensor) else thing))
    elif isinstance(thing, set | frozenset):
        yield from sorted(map(_without_address, thing))
    elif isinstance(thing, ModuleType | type | FunctionType) and _is_library(thing):
        yield f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', thing.__name__)}"
    else:
        for part in _parts(thing):
            yield from _describe(part, seen)


def _parts(thing: object) -> Iterator[object]:
    """Yield what a thing consists of."""
    match thing:
        case list() | tuple():
            yield from thing
        case dict():
            for item in thing.items():
                yield from item
        case CodeType():
            yield from (thing.co_code, *thing.co_names, *thing.co_consts)
        case FunctionType():
            yield from _parts_of_function(thing)
        case type():
            yield f"{thing.__module__}.{thing.__qualname__}"
            for base in thing.__mro__:
                members = {} if _is_library(base) else vars(base)
                yield from (value for name, value in members.items() if _counts(value) and name not in IGNORED)
        case staticmethod() | classmethod():
            yield thing.__func__
        case property():
            yield from (thing.fget, thing.fset)
        case MethodType():
            yield from (thing.__func__, thing.__self__)
        case functools.partial():
            yield from (thing.func, thing.args, thing.keywords)
        case object(__dict__=attributes):
            yield from (type(thing), attributes)
        case _:
            yield _without_address(thing)


IGNORED = {"__module__", "__doc__", "__qualname__", "__firstlineno__"}


def _parts_of_function(function: FunctionType) -> Iterator[object]:
    code = function.__code__
    constants = [value for value in code.co_consts if value != function.__doc__]
    yield from (code.co_code, code.co_names, constants, function.__defaults__, function.__kwdefaults__)
    yield from (cell.cell_contents for cell in function.__closure__ or ())
    named = (function.__globals__.get(name) for name in _names(code))
    yield from (value for value in named if _counts(value))


def _names(code: CodeType) -> Iterator[str]:
    """Yield the global names and attributes in code and in the functions inside it."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _counts(value: object) -> bool:
    """Return whether a global or a member of a class is code or a constant, rather than a state such as a logger."""
    return isinstance(value, FunctionType | type | staticmethod | classmethod | property | PLAIN)


def _is_library(thing: object) -> bool:
    name = thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", None) or "builtins"
    if name.partition(".")[0] in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file


def _without_address(thing: object) -> str:
    return re.sub(" at 0x[0-9A-Fa-f]+", "", repr(thing))
