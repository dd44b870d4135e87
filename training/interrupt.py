"""Interrupts that wait for the end of a batch, and a SIGTERM that is one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import LostProcessError


@contextmanager
def deferred_interrupt(second_acts: bool = True) -> Iterator[threading.Event]:
    """While active, the first SIGINT or SIGTERM only sets the event that it gives; the second of them acts at once.

    Without `second_acts` it does not: torchrun repeats what the terminal has sent, and has means of its own. After a
    LostProcessError the signals do nothing any more.

    SIGINT is Ctrl-C or a kernel's interrupt, SIGTERM what schedulers send. One that the process ignores, as shells make
    their background jobs ignore SIGINT, stays ignored.
    """
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield interrupted
        return
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    former = {number: handler for number, handler in former.items() if handler not in (None, signal.SIG_IGN)}

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    def handle(number, frame):
        interrupted.set()
        if second_acts:
            restore()

    for number in former:
        signal.signal(number, handle)
    try:
        yield interrupted
    except LostProcessError:
        former.clear()  # torchrun is about to end this process too, which first says why
        raise
    finally:
        restore()


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """While active, SIGTERM raises KeyboardInterrupt as Ctrl-C does, so that temporary files are removed."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
