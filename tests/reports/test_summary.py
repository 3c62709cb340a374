"""The summary of a sweep: what its tables say of made-up runs, and what its report holds."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau
from studies import MemoryFiles

from rsa_exp.figures import save
from rsa_exp.reports.html import Picture
from rsa_exp.reports.summary import summarise
from rsa_exp.reports.words import METRIC_WORDS
from rsa_exp.runs.manifest import RunManifest, SweepManifest
from rsa_exp.runs.recorded_run import RecordedRun
from rsa_exp.runs.recorded_sweep import RecordedSweep
from rsa_exp.stats.metrics.registry import METRICS
from rsa_exp.stats.uncertainty import false_discovery_rate, permutation_p_value
from rsa_exp.vocabulary import INFERENCE_COLUMNS

ROIS, LAYERS = ("LHV1", "RHV1", "LHIT"), ("a", "b", "c", "d")
RNG = np.random.default_rng(0)
SCORES = {subject: RNG.uniform(0.01, 0.3, (3, 4)) for subject in ("1", "2", "3")}
# Each test over the study is another one.
P_VALUES = RNG.uniform(0, 0.1, 1000)


def table(scores, subject="1", metric="corr", rois=ROIS, layers=LAYERS, first_depth=1):
    """Score table as a run writes it, from scores of shape (n_roi, n_layer)."""
    rows = []
    for (i, roi), (j, layer) in product(enumerate(rois), enumerate(layers)):
        row = {"study": "study", "subject": subject, "roi": roi, "hemisphere": roi[:2]}
        row |= {"region": roi[2:], "level": {"V1": "early", "IT": "high"}.get(roi[2:], "")}
        row |= {"model": "net", "layer": layer, "depth": j + first_depth, "metric": metric}
        row |= {"score": scores[i, j], "n_images": 20, "n_pairs": 190}
        rows.append(
            row | dict.fromkeys(INFERENCE_COLUMNS, np.nan) | {"ci_method": "", "n_tests": 0}
        )
    return pd.DataFrame(rows)


def with_tests(scores, p_zero):
    """Table with tests of one run, as its own family."""
    p = np.asarray(p_zero, dtype=float)
    q, n_tests = false_discovery_rate(p)
    return scores.assign(
        p_zero=p, q=q, n_tests=n_tests, p_perm=p, p_fwe=0.5, score_perm=scores["score"], se=0.01,
        ci_method="images bootstrap, percentile",
    )  # fmt: skip


def run(number, scores=None, swept=None, *, config=None, members=None, null=None, **settings):
    """Finished run with these scores; failed without any."""
    done = scores is not None
    config = {
        "subject": (swept or {}).get("subject", "1"), "roi": "all", "layer": "all",
        "metric": "corr", "align": "stem", "images": "all", "seed": 0, "precision": "float64",
        "model": {"name": "net"},
        "data": {"kind": "bold5000", "name": "study", "root": "/r", "subjects": ["1", "2", "3"]},
        "inference": {"family": "run", "ci": 0.95, "bootstrap": "auto", "n_boot": 100,
                      "n_perm": 0, "n_splits": 0},
    } | settings if config is None else config  # fmt: skip
    files = [{"file": "/r/brain.h5", "n_images": 24, "n_matched": 20, "n_dropped": 4,
              "dropped_by_extension": {".JPEG": 4}, "dropped_examples": ["n01.JPEG"]}]  # fmt: skip
    alignment = {"align": "stem", "n_common": 20, "n_used": 20, "n_lost_to_extensions": 0,
                 "files": files, "images": "all"}  # fmt: skip
    provenance = {"seconds": {"read": 1.0, "score": 0.5}, "packages": {"numpy": "2"},
                  "warnings": ["mind the gap"], "content_digest": "d1", "inputs": []}  # fmt: skip
    texts = {"config.yaml": json.dumps(config)} if config else {}
    if done:
        texts |= {"scores.csv": scores.to_csv(index=False)}
        texts |= {"alignment.json": json.dumps(alignment)}
        texts |= {"provenance.json": json.dumps(provenance)}
    if members is not None:
        texts["subject_scores.csv"] = members.to_csv(index=False)
    if null is not None:
        texts["permutations.csv"] = pd.DataFrame({"best_score": null}).to_csv(index=False)
    manifest = RunManifest(
        uid=f"{number:032x}", name=f"run {number}", status="finished" if done else "failed",
        started="", overrides=[f"{key}={value}" for key, value in (swept or {}).items()],
        error="" if done else "there is no ROI 'V9'", run_id=f"id{number}" if done else "",
    )  # fmt: skip
    return RecordedRun(manifest, MemoryFiles(texts), f"/out/{number}", number)


def sweep(*runs, keys=("subject",)):
    manifest = SweepManifest(
        "m" * 32, "sweep", "finished", "2026-01-02T03:04:05+00:00", keys=list(keys),
        command="python -m rsa_exp -m",
    )  # fmt: skip
    return RecordedSweep(manifest, runs, MemoryFiles({}))


def three_subjects(scores=SCORES, start=0, **settings):
    return [
        run(start + i, table(values, subject), {"subject": subject, **settings})
        for i, (subject, values) in enumerate(scores.items())
    ]


def test_group_is_the_mean_of_whole_cells_only():
    scores = {subject: values.copy() for subject, values in SCORES.items()}
    scores["2"][1, 2] = np.nan
    joint = run(3, table(np.ones((3, 4)), "joint"), {"subject": "joint"})
    group = summarise(sweep(*three_subjects(scores), joint)).group
    cells = group[group["analysis"] == "subjects"].set_index(["roi", "layer"])

    stack = np.stack(list(scores.values()))
    found = cells["score"].to_numpy().reshape(3, 4)
    np.testing.assert_allclose(found, stack.mean(axis=0), rtol=1e-12)
    assert np.isnan(cells.loc[("RHV1", "c"), ["score", "sem"]].astype(float)).all()
    assert cells.loc[("RHV1", "c"), "n_subjects"] == 2
    sem = stack[:, 0, 0].std(ddof=1) / np.sqrt(3)
    assert cells.loc[("LHV1", "a"), "sem"] == pytest.approx(sem, rel=1e-12)
    assert (group.loc[group["analysis"] == "joint", "score"] == 1).all()
    assert (group.loc[group["analysis"] == "joint", "n_subjects"] == 3).all()


def test_group_runs_bring_their_inference_and_their_subjects_spread():
    members = pd.concat([table(values, subject) for subject, values in SCORES.items()])
    whole = with_tests(table(np.mean([*SCORES.values()], axis=0), "group"), P_VALUES[:12])
    one = run(0, whole, {"subject": "group"}, members=members)
    (analysis,) = (rows for _, rows in summarise(sweep(one)).group.groupby("analysis"))
    sem = np.std([*SCORES.values()], axis=0, ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(analysis["sem"], sem.ravel(), rtol=1e-12)
    assert (analysis["n_subjects"] == 3).all()
    assert (analysis["se"] == 0.01).all()


def test_q_over_the_sweep_is_that_of_all_tests():
    null = RNG.uniform(0, 0.3, (3, 200))
    parts = np.split(P_VALUES[:36], 3)
    tables = [with_tests(table(SCORES[s], s), p) for s, p in zip("123", parts, strict=True)]

    def runs(**settings):
        return [
            run(i, tables[i], {"subject": str(i + 1)}, null=null[i], **settings) for i in range(3)
        ]

    scores = summarise(sweep(*runs())).scores
    q, n_tests = false_discovery_rate(P_VALUES[:36])
    np.testing.assert_array_equal(scores["q_sweep"], q)
    assert (scores["n_tests_sweep"] == n_tests).all()
    assert (scores["n_tests"] == 12).all()
    np.testing.assert_array_equal(
        scores["p_fwe_sweep"], permutation_p_value(scores["score"], null.max(axis=0))
    )
    assert list(scores.columns[:2]) == ["run", "study"]

    declared = summarise(sweep(*runs(inference={"family": "sweep", "ci": 0.95}))).scores
    np.testing.assert_array_equal(declared["q"], q)
    assert (declared["n_tests"] == 36).all()


def test_runs_of_single_cells_make_the_same_group_as_whole_runs():
    cells = [
        run(
            number,
            table(np.array([[SCORES[subject][i, j]]]), subject, "corr", [roi], [layer], j + 1),
            {"subject": subject, "roi": roi, "layer": layer},
        )
        for number, (subject, (i, roi), (j, layer)) in enumerate(
            product(SCORES, enumerate(ROIS), enumerate(LAYERS))
        )
    ]
    keys = ("subject", "roi", "layer")
    put_together, whole = summarise(sweep(*cells, keys=keys)), summarise(sweep(*three_subjects()))
    pd.testing.assert_frame_equal(put_together.group, whole.group)
    missing = summarise(sweep(*cells[:-1], keys=keys)).group.iloc[-1]
    assert (missing["roi"], missing["layer"], missing["n_subjects"]) == ("LHIT", "d", 2)
    assert np.isnan(missing["score"])


def test_agreement_knows_reversals_and_which_way_a_distance_goes():
    same = table(10 - SCORES["1"], metric="bures_metric")
    runs = [
        run(0, table(SCORES["1"]), {"metric": "corr"}),
        run(1, same, {"metric": "bures_metric"}),
        run(2, table(-SCORES["1"], metric="spearman"), {"metric": "spearman"}),
        run(3, table(SCORES["2"], metric="cosine"), {"metric": "cosine"}),
    ]
    summary = summarise(sweep(*runs, keys=("metric",)))
    found = summary.agreement.set_index(["what", "variant_a", "variant_b"])
    assert found.loc[("layers", "corr", "bures_metric"), "tau"] == 1
    assert (found.xs(("corr", "bures_metric"), level=(1, 2))["same_best"] == 1).all()
    assert found.loc[("layers", "corr", "spearman"), "tau"] == -1
    assert found.loc[("layers", "bures_metric", "spearman"), "same_best"] == 0
    each = [kendalltau(a, b).statistic for a, b in zip(SCORES["1"], SCORES["2"], strict=True)]
    assert found.loc[("layers", "corr", "cosine"), "tau"] == pytest.approx(np.mean(each))
    best = kendalltau(SCORES["1"].max(axis=1), SCORES["2"].max(axis=1)).statistic
    assert found.loc[("ROIs", "corr", "cosine"), "tau"] == pytest.approx(best)
    steps = [(value, step) for name, value, step in summary.metrics() if "profile" in name]
    assert (SCORES["1"][0, 1], 2) in steps
    assert (
        ("bures_metric", "best", "subjects", "LHV1"),
        same["score"][:4].min(),
        0,
    ) in summary.metrics()


def test_variants_are_named_and_a_cell_scored_twice_counts_once():
    keys = ("subject", "align", "metric", "seed")
    settings = {"subject": "1", "align": "exact", "metric": "corr", "seed": "1"}
    other = settings | {"metric": "spearman"}
    runs = [
        run(0, table(SCORES["1"]), settings),
        run(1, table(SCORES["2"]), settings),
        run(2, table(SCORES["3"], metric="spearman"), other),
    ]
    summary = summarise(sweep(*runs, keys=keys))
    names = ["corr align=exact seed=1", "spearman align=exact seed=1"]
    assert list(summary.group["variant"].unique()) == names
    assert list(summary.scores.columns[:3]) == ["run", "align", "seed"]
    assert len(summary.scores) == 36
    np.testing.assert_array_equal(summary.group["score"][:12], SCORES["2"].ravel())
    assert "more than one run of the same variant" in summary.report([])


def test_failed_runs_are_told_and_none_finished_is_still_a_report():
    runs = [*three_subjects(), run(3, None, {"subject": "4"})]
    summary = summarise(sweep(*runs))
    assert list(summary.runs["status"]) == ["finished"] * 3 + ["failed"]
    assert summary.runs["seconds"].iloc[0] == 1.5
    assert "3 of 4 runs finished: 1 failed" in summary.headline
    page = summary.report([])
    assert "run 3: there is no ROI &#39;V9&#39;" in page
    assert "Subjects without any score are in no mean: 4." in page

    nothing = summarise(sweep(run(0), run(1, config={})))
    assert nothing.headline == "None of the 2 runs finished: 2 failed."
    assert nothing.scores.empty
    assert nothing.group.empty
    assert nothing.agreement is None
    assert list(nothing.figures()) == []
    assert nothing.metrics() == [(("n_finished",), 0.0, 0), (("n_failed",), 2.0, 0)]
    assert 'id="caveats"' in nothing.report([])
    assert "None of the 0 runs" in summarise(sweep()).report([])


def test_report_is_complete_escaped_and_loads_nothing(tmp_path: Path):
    evil = "<script>alert(1)</script>"
    rois = (evil, *ROIS[1:])
    runs = [
        run(
            number,
            table(SCORES[subject], subject, metric, rois),
            {"subject": subject, "metric": metric},
        )
        for number, (subject, metric) in enumerate(product("12", ("corr", "bures_metric")))
    ]
    summary = summarise(sweep(*runs, keys=("subject", "metric")))
    kinds = ["heatmap", "profiles", "bars", "scatter", "surface"]
    names = [f"{kind}-{metric}" for metric in ("corr", "bures_metric") for kind in kinds]
    assert [figure.name for figure in summary.planned] == [*names, "metrics", "multiverse"]
    (*_, (name, figure)) = replace(summary, planned=summary.planned[5:]).figures()
    image, _ = save(figure, tmp_path, name)
    page = summary.report([Picture("multiverse", image)])

    assert evil not in page
    assert "&lt;script&gt;" in page
    targets = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]+)""", page)
    assert all(target.startswith(("data:", "#")) for target in targets)
    assert not re.search(r"@import|url\(|<script|<link", page)
    sections = re.findall(r'<section id="(\w+)">', page)
    assert sections == [
        "question", "images", "results", "multiverse", "runs", "caveats", "reproduce", "methods",
    ]  # fmt: skip
    for text in ("Figure 1.", "mind the gap", "python -m rsa_exp reproduce id0", ".JPEG 4"):
        assert text in page


