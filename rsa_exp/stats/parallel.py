"""Independent pieces of work on all cores, each with one BLAS thread, results in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TypeVar

from threadpoolctl import threadpool_limits

from rsa_exp import interrupts

__all__ = ["Progress", "ignore", "in_order", "n_workers", "one_blas_thread"]

Item = TypeVar("Item")
Result = TypeVar("Result")

Progress = Callable[[float], object]
"""Called with how much was just finished: the share of all work where nothing else is said."""


def ignore(share: float) -> None:
    """Show no progress."""


# Environment variables that say how many threads a process may use.
_LIMITS = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")


def n_workers() -> int:
    """Cores this process may use.

    Returns
    -------
    int
        The least of its affinity mask, ``OMP_NUM_THREADS`` (joblib sets it so that its workers
        share the cores) and ``SLURM_CPUS_PER_TASK`` (Slurm does not always confine a task to its
        cores). Values that are not numbers above 0 are ignored.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min([cores or 1, *filter(None, map(_limit, _LIMITS))])


def _limit(variable: str) -> int:
    first = os.environ.get(variable, "").split(",")[0].strip()  # OpenMP takes one a nesting level
    return int(first) if first.isdecimal() else 0


def one_blas_thread() -> threadpool_limits:
    """Context in which BLAS uses one thread, so that its sums are in one order on any machine."""
    return threadpool_limits(limits=1, user_api="blas")


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], stop: Event | None = None
) -> Iterator[Result]:
    """Apply `work` to items in threads and yield the results in the items' order.

    BLAS sums in an order that depends on its number of threads, so it gets one; a result then
    depends on its item alone and not on the number of cores. A signal that was received is raised
    in the calling thread, before the next result. At most one item more than there are
    workers is in progress or waiting to be taken, which bounds memory.

    Parameters
    ----------
    work : callable
        Takes an item; spends its time in numpy, numba or files, which release the interpreter.
    items : iterable
        What to work on.
    stop : Event, optional
        Set when no more results are wanted, so that work in progress can end early.

    Yields
    ------
    object
        ``work(item)`` for each item.
    """
    pending: deque[Future[Result]] = deque()
    workers = n_workers()
    with (
        one_blas_thread(),
        ThreadPoolExecutor(workers, thread_name_prefix="rsa_exp") as pool,
    ):
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) > workers:
                    interrupts.checkpoint()
                    yield pending.popleft().result()
            while pending:
                interrupts.checkpoint()
                yield pending.popleft().result()
        finally:
            if stop is not None:
                stop.set()
            for future in pending:
                future.cancel()
