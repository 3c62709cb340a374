"""Figures over a sweep: what they show is the tables', and they stay legible."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from test_every_figure import test_every_table_is_drawn_legibly as check_legible

from rsa_exp.figures import FigureText, Tables, agreement, multiples
from rsa_exp.figures.layout.style import DOUBLE_COLUMN

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


# small multiples


def _multiples(**tables):
    texts = {name: DISTANCE if "bures" in name else TEXT for name in tables}
    results = {name: Tables(table, texts[name]) for name, table in tables.items()}
    return lambda *_: multiples(results, TEXT)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [*CASES, "one"])
def test_small_multiples_are_legible(make_case, name):
    table, text = make_case(name)
    names = ["$corr$ of_a variant with quite a long name and align=exact", "spearman"]
    results = dict.fromkeys(names, Tables(table, text))
    _legible(lambda *_: multiples(results, text), table, text)


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


def test_no_results_have_no_multiples():
    with pytest.raises(ValueError, match="no results"):
        multiples({}, TEXT)


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
    _legible(agreement, _agreement(names, undefined=(0,)), TEXT)


def test_tau_is_below_the_diagonal_and_the_best_above():
    table = _agreement(["corr", "spearman", "bures"], undefined=(1,))
    table.loc[0, ["tau", "same_best"]] = -0.004, 0.666
    table.loc[2, ["tau", "same_best"]] = -0.853, np.nan
    table.loc[3, ["tau", "same_best"]] = 1.0, 1.0
    layers, rois, _ = agreement(table, TEXT).axes
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
        for figure in (agreement(table, TEXT), agreement(mixed, TEXT))
    ]
    assert drawn[0] == drawn[1]


def test_names_without_room_are_numbers_with_their_names_below():
    names = [f"bures_metric {i} align=exact images=scenes" for i in range(16)]
    figure = agreement(_agreement(names), TEXT)
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert shown == [str(i) for i in range(1, 17)]
    assert all(f"{i}: {name};" in _note(figure) for i, name in enumerate(names[:15], 1))


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
        agreement(change(_agreement(["a", "b", "c"])), TEXT)
