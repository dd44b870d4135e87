"""The parameters of the notebook's first cell, or given to papermill, as a Config."""

import ast
import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields

from common.errors import InputError, did_you_mean
from config import ALIASES, Config
from init import suit_cpu

PAPERMILL = "# Parameters"  # the first line of the cell in which papermill sets what it was given
log = logging.getLogger("fit_char")


def read_config(namespace: Mapping, own: Sequence[str] = ()) -> Config:
    """Return the Config of the parameters that the notebook's cells have set; any field of Config may be one.

    Without `config_path`, a model that is slow on this CPU may get a smaller input size and budget (`init.suit_cpu`).
    With it, the parameters are those of that file, but for what was given to papermill or differs from the default in
    the notebook.

    Args:
        namespace: the notebook's globals().
        own: names of the notebook's own parameters, which are none of Config.

    Raises:
        InputError: an unknown parameter, with the nearest name, or a wrong value.
    """
    defaults = {one.name: one.default for one in fields(Config)}
    valid = {*defaults, *ALIASES, *own, "config_path"}
    given, written = _assigned_names(namespace.get("In", ()), valid)
    for name in [*given, *written]:
        if name not in valid:
            raise InputError(f"unknown parameter {name!r}: {did_you_mean(name, valid)}")
    names = [name for name in dict.fromkeys([*written, *given]) if name in defaults or name in ALIASES]
    values = {name: namespace[name] for name in names}
    if not namespace.get("config_path"):
        config = Config.from_dict(values)
        has_budget = any(values.get(name) for name in ("samples_seen", "images_shown"))
        return config if has_budget else suit_cpu(config)
    explicit = {
        ALIASES.get(name, name): value for name, value in values.items()
        if name in given or value != defaults[ALIASES.get(name, name)]
    }  # fmt: skip
    if explicit:
        changes = ", ".join(f"{name} = {value!r}" for name, value in explicit.items())
        log.info("%s, but for what the notebook sets: %s", namespace["config_path"], changes)
    return Config.load(namespace["config_path"], **explicit)


def _assigned_names(cells: Sequence[str], valid: set[str]) -> tuple[list[str], list[str]]:
    """Return the names that papermill has set, and those of the cells that set nothing but parameters.

    A cell that sets config_path is the notebook's first; what was set before it was run again no longer counts.

    Args:
        cells: the source of each cell that was run, as in IPython's `In`.
        valid: names of parameters; a cell that sets none of these is no cell of parameters.
    """
    given: list[str] = []
    written: list[str] = []
    for source in cells:
        names = _literal_names(source)
        if source.startswith(PAPERMILL):
            given += names
        elif "config_path" in names:
            given, written = [], names
        elif valid.intersection(names):
            written += names
    return given, written


def _literal_names(source: str) -> list[str]:
    """Return the names to which a cell gives literal values, if it does nothing else."""
    names = []
    try:
        for statement in ast.parse(source).body:
            if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
                return []
            ast.literal_eval(statement.value)
            names.append(statement.targets[0].id)
    except (SyntaxError, ValueError):  # IPython's magics; other expressions
        return []
    return names
