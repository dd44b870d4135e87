"""The fields of Config as options of a command line: the comment beside a field is the help of its option."""

import argparse
import inspect
import io
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import Field, fields
from typing import Any, NoReturn, get_args

from common.errors import InputError, did_you_mean
from config import ALIASES, RECIPES, Config

COMPUTED = ("hash_id",)  # fields that no user sets
METAVARS = {"characters": "TEXT", "init_from": "PATH", "labels_from": "PATTERN", "model_options": "JSON"}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are ours: one line, with the nearest valid option."""

    def __init__(self, *values, **named):
        super().__init__(*values, **named, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see {self.prog} --help)")

    def parse(self, words: list[str]) -> argparse.Namespace:
        """Return the options; `--batch_size` is read as `--batch-size`, and former names of parameters as present ones.

        Raises:
            InputError: an unknown option, with the nearest one, or a value that is missing.
        """
        options, unknown = self.parse_known_args([_present_name(word) for word in words])
        if unknown:
            valid = getattr(options, "parser", self)._option_string_actions
            raise InputError(f"unknown option {unknown[0]!r}: {did_you_mean(unknown[0], valid)}")
        return options


def _present_name(word: str) -> str:
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    name = name[2:].replace("-", "_")
    return f"--{ALIASES.get(name, name).replace('_', '-')}{equals}{value}"


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """Add every parameter of Config as an option, and `--config`, a file of them."""
    parser.add_argument("--config", metavar="FILE", help="a JSON file of parameters; options change some of them")
    by_name = {one.name: one for one in fields(Config)}
    group: argparse._ArgumentGroup = parser.add_argument_group("parameters")
    for name, comment in _comments():
        if name is None:
            title, _, description = comment.partition(": ")
            group = parser.add_argument_group(title.removesuffix("."), description or None)
        elif name not in COMPUTED:
            group.add_argument(f"--{name.replace('_', '-')}", **_option(by_name[name], comment))


def read_config(options: argparse.Namespace, **changes) -> Config:
    """Return the Config of the options that were given, and of the file `--config`.

    Args:
        changes: parameters that are not options.

    Raises:
        InputError: an unknown parameter or a wrong value.
    """
    values = given(options) | changes
    return Config.load(options.config, **values) if options.config else Config(**values)


def given(options: argparse.Namespace) -> dict:
    """Return the parameters of Config that were given as options."""
    names = {one.name for one in fields(Config)}
    return {name: value for name, value in vars(options).items() if name in names}


def _comments() -> Iterator[tuple[str | None, str]]:
    """Yield (field, its comment) for each field of Config in order, and (None, comment) above a group of them."""
    names = {one.name for one in fields(Config)}
    field = None
    alone = ""
    for token in tokenize.generate_tokens(io.StringIO(inspect.getsource(Config)).readline):
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("# ")
            if field:
                yield field, text
            else:
                alone = f"{alone} {text}".strip()
        elif token.type == tokenize.NEWLINE:
            field = None
        elif token.string == "def":
            return
        elif token.string in names and field is None:
            if alone:
                yield None, alone
            field = token.string
            alone = ""


def _option(field: Field, comment: str) -> dict:
    """Return the arguments of `add_argument` for a field."""
    kind = _kind(field)
    limits = field.metadata
    facts = f"{limits['low']:,} to {limits['high']:,}; " if limits.get("low") is not None else ""
    text = f"{comment} [{facts}{_default(field)}]".replace("None", "none").replace("%", "%%")
    option = {"help": text, "dest": field.name, "default": argparse.SUPPRESS}
    if kind is bool:
        return option | {"action": argparse.BooleanOptionalAction}
    usual = {int: "N", float: "X"}.get(kind, "PATH" if field.name.endswith("_path") else "NAME")
    metavar = METAVARS.get(field.name, usual)
    choices = limits.get("choices")
    return option | {"type": _reader(field), "metavar": f"{{{','.join(map(str, choices))}}}" if choices else metavar}


def _kind(field: Field) -> Any:
    """Return the type of a field's values other than None."""
    return next(kind for kind in get_args(field.type) or [field.type] if kind is not type(None))


def _default(field: Field) -> str:
    """Return the default of a field, that of each recipe if it depends on the recipe."""
    if field.default is not None or field.name not in RECIPES["default"]:
        return f"default {_plain(field.default)}"
    values = {name: _plain(recipe[field.name]) for name, recipe in RECIPES.items()}
    usual = values.pop("default")
    return ", ".join([f"default {usual}", *(f"{name} {value}" for name, value in values.items() if value != usual)])


def _plain(value: object) -> str:
    return f"{value:,}" if type(value) is int else "none" if value is None else str(value)


def _reader(field: Field) -> Callable[[str], object]:
    """Return the function from the text of an option to its value. What is no number is refused by Config itself."""
    kind = _kind(field)
    optional = type(None) in get_args(field.type)

    def read(text: str) -> object:
        if optional and text == "none":
            return None
        try:
            return kind(text)
        except ValueError:
            return text

    return read
