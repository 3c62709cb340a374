"""Estimates of how long costly work will take, before it starts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from rsa_exp.stats.parallel import n_workers

__all__ = ["BAR", "announce_cost"]

BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
"""Format of a progress bar over shares of work."""

log = logging.getLogger("rsa_exp")

# What takes longer than this, in seconds, is announced.
_LONG = 60.0


def announce_cost(what: str, once: Callable[[], object], times: float) -> None:
    """Do one piece of work, on one core, and warn if all of them will take more than a minute.

    `what` is the whole work, for the message; the cores share `times` such pieces.
    """
    start = time.perf_counter()
    once()
    seconds = (time.perf_counter() - start) * times / n_workers()
    if seconds > _LONG:
        duration = f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
        log.warning("%s: about %s", what, duration)
