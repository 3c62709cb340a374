"""Interrupted sweeps and what they lose: killed, terminated, disk full, server stopped; resumed.

    python benchmarks/interruptions.py [--moments 20] [--times 1] [--ways sigkill sigterm ...]

A tracked sweep is interrupted at random moments, uniform between the start and the end of its
process, in five ways: SIGKILL or Ctrl-C to its process group, SIGTERM to its process, a file system
that another process fills and keeps full, and an ``mlflow server`` that is killed. Then the files
and the tracking store are checked: is every file complete, does every run marked as finished have
all its files and the scores of an uninterrupted sweep, is every run with the status FINISHED
complete in the store. Then the disk or the server is available again, and ``resume=last`` (after
``sync``, if the server was stopped) must end with every run finished, every table equal to the last
byte, no finished run repeated, and a consistent store. If the interruption came before the sweep
had a manifest there is nothing to resume, and the sweep is started again. With ``--times 2`` the
resumed sweep is interrupted as well.

Exit status 1 if anything was lost or could not be resumed; the folders of such sweeps are kept, and
of those that showed a traceback.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, median

import numpy as np
from aftermath import (
    TOO_LONG,
    Place,
    Reference,
    finish,
    finished_runs,
    half_files,
    kill,
    wrong_in_store,
)  # fmt: skip

WAYS = {
    "sigkill": "SIGKILL",
    "sigterm": "SIGTERM",
    "ctrl-c": "Ctrl-C",
    "disk": "full disk",
    "server": "server stopped",
}
SETTINGS = ["subject=1,2,3", "metric=corr,spearman", "data.n_images=80", "figures=none"]
_DISK = "64m"
_HEAD = (
    "| interrupted by | moments | of them before the manifest | runs finished before (mean) "
    "| finished runs lost | partial files | hidden `.part` files | store inconsistent "
    "| resume failed | time to resume / from scratch (median) | s until the prompt (max) "
    "| tracebacks |"
)


@dataclass
class Outcome:
    """The outcome of one interrupted sweep."""

    moments: list[float]
    scratch_seconds: float
    begun: bool = True
    finished: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    half: list[str] = field(default_factory=list)
    parts: int = 0
    store: list[str] = field(default_factory=list)
    resume: list[str] = field(default_factory=list)
    resume_seconds: float = math.nan
    prompt_seconds: list[float] = field(default_factory=list)
    traceback: bool = False

    @property
    def problems(self) -> list[str]:
        """All failures."""
        return [*self.lost, *self.half, *self.store, *self.resume]


def fill(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Fill a file system and keep it full for as long as a process lives."""
    deadline = time.monotonic() + TOO_LONG
    with (folder / "filler").open("wb", buffering=0) as stream:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                stream.write(bytes(1 << 20))
            except OSError:
                time.sleep(0.002)


def interrupt(way: str, place: Place, process: subprocess.Popen[bytes]) -> None:
    """Interrupt a sweep in one of the ways."""
    if way == "sigterm":
        process.terminate()
    elif way == "disk":
        fill(place.folder, process)
    elif way == "server":
        place.server.stop()
    else:
        os.killpg(process.pid, signal.SIGKILL if way == "sigkill" else signal.SIGINT)


def repair(way: str, place: Place) -> None:
    """Free the disk, or restart the server."""
    (place.folder / "filler").unlink(missing_ok=True)
    if way == "server":
        place.server.start()


