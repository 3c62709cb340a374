"""A signal is neither lost in a destructor nor raised where a run is being opened."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from rsa_exp import interrupts


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    interrupts.install()
    yield
    interrupts.install()  # forget what was heard
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_swallowed_by_a_destructor_is_heard_at_the_next_checkpoint() -> None:
    class Last:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):  # the handler runs, and raises, in here
                pass

    Last()
    with pytest.raises(KeyboardInterrupt):
        interrupts.checkpoint()


def test_a_shield_holds_a_signal_off_until_its_end() -> None:
    done = []

    def signalled() -> None:
        with interrupts.shield():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append(sum(range(1000)))

    with pytest.raises(SystemExit) as ended:
        signalled()
    assert done
    assert ended.value.code == 143


def test_nothing_is_raised_when_closing() -> None:
    with interrupts.shield(closing=True):
        os.kill(os.getpid(), signal.SIGINT)
        sum(range(1000))
