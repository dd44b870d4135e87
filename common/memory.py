"""How much memory is available."""

from contextlib import suppress
from pathlib import Path

import psutil

CONTROL_GROUP = Path("/sys/fs/cgroup")


def available_memory(group: Path = CONTROL_GROUP) -> int:
    """Return the bytes that this process can use without swapping, within the limit of its container, if it has one.

    Args:
        group: the folder in which Linux tells the limit of a container.
    """
    available = int(psutil.virtual_memory().available)
    with suppress(OSError, ValueError):  # no container, or no limit: "max"
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        return min(available, max(limit - used, 0))
    return available
