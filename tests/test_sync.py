"""Runs and sweeps made while the store was offline are uploaded later, once, and all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from studies import Files
from sweeps import Cli, edit, sweep_of

import rsa_exp.experiments.sweep  # noqa: F401 - with its own `open_store`, which no test replaces
from rsa_exp.errors import InputError
from rsa_exp.experiments import recording
from rsa_exp.runs import manifest
from rsa_exp.tracking import upload


def not_uploaded(files: Files, cli: Cli, folder: Path, *more: str) -> Path:
    """Make a sweep of two runs whose manifests say that the store lacks them."""
    arguments = [*files.arguments, "inference=none", *more, "roi=V1,V2", "-m"]
    assert cli(*arguments, tracking="local").status == 0
    sweep = sweep_of(folder)
    for path in sweep.glob("*/run.json"):
        edit(path, recorded=False)
    return sweep


def test_a_sweep_whose_store_goes_away_is_uploaded_later_and_once(
    files: Files, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    real, opened = recording.open_store, []

    def away(uri: str, experiment: str) -> object:
        opened.append(uri)
        if len(opened) < 3:  # the first run
            return real(uri, experiment)
        raise InputError("the server does not answer")

    monkeypatch.setattr(recording, "open_store", away)
    sweep_arguments = [*files.arguments, "inference=none", "subject=A,B", "roi=V1,V2", "-m"]
    finished = cli(*sweep_arguments, tracking="local")
    monkeypatch.setattr(recording, "open_store", real)
    assert finished.status == 0, finished.err  # it was back at the end
    assert finished.err.count("the sweep goes on") == 1
    sweep = sweep_of(tmp_path)
    assert all(run.uploaded for _, run in manifest.find_runs(sweep))

    for path in sweep.glob("[13]/run.json"):  # as if it had not been
        edit(path, recorded=False)
    assert "2 runs uploaded to" in cli("sync", str(sweep)).out
    assert "0 runs uploaded to" in cli("sync").out
    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    runs = client.search_runs(["1"])
    assert sorted(run.info.run_name for run in runs if "sweep" not in run.data.tags) == [
        f"sub-{s} {r} corr" for s in "AB" for r in ("V1", "V2")
    ]
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        for name in run.data.metrics:
            history = client.get_metric_history(run.info.run_id, name)
            assert len({(m.step, m.value) for m in history}) == len(history)

    parent = next(run.info.run_id for run in runs if "sweep" in run.data.tags)
    shown = cli("report", parent[:8], tracking="local")
    assert shown.status == 0, shown.err
    anew = Path(shown.out.strip()).parent
    for name in ("scores.csv", "group.csv"):
        assert (anew / name).read_text() == (sweep / name).read_text()


def test_sync_locks_sweeps_and_overwrites_nothing(
    files: Files, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    sweep = not_uploaded(files, cli, tmp_path)
    real = upload.upload_run

    def meanwhile(*given: object) -> object:
        assert "another process is at work on the sweep" in cli("resume=last").err
        edit(sweep / "1" / "run.json", status="running", uid="f" * 32)  # by a cluster
        return real(*given)

    monkeypatch.setattr(upload, "upload_run", meanwhile)
    assert "1 runs uploaded to" in cli("sync").out
    run = manifest.read_run(sweep / "1")
    assert run is not None
    assert (run.uid, run.uploaded) == ("f" * 32, False)


def test_one_damaged_run_does_not_stop_the_upload_of_others(
    files: Files, cli: Cli, tmp_path: Path
) -> None:
    sweep = not_uploaded(files, cli, tmp_path, "figures.names=[bars]")
    (sweep / "0" / "figures" / "bars.png").unlink()
    finished = cli("sync")
    assert finished.status == 1
    assert "1 runs uploaded to" in finished.out
    assert "files of these runs are missing or damaged" in finished.err


def test_a_run_that_the_store_refuses_does_not_stop_the_upload_of_others(
    files: Files, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    not_uploaded(files, cli, tmp_path)
    real = upload.upload_run

    def refuse(*given: Any) -> object:
        if given[1].folder.endswith("/0"):
            raise InputError("changing params is not allowed")
        return real(*given)

    monkeypatch.setattr(upload, "upload_run", refuse)
    finished = cli("sync")
    assert finished.status == 1
    assert "1 runs uploaded to" in finished.out
    assert "the store refuses 1 runs: changing params is not allowed" in finished.err


def test_a_sweep_that_the_store_has_lost_or_has_as_running(
    files: Files, cli: Cli, tmp_path: Path
) -> None:
    import shutil

    from mlflow import MlflowClient

    arguments = [*files.arguments, "inference=none", "roi=V1,V2", "-m"]
    assert cli(*arguments, tracking="local").status == 0
    sweep = sweep_of(tmp_path)
    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    first = manifest.read_sweep(sweep)
    assert first is not None
    client.delete_run(first.run_id)
    assert cli("resume=last", tracking="local").status == 0
    second = manifest.read_sweep(sweep)
    assert second is not None
    of_second = f"tags.`mlflow.parentRunId` = '{second.run_id}'"
    assert len(client.search_runs(["1"], of_second)) == 2

    client.update_run(second.run_id, status="RUNNING")
    edit(sweep / "sweep.json", status="running", recorded=False)  # killed before its first run
    for number in "01":
        shutil.rmtree(sweep / number)
    (sweep / "report.html").unlink()
    assert cli("sync").status == 0
    assert client.get_run(second.run_id).info.status == "KILLED"
