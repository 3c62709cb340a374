"""Sweeps as studies: resumed, recorded late, summed up from the folder or from the store alone."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pandas as pd
import pytest
from filelock import FileLock
from studies import Files, Finished

from rsa_exp.errors import InputError
from rsa_exp.experiments import run as job
from rsa_exp.runs import digests, manifest

Cli = Callable[..., Finished]


def sweep_of(folder: Path) -> Path:
    (path,) = folder.glob("outputs/*/*/sweep.json")
    return path.parent


def uids(sweep: Path) -> dict[str, str]:
    return {run.name: run.uid for _, run in manifest.find_runs(sweep, mark(sweep))}


def mark(sweep: Path) -> str:
    found = manifest.read_sweep(sweep)
    assert found is not None
    return found.uid


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def unrecorded(files: Files, cli: Cli, folder: Path, *more: str) -> Path:
    """Make a sweep of two runs that are filed as if the store had not got them."""
    arguments = [*files.arguments, "inference=none", *more, "roi=V1,V2", "-m"]
    assert cli(*arguments, tracking="local").status == 0
    sweep = sweep_of(folder)
    for path in sweep.glob("*/run.json"):
        edit(path, recorded=False)
    return sweep


def kill(run: Path, files: Files) -> None:
    edit(run / "run.json", status="running")


def other_code(run: Path, files: Files) -> None:
    edit(run / "run.json", code_id="0" * 32)


def lose_a_file(run: Path, files: Files) -> None:
    (run / "scores.csv").unlink()


def tear(run: Path, files: Files) -> None:
    (run / "run.json").write_text('{"format": 1, "uid"')


def alter_its_input(run: Path, files: Files) -> None:
    with h5py.File(files.brain("B"), "a") as file:
        file["dissimilarities"][0, 3] += 0.5


@pytest.mark.parametrize("damage", [kill, other_code, lose_a_file, tear, alter_its_input])
def test_resume_does_again_what_does_not_hold_and_nothing_else(
    files: Files, cli: Cli, tmp_path: Path, damage: Callable[[Path, Files], None]
) -> None:
    arguments = [*files.arguments, "inference=none", "roi=V1"]
    assert cli(*arguments, "subject=A,B", "-m").status == 0
    sweep = sweep_of(tmp_path)
    before, scores = uids(sweep), (sweep / "scores.csv").read_text()
    damage(sweep / "1", files)
    for brain in (files.brain("A"), files.model):
        os.utime(brain, ns=(1, 1))  # another time, the same content
    finished = cli("resume=last")
    assert finished.status == 0, finished.err
    after = uids(sweep)
    assert after["sub-A V1 corr"] == before["sub-A V1 corr"]
    assert after["sub-B V1 corr"] != before["sub-B V1 corr"]
    assert {run.status for _, run in manifest.find_runs(sweep, mark(sweep))} == {"finished"}
    assert ((sweep / "scores.csv").read_text() == scores) == (damage is not alter_its_input)
    if damage is not tear:  # what was there before is kept aside
        old = [run for _, run in manifest.find_runs(sweep / "superseded")]
        assert [run.uid for run in old] == [before["sub-B V1 corr"]]


def test_resume_adds_what_is_typed_besides(files: Files, cli: Cli, tmp_path: Path) -> None:
    arguments = [*files.arguments, "inference=none"]
    assert cli(*arguments, "subject=A", "roi=V1,V2", "-m").status == 0
    sweep = sweep_of(tmp_path)
    before = uids(sweep)
    finished = cli(f"resume={sweep}", "subject=B,A")
    assert finished.status == 0, finished.err
    after = uids(sweep)
    assert set(after) == {f"sub-{s} {r} corr" for s in "AB" for r in ("V1", "V2")}
    assert before.items() <= after.items()
    joined = pd.read_csv(sweep / "scores.csv")
    assert len(joined) == 12
    assert not joined.duplicated(["subject", "roi", "layer"]).any()
    assert len(pd.read_csv(sweep / "group.csv")) == 6
    assert cli("resume=last", "metric=corr,cosine", "subject=A,B").status == 0
    assert before.items() <= uids(sweep).items()
    group = pd.read_csv(sweep / "group.csv")  # what was corr by default is the variant corr
    assert group.groupby("variant")["n_subjects"].unique().map(list).to_dict() == {
        "corr": [2], "cosine": [2],
    }  # fmt: skip


def test_resume_with_another_hint_changes_nothing(files: Files, cli: Cli, tmp_path: Path) -> None:
    assert cli(*files.arguments, "inference=none", "roi=V1,V2", "-m").status == 0
    before = uids(sweep_of(tmp_path))
    assert cli("resume=last", "data.hint=ask-us").status == 0
    assert uids(sweep_of(tmp_path)) == before
    resumed = manifest.read_sweep(sweep_of(tmp_path))
    assert resumed is not None
    assert resumed.keys == ["roi"]  # no variant of its own


def test_a_sweep_over_files_resumes_and_counts_each_cell_once(
    files: Files, cli: Cli, tmp_path: Path
) -> None:
    import shutil

    shutil.copy(files.model, files.folder / "other.h5")
    arguments = [text for text in files.arguments if "data.model" not in text]
    over = ["data.model=models.h5,other.h5", "roi=V1,[V1,V2]", "inference.n_boot=20"]
    assert cli(*arguments, *over, "-m").status == 0
    sweep = sweep_of(tmp_path)
    before = uids(sweep)
    assert cli("resume=last").status == 0
    assert uids(sweep) == before
    assert not (sweep / "superseded").exists()
    scores = pd.read_csv(sweep / "scores.csv")
    counted = scores["q_sweep"].notna()
    assert (len(scores), counted.sum()) == (18, 12)  # V1 was scored twice by each model
    assert set(scores.loc[counted, "n_tests_sweep"]) == {12}


def test_runs_that_never_were_are_counted(files: Files, cli: Cli, tmp_path: Path) -> None:
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


def test_what_cannot_be_resumed_is_said_in_one_line(files: Files, cli: Cli, tmp_path: Path) -> None:
    def refused(*arguments: str) -> str:
        finished = cli(*arguments)
        assert finished.status == 1
        assert len(finished.err.strip().splitlines()) == 1, finished.err
        return finished.err

    assert "there is no sweep under" in refused("resume=last")
    assert "resume= is empty" in refused("resume=")
    assert "is not the folder of a sweep" in refused(f"resume={files.folder}")
    assert cli(*files.arguments, "inference=none", "roi=V1", "subject=A,B", "-m").status == 0
    sweep = sweep_of(tmp_path)
    with FileLock(sweep / ".lock"):
        assert "another process is at work on the sweep" in refused("resume=last")
    with FileLock(sweep / "0" / ".lock"):
        assert "another process is at work on the run" in refused("resume=last")
    for hostile in (
        "hydra.callbacks.x._target_=os.system", "+x=1", "images=${oc.env:HOME}", "hydra/launcher=x"
    ):  # fmt: skip
        edit(sweep / "sweep.json", overrides=[hostile])
        assert "which is no setting of rsa_exp" in refused("resume=last")


def test_a_sweep_whose_store_goes_away_is_recorded_later_and_once(
    files: Files, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    real, opened = job.open_store, []

    def away(uri: str, experiment: str) -> object:
        opened.append(uri)
        if len(opened) < 3:  # the first run
            return real(uri, experiment)
        raise InputError("the server does not answer")

    monkeypatch.setattr(job, "open_store", away)
    sweep_arguments = [*files.arguments, "inference=none", "subject=A,B", "roi=V1,V2", "-m"]
    finished = cli(*sweep_arguments, tracking="local")
    monkeypatch.setattr(job, "open_store", real)
    assert finished.status == 0, finished.err  # it was back at the end
    assert finished.err.count("the sweep goes on") == 1
    sweep = sweep_of(tmp_path)
    assert all(run.uploaded for _, run in manifest.find_runs(sweep))

    for path in sweep.glob("[13]/run.json"):  # as if it had not been
        edit(path, recorded=False)
    assert "2 runs recorded in" in cli("sync", str(sweep)).out
    assert "0 runs recorded in" in cli("sync").out
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


def test_sync_lets_no_one_resume_meanwhile_and_overwrites_nothing(
    files: Files, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsa_exp.experiments import sync

    sweep = unrecorded(files, cli, tmp_path)
    real = sync.record_run

    def meanwhile(*given: object) -> object:
        assert "another process is at work on the sweep" in cli("resume=last").err
        edit(sweep / "1" / "run.json", status="running", uid="f" * 32)  # by a cluster
        return real(*given)

    monkeypatch.setattr(sync, "record_run", meanwhile)
    assert "1 runs recorded in" in cli("sync").out
    run = manifest.read_run(sweep / "1")
    assert run is not None
    assert (run.uid, run.uploaded) == ("f" * 32, False)


def test_one_run_without_a_file_keeps_no_other_from_being_recorded(
    files: Files, cli: Cli, tmp_path: Path
) -> None:
    sweep = unrecorded(files, cli, tmp_path, "figures.names=[bars]")
    (sweep / "0" / "figures" / "bars.png").unlink()
    finished = cli("sync")
    assert finished.status == 1
    assert "1 runs recorded in" in finished.out
    assert "files of these runs are gone or damaged" in finished.err


def test_a_run_that_the_store_refuses_keeps_no_other_from_being_recorded(
    files: Files, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsa_exp.experiments import sync

    unrecorded(files, cli, tmp_path)
    real = sync.record_run

    def refuse(*given: Any) -> object:
        if given[2].name == "0":
            raise InputError("changing params is not allowed")
        return real(*given)

    monkeypatch.setattr(sync, "record_run", refuse)
    finished = cli("sync")
    assert finished.status == 1
    assert "1 runs recorded in" in finished.out
    assert "1 runs are not taken: changing params is not allowed" in finished.err


def test_runs_that_differ_in_what_no_number_depends_on_are_all_kept(
    files: Files, cli: Cli, tmp_path: Path
) -> None:
    arguments = [*files.arguments, "inference=none", "roi=V1", "-m"]
    assert cli(*arguments, figures="none,profiles").status == 0
    before = sorted(run.uid for _, run in manifest.find_runs(sweep_of(tmp_path)))
    assert cli("resume=last", figures="none,profiles").status == 0
    assert not (sweep_of(tmp_path) / "superseded").exists()
    assert sorted(run.uid for _, run in manifest.find_runs(sweep_of(tmp_path))) == before


def test_a_sweep_that_the_store_has_lost_or_never_heard_the_end_of(
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


def test_files_that_have_moved_are_known_by_their_content(
    files: Files, cli: Cli, tmp_path: Path
) -> None:
    assert cli(*files.arguments, "inference=none", "roi=V1,V2", "-m").status == 0
    before = uids(sweep_of(tmp_path))
    moved = files.folder.rename(tmp_path / "moved")
    finished = cli("resume=last", f"data.root={moved}")
    assert finished.status == 0, finished.err
    assert uids(sweep_of(tmp_path)) == before
    assert len(pd.read_csv(sweep_of(tmp_path) / "scores.csv")) == 6


def test_what_goes_wrong_at_a_sweeps_start_and_end_is_said(
    files: Files, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsa_exp.cli import hydra_sweep
    from rsa_exp.experiments import sync

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

    monkeypatch.setattr(sync, "record_runs", away)
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


def test_numbers_come_from_the_code_that_a_runs_identity_covers() -> None:
    """What an analysis imports is part of `code_id`, but for what only says or stops."""
    package = Path(digests.__file__).parents[1]
    aside = {"errors.py", "interrupts.py", "vocabulary.py", "files.py", "__init__.py"}
    seen: set[str] = set()
    queue = ["analysis/pipeline.py"]
    while queue:
        name = queue.pop()
        if name in seen or name.split("/")[0] in {*aside, "figures", "config"}:
            continue
        seen.add(name)
        for node in ast.walk(ast.parse((package / name).read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rsa_exp"):
                parts = str(node.module).split(".")[1:]
                for tail in ([], *([item.name] for item in node.names)):
                    path = "/".join([*parts, *tail])
                    queue += [
                        file for file in (f"{path}.py", f"{path}/__init__.py".lstrip("/"))
                        if (package / file).is_file()
                    ]  # fmt: skip
    assert {name.split("/")[0] for name in seen} == set(digests.NUMBERS)
