"""Imports go one way through the layers of the house, and importing does nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

LAYERS = [
    {"common", "models", "metrics"},
    {"config", "imaging", "plots"},
    {"readers", "training", "runs"},
    {"init", "dataset"},
    {"export"},
    {"classifier"},
    {"analysis", "apps"},
    {"fit_char"},
]
LAYER = {room: number for number, layer in enumerate(LAYERS) for room in layer}
FILES = sorted([*ROOT.glob("*.py"), *(path for name in LAYER for path in (ROOT / name).rglob("*.py"))])


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Return the rooms of ours that a file imports from, also within its functions."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, "an import is absolute"
            names.append(node.module)
    return {name.split(".")[0] for name in names} & set(LAYER)


def test_every_file_has_a_room():
    assert {room(path) for path in FILES} == set(LAYER)
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"benchmarks"} == {name for name in LAYER if (ROOT / name).is_dir()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    own = room(path)
    for other in imported_rooms(path) - {own}:
        assert LAYER[other] < LAYER[own], f"{own} imports {other}"


def test_importing_does_nothing(tmp_path):
    paths = [path.relative_to(ROOT).with_suffix("") for path in FILES]
    modules = [".".join(path.parts).removesuffix(".__init__") for path in paths]
    code = f"""
import sys, logging, os
sys.path.insert(0, {str(ROOT)!r})
import random, numpy, torch
before = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
import {", ".join(modules)}
after = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
assert before == after, "a seed was set"
assert not torch.cuda.is_initialized(), "a device was touched"
assert not logging.getLogger().handlers and not logging.getLogger("fit_char").handlers, "a log was opened"
assert not os.listdir("."), "a file was written"
"""
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout and not done.stderr, done.stderr
