"""What a folder of checkpoints holds."""

import logging
import time
from pathlib import Path

from common.errors import InputError
from metrics import format_accuracy
from runs import checkpoint
from runs.state import is_state_name, read_state

log = logging.getLogger("fit_char")


def list_checkpoints(folder: str | Path) -> list[dict]:
    """Return what the checkpoints in a folder are, the newest first; files of others are left out.

    Tensors are not read, so that this is fast whatever the models.

    Returns:
        Dicts of file (its name), kind ("weights" or "unfinished run"), model, classes (their number), source (of the
        images, "" in files of earlier versions), epoch, accuracy, n, low, high (of the validation images, the accuracy
        with its 95 % interval; None if there were none), modified (seconds since 1970) and bytes.
    """
    found = []
    for path in Path(folder).glob("[!.]*"):
        try:
            read = _describe_state if is_state_name(path.name) else _describe_checkpoint
            about = path.stat() if path.is_file() else None
            if about:
                found.append({"file": path.name} | read(path) | {"modified": about.st_mtime, "bytes": about.st_size})
        except (InputError, FileNotFoundError) as error:  # also one that a run has just moved
            log.debug("%s is left out: %s", path, error)
    return sorted(found, key=lambda one: (one["modified"], one["file"]), reverse=True)


def _describe_checkpoint(path: Path) -> dict:
    content = checkpoint.read(path, tensors=False)
    source = (content["run"] or {}).get("source", "")
    return {
        "kind": "weights", "model": content["model"], "classes": len(content["classes"]), "source": source,
        "epoch": content["epoch"], **_result(content["metrics"]),
    }  # fmt: skip


def _describe_state(path: Path) -> dict:
    state = read_state(path, tensors=False)
    identity, history = state["identity"], state["history"]
    return {
        "kind": "unfinished run", "model": identity.get("model"), "classes": len(identity.get("classes", [])),
        "source": state["run"].get("source", ""), "epoch": len(history), **_result(state["best"].get("metrics")),
    }  # fmt: skip


def _result(metrics: dict | None) -> dict:
    low, high = metrics["interval"] if metrics else (None, None)
    return {key: metrics[key] if metrics else None for key in ("accuracy", "n")} | {"low": low, "high": high}


def format_checkpoints(checkpoints: list[dict]) -> str:
    """Return what `list_checkpoints` gives as a table, one line per file."""
    lines = [
        f"{'modified':18}{'MB':>7}  {'model':10}{'classes':>7}{'epoch':>7}  {'validation accuracy':36}  file, images"
    ]
    for one in checkpoints:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one["modified"]))
        result = format_accuracy(one | {"interval": (one["low"], one["high"])}) if one["n"] else "not validated"
        images = f", {one['source']}" if one["source"] else ""
        what = " (unfinished run)" if one["kind"] == "unfinished run" else ""
        lines.append(
            f"{when:18}{one['bytes'] / 1e6:7.1f}  {one['model']:10}{one['classes']:7}{one['epoch'] or 0:7}  {result:36}"
            f"  {one['file']}{what}{images}"
        )
    return "\n".join(lines)
