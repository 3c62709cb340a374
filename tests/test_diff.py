"""Two runs side by side: what differs is said, counted and drawn."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies import Files, Finished

from rsa_exp import files as output
from rsa_exp.errors import InputError
from rsa_exp.experiments.diff import MOST_LINES, Cells, diff
from rsa_exp.runs.comparison import Comparison, Verdict

Cli = Callable[..., Finished]


def test_two_runs_are_compared(
    files: Files, cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, settings in {
        "a": [], "metric": ["metric=spearman"], "part": ["roi=V1", "layer='[a,c]'"],
    }.items():  # fmt: skip
        finished = cli(*files.arguments, "inference=none", *settings, f"hydra.run.dir={name}")
        assert finished.status == 0, finished.err
    shutil.copytree("a", "same")
    shutil.copytree("a", "wrong")
    scores = output.read_scores(Path("wrong/scores.csv"))
    scores.loc[4, "score"] = np.nan
    scores.loc[[1, 5], "score"] += [1e-16, 0.25]
    output.write_table(Path("wrong/scores.csv"), scores)
    capsys.readouterr()

    def compared(other: str) -> tuple[int, str]:
        status = diff("a", other, tmp_path / "mlruns", tmp_path / f"figure-{other}")
        return status, capsys.readouterr().out

    status, said = compared("same")
    assert status == 0
    assert "all 6 in both are the same to the last bit" in said
    assert said.count(": the same\n") == 4

    status, said = compared("wrong")
    assert status == 1
    assert "3 of 6 in both differ" in said
    rows = [line.split() for line in said.splitlines() if line.startswith("  A  ")]
    assert [(row[1], row[2]) for row in rows] == [("V2", "b"), ("V2", "c"), ("V1", "b")]
    assert [row[-1] for row in rows][:2] == ["-", "+0.25"]

    status, said = compared("metric")
    assert status == 1
    assert "metric: corr in A, spearman in B" in said
    assert "scores, by subject x roi x layer (metric corr in A, spearman in B)" in said

    status, said = compared("part")
    assert status == 1
    assert "all 2 in both are the same" in said
    assert "4 only in A: A V1 b corr, A V2 a corr" in said
    assert "input A_RDMs.h5 V2: used in A, not used in B" in said
    drawn = pd.read_csv(tmp_path / "figure-part" / "difference.csv")
    assert list(drawn["roi"]) == ["V1"] * 3 + ["V2"] * 3
    assert drawn["score_b"].notna().sum() == 2
    assert (tmp_path / "figure-part" / "difference.svg").is_file()


def scores(n_roi: int, seed: int) -> pd.DataFrame:
    values = np.random.default_rng(seed).random(n_roi)
    rows = [
        {"subject": "1", "roi": f"r{i}", "layer": "a", "depth": 1, "metric": "corr", "score": x}
        for i, x in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_only_the_largest_differences_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    from rsa_exp.experiments.diff import _score_lines

    a, b = scores(30, 0), scores(30, 1)
    cells = Cells.of(a, b)
    np.testing.assert_array_equal(cells.change, b["score"] - a["score"])
    lines = _score_lines(cells)
    assert lines[-1] == f"  ... and {30 - MOST_LINES} more"
    listed = [float(line.split()[-1]) for line in lines[3:-1]]
    sizes = sorted((b["score"] - a["score"]).abs(), reverse=True)[:MOST_LINES]
    np.testing.assert_allclose(np.abs(listed), sizes, rtol=6e-3)


def test_only_columns_that_runs_have_are_compared() -> None:
    a, b = scores(3, 0), scores(3, 0)
    for table in (a, b):
        table["_merge"], table["score_a"], table["score_old"] = "1", "2", "3"
    assert Cells.of(a, b).identical
    assert Comparison(a, b).verdict is Verdict.IDENTICAL


def test_a_table_of_more_than_one_run_is_refused() -> None:
    two = pd.concat([scores(2, 0), scores(2, 0).assign(subject="2")])
    with pytest.raises(InputError, match="scores of run B are not those of one subject"):
        Cells.of(scores(2, 0), two)
