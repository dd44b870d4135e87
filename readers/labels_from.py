"""Labels from the names of image files, by a pattern."""

import re
from collections import defaultdict

from common.errors import InputError
from readers.source import part_of


def in_class_folders(names: list[str], pattern: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return the names that images had in folders of their classes → their names, and (name, reason) of the others.

    Args:
        names: of image files, with the folders above them.
        pattern: of a file's name without its suffix: {label} is the class, * anything, as "{label}_*".

    Raises:
        InputError: a pattern without a {label}, or with several.
    """
    if pattern.count("{label}") != 1:
        raise InputError(f"labels_from must hold {{label}} once, as in '{{label}}_*', not {pattern!r:.100}")
    escaped = re.escape(pattern).replace(r"\*", ".*")
    wanted = re.compile(escaped.replace(re.escape("{label}"), "(?P<label>.+?)"), re.DOTALL)
    labels, others = {}, []
    for name in names:
        if found := wanted.fullmatch(name.rsplit("/", 1)[-1].rsplit(".", 1)[0]):
            labels[name] = found["label"]
        else:
            others.append((name, f"its name does not fit labels_from={pattern!r}"))
    telling, virtual = _telling_levels(labels), {}
    for name, label in labels.items():
        *folders, file = name.split("/")
        virtual["/".join([*(folder for k, folder in enumerate(folders) if k in telling), label, file])] = name
    return virtual, others


def _telling_levels(labels: dict[str, str]) -> set[int]:
    """Return the levels of folders that tell something beside the label, given name → label: parts and writers.

    Folders that are told by the label alone are not among them, such as those of classes.
    """
    found: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, label in labels.items():
        for level, folder in enumerate(name.split("/")[:-1]):
            found[level][label].add(folder)
    return {
        level
        for level, by_label in found.items()
        if any(len(folders) > 1 or any(map(part_of, folders)) for folders in by_label.values())
    }