def test_one_subject_in_one_run_has_no_figures_of_its_own():
    assert list(summarise(sweep(run(0, table(SCORES["1"])), keys=())).figures()) == []


def test_every_metric_is_explained():
    assert set(METRIC_WORDS) == set(METRICS)


def test_variants_are_compared_over_the_subjects_that_both_have():
    keys = ("subject", "metric")
    other = {name: values + RNG.normal(0, 0.2, (3, 4)) for name, values in SCORES.items()}
    corr = three_subjects(metric="corr")
    spearman = [
        run(3 + i, table(other[name], name, "spearman"), {"subject": name, "metric": "spearman"})
        for i, name in enumerate(("1", "2"))
    ]
    failed = run(5, None, {"subject": "3", "metric": "spearman"})
    joint = run(6, table(SCORES["1"], "joint", "cosine"), {"subject": "joint", "metric": "cosine"})
    summary = summarise(sweep(*corr, *spearman, failed, joint, keys=keys))

    counts = summary.group.groupby("variant", sort=False)["n_subjects"].first()
    assert list(counts) == [3, 2, 3]
    found = summary.agreement.set_index(["what", "variant_a", "variant_b"])
    same = summarise(sweep(*corr[:2], *spearman, keys=keys)).agreement
    pair = found.xs(("corr", "spearman"), level=(1, 2)).reset_index()
    pd.testing.assert_frame_equal(pair, same.drop(columns=["variant_a", "variant_b"]))
    assert set(pair["subjects"]) == {"1,2"}
    apart = found.xs("cosine", level="variant_b")  # a mean RDM and single subjects
    assert apart["tau"].isna().all()
    assert set(apart["subjects"]) == {""}

    said = "In spearman (without subject 3) the mean is over fewer subjects"
    assert said in summary.headline
    page = summary.report([])
    assert f"<li>{said}" in page
    assert "Subjects without any score" not in page
    whole = summarise(sweep(*three_subjects(metric="corr"), keys=keys))
    assert "fewer subjects" not in whole.headline


