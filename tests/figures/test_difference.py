"""Two runs' scores against each other: points, map, and what is said of them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_every_figure import test_every_table_is_drawn_legibly as check_legible

from rsa_exp.figures import FigureText, difference

B = FigureText("sub-1 spearman (31e64524)", "another note", "Spearman ρ")
SLOW = pytest.mark.slow  # every two of hundreds of texts are compared


def _pair(table, noise):
    one = table[table["subject"] == table["subject"].iloc[0]]
    scores = one["score"] + noise * np.random.default_rng(0).standard_normal(len(one))
    return pd.DataFrame(
        {"roi": one["roi"], "layer": one["layer"], "depth": one["depth"]}
        | {"score_a": one["score"], "score_b": scores}
    )


def _by_gid(artists, prefix):
    return {a.get_gid(): a for a in artists if str(a.get_gid()).startswith(prefix)}


def _note(figure):
    return next(t.get_text() for t in figure.texts if t.get_gid() == "note").replace("\n", " ")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "noise"),
    [
        ("some_undefined", 1e-17), ("specials", 0.1), ("one", 0.01), ("bures", 1e5),
        *(pytest.param(*case, marks=SLOW) for case in (
            ("categories", 0.05), ("constant", 0.0), ("all_undefined", 1.0), ("many", 0.02)
        )),
    ],
)  # fmt: skip
def test_any_two_runs_are_drawn_legibly(make_case, name, noise):
    table, text = make_case(name)
    texts = (text, replace(text, title="the same again") if name == "one" else B)
    check_legible(lambda pair, text: difference(pair, *texts), (_pair(table, noise), text))


def test_points_and_map_show_the_table(make_case):
    table, text = make_case("bold5000")
    pair = _pair(table, 0.01)
    pair.loc[pair.index[3], "score_b"] = pair["score_a"].iloc[3]
    pair.loc[pair.index[7], "score_b"] = np.nan
    shuffled = pair.sample(frac=1, random_state=0)
    figure = difference(pair, text, replace(text, title="B"))
    scatter, cells = figure.axes[:2]
    assert _by_gid(scatter.lines, "equal")
    for layer in range(5):
        points = _by_gid(scatter.lines, f"layer-{layer}")[f"layer-{layer}"]
        rows = pair[pair["depth"] == layer + 1]
        np.testing.assert_array_equal(points.get_xdata(), rows["score_a"])
        np.testing.assert_array_equal(points.get_ydata(), rows["score_b"])
    written = {gid: text.get_text() for gid, text in _by_gid(cells.texts, "cell").items()}
    assert written["cell-0-3"] == "="
    assert written["cell-1-2"] == "n/a"
    first = pair["score_b"].iloc[0] - pair["score_a"].iloc[0]
    assert float(written["cell-0-0"].replace("−", "-")) == pytest.approx(first, abs=6e-4)
    assert "48 of 49 scores differ" in _note(figure)
    again = difference(shuffled, text, text).axes[0]
    assert sorted(again.lines[1].get_xdata()) == sorted(scatter.lines[1].get_xdata())


def test_scores_of_two_kinds_have_no_line_of_equals(make_case):
    table, text = make_case("bures")
    figure = difference(_pair(table, 0.01), text, B)
    assert not _by_gid(figure.axes[0].lines, "equal")
    assert "two kinds" in _note(figure)
    assert _note(figure).endswith("B: another note")


def test_tables_that_are_no_comparison_are_refused(make_case):
    table, text = make_case("bold5000")
    pair = _pair(table, 0.0)
    for bad in (pair.drop(columns="depth"), pair[:0], pd.concat([pair, pair])):
        with pytest.raises(ValueError, match="the difference table"):
            difference(bad, text, text)
