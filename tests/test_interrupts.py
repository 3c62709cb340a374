"""Signals and closed pipes: none is lost, none is raised where a run is being opened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import finish, runs, start

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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_leaves_no_run_running(tmp_path: Path, number: int) -> None:
    process = start(tmp_path, "subject=1,2,3", "-m", "metric=tau-a", "data.n_images=500")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("outputs/*/*/0/config.yaml")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode in {130, 143}
    assert "Traceback" not in err
    assert {run.info.status for run in runs(tmp_path)} == {"KILLED"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_interrupted_while_its_store_is_opened_is_killed_there(
    tmp_path: Path, number: int
) -> None:
    process = start(tmp_path, "inference=none", "data.n_images=500")
    deadline = time.monotonic() + 60
    while not (tmp_path / "mlruns").exists():  # the first that opening makes
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    assert {run.info.status for run in runs(tmp_path)} == {"KILLED"}


def test_a_reader_that_leaves_does_not_cost_the_run(tmp_path: Path) -> None:
    command = f"{sys.executable} -m rsa_exp tracking=none data.n_images=40 figures=none | head -1"
    piped = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert "Traceback" not in piped.stderr
    assert len(list(tmp_path.glob("outputs/*/*/scores.csv"))) == 1
    out, _ = finish(
        start(tmp_path, "tracking=none", "metric=spearman", "data.n_images=40", "figures=none",
              PYTHONIOENCODING="ascii")
    )  # fmt: skip
    assert "Spearman ?" in out
