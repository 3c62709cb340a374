"""The command line as a process of its own, and what it left in the tracking store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run


def start(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")} | variables
    return subprocess.Popen(
        [sys.executable, "-m", "rsa_exp", *arguments],
        cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: subprocess.Popen[str], status: int = 0) -> tuple[str, str]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == status, out + err
    return out, err


def client(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")


def runs(folder: Path) -> list[Run]:
    store = client(folder)
    experiment = store.get_experiment_by_name("rsa_exp")
    assert experiment is not None
    return list(store.search_runs([experiment.experiment_id], order_by=["start_time ASC"]))
