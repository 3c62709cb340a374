"""A sweep's report from its folder and from the store alone: what it says of each run."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from rsa_exp.errors import InputError
from rsa_exp.experiments.report import read_sweep, report
from rsa_exp.runs import manifest
from rsa_exp.tracking.addresses import store_uri

NOW = "2026-01-02T03:04:05.000+00:00"


def write_run(folder: Path, **values: object) -> None:
    folder.mkdir(parents=True)
    facts = {"uid": folder.name.zfill(32), "name": f"run {folder.name}", "sweep": "m"}
    manifest.write(
        folder, manifest.RunManifest(**facts | {"status": "failed", "started": NOW} | values)
    )


def test_a_run_has_what_its_preset_chose_and_a_dead_one_is_killed(tmp_path: Path) -> None:
    sweep = manifest.SweepManifest(
        "m", "sweep", "running", NOW, keys=["inference", "model", "figures"]
    )
    manifest.write(tmp_path, sweep)
    chosen = {"inference": "full", "model": "alexnet"}
    write_run(tmp_path / "0", choices=chosen)
    write_run(tmp_path / "1", choices=chosen, overrides=["inference=fast"], status="running")

    assert report(str(tmp_path), tmp_path / "mlruns", tmp_path / "out") == 0
    runs = pd.read_csv(tmp_path / "runs.csv")
    assert list(runs["inference"]) == ["full", "fast"]
    assert list(runs["model"]) == ["alexnet", "alexnet"]
    assert list(runs["figures"]) == ["default", "default"]  # a record of before choices were kept
    assert list(runs["status"]) == ["failed", "killed"]
    assert "still running" not in (tmp_path / "report.html").read_text()
    assert [run.status for run in read_sweep(tmp_path).runs] == ["failed", "killed"]


def test_the_store_alone_knows_of_runs_that_were_never_uploaded(tmp_path: Path) -> None:
    from rsa_exp.tracking.store import PARENT_TAG, Store

    table = (
        "run,name,status,error,subject,inference,folder,run_id\n"
        "0,sub-1,failed,no file,1,full,/out/0,id0\n"
        "1,sub-2,failed,,2,full,/out/1,\n"
        '2,subject=9,failed,"subject=9 is not one of 1, 2",9,fast,/out/2,\n'
    )
    (tmp_path / "runs.csv").write_text(table)
    store = Store(store_uri(tmp_path), "e")
    tags = {"sweep": "true", "swept": "subject, inference", "n_planned": "4"}
    parent = store.start("sweep", {}, tags)
    parent.log(files=[tmp_path / "runs.csv"])
    for number, choices in enumerate((json.dumps({"inference": ["full"]}), "[")):
        tags = {"folder": f"/out/{number}", "overrides": f'["subject={number + 1}"]'}
        tags |= {"choices": choices, PARENT_TAG: parent.run_id}
        store.start(f"sub-{number + 1}", {}, tags).end("failed", "no file")

    assert report(parent.run_id[:10], tmp_path, tmp_path) == 0
    folder = tmp_path / "reports" / parent.run_id[:12]
    runs = pd.read_csv(folder / "runs.csv", dtype=str, keep_default_na=False)
    assert list(runs["name"]) == ["sub-1", "sub-2", "subject=9"]
    assert list(runs["subject"]) == ["1", "2", "9"]
    assert list(runs["inference"]) == ["['full']", "fast", "fast"]  # damaged tags do no harm
    assert list(runs["error"]) == ["no file", "no file", "subject=9 is not one of 1, 2"]
    assert "1 of 4 runs were never started" in (folder / "report.html").read_text()
    stored = {item.path for item in store.client.list_artifacts(parent.run_id)}
    assert {"report.html", "group.csv"} <= stored
    single = store.client.search_runs([store.experiment_id], "tags.folder = '/out/0'")[0]
    with pytest.raises(InputError, match="is not a sweep"):
        report(single.info.run_id, tmp_path, tmp_path)
