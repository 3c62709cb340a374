"""Runs side by side, on this machine's cores and on Slurm: the same bits, one parent, one summary.

And the named studies of conf/experiment, which sweep by themselves.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest
import slurm
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from mlflow import MlflowClient
from omegaconf import OmegaConf
from studies import Files, Finished

from rsa_exp.cli import hydra_sweep
from rsa_exp.config import compose as settings
from rsa_exp.config.groups import conf_dir
from rsa_exp.stats.parallel import n_workers

EXPERIMENTS = {
    "published": {"subject": "1,2,3,joint"},
    "full": {"subject": "1,2,3,group"},
    "hierarchy": {"subject": "1,2,3,group"},
    "networks": {"subject": "1,2,3", "model": "resnet50,alexnet,efficientnet_b0,mobilenet_v2"},
    "sources": {"subject": "1,2,3", "images": "all,coco,imagenet,scenes"},
}
SMALL = ["data.n_images=80", "figures=none"]
# Works for minutes, a draw at a time.
LONG = ["metric=tau-a", "data.n_images=300", "inference=full", "figures=none"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, 6),
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "4,1", "SLURM_CPUS_PER_TASK": "3"}, 3),
        ({"OMP_NUM_THREADS": "64"}, 6),
        ({"OMP_NUM_THREADS": "0", "SLURM_CPUS_PER_TASK": "many"}, 6),
    ],
)
def test_threads_are_the_least_that_something_allows(
    variables: dict[str, str], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert n_workers() == expected


def test_workers_of_joblib_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    joblib = pytest.importorskip("joblib")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    try:
        threads = joblib.Parallel(n_jobs=2)(joblib.delayed(n_workers)() for _ in range(2))
    finally:
        joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
    assert sum(threads) <= max(joblib.cpu_count(), 2)


def test_every_experiment_is_known_here() -> None:
    assert set(EXPERIMENTS) == {path.stem for path in (conf_dir() / "experiment").iterdir()}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_sweeps_by_itself(name: str) -> None:
    settings.register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        overrides = [f"experiment={name}", "figures=none", "seed=7"]
        composed = compose("config", overrides, return_hydra_config=True)
        HydraConfig.instance().set_config(composed)
        params = OmegaConf.to_container(composed.hydra.sweeper.params, resolve=True)
        assert composed.hydra.mode.name == "MULTIRUN"
        assert params == EXPERIMENTS[name]
        run = settings.from_hydra(compose("config", overrides))
    assert run.figures.names == []  # what is typed has the last word
    assert run.seed == 7


def test_an_experiment_takes_the_subjects_of_any_study(
    files: Files, cli: Callable[..., Finished], tmp_path: Path
) -> None:
    names = {"A": "01", "B": "KO"}  # 01 is a name, not the number 1
    for old, new in names.items():
        files.brain(old).rename(files.brain(new))
    study = [text for text in files.arguments if not text.startswith(("subject", "data.subjects"))]
    finished = cli("experiment=published", *study, "data.subjects=[01,KO]")
    assert finished.status == 0, finished.err
    (table,) = tmp_path.glob("outputs/*/*/scores.csv")
    scores = pd.read_csv(table, dtype={"subject": str})
    assert list(scores["subject"].unique()) == ["01", "KO", "joint"]


@pytest.mark.parametrize(
    ("launcher", "plugin", "extra"),
    [
        ("joblib", "hydra_joblib_launcher", "parallel"),
        ("submitit_slurm", "hydra_submitit_launcher", "slurm"),
    ],
)
def test_a_missing_plugin_is_named(
    launcher: str, plugin: str, extra: str,
    cli: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(hydra_sweep, "find_spec", lambda name: None if plugin in name else name)
    finished = cli("-m", "subject=1,2", f"hydra/launcher={launcher}")
    assert finished.status == 1
    assert len(finished.err.splitlines()) == 1
    assert f'pip install -e ".[{extra}]"' in finished.err


def start(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "HYDRA"))}
    return subprocess.Popen(
        [sys.executable, "-m", "rsa_exp", "-m", *arguments],
        cwd=folder, env=clean | variables, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def scores_of(folder: Path) -> dict[str, bytes]:
    """Each run's table by the run's number, and the sweep's."""
    tables = [*folder.glob("outputs/*/*/*/scores.csv"), *folder.glob("outputs/*/*/scores.csv")]
    return {
        table.parent.name if table.parent.name.isdigit() else "sweep": table.read_bytes()
        for table in tables
    }


