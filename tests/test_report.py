"""A sweep's report from its folder and from the store alone: what it says of each run."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from rsa_exp.experiments.report import collect, report
from rsa_exp.runs import manifest
from rsa_exp.tracking.reading import RunRecord

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
    assert [run.status for run in collect(tmp_path).runs] == ["failed", "killed"]


def test_the_store_alone_tells_of_runs_that_it_never_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = (
        "run,name,status,error,subject,inference,folder,run_id\n"
        "0,sub-1,failed,no file,1,full,/out/0,id0\n"
        "1,sub-2,failed,,2,full,/out/1,\n"
        '2,subject=9,failed,"subject=9 is not one of 1, 2",9,fast,/out/2,\n'
    )
    tags = {"sweep": "true", "swept": "subject, inference", "n_planned": "4"}
    parent = RunRecord("p" * 32, "e", "sweep", "FAILED", NOW, NOW, {"runs.csv": table}, tags)

    def child(number: int, choices: str) -> RunRecord:
        told = {"folder": f"/out/{number}", "overrides": f'["subject={number + 1}"]'}
        name = f"sub-{number + 1}"
        told |= {"choices": choices, "error": "no file"}
        return RunRecord(f"id{number}", "e", name, "FAILED", NOW, NOW, {}, told)

    found = [child(0, json.dumps({"inference": ["full"]})), child(1, "[")]
    written: list[str] = []
    monkeypatch.setattr("rsa_exp.tracking.store.existing_store", lambda folder: folder)
    monkeypatch.setattr("rsa_exp.tracking.reading.read", lambda *_: parent)
    monkeypatch.setattr("rsa_exp.tracking.reading.children", lambda *_: found)
    monkeypatch.setattr(
        "rsa_exp.tracking.tracked.TrackedRun.log", lambda *_, files: written.extend(files)
    )

    report(parent.run_id, tmp_path, tmp_path)
    runs = pd.read_csv(written[2], dtype=str, keep_default_na=False)
    assert list(runs["name"]) == ["sub-1", "sub-2", "subject=9"]
    assert list(runs["subject"]) == ["1", "2", "9"]
    assert list(runs["inference"]) == ["['full']", "fast", "fast"]  # damaged tags do no harm
    assert list(runs["error"]) == ["no file", "no file", "subject=9 is not one of 1, 2"]
    assert "1 of 4 runs were never begun" in Path(written[-1]).read_text()
