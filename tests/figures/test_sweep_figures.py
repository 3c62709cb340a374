"""Figures over a sweep: what they show is the tables', and they stay legible."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from test_every_figure import test_every_table_is_drawn_legibly as check_legible

from rsa_exp.figures import FigureText, agreement_figure, multiples_figure, subject_radar_figure
from rsa_exp.figures.style import DOUBLE_COLUMN

TEXT = FigureText("ResNet-50, $three$ subjects", "simulated data", "Pearson r")
DISTANCE = replace(TEXT, score_label="Bures distance", greater_is_better=False, signed=False)
SLOW = pytest.mark.slow  # every two of hundreds of texts are compared
CASES = ("some_undefined_of_three", "bures", "specials")


def _by_gid(artists, prefix):
    return {a.get_gid(): a for a in artists if str(a.get_gid()).startswith(prefix)}


def _note(figure):
    return next(t.get_text() for t in figure.texts if t.get_gid() == "note").replace("\n", " ")


def _legible(draw, *case):
    drawn = []
    check_legible(lambda *parts: drawn.append(draw(*parts)) or drawn[0], case)
    assert drawn[0].get_figwidth() <= DOUBLE_COLUMN + 1e-6
    return drawn[0]


# subjects overlaid


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "name", [*CASES, "twelve_subjects", "all_undefined", pytest.param("many", marks=SLOW)]
)
def test_subjects_are_overlaid_legibly(make_case, name):
    _legible(subject_radar_figure, *make_case(name))


def test_a_circle_is_a_layer_and_a_line_a_subject(make_case, published):
    figure = subject_radar_figure(*make_case("three_subjects"))
    assert len(figure.axes) == 5
    clockwise = [5, 6, 7, 8, 9, 4, 3, 2, 1, 0, 5]  # RH downwards, LH upwards, closed
    for layer, ax in enumerate(figure.axes):
        lines = _by_gid(ax.lines, "")
        for subject in range(3):
            values = published[subject, clockwise, layer]
            np.testing.assert_allclose(lines[f"subject-{subject}"].get_ydata(), values)
        mean = published[:, clockwise, layer].mean(axis=0)
        np.testing.assert_allclose(lines["mean"].get_ydata(), mean)
        assert ax.get_ylim() == figure.axes[0].get_ylim()


def test_hemispheres_are_mirror_images(make_case):
    figure = subject_radar_figure(*make_case("three_subjects"))
    middle = figure.axes[0].get_position().x0 + figure.axes[0].get_position().width / 2
    at = {}
    for text in figure.texts:
        at.setdefault(text.get_text(), text.get_position())
    for region in ("EarlyVis", "LOC", "OPA", "PPA", "RSC"):
        (left, y), (right, other) = at[f"LH{region}"], at[f"RH{region}"]
        assert left < middle < right
        assert (middle - left, y) == pytest.approx((right - middle, other))


def test_regions_of_one_hemisphere_keep_their_order(make_case, published):
    table, text = make_case("three_subjects")
    figure = subject_radar_figure(table[table["roi"] != "RHRSC"], text)
    line = _by_gid(figure.axes[3].lines, "subject-1")["subject-1"]
    np.testing.assert_allclose(line.get_ydata()[:-1], published[1, :9, 3])
    assert "LH" not in _note(figure)


def test_one_subject_has_no_mean(make_case):
    figure = subject_radar_figure(*make_case("bold5000"))
    assert not _by_gid(figure.axes[0].lines, "mean")
    assert not figure.legends
    assert "mean" not in _note(figure)


def test_many_rois_are_numbered(make_case):
    table, text = make_case("many")
    shown = [t.get_text() for t in subject_radar_figure(table, text).texts]
    assert shown.count("17") == 6 + 1  # at every circle, and in the key
    assert "lh_pOTS_characters" in shown


def test_two_rois_are_points(make_case):
    table, text = make_case("three_subjects")
    pair = table[table["roi"].isin(["LHLOC", "RHLOC"])]
    figure = _legible(subject_radar_figure, pair, text)
    assert [ax.name for ax in figure.axes] == ["rectilinear"] * 2


# small multiples


def _multiples(**tables):
    texts = {name: DISTANCE if "bures" in name else TEXT for name in tables}
    return lambda *_: multiples_figure(tables, TEXT, texts)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [*CASES, "one"])
def test_small_multiples_are_legible(make_case, name):
    table, text = make_case(name)
    names = ["$corr$ of_a variant with quite a long name and align=exact", "spearman"]
    texts = dict.fromkeys(names, text)
    _legible(lambda *_: multiples_figure(dict.fromkeys(names, table), text, texts), table, text)


@pytest.mark.filterwarnings("error")
def test_models_with_layers_of_their_own_are_legible(make_case):
    table, text = make_case("three_subjects")
    deep, _ = make_case("many")
    other = table[table["layer"] != "conv1"].assign(layer=lambda t: "features." + t["layer"])
    distance = table.assign(score=1.2 - table["score"])
    draw = _multiples(corr=table, AlexNet=other, deep=deep, bures=distance, spearman=table)
    figure = _legible(draw, table, text)
    for ax, names in zip(figure.axes, (table, other, deep), strict=False):
        assert ax.get_xlim() == (-0.5, names["layer"].nunique() - 0.5)


def test_every_panel_shows_the_means_of_levels_on_its_own_scale(make_case, published):
    table, _ = make_case("three_subjects")
    figure = _multiples(corr=table, bures=table.assign(score=1.2 - table["score"]))()
    by_subject = {
        "early": published[:, [0, 5]].mean(axis=1),
        "mid": published[:, [1, 6]].mean(axis=1),
        "high": published[:, [2, 3, 4, 7, 8, 9]].mean(axis=1),
    }
    for ax, expected in zip(figure.axes, (lambda x: x, lambda x: 1.2 - x), strict=True):
        lines = _by_gid(ax.lines, "line-")
        assert list(lines) == [f"line-{level}" for level in by_subject]
        for level, scores in by_subject.items():
            values = expected(scores).mean(axis=0)
            np.testing.assert_allclose(lines[f"line-{level}"].get_ydata(), values)
        band = _by_gid(ax.collections, "sem")["sem"].get_paths()[0].get_extents()  # of high
        scores = expected(by_subject["high"])
        sem = scores.std(axis=0, ddof=1) / np.sqrt(3)
        assert band.y0 == pytest.approx((scores.mean(axis=0) - sem).min())
        assert band.y1 == pytest.approx((scores.mean(axis=0) + sem).max())
    assert figure.axes[0].get_ylim()[1] < figure.axes[1].get_ylim()[0]
    labels = [text.get_text().replace("\n", " ") for text in figure.texts]
    assert "Pearson r" in labels
    assert "Bures distance (lower is better)" in labels


def test_rois_without_levels_are_lines(make_case):
    few, _ = make_case("specials")
    lines = _by_gid(_multiples(corr=few)().axes[0].lines, "line-")
    expected = few[few["roi"] == "_hidden"].groupby("depth")["score"].mean()
    assert len(lines) == 6
    np.testing.assert_allclose(lines["line-_hidden"].get_ydata(), expected)

    many, _ = make_case("many")
    lines = _by_gid(_multiples(corr=many)().axes[0].lines, "line-")
    mean = many.groupby("depth")["score"].mean()
    assert len(lines) == 33 + 1
    np.testing.assert_allclose(lines["line-mean over ROIs"].get_ydata(), mean)


def test_every_variant_needs_a_text(make_case):
    table, text = make_case("one")
    with pytest.raises(ValueError, match="'spearman'"):
        multiples_figure({"spearman": table}, text, {"corr": text})
    with pytest.raises(ValueError, match="no tables"):
        multiples_figure({}, text, {})


# agreement


def _agreement(names, kinds=("layers", "ROIs"), undefined=()):
    random = np.random.default_rng(len(names))
    rows = [
        {
            "what": what,
            "variant_a": a,
            "variant_b": b,
            "tau": np.nan if i in undefined else random.uniform(-1, 1),
            "same_best": random.uniform() if what == "layers" else float(random.integers(2)),
        }
        for what in kinds
        for i, (a, b) in enumerate(combinations(names, 2))
    ]
    return pd.DataFrame(rows)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [2, 5, pytest.param(9, marks=SLOW), pytest.param(16, marks=SLOW)])
@pytest.mark.parametrize("form", ["m{}", "bures_$metric$ {} align=exact images=scenes"])
def test_agreement_is_legible(n, form):
    names = [form.format(i) for i in range(n)]
    _legible(agreement_figure, _agreement(names, undefined=(0,)), TEXT)


def test_tau_is_below_the_diagonal_and_the_best_above():
    table = _agreement(["corr", "spearman", "bures"], undefined=(1,))
    table.loc[0, ["tau", "same_best"]] = -0.004, 0.666
    table.loc[2, ["tau", "same_best"]] = -0.853, np.nan
    table.loc[3, ["tau", "same_best"]] = 1.0, 1.0
    layers, rois, _ = agreement_figure(table, TEXT).axes
    written = {gid: text.get_text() for gid, text in _by_gid(layers.texts, "").items()}
    assert written == {
        "tau-1-0": ".00",
        "tau-2-0": "n/a",
        "tau-2-1": "−.85",
        "best-0-1": "67%",
        "best-0-2": f"{100 * table.loc[1, 'same_best']:.0f}%",
        "best-1-2": "n/a",
    }
    assert sum(patch.get_hatch() is not None for patch in layers.patches) == 2
    of_rois = _by_gid(rois.texts, "")
    assert (of_rois["tau-1-0"].get_text(), of_rois["best-0-1"].get_text()) == ("1.00", "same")


def test_a_pair_may_be_named_either_way_round():
    table = _agreement(["a", "b", "c"], kinds=("ROIs",))
    turned = table.rename(columns={"variant_a": "variant_b", "variant_b": "variant_a"})
    mixed = pd.concat([table.iloc[:2], turned.iloc[2:]])
    drawn = [
        {gid: text.get_text() for gid, text in _by_gid(figure.axes[0].texts, "").items()}
        for figure in (agreement_figure(table, TEXT), agreement_figure(mixed, TEXT))
    ]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="tau"), "lacks the columns tau"),
        (lambda t: t.iloc[:0], "no rows"),
        (lambda t: t.assign(what="images"), "'images'"),
        (lambda t: pd.concat([t, t]), "twice"),
        (lambda t: t.assign(variant_b=t["variant_a"]), "with itself"),
    ],
)
def test_tables_that_are_not_of_agreement_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        agreement_figure(change(_agreement(["a", "b", "c"])), TEXT)