def resume(way: str, place: Place, reference: Reference, outcome: Outcome) -> None:
    """Resume a sweep, or start it again if it has no manifest, and compare the results."""
    if outcome.begun and way == "server" and (status := place.call("sync")) != 0:
        outcome.resume.append(f"sync ended with {status}")
    start = time.perf_counter()
    arguments = ["resume=last"] if outcome.begun else ["-m", *place.settings]
    status = place.call(*arguments)
    seconds = time.perf_counter() - start
    if status != 0:
        outcome.resume.append(f"{arguments[0]} ended with {status}")
        return
    if outcome.begun:
        outcome.resume_seconds = seconds
    else:
        outcome.scratch_seconds = seconds
    folder, runs = place.filed(), place.runs()
    done = {name: run for name, (_, run) in runs.items() if run["status"] == "finished"}
    if set(done) != set(reference.scores) or len(runs) != len(done):
        outcome.resume.append(f"{len(done)} of {len(reference.scores)} runs finished")
        return
    for name, (where, run) in runs.items():
        if (where / "scores.csv").read_bytes() != reference.scores[name]:
            outcome.resume.append(f"{name} has other scores")
        if outcome.finished.get(name, run["uid"]) != run["uid"]:
            outcome.lost.append(f"{name} was finished and was done again")
    if folder is None or (folder / "scores.csv").read_bytes() != reference.joined:
        outcome.resume.append("the joined table is another")
    wrong = wrong_in_store(place, reference, ended=True)
    outcome.resume += [f"after resuming: {text}" for text in wrong]


def strike(way: str, place: Place, moment: float, outcome: Outcome) -> None:
    """Start or resume the sweep, and interrupt it at a moment."""
    start, fresh = time.perf_counter(), place.filed() is None
    process = place.sweep() if fresh else place.start("resume=last")
    over = False
    try:
        process.wait(timeout=moment)
        over = True
    except subprocess.TimeoutExpired:
        interrupted = time.perf_counter()
        interrupt(way, place, process)
        if finish(process) is None:
            outcome.resume.append("the interrupted sweep hung")
        if way in {"sigterm", "ctrl-c"}:
            outcome.prompt_seconds.append(time.perf_counter() - interrupted)
        repair(way, place)
    finally:
        kill(process)
    if over and fresh:
        outcome.scratch_seconds = time.perf_counter() - start
    outcome.traceback = b"Traceback (most recent" in place.log.read_bytes()


def look(place: Place, reference: Reference, outcome: Outcome) -> None:
    """Check the files and the store after an interruption."""
    half, outcome.parts = half_files(place)
    finished, lost = finished_runs(place, reference)
    outcome.half += half
    outcome.lost += lost
    outcome.lost += [
        f"{name} was finished and is not any more"
        for name, uid in outcome.finished.items()
        if finished.get(name) != uid
    ]
    outcome.finished = finished
    outcome.begun = place.filed() is not None
    outcome.store += wrong_in_store(place, reference, ended=False)


def attempt(way: str, place: Place, reference: Reference, moments: list[float]) -> Outcome:
    """Interrupt and resume a sweep at each moment, and finally let it finish."""
    outcome = Outcome(moments, reference.seconds)
    for moment in moments:
        strike(way, place, moment, outcome)
        look(place, reference, outcome)
    resume(way, place, reference, outcome)
    return outcome


def measure_reference(place: Place) -> Reference:
    """Run the sweep to its end."""
    start = time.perf_counter()
    status = finish(place.sweep())
    seconds = time.perf_counter() - start
    folder = place.filed()
    if status != 0 or folder is None:
        raise SystemExit(f"the sweep itself fails:\n{place.log.read_text()[-3000:]}")
    scores = {name: (path / "scores.csv").read_bytes() for name, (path, _) in place.runs().items()}
    return Reference(seconds, scores, (folder / "scores.csv").read_bytes())


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a small file system on a folder; its files are kept in the folder afterwards."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(folder)],
        check=True, capture_output=True,
    )  # fmt: skip
    try:
        yield
        with tempfile.TemporaryDirectory() as copy:
            shutil.copytree(folder, copy, dirs_exist_ok=True, symlinks=True)
            subprocess.run(["umount", str(folder)], check=True)
            shutil.copytree(copy, folder, dirs_exist_ok=True, symlinks=True)
    finally:
        if folder.is_mount():
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def measure_way(way: str, root: Path, given: argparse.Namespace) -> tuple[Reference, list[Outcome]]:
    """Interrupt as many sweeps in one way; keep the folders of those with failures."""
    outcomes = []
    with ExitStack() as stack:
        server = None
        if way == "server":
            sys.path.append(str(Path(__file__).parent.parent / "tests"))
            servers = importlib.import_module("servers")
            home = root / "server"
            home.mkdir()
            behind = servers.mlflow_server(f"sqlite:///{home}/mlflow.db", home)
            server = stack.enter_context(behind)

        def place(name: str) -> Place:
            folder = root / f"{way}-{name}"
            (folder / "work").mkdir(parents=True)
            settings = [*given.settings, f"tracking.experiment={way}-{name}"]
            return Place(
                folder / "work", folder / "log", settings, server, experiment=f"{way}-{name}"
            )

        reference = measure_reference(place("reference"))
        rng = np.random.default_rng([given.seed, list(WAYS).index(way)])
        for i in range(given.moments):
            here = place(str(i))
            moments = (reference.seconds * rng.random(given.times)).tolist()
            with small_disk(here.folder) if way == "disk" else nullcontext():
                outcomes.append(attempt(way, here, reference, moments))
            report(way, here, reference, outcomes[-1])
            # On a machine with other work, the speed changes over time.
            reference = replace(reference, seconds=outcomes[-1].scratch_seconds)
    return reference, outcomes


