"""Ctrl-C, SIGTERM, SIGHUP: heard where Python drops them, held off where they would harm.

An exception raised by a signal handler inside a destructor or a weak-reference callback is printed
and forgotten. So a signal is also remembered, and `checkpoint` raises it again. `shield` holds it
off while a run is being opened or closed in the store.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["EXIT_CODES", "checkpoint", "forget", "install", "shield"]

_HEARD = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
# What a process exits with after these, but for Ctrl-C.
EXIT_CODES = {128 + number for number in _HEARD}

_received: int | None = None
_shields = 0


def install() -> None:
    """Hear SIGINT, SIGTERM and SIGHUP from now on; for the main thread of a process."""
    global _received, _shields
    _received, _shields = None, 0
    sys.unraisablehook = _tell_unraisable
    for number in _HEARD:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, _hear)


def _tell_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Say nothing of a signal that Python dropped: it is remembered."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt | SystemExit):
        sys.__unraisablehook__(unraisable)


def checkpoint() -> None:
    """Raise what was heard, if anything: KeyboardInterrupt, or SystemExit for the others."""
    if _received is None or _shields:
        return
    if _received == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + _received)


def forget() -> None:
    """Take what was heard as heeded: what follows may be interrupted anew."""
    global _received
    _received = None


@contextmanager
def shield(*, closing: bool = False) -> Iterator[None]:
    """Hold signals off inside the block, and raise what was heard when it is left.

    Parameters
    ----------
    closing : bool
        Raise nothing afterwards: the block ends something that is being left anyway.
    """
    global _shields
    _shields += 1
    try:
        yield
    finally:
        _shields -= 1
    if not closing:
        checkpoint()


def _hear(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    global _received
    _received = number
    checkpoint()