def test_profiles_of_variants_are_drawn_over_the_same_subjects():
    keys = ("subject", "metric")
    one = run(3, table(SCORES["2"], "2", "spearman"), {"subject": "2", "metric": "spearman"})
    summary = summarise(sweep(*three_subjects(metric="corr"), one, keys=keys))
    (planned,) = (each for each in summary.planned if each.name == "metrics")
    tables, *_ = planned.plot.args
    assert {name: set(each.scores["subject"]) for name, each in tables.items()} == {
        "corr": {"2"}, "spearman": {"2"},
    }  # fmt: skip
    assert "over subject 2, which each has" in planned.caption


def test_a_headline_calls_no_layer_best_without_a_passed_test():
    """A study of pure noise has a layer with the best score in each region, and no best layer."""
    noise = [
        run(i, with_tests(table(SCORES[s], s), np.full(12, 0.4)), {"subject": s})
        for i, s in enumerate("123")
    ]
    headline = summarise(sweep(*noise)).headline
    assert "best layer" not in headline
    assert "no score passes its test" in headline
    assert "0 of 36 tested scores pass" in headline

    untested = summarise(sweep(*three_subjects())).headline
    assert "best layer" not in untested
    assert "no score was tested" in untested

    p = np.full((3, 4), 0.4)
    p[0] = 1e-6  # one region of three
    scores = table(np.tile([0.1, 0.2, 0.4, 0.3], (3, 1)))
    one = summarise(sweep(run(0, with_tests(scores, p.ravel()), {"subject": "1"}))).headline
    assert "c of net is the layer most like LHV1" in one
    assert "in the other 2 regions no score passes its test" in one

    p[1] = 1e-6
    two = summarise(sweep(run(0, with_tests(scores, p.ravel()), {"subject": "1"}))).headline
    assert "c of net is the best layer in all 2 regions with a score that passes" in two
    assert "in the other region, LHIT, no score" in two


def test_a_run_with_damaged_files_counts_as_failed():
    damaged = run(3, table(SCORES["1"]), {"subject": "4"})
    texts = {**damaged.files.texts, "scores.csv": "garbage\n"}
    other = replace(damaged, files=MemoryFiles(texts))
    summary = summarise(sweep(*three_subjects(), other))
    assert list(summary.runs["status"]) == ["finished"] * 3 + ["failed"]
    assert summary.runs["error"].iloc[3].endswith("is damaged: scores.csv")
    assert summary.runs["subject"].iloc[3] == "4"
    unreadable = replace(damaged, files=MemoryFiles(texts | {"config.yaml": "&a [*a]"}))
    (status,) = summarise(sweep(unreadable)).runs["status"]
    assert status == "failed"
