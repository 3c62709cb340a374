"""Sweeps continued: runs that are still valid are kept, all others are made again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import pandas as pd
import pytest
from filelock import FileLock
from studies import Files
from sweeps import Cli, edit, mark, sweep_of, uids

from rsa_exp.runs import manifest
from rsa_exp.stats.bootstrap import kept_sums


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
def test_resume_makes_again_what_is_not_valid_and_nothing_else(
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


def test_resume_adds_the_runs_of_further_settings(files: Files, cli: Cli, tmp_path: Path) -> None:
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


def test_what_cannot_be_resumed_gets_one_line(files: Files, cli: Cli, tmp_path: Path) -> None:
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


def test_runs_that_differ_only_in_their_figures_are_all_kept(
    files: Files, cli: Cli, tmp_path: Path
) -> None:
    arguments = [*files.arguments, "inference=none", "roi=V1", "-m"]
    assert cli(*arguments, figures="none,profiles").status == 0
    before = sorted(run.uid for _, run in manifest.find_runs(sweep_of(tmp_path)))
    assert cli("resume=last", figures="none,profiles").status == 0
    assert not (sweep_of(tmp_path) / "superseded").exists()
    assert sorted(run.uid for _, run in manifest.find_runs(sweep_of(tmp_path))) == before


def test_relocated_files_are_compared_by_content(files: Files, cli: Cli, tmp_path: Path) -> None:
    assert cli(*files.arguments, "inference=none", "roi=V1,V2", "-m").status == 0
    before = uids(sweep_of(tmp_path))
    moved = files.folder.rename(tmp_path / "moved")
    finished = cli("resume=last", f"data.root={moved}")
    assert finished.status == 0, finished.err
    assert uids(sweep_of(tmp_path)) == before
    assert len(pd.read_csv(sweep_of(tmp_path) / "scores.csv")) == 6


def test_runs_share_sums_until_all_are_finished(
    files: Files, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_sums, "_WORTH_KEEPING", 0)
    arguments = [*files.arguments, "roi=V1", "inference.n_boot=40", "inference.n_perm=20"]
    good = files.brain("B").read_bytes()
    with h5py.File(files.brain("B"), "a") as file:
        file["dissimilarities"][:] = float("inf")
    assert cli(*arguments, "subject=A,B", "-m", "inference.ceiling=none").status == 1
    sweep = sweep_of(tmp_path)
    assert list(sweep.glob(".sums/*/*.npy"))
    files.brain("B").write_bytes(good)
    assert cli("resume=last").status == 0
    assert not (sweep / ".sums").exists()
    shared = (sweep / "1" / "scores.csv").read_text()
    assert cli(*arguments, "subject=B", "inference.ceiling=none", "output_dir=alone").status == 0
    (alone,) = tmp_path.glob("alone/**/scores.csv")
    assert alone.read_text() == shared
