"""A server that a group shares: PostgreSQL behind ``mlflow server``, alone or behind a password."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from servers import (
    PASSWORD,
    TOKEN,
    USER,
    Server,
    clean_environment,
    guard,
    has_basic_auth,
    mlflow_server,
    postgres,
    postgres_bin,
)
from studies import Finished

SMALL = ["data.n_images=40", "figures.names=[heatmap]", "tracking=server"]
ACCOUNT = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "stores.py"


def rsa_exp(folder: Path, *arguments: str, **variables: str) -> Finished:
    finished = subprocess.run(
        [sys.executable, "-m", "rsa_exp", *arguments], cwd=folder, capture_output=True, text=True,
        env=clean_environment(**variables), timeout=300,
    )  # fmt: skip
    return Finished(finished.returncode, finished.stdout, finished.stderr)


def runs(address: str) -> list[Run]:
    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("rsa_exp")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], order_by=["start_time ASC"]))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if postgres_bin() is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg2", reason="the extra 'server' is not installed")
    folder = tmp_path_factory.mktemp("server")
    with postgres() as database, mlflow_server(database, folder, workers=2) as running:
        yield running


@pytest.fixture(scope="module")
def sweep(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder from which a sweep over three subjects was recorded."""
    folder = tmp_path_factory.mktemp("sweep")
    done = rsa_exp(folder, "subject=1,2,3", "-m", *SMALL, MLFLOW_TRACKING_URI=server.address)
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[-1].startswith(f"{server.address}/#/experiments/")
    assert not (folder / "mlruns").exists()
    return folder


@pytest.mark.slow
def test_a_sweep_is_on_the_server_as_it_is_on_disk(
    server: Server, sweep: Path, tmp_path: Path
) -> None:
    parent, *children = runs(server.address)
    assert [run.info.status for run in (parent, *children)] == ["FINISHED"] * 4
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert sorted(run.data.params["subject"] for run in children) == ["1", "2", "3"]
    client = MlflowClient(server.address)
    for run in children:
        on_disk = Path(run.data.tags["folder"])
        assert on_disk.is_relative_to(sweep)
        scores = pd.read_csv(on_disk / "scores.csv")
        assert len(scores) == 50
        for row in scores.itertuples():
            assert run.data.metrics[f"score/{row.roi}/{row.layer}"] == row.score
        copy = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
        names = ["config.yaml", "scores.csv", "provenance.json", "images.txt", "alignment.json"]
        for name in [*names, "figures/heatmap.png", "figures/heatmap.svg"]:
            assert (copy / name).read_bytes() == (on_disk / name).read_bytes()
    joined = Path(client.download_artifacts(parent.info.run_id, "scores.csv", str(tmp_path)))
    assert len(pd.read_csv(joined)) == 150


@pytest.mark.slow
def test_a_run_is_reproduced_from_the_server(server: Server, sweep: Path, tmp_path: Path) -> None:
    old = next(run for run in runs(server.address) if run.data.params.get("subject") == "2")
    done = rsa_exp(tmp_path, "reproduce", old.info.run_id, MLFLOW_TRACKING_URI=server.address)
    assert done.status == 0, done.err
    assert done.out.splitlines()[-1] == "identical: all 50 scores to the last bit"
    new = runs(server.address)[-1]
    assert new.data.tags["reproduces"] == old.info.run_id
    assert new.data.metrics == old.data.metrics


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "server"])
def test_runs_that_begin_together_on_a_fresh_store_all_arrive(kind: str) -> None:
    if kind == "server" and postgres_bin() is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    command = [sys.executable, str(BENCHMARK), "--runs", "40", "--stores", kind]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment())
    assert done.returncode == 0, done.stderr
    assert "| 40 of 40 | 40 |" in done.stdout


@pytest.fixture(scope="module", params=["proxy", "mlflow"])
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of a server that wants a password, asked for by a proxy or by MLflow itself."""
    by_mlflow = request.param == "mlflow"
    if by_mlflow and not has_basic_auth():
        pytest.skip("mlflow's extra 'auth' is not installed")
    folder = tmp_path_factory.mktemp("guarded")
    with ExitStack() as stack:
        behind = mlflow_server(f"sqlite:///{folder}/server.db", folder, auth=by_mlflow)
        running = stack.enter_context(behind)
        yield running.address if by_mlflow else stack.enter_context(guard(running))


@pytest.mark.slow
@pytest.mark.parametrize("multirun", [["subject=1,2", "-m"], []])
@pytest.mark.parametrize("account", [{}, ACCOUNT | {"MLFLOW_TRACKING_PASSWORD": "wrong"}])
def test_a_server_that_does_not_know_us_says_so_in_one_line(
    guarded: str, tmp_path: Path, multirun: list[str], account: dict[str, str]
) -> None:
    done = rsa_exp(tmp_path, *multirun, *SMALL, MLFLOW_TRACKING_URI=guarded, **account)
    assert done.status == 1
    assert len(done.err.splitlines()) == 1, done.err
    assert guarded in done.err
    assert "MLFLOW_TRACKING_USERNAME" in done.err
    assert "<html>" not in done.err


@pytest.mark.slow
def test_credentials_are_taken_from_the_environment(guarded: str, tmp_path: Path) -> None:
    known = {"MLFLOW_TRACKING_URI": guarded, **ACCOUNT}
    done = rsa_exp(tmp_path, *SMALL, **known)
    assert (done.status, done.err) == (0, "")
    run_id = done.out.splitlines()[-1].split("/runs/")[1].split("?")[0]
    done = rsa_exp(tmp_path, "reproduce", run_id, **known)
    assert done.status == 0, done.err
    written = [path for path in tmp_path.rglob("*") if path.suffix in {".json", ".yaml", ".csv"}]
    assert not any(PASSWORD in path.read_text() for path in written)


@pytest.mark.slow
def test_a_token_is_taken_from_the_environment(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/server.db"
    with mlflow_server(database, tmp_path) as running, guard(running) as address:
        known = {"MLFLOW_TRACKING_URI": address, "MLFLOW_TRACKING_TOKEN": TOKEN}
        done = rsa_exp(tmp_path, *SMALL, **known)
    assert (done.status, done.err) == (0, "")


def test_tracking_on_a_server_wants_its_address(cli: Callable[..., Finished]) -> None:
    done = cli("data.n_images=40", tracking="server")
    assert done.status == 1
    assert "MLFLOW_TRACKING_URI" in done.err
    assert len(done.err.splitlines()) == 1
