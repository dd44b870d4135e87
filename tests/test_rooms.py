"""Which module may import which, and that importing does nothing."""

import ast
import subprocess
import sys

import pytest
from conftest import ROOT

MAY_IMPORT = {
    "config": set(),
    "models": set(),
    "strokes": set(),
    "plots": {"files", "metrics"},
    "metrics": set(),
    "files": {"config"},
    "pixels": set(),
    "init": {"config", "files", "pixels"},
    "records": {"config", "files", "metrics"},
    "checkpoints": {"config", "files"},
    "compute": {"config"},
    "batches": {"config"},
    "corrections": {"config", "files"},
    "dataset": {"config", "corrections", "files", "init", "pixels", "strokes"},
    "audit": {"pixels", "dataset", "batches"},
    "training": {"config", "compute", "metrics"},
    "resume": {"config", "files", "records", "checkpoints"},
    "scan": {"config"},
    "inside": {"classifier", "dataset", "models"},
    "drawing": {"classifier", "dataset", "plots", "config", "files"},
    "classifier": {
        "config", "files", "init", "pixels", "dataset", "batches", "metrics", "models", "checkpoints",
        "compute", "training", "resume", "scan",
    },
    "evidence": {"config", "dataset", "metrics", "classifier"},
}  # fmt: skip
PACKAGES = {"models", "plots"}


def imports(path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return found


def test_every_module_has_its_place():
    assert {path.stem for path in ROOT.glob("*.py")} | PACKAGES == set(MAY_IMPORT)


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_imports_go_one_way(module):
    files = list((ROOT / module).glob("*.py")) if module in PACKAGES else [ROOT / f"{module}.py"]
    for path in files:
        assert imports(path) & set(MAY_IMPORT) - {module} <= MAY_IMPORT[module], path


def test_importing_does_nothing(tmp_path):
    code = f"""
import sys, logging, os
sys.path.insert(0, {str(ROOT)!r})
import random, numpy, torch
before = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
import {", ".join(MAY_IMPORT)}
after = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
assert before == after, "a seed was set"
assert not torch.cuda.is_initialized(), "a device was touched"
assert not logging.getLogger().handlers, "a log was opened"
assert not os.listdir("."), "a file was written"
"""
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout and not done.stderr, done.stderr
