"""How OpenMP's threads wait for each other on a CPU that other processes use, too.

torch's threads spin while they wait for the last of them. If that one has no core to run on, because another process
has it, the others burn its time, and a step of a small model takes up to a hundred times as long.
"""

import ctypes
import glob
import logging
import os
import sys
import threading
import time

import torch

OF_THE_USER = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # variables that settle it
BUSY = 0.1  # seconds per second that this process's threads waited for a core
INTERVAL = 2.0  # seconds between two checks; in less, a front end that draws the curves would seem to need a core
log = logging.getLogger("fit_char")


class WaitingThreads:
    """Let threads that wait for each other sleep soon, once other processes are found to need the cores.

    A context manager. Results stay the same to the bit. On an idle machine the threads spin, which is faster.

    Args:
        device: that computes; if it is no CPU, there is nothing to do.
    """

    def __init__(self, device: torch.device):
        decided = any(name in os.environ for name in OF_THE_USER)
        self._enabled = device.type == "cpu" and torch.get_num_threads() > 1 and not decided
        if self._enabled:
            _limit_blocktime()
        self._released: threading.Event | None = None
        self._last_delay, self._last_check = _core_delay(), time.perf_counter()

    def check(self) -> None:
        """Find out whether threads had to wait for a core since the last check; call it after every step."""
        now = time.perf_counter()
        if not self._enabled or self._released or now - self._last_check < INTERVAL:
            return
        delay = _core_delay()
        if delay - self._last_delay > BUSY * (now - self._last_check):
            self._sleep_soon()
        self._last_delay, self._last_check = delay, now

    def _sleep_soon(self) -> None:
        """Make GNU's OpenMP spin for some microseconds only, as it does if there are more threads than cores.

        It has no function for that, so that a second team of threads does it, which sleeps.
        """
        self._released, started = threading.Event(), threading.Event()

        def hold_threads(released: threading.Event) -> None:
            torch.ones(2**20).add_(1)  # long enough to be done by a team
            started.set()
            released.wait()

        threading.Thread(target=hold_threads, args=[self._released], daemon=True).start()
        started.wait()
        log.info("Other processes use the cores: threads no longer spin while they wait for each other.")

    def __enter__(self) -> "WaitingThreads":
        return self

    def __exit__(self, *error) -> None:
        """Let threads spin again."""
        if self._released:
            self._released.set()


def _core_delay() -> float:
    """Return how many seconds the threads of this process have waited for a core; 0 except on Linux."""
    total = 0
    for path in glob.glob("/proc/self/task/*/schedstat"):
        try:
            with open(path, encoding="ascii") as file:
                total += int(file.read().split()[1])  # nanoseconds
        except OSError:  # the thread has ended
            continue
    return total / 1e9


def _limit_blocktime() -> None:
    """Let the threads of LLVM's and Intel's OpenMP, which torch has on macOS and Windows, spin for 1 ms at most."""
    library = {"darwin": "libomp.dylib", "win32": "libiomp5md.dll"}.get(sys.platform)
    path = os.path.join(os.path.dirname(torch.__file__), "lib", library or "none")
    if os.path.exists(path):
        ctypes.CDLL(path).kmp_set_blocktime(1)