def report(way: str, place: Place, reference: Reference, outcome: Outcome) -> None:
    """Report failures on standard error and keep the folder; delete it if there are none."""
    if not outcome.problems and not outcome.traceback:
        shutil.rmtree(place.folder.parent)
        return
    at = f"{', '.join(f'{m:.2f}' for m in outcome.moments)} s of {reference.seconds:.2f} s"
    lines = [f"{WAYS[way]} at {at}: {place.folder.parent}", *outcome.problems]
    lines += ["a traceback was shown"] if outcome.traceback else []
    last = place.log.read_text(errors="replace").splitlines()[-6:]
    print("\n  ".join([*lines, *(f"| {line}" for line in last)]), file=sys.stderr, flush=True)


def row(way: str, reference: Reference, outcomes: list[Outcome]) -> str:
    """Return a line of the table."""
    took = [o.resume_seconds / o.scratch_seconds for o in outcomes if o.begun and not o.resume]
    prompt = [seconds for o in outcomes for seconds in o.prompt_seconds]
    cells = [
        WAYS[way], str(len(outcomes)), str(sum(not o.begun for o in outcomes)),
        f"{mean(len(o.finished) for o in outcomes):.1f} of {len(reference.scores)}",
        str(sum(len(o.lost) for o in outcomes)), str(sum(len(o.half) for o in outcomes)),
        str(sum(o.parts for o in outcomes)), str(sum(bool(o.store) for o in outcomes)),
        str(sum(bool(o.resume) for o in outcomes)), f"{median(took):.2f}" if took else "",
        f"{max(prompt):.1f}" if prompt else "", str(sum(o.traceback for o in outcomes)),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def can_mount(folder: Path) -> bool:
    """Whether this user may mount a file system."""
    folder.mkdir()
    try:
        with small_disk(folder):
            return True
    except (subprocess.CalledProcessError, FileNotFoundError):
        return False


def main() -> None:
    """Interrupt in every way and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--moments", type=int, default=20, help="interruptions in each way")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--times", type=int, default=1, help="interruptions of each sweep")
    parser.add_argument("--settings", nargs="+", default=SETTINGS, help="settings of the sweep")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    # A shell's background jobs ignore Ctrl-C, and so would what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # When terminated, it still unmounts and stops the processes that it started.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    root = Path(tempfile.mkdtemp(prefix="rsa_exp_interruptions_"))
    times = "" if given.times == 1 else f", each interrupted {given.times} times"
    print(f"{' '.join(given.settings)}{times}; {os.cpu_count()} cores\n\n{_HEAD}", flush=True)
    print("|" + "---|" * _HEAD.count(" | ") + "---|", flush=True)
    wrong = kept = False
    for way in given.ways:
        if way == "disk" and not can_mount(root / "probe"):
            print(f"| {WAYS[way]} | skipped: cannot mount |", flush=True)
            continue
        reference, outcomes = measure_way(way, root, given)
        wrong |= any(outcome.problems for outcome in outcomes)
        kept |= any(outcome.traceback for outcome in outcomes)
        print(row(way, reference, outcomes), flush=True)
    if wrong:
        raise SystemExit(1)
    if not kept:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
