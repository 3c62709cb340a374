"""The main job as a user types it: a sweep of real processes, tracked, read back, reproduced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from servers import mlflow_server

SMALL = ["data.n_images=80", "figures.names=[heatmap,rdms]"]


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


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    folder = tmp_path_factory.mktemp("sweep")
    out, err = finish(start(folder, "subject=1,2,3", "--multirun", *SMALL))
    return folder, out, err


def test_three_runs_under_one_sweep(sweep: tuple[Path, str, str]) -> None:
    folder, out, err = sweep
    parent, *children = runs(folder)
    assert err == ""
    assert [run.info.status for run in (parent, *children)] == ["FINISHED"] * 4
    assert [run.info.run_name for run in children] == ["sub-1 corr", "sub-2 corr", "sub-3 corr"]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert parent.info.run_id in out.splitlines()[-1]
    assert "3 of 3 runs finished" in out
    experiment = client(folder).get_experiment_by_name("rsa_exp")
    assert experiment is not None
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_runs_hold_what_the_files_hold(sweep: tuple[Path, str, str]) -> None:
    folder, _, _ = sweep
    store = client(folder)
    for run in runs(folder)[1:]:
        results = Path(run.data.tags["folder"])
        scores = pd.read_csv(results / "scores.csv", dtype={"subject": str})
        assert len(scores) == 50
        assert set(scores["study"]) == {"simulated BOLD5000"}
        logged = run.data.metrics
        for row in scores.itertuples():
            assert logged[f"score/{row.roi}/{row.layer}"] == row.score
        profile = store.get_metric_history(run.info.run_id, "profile/LHLOC")
        expected = scores[scores["roi"] == "LHLOC"]
        assert [(m.step, m.value) for m in profile] == list(
            zip(expected["depth"], expected["score"], strict=True)
        )
        best = expected.loc[expected["score"].idxmax()]
        assert logged["best/LHLOC"] == best["score"]
        assert run.data.tags["best/LHLOC"] == best["layer"]
        assert run.data.params["subject"] == scores["subject"].iloc[0]
        assert run.data.tags["simulated"] == "true"
        inputs = {i.dataset.name: i.dataset.digest for i in run.inputs.dataset_inputs}
        record = json.loads((results / "provenance.json").read_text())
        assert inputs == {f"simulated {i['name']}": i["digest"] for i in record["inputs"]}
        artifacts = {item.path for item in store.list_artifacts(run.info.run_id)}
        assert artifacts >= {"config.yaml", "scores.csv", "alignment.json", "provenance.json"}
        figures = {item.path for item in store.list_artifacts(run.info.run_id, "figures")}
        names = [f"figures/{n}.{e}" for n in ("heatmap", "rdms") for e in ("png", "svg")]
        assert figures == set(names)
    joined = pd.read_csv(runs(folder)[1].data.tags["folder"] + "/../scores.csv")
    assert len(joined) == 150


def test_reproduce_from_the_record_alone_then_after_one_number_changed(
    sweep: tuple[Path, str, str],
) -> None:
    folder, _, _ = sweep
    old = runs(folder)[2]
    out, _ = finish(start(folder, "reproduce", old.info.run_id[:10]))
    assert out.splitlines()[-1] == "identical: all 50 scores to the last bit"
    new = runs(folder)[-1]
    assert new.data.tags["reproduces"] == old.info.run_id
    assert new.data.metrics == old.data.metrics

    (brain,) = folder.glob("outputs/simulated/*/CSI2_*.h5")
    with h5py.File(brain, "a") as file:
        row = list(file["rdm_descriptors/roi"]).index(b"LHOPA")
        file["dissimilarities"][row, 100] += 0.5
    changed = "the input has changed since: CSI2_BOLD5000_CORR_RDMs.h5 LHOPA"
    try:
        out, _ = finish(start(folder, "reproduce", old.info.run_id), status=1)
        assert f"different: not rerun, as {changed}" in out.splitlines()[-1]
        out, err = finish(start(folder, "reproduce", "--force", old.info.run_id), status=1)
    finally:
        with h5py.File(brain, "a") as file:
            file["dissimilarities"][row, 100] -= 0.5
    assert changed in err
    assert "different: 5 of 50 scores differ, the most by" in out
    assert "LHOPA x" in out.splitlines()[-1]
    linked = client(folder).get_run(old.info.run_id).data.tags["reproduced_by"]
    assert linked.startswith(f"{new.info.run_id} (identical); ")
    assert linked.endswith(" (different; its inputs have changed)")


def test_a_list_of_images_is_reproduced_from_the_record(sweep: tuple[Path, str, str]) -> None:
    folder, _, _ = sweep
    used = next(folder.glob("outputs/*/*/0/images.txt")).read_text().splitlines()
    (folder / "list.txt").write_text("\n".join(used[:40]))
    finish(start(folder, "images=list.txt", *SMALL))
    run_id = runs(folder)[-1].info.run_id
    (folder / "list.txt").unlink()
    out, err = finish(start(folder, "reproduce", run_id))
    assert "images" not in err
    assert out.splitlines()[-1] == "identical: all 50 scores to the last bit"


def test_a_failed_run_is_recorded_as_failed_with_the_reason(sweep: tuple[Path, str, str]) -> None:
    folder, _, _ = sweep
    _, err = finish(start(folder, "roi=LHLCO", *SMALL), status=1)
    failed = runs(folder)[-1]
    assert failed.info.status == "FAILED"
    assert failed.data.tags["error"] == err.strip().removeprefix("error: ")
    assert "did you mean 'LHLOC'" in failed.data.tags["error"]
    _, err = finish(start(folder, "reproduce", failed.info.run_id), status=1)
    assert "ended as FAILED without scores.csv, provenance.json" in err


def test_a_sweep_is_reproduced_as_a_sweep(sweep: tuple[Path, str, str]) -> None:
    folder, _, _ = sweep
    old = runs(folder)[0]
    out, _ = finish(start(folder, "reproduce", old.info.run_id[:12]))
    assert out.splitlines()[-1] == "identical: of 3 runs 3 identical"
    tags = client(folder).get_run(old.info.run_id).data.tags
    new = client(folder).get_run(tags["reproduced_by"].split(" ")[0])
    assert new.info.run_name == f"{old.info.run_name} (reproduced)"
    tables = [pd.read_csv(Path(run.data.tags["folder"]) / "scores.csv") for run in (old, new)]
    pd.testing.assert_frame_equal(*tables)


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


def test_nothing_but_this_runs_files_is_tracked(tmp_path: Path) -> None:
    (tmp_path / "private.txt").write_text("mine")
    finish(start(tmp_path, "hydra.run.dir=.", "data.n_images=40", "figures=none"))
    (run,) = runs(tmp_path)
    names = {item.path for item in client(tmp_path).list_artifacts(run.info.run_id)}
    assert names - {"code.diff"} == {  # which is there while somebody works on the code
        "alignment.json", "best_layers.csv", "ceilings.csv", "comparisons.csv", "config.yaml",
        "images.txt", "permutations.csv", "provenance.json", "requirements.txt", "scores.csv",
    }  # fmt: skip
    _, err = finish(start(tmp_path, "hydra.run.dir=.", "data.n_images=40"), status=1)
    assert "holds the results of another run" in err


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


def test_tracking_none_leaves_files_only(tmp_path: Path) -> None:
    out, _ = finish(start(tmp_path, "tracking=none", "figures=none", "data.n_images=40"))
    assert not (tmp_path / "mlruns").exists()
    (folder,) = (Path(line.split(": ")[1]) for line in out.splitlines() if "results: " in line)
    assert (folder / "scores.csv").is_file()
