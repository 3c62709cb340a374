"""Ctrl-C, SIGTERM, SIGHUP: raised again where Python drops them, delayed where they would harm.

An exception raised by a signal handler inside a destructor or a weak-reference callback is printed
and dropped by Python. So a signal is also stored, and `checkpoint` raises it again. `shield` delays
it while a run is being opened or closed in the store.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["EXIT_CODES", "checkpoint", "forget", "install", "shield"]

_SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
EXIT_CODES = {128 + number for number in _SIGNALS}
"""Exit statuses of a process after these signals; after Ctrl-C it is 130."""

_received: int | None = None
_shields = 0


def install() -> None:
    """Handle SIGINT, SIGTERM and SIGHUP from now on; for the main thread of a process."""
    global _received, _shields
    _received, _shields = None, 0
    sys.unraisablehook = _report_unraisable
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, _receive)


def _report_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Report what Python drops, except a signal, which is stored."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt | SystemExit):
        sys.__unraisablehook__(unraisable)


def checkpoint() -> None:
    """Raise the signal received, if any: KeyboardInterrupt, or SystemExit for the others."""
    if _received is None or _shields:
        return
    if _received == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + _received)


def forget() -> None:
    """Drop the signal received, as it was acted upon; what follows may be interrupted again."""
    global _received
    _received = None


@contextmanager
def shield(*, closing: bool = False) -> Iterator[None]:
    """Delay signals inside the block, and raise the one received when it is left.

    Parameters
    ----------
    closing : bool
        Raise nothing afterwards: the block ends something that is interrupted anyway.
    """
    global _shields
    _shields += 1
    try:
        yield
    finally:
        _shields -= 1
    if not closing:
        checkpoint()


def _receive(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    global _received
    _received = number
    checkpoint()
