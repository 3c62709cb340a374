"""Sweeps: runs that fail, errors at their start and end, and what a search maximises."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from studies import Files
from sweeps import Cli, edit, sweep_of

from rsa_exp.errors import InputError
from rsa_exp.experiments import run as job
from rsa_exp.runs import manifest
from rsa_exp.tracking import upload


def test_runs_that_fail_before_their_start_are_counted(
    files: Files, cli: Cli, tmp_path: Path
) -> None:
    arguments = [*files.arguments, "inference=none", "roi=V1", "metric=corr,corrr", "-m"]
    finished = cli(*arguments)
    assert finished.status == 1
    assert "1 of 2 runs finished" in finished.out
    runs = pd.read_csv(sweep_of(tmp_path) / "runs.csv")
    assert list(runs["status"]) == ["finished", "failed"]
    assert "did you mean 'corr'" in runs["error"].iloc[1]
    finished = cli("resume=last", "metric=corr,spearman")  # corrr is asked for no more
    assert finished.status == 0, finished.err
    assert "2 of 2 runs finished" in finished.out


@pytest.mark.parametrize("status", ["running", "killed"])
def test_a_run_that_a_cluster_starts_again_is_the_same_run(
    files: Files, cli: Cli, tmp_path: Path, status: str
) -> None:
    arguments = [*files.arguments, "inference=none", f"hydra.run.dir={tmp_path}/run"]
    assert cli(*arguments).status == 0
    run = manifest.read_run(tmp_path / "run")
    assert run is not None
    edit(tmp_path / "run" / "run.json", status=status)
    assert cli(*arguments).status == 0
    again = manifest.read_run(tmp_path / "run")
    assert again is not None
    assert (again.uid, again.status) == (run.uid, "finished")
    assert "holds the results of another run" in cli(*arguments).err
    edit(tmp_path / "run" / "run.json", status=status)
    other = cli(*arguments, "data.model=other.h5")  # asked for something else there
    assert "holds the results of another run" in other.err


def test_errors_at_a_sweeps_start_and_end_are_reported(
    files: Files, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsa_exp.cli import hydra_sweep

    arguments = [*files.arguments, "inference=none", "roi=V1,VX", "-m"]

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "a folder")

    with monkeypatch.context() as patch:
        patch.setattr(hydra_sweep, "_count_runs", refuse)
        finished = cli(*arguments)
    assert finished.status == 1
    assert finished.err == "error: a folder cannot be used: Permission denied\n"
    assert not list(tmp_path.glob("outputs/*/*/*/run.json"))

    def away(*_: object) -> None:
        raise InputError("the server does not answer")

    monkeypatch.setattr(upload, "upload_runs", away)
    finished = cli(*arguments, tracking="local")
    assert "VX" in finished.err
    assert "python -m rsa_exp sync" in finished.err


def test_a_run_returns_what_a_search_can_maximise(files: Files, cli: Cli, tmp_path: Path) -> None:
    from rsa_exp.config.compose import from_logged

    for metric, merit in (("corr", 1.0), ("bures_metric", -1.0)):
        arguments = [*files.arguments, "inference=none", f"metric={metric}"]
        assert cli(*arguments, f"hydra.run.dir={tmp_path}/{metric}").status == 0
        config = from_logged((tmp_path / metric / "config.yaml").read_text())
        scores = pd.read_csv(tmp_path / metric / "scores.csv")
        best = (merit * scores["score"]).groupby(scores["roi"]).max()
        assert job.objective(tmp_path / metric, config) == pytest.approx(best.mean(), rel=1e-12)
