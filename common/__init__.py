"""What every room may use: errors, files, seeds. Importing it checks that no other file shadows ours."""

import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = (
    "models", "metrics", "config", "imaging", "plots", "readers", "training", "runs", "init", "dataset", "export",
    "classifier", "analysis", "apps",
)  # fmt: skip


def check_rooms() -> None:
    """Raise ImportError if one of our modules is another file, such as a config.py beside the user's notebook."""
    for name in ROOMS:
        spec = sys.modules[name].__spec__ if name in sys.modules else find_spec(name)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        ours = ROOT / name / "__init__.py" if (ROOT / name).is_dir() else ROOT / f"{name}.py"
        if found != ours:
            raise ImportError(
                f"Python finds {found} instead of {ours}: rename that file, or put {ROOT} first with sys.path.insert"
                f"(0, {str(ROOT)!r}) before any import, and restart the kernel"
            )


check_rooms()
