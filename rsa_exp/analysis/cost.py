"""Estimates of how long costly work will take, before it starts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from rsa_exp.stats.parallel import n_workers

__all__ = ["announce_cost"]

log = logging.getLogger("rsa_exp")

# What takes longer than this, in seconds, is announced.
_LONG = 60.0


def announce_cost(what: str, once: Callable[[], object], times: float) -> None:
    """Do a piece of work once, and warn if doing all of it will take more than a minute.

    Parameters
    ----------
    what : str
        What all of it is, for the message.
    once : callable
        Does one piece, on one core.
    times : float
        How many such pieces there are, to be shared among the cores.
    """
    start = time.perf_counter()
    once()
    seconds = (time.perf_counter() - start) * times / n_workers()
    if seconds > _LONG:
        log.warning("%s: about %s", what, _duration(seconds))


def _duration(seconds: float) -> str:
    """Return a duration in minutes, or in hours where those are many."""
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
