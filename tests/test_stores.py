"""Tracking stores: fresh ones, servers, servers that do not answer, and none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from processes import client, finish, runs, start
from servers import mlflow_server
from studies import Finished


def test_fresh_store_made_by_several_processes_at_once(tmp_path: Path) -> None:
    small = ["data.n_images=40", "figures=none"]
    for process in [start(tmp_path, f"subject={s}", *small) for s in (1, 2, 3)]:
        finish(process)
    assert [run.info.status for run in runs(tmp_path)] == ["FINISHED"] * 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """An MLflow server with its own store, on loopback."""
    with mlflow_server(f"sqlite:///{tmp_path}/server.db", tmp_path) as running:
        yield running.address


def test_any_tracking_server_works(tmp_path: Path, server: str) -> None:
    work = tmp_path / "work"
    work.mkdir()
    small = ["data.n_images=40", "figures=none", "roi=LHLOC", "layer=layer3"]
    out, _ = finish(start(work, *small, MLFLOW_TRACKING_URI=server))
    address = out.splitlines()[-1]
    assert address.startswith(f"{server}/#/experiments/")
    assert not (work / "mlruns").exists()
    run_id = address.split("/runs/")[1].split("?")[0]
    run = MlflowClient(server).get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["score"] == run.data.metrics["score/LHLOC/layer3"]
    out, _ = finish(start(work, "reproduce", run_id, MLFLOW_TRACKING_URI=server))
    assert out.splitlines()[-1] == "identical: all 1 scores to the last bit"


def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    begun = time.monotonic()
    process = start(
        tmp_path, "subject=1,2", "-m", "figures=none", MLFLOW_TRACKING_URI="http://127.0.0.1:9"
    )
    _, err = finish(process, status=1)
    assert time.monotonic() - begun < 60
    assert len(err.splitlines()) == 1
    assert "http://127.0.0.1:9 cannot be used" in err


def test_a_store_that_cannot_be_used_ends_a_run_before_its_inference(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = ["data.n_images=40", "figures=none", "tracking.folder=file"]
    _, err = finish(start(tmp_path, *settings), status=1)
    assert "mlflow.db cannot be used: " in err
    assert not list(tmp_path.glob("outputs/*/*/scores.csv"))


def test_a_run_without_inference_does_not_wait_for_its_store(tmp_path: Path) -> None:
    (tmp_path / "mlruns").touch()
    settings = ["data.n_images=40", "figures=none", "inference=none"]
    _, err = finish(start(tmp_path, *settings), status=1)
    assert len(err.splitlines()) == 1
    assert "could not be uploaded to sqlite:" in err
    assert "mlflow.db cannot be used: " in err
    (scores,) = tmp_path.glob("outputs/*/*/scores.csv")
    (tmp_path / "mlruns").unlink()
    out, _ = finish(start(tmp_path, "sync", str(scores.parent)))
    assert "1 runs uploaded" in out
    assert [run.info.status for run in runs(tmp_path)] == ["FINISHED"]


def test_nothing_but_this_runs_files_is_tracked(
    cli: Callable[..., Finished], tmp_path: Path
) -> None:
    (tmp_path / "private.txt").write_text("mine")
    arguments = ["hydra.run.dir=.", "data.n_images=40"]
    assert cli(*arguments, tracking="local").status == 0
    (run,) = runs(tmp_path)
    names = {item.path for item in client(tmp_path).list_artifacts(run.info.run_id)}
    assert names - {"code.diff"} == {  # which is there while somebody works on the code
        "alignment.json", "best_layers.csv", "ceilings.csv", "comparisons.csv", "config.yaml",
        "images.txt", "permutations.csv", "provenance.json", "requirements.txt", "scores.csv",
    }  # fmt: skip
    again = cli(*arguments, tracking="local")
    assert again.status == 1
    assert "holds the results of another run" in again.err


def test_tracking_none_leaves_files_only(cli: Callable[..., Finished], tmp_path: Path) -> None:
    finished = cli("data.n_images=40")
    assert finished.status == 0
    assert not (tmp_path / "mlruns").exists()
    lines = finished.out.splitlines()
    (folder,) = (Path(line.split(": ")[1]) for line in lines if "results: " in line)
    assert (folder / "scores.csv").is_file()
