"""The main job as a user types it: a sweep of real processes, tracked, read back, reproduced."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import pandas as pd
import pytest
from processes import client, finish, runs, start
from studies import Finished

InFolder = Callable[[Path], Callable[..., tuple[str, str]]]
SMALL = ["data.n_images=80", "figures.names=[heatmap,rdms]"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    folder = tmp_path_factory.mktemp("sweep")
    out, err = finish(start(folder, "subject=1,2,3", "--multirun", *SMALL))
    return folder, out, err


@pytest.fixture
def in_folder(cli: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch) -> InFolder:
    """Run the tracked command line in this process, but in a given folder."""

    def prepare(folder: Path) -> Callable[..., tuple[str, str]]:
        def tracked(*arguments: str, status: int = 0) -> tuple[str, str]:
            monkeypatch.chdir(folder)
            finished = cli(*arguments, tracking="local")
            assert finished.status == status, finished.out + finished.err
            return finished.out, finished.err

        return tracked

    return prepare


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
    sweep: tuple[Path, str, str], in_folder: InFolder
) -> None:
    folder, _, _ = sweep
    tracked = in_folder(folder)
    old = runs(folder)[2]
    out, _ = tracked("reproduce", old.info.run_id[:10])
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
        out, _ = tracked("reproduce", old.info.run_id, status=1)
        assert f"different: not rerun, as {changed}" in out.splitlines()[-1]
        out, err = tracked("reproduce", "--force", old.info.run_id, status=1)
    finally:
        with h5py.File(brain, "a") as file:
            file["dissimilarities"][row, 100] -= 0.5
    assert changed in err
    assert "different: 5 of 50 scores differ, the most by" in out
    assert "LHOPA x" in out.splitlines()[-1]
    linked = client(folder).get_run(old.info.run_id).data.tags["reproduced_by"]
    assert linked.startswith(f"{new.info.run_id} (identical); ")
    assert linked.endswith(" (different; its inputs have changed)")


def test_a_list_of_images_is_reproduced_from_the_record(
    sweep: tuple[Path, str, str], in_folder: InFolder
) -> None:
    folder, _, _ = sweep
    tracked = in_folder(folder)
    used = next(folder.glob("outputs/*/*/0/images.txt")).read_text().splitlines()
    (folder / "list.txt").write_text("\n".join(used[:40]))
    tracked("images=list.txt", *SMALL)
    run_id = runs(folder)[-1].info.run_id
    (folder / "list.txt").unlink()
    out, err = tracked("reproduce", run_id)
    assert "images" not in err
    assert out.splitlines()[-1] == "identical: all 50 scores to the last bit"


def test_a_failed_run_is_recorded_as_failed_with_the_reason(
    sweep: tuple[Path, str, str], in_folder: InFolder
) -> None:
    folder, _, _ = sweep
    tracked = in_folder(folder)
    _, err = tracked("roi=LHLCO", *SMALL, status=1)
    failed = runs(folder)[-1]
    assert failed.info.status == "FAILED"
    assert failed.data.tags["error"] == err.strip().removeprefix("error: ")
    assert "did you mean 'LHLOC'" in failed.data.tags["error"]
    _, err = tracked("reproduce", failed.info.run_id, status=1)
    assert "ended as FAILED without scores.csv, provenance.json" in err


def test_a_sweep_is_reproduced_as_a_sweep(
    sweep: tuple[Path, str, str], in_folder: InFolder
) -> None:
    folder, _, _ = sweep
    tracked = in_folder(folder)
    old = runs(folder)[0]
    out, _ = tracked("reproduce", old.info.run_id[:12])
    assert out.splitlines()[-1] == "identical: of 3 runs 3 identical"
    tags = client(folder).get_run(old.info.run_id).data.tags
    new = client(folder).get_run(tags["reproduced_by"].split(" ")[0])
    assert new.info.run_name == f"{old.info.run_name} (reproduced)"
    tables = [pd.read_csv(Path(run.data.tags["folder"]) / "scores.csv") for run in (old, new)]
    pd.testing.assert_frame_equal(*tables)
