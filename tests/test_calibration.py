"""The simulation of known truths: its truths are true, and it tables every interval and test."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import calibration as c


@pytest.mark.parametrize("form", c.FORMS)
def test_truth(form: str) -> None:
    """With many images, scores and ceilings are the closed forms."""
    rng = np.random.default_rng(0)
    bench = c.Bench(c.Cell(form, 4, 1200, 20, 1))
    images, model = bench.images(rng)
    subjects = c.draw_subjects(rng, 4)
    held = c.Held(model, c.brain_rdms(rng, subjects, images, form))
    scores = held.scores(c.LAYERS)
    assert np.abs(scores - bench.world.truth(subjects)).max() < 0.05
    ceilings = held.draws(scores, "subjects", bench.cell, 0, "auto").full_ceilings
    assert np.abs(ceilings[0] - subjects.ceilings()).max() < 0.05
    truth = bench.world.truth(subjects)
    np.testing.assert_allclose(truth[..., 0], truth[..., 1], atol=1e-12)
    assert not truth[..., 4].any()
    assert bench.world.expected[3] == pytest.approx(bench.world.ceilings[0], abs=0.005)


def test_influences_are_the_linear_part() -> None:
    rng = np.random.default_rng(1)
    bench = c.Bench(c.Cell("products", 2, 150, 400, 1))
    images, model = bench.images(rng)
    held = c.Held(model, c.brain_rdms(rng, c.draw_subjects(rng, 2), images, "products"))
    scores = held.scores(c.LAYERS)
    drawn = held.draws(scores, "dual", bench.cell, 0, "none")
    deviation = drawn.image_counts.astype(float) - 1
    linear = c.influences(held.brain[:, 0], model["a"], 150).mean(axis=0) @ deviation
    change = drawn.scores[2, 0, 0] - scores[:, 0, 0].mean()
    assert np.corrcoef(linear, change)[0, 1] > 0.9
    assert np.polyfit(linear, change, 1)[0] == pytest.approx(1, abs=0.1)


def test_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    page = tmp_path / "calibration.md"
    page.write_text(f"before\n{c.BEGIN} -->\nreplaced\n{c.END}\nafter\n")
    monkeypatch.setattr(c, "DESIGNS", (("distances", 3, 20, 1), ("products", 3, 20, 2)))
    monkeypatch.setattr(c, "CROWD", 100)
    arguments = [
        "--studies",
        "3",
        "--draws",
        "30",
        "--permutations",
        "19",
        "--folder",
        str(tmp_path),
    ]
    monkeypatch.setattr(sys, "argv", ["calibration.py", *arguments, "--write", str(page)])
    c.main()
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "replaced" not in text
    table = c.pd.read_csv(tmp_path / "calibration.csv")
    assert (
        table.groupby(["RDMs", "sort"]).size().unstack().to_numpy().tolist() == [[35, 31, 31]] * 2
    )
    rates = table[table["sort"] != "variance"]
    assert rates["rate"].between(0, 1).all()
    assert (rates["low"] <= rates["rate"]).all()
    assert (rates["rate"] <= rates["high"]).all()
    assert (rates.groupby("RDMs")["N"].max() == [3, 1]).all()
    for name in rates["what"].unique():
        assert f"| {name} |" in text
    # A second run finds the chunks of the first.
    (chunk,) = tmp_path.glob("distances-*.json")
    found = json.loads(chunk.read_text())
    chunk.write_text(json.dumps({name: [1.0] * 3 for name in found}))
    c.main()
    again = c.pd.read_csv(tmp_path / "calibration.csv")
    assert (again.query("RDMs == 'distances' and sort != 'variance'")["rate"] == 1).all()
