"""Where a run's time goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Stopwatch"]


class Stopwatch:
    """Seconds spent per stage; stages that run in threads side by side share their wall time.

    Attributes
    ----------
    seconds : dict of str to float
        Stage to seconds.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Count the time spent inside the block."""
        start = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                spent = time.perf_counter() - start
                self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    @contextmanager
    def shared(self, stages: tuple[str, ...]) -> Iterator[None]:
        """Scale what threads spend on `stages` inside the block to the time that passes."""
        start = time.perf_counter()
        yield
        wall = time.perf_counter() - start
        total = sum(self.seconds.get(stage, 0.0) for stage in stages)
        for stage in stages:
            if total > 0:
                self.seconds[stage] = self.seconds.get(stage, 0.0) * wall / total
