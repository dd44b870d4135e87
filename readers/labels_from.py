"""Labels from the names of image files, by a pattern."""

import re

from common.errors import InputError


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
    virtual, others = {}, []
    for name in names:
        *folders, file = name.split("/")
        if found := wanted.fullmatch(file.rsplit(".", 1)[0]):
            own = [] if folders[-1:] == [found["label"]] else [found["label"]]  # it may be in that folder already
            virtual["/".join([*folders, *own, file])] = name
        else:
            others.append((name, f"its name does not fit labels_from={pattern!r}"))
    return virtual, others