def statuses(folder: Path) -> tuple[str, list[str]]:
    """How the sweep's run in the store ended, and its children."""
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("rsa_exp")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    children = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} <= {parent.info.run_id}
    return parent.info.status, sorted(run.info.status for run in children)


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason='needs ".[slurm]"')
    with ExitStack() as stack:
        try:
            environment = stack.enter_context(slurm.one_node())
        except slurm.NoSlurmError as reason:
            pytest.skip(f"no Slurm here: {reason}")
        yield environment


@pytest.fixture(params=["parallel", "slurm"])
def launcher(request: pytest.FixtureRequest) -> tuple[list[str], dict[str, str]]:
    """What is typed for a launcher, and the environment it needs."""
    if request.param == "slurm":
        small = ["hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1"]
        return ["hydra/launcher=submitit_slurm", *small], request.getfixturevalue("cluster")
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason='needs ".[parallel]"')
    return ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], {}


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Tables of the same sweep, one run after the other."""
    folder = tmp_path_factory.mktemp("basic")
    process = start(folder, "subject=1,2,3", *SMALL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return scores_of(folder)


@pytest.mark.slow
def test_the_same_bits_under_one_parent(
    launcher: tuple[list[str], dict[str, str]], basic: dict[str, bytes], tmp_path: Path
) -> None:
    arguments, variables = launcher
    process = start(tmp_path, "subject=1,2,3", *SMALL, *arguments, **variables)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "3 of 3 runs finished" in out
    assert statuses(tmp_path) == ("FINISHED", ["FINISHED"] * 3)
    assert set(basic) == {"0", "1", "2", "sweep"}
    assert scores_of(tmp_path) == basic


@pytest.mark.slow
def test_a_run_that_fails_does_not_cost_the_others(
    launcher: tuple[list[str], dict[str, str]], tmp_path: Path
) -> None:
    arguments, variables = launcher
    process = start(
        tmp_path, "roi=NOPE,LHLOC,RHLOC", "inference=none", *SMALL, *arguments, **variables
    )
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "Traceback" not in out + err
    assert sum("no ROI 'NOPE'" in line for line in err.splitlines()) == 1, err
    assert "2 of 3 runs finished" in out
    assert statuses(tmp_path) == ("FAILED", ["FAILED", "FINISHED", "FINISHED"])
    assert set(scores_of(tmp_path)) == {"1", "2", "sweep"}


@pytest.mark.slow
def test_ctrl_c_ends_the_workers_too(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason='needs ".[parallel]"')
    arguments = ["subject=1,2,3", *LONG, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    process = start(tmp_path, *arguments)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(tmp_path.glob("outputs/*/*/*/config.yaml"))) < 2:
        time.sleep(0.2)
    time.sleep(2)
    assert len(living(process.pid)) >= 3
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to workers, too
    out, err = process.communicate(timeout=15)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "interrupted; finished runs are kept"
    assert "Traceback" not in out + err
    deadline = time.monotonic() + 5
    while living(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert living(process.pid) == []
    parent, children = statuses(tmp_path)
    assert parent == "KILLED"
    assert set(children) == {"KILLED"}


def living(group: int) -> list[int]:
    """Processes of a group that have not ended."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, owner = entry.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(owner) == group and state != "Z":
            found.append(int(entry.parent.name))
    return found
