"""Every command of the README does what the README says, in the order it is written there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from rsa_exp.datasets.simulation import simulate_study

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    for line in block.splitlines()
]
_PYTHON = re.compile(r"```python\n(.*?)```", flags=re.DOTALL)
PYTHON = _PYTHON.findall(README)
# One script: it writes files of patterns, which commands of the README read, and analyses them.
PATTERNS = "".join(_PYTHON.findall((ROOT / "docs" / "patterns.md").read_text(encoding="utf-8")))
# .ci/run runs these two, word for word, in a clean clone.
BY_CI = [
    "pip install -e . && python -m rsa_exp subject=1,2,3 --multirun",
    'pip install -e ".[test]" && pytest',
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the files that the README's examples name."""
    work = tmp_path_factory.mktemp("readme")
    study = simulate_study(work / "made", 60, 0)
    study.rename(work / "bold5000")
    (work / "my").mkdir()
    for number, name in enumerate(("BE", "KO"), start=1):
        source = work / "bold5000" / f"CSI{number}_BOLD5000_CORR_RDMs.h5"
        shutil.copy(source, work / "my" / f"{name}_RDMs.h5")
    shutil.copy(work / "bold5000" / "ResNet50_CORR_RDMs.h5", work / "my" / "models.h5")
    check_python(PATTERNS, work)
    return work


def environment(folder: Path) -> dict[str, str]:
    """Find ``python`` where these tests run, wherever the shell would look."""
    (folder / "bin").mkdir(exist_ok=True)
    link = folder / "bin" / "python"
    if not link.exists():
        link.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        link.chmod(0o755)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "HYDRA"))}
    return clean | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}


def test_the_two_commands_come_first_and_ci_runs_them() -> None:
    assert COMMANDS[:2] == BY_CI
    assert "awk '/^```bash/ {getline; print}' README.md | head -n 2" in (
        (ROOT / ".ci" / "run").read_text()
    )


@pytest.mark.parametrize("command", COMMANDS[2:])
def test_command(command: str, folder: Path) -> None:
    command = with_ids(command, folder)
    if command.endswith(" ui"):
        check_ui(f"{command} --port 5791", folder)
        return
    words = ("reproduce", "export", "diff", "rdms", "report", "sync", "--help", "--cfg")
    runs = not any(f" {word}" in command for word in words)
    simulated = " data=" not in command or " data=simulated" in command
    if runs and simulated and "resume=" not in command:
        command += " data.n_images=80"  # the simulated study, but small
    if runs and "=" in command.removesuffix(" data.n_images=80"):
        command += " figures=none"  # the plain run has drawn them all
    finished = subprocess.run(
        command, shell=True, cwd=folder, env=environment(folder), text=True, capture_output=True
    )
    differs = " diff " in command  # of two runs, says its exit status
    assert finished.returncode == int(differs), finished.stdout + finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("block", PYTHON)
def test_python(block: str, tmp_path: Path) -> None:
    check_python(block, tmp_path)


def check_python(block: str, folder: Path) -> None:
    """Run a block of Python, which prints something and warns of nothing."""
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", block], cwd=folder, text=True, capture_output=True
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip()


def with_ids(command: str, folder: Path) -> str:
    """Put the ids of what the commands before have recorded for those that the README names."""
    artifacts = folder / "mlruns" / "artifacts"
    runs = sorted(path.parts[-3] for path in artifacts.glob("*/artifacts/config.yaml"))
    sweeps = sorted(path.parts[-3] for path in artifacts.glob("*/artifacts/report.html"))
    scores = {
        run: set(pd.read_csv(artifacts / run / "artifacts" / "scores.csv")["score"]) for run in runs
    }
    others = [run for run in runs if not scores[run] & scores[runs[0]]]
    for name, known in (("SWEEP_ID", sweeps), ("OTHER_RUN_ID", others), ("RUN_ID", runs)):
        if name in command:
            command = command.replace(name, known[0])
    return command


def check_ui(command: str, folder: Path) -> None:
    """Check that the UI answers on loopback, and ends when it is interrupted."""
    log = folder / "ui.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, shell=True, cwd=folder, env=environment(folder), stdout=stream, stderr=stream,
            start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 90
        page = b""
        while not page:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            with suppress(OSError), urllib.request.urlopen("http://127.0.0.1:5791") as answer:
                page = answer.read()
            time.sleep(0.2)
        assert b"<html" in page.lower()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=30)
