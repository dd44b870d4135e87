import subprocess
import sys

import pytest
from conftest import ROOT

import common


def run(folder, code: str) -> subprocess.CompletedProcess:
    """Run code as a notebook in `folder` does that has put our folder second on sys.path."""
    start = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]; "
    return subprocess.run([sys.executable, "-c", start + code], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    "name, theirs, ours",
    [("config", "config.py", "config.py"), ("models", "models/__init__.py", "models/__init__.py"),
     ("metrics", "metrics/__init__.py", "metrics.py"), ("plots", "plots.py", "plots/__init__.py")],
)  # fmt: skip
def test_a_file_of_the_user_in_the_place_of_ours_is_named(tmp_path, name, theirs, ours):
    path = tmp_path.resolve() / theirs
    path.parent.mkdir(exist_ok=True)
    path.write_text("Config = 1\n")
    message = (
        f"ImportError: Python finds {path} instead of {ROOT / ours}: rename that file, or put {ROOT} first with "
        f"sys.path.insert(0, {str(ROOT)!r}) before any import, and restart the kernel"
    )
    for code in ("import common", f"import {name}; import common", "from common.errors import InputError"):
        done = run(tmp_path, code)
        assert done.returncode == 1 and done.stderr.splitlines()[-1] == message


def test_other_files_and_folders_of_the_user_are_not_in_the_way(tmp_path):
    (tmp_path / "models").mkdir()  # without __init__.py it is no package
    (tmp_path / "mine.py").touch()
    done = run(tmp_path, "import common.files; import config; print(config.__file__)")
    assert (done.returncode, done.stdout.strip()) == (0, str(ROOT / "config.py")), done.stderr


def test_every_module_of_ours_is_checked():
    modules = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert set(common.ROOMS) | {"common"} == modules - {"benchmarks", "fit_char"} and common.ROOT == ROOT
