"""Figures of inference: what they show is the tables', and they stay legible."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from test_every_figure import test_every_table_is_drawn_legibly as check_legible

from rsa_exp import figures
from rsa_exp.figures import NothingToPlot, Tables, save
from rsa_exp.figures.layout.style import GREY, mean_colour
from rsa_exp.figures.of_result.permutation import threshold

LAYERS = ("conv1", "layer1", "layer2", "layer3", "layer4")


def _inferred(table, ceiling=(0.06, 0.08), seed=0):
    """Score table with inference; q and p_fwe are below 0.05 for most scores."""
    rng = np.random.default_rng(seed)
    n = len(table)
    se = 0.1 * np.nan_to_num(table["score"].std(), nan=1.0) * rng.uniform(0.5, 2, n) + 1e-9
    return table.assign(
        se=se,
        score_perm=table["score"],
        ci_low=table["score"] - 2 * se,
        ci_high=table["score"] + 3 * se,
        ci_method="t(2) dual bootstrap",
        p_fwe=np.where(table["score"].isna(), np.nan, rng.uniform(0, 0.06, n)),
        q=np.where(table["score"].isna(), np.nan, rng.uniform(0, 0.07, n)),
        p_zero=0.01,
        n_tests=n,
        ceiling_low=ceiling[0],
        ceiling_high=ceiling[1],
    )


def _compared(table, seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        ("layers", roi, a.layer, b.layer, a.score - b.score, rng.uniform(0, 0.1), 100)
        for roi, of_roi in table.groupby("roi", sort=False)
        for a, b in combinations(of_roi.itertuples(), 2)
    ]
    rows.append(("rois", "conv1", "LHLOC", "RHLOC", 9.0, 0.001, 45))
    names = ["kind", "within", "a", "b", "difference", "q", "n_tests"]
    return pd.DataFrame(rows, columns=names)


def _chosen(table, seed=0):
    rng = np.random.default_rng(seed)
    table = table.assign(best=False, boot_frequency=np.nan, split_frequency=np.nan)
    table["split_agreement"] = np.nan
    for rows in table.groupby("roi", sort=False).groups.values():
        scores = table.loc[rows, "score"]
        if scores.notna().any():
            table.loc[scores.idxmax(), "best"] = True
            for name in ("boot_frequency", "split_frequency"):
                table.loc[rows, name] = rng.dirichlet(np.full(len(rows), 0.5))
            table.loc[rows, "split_agreement"] = rng.uniform()
    return table


def _null(table, seed=0):
    scores = table["score"].fillna(0.0)
    spread = 0.05 * np.abs(scores).max() or 0.1
    return np.random.default_rng(seed).normal(0, spread, (500, 20)).max(axis=1)


def intervals(table, text, subjects=None, level=0.95):
    return figures.intervals(Tables(table, text, subjects, level=level))


def comparisons(pairs, table, text):
    return figures.comparisons(Tables(table, text, comparisons=pairs))


def best_layers(table, text):
    return figures.best_layers(Tables(table, text, best_layers=table))


def permutation(table, null, text):
    return figures.permutation(Tables(table, text, null=null))


PLOT = {
    "intervals": lambda table, text: intervals(_inferred(table), text),
    "comparisons": lambda table, text: comparisons(_compared(table), table, text),
    "best_layers": lambda table, text: best_layers(_chosen(table), text),
    "permutation": lambda table, text: permutation(_inferred(table), _null(table), text),
}


def full_result(table, text):
    """Result of one subject that every figure can be made of."""
    noise = np.random.default_rng(0).random((2, 30, 30))
    rdms = figures.RdmPair(*(noise + noise.transpose(0, 2, 1)), "RHLOC", "layer3", 30)
    return Tables(
        _inferred(table),
        text,
        comparisons=_compared(table),
        best_layers=_chosen(table),
        null=_null(table),
        rdms=rdms,
    )


def _one_subject(table):
    return table[table["subject"] == table["subject"].iloc[0]].reset_index(drop=True)


def _note(figure):
    notes = [text.get_text() for text in figure.texts if text.get_gid() == "note"]
    return notes[0].replace("\n", " ")


def _of(artists, gid):
    return [artist for artist in artists if artist.get_gid() == gid]


def _written(figure):
    return [text.get_text() for text in figure.texts]


# every figure

HOSTILE = ["bold5000", "one", "many", "some_undefined", "bures", "specials", "constant"]
REFUSED = {("comparisons", "one"), ("best_layers", "all_undefined")}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "case_name"), sorted({*product(PLOT, [*HOSTILE, "all_undefined"])} - REFUSED)
)
def test_every_table_is_drawn_legibly(make_case, name, case_name):
    table, text = make_case(case_name)
    check_legible(PLOT[name], (_one_subject(table), text))


@pytest.mark.filterwarnings("error")
def test_figures_with_subjects_and_far_ceilings_are_legible(make_case):
    subjects, text = make_case("three_subjects")
    group = _one_subject(subjects).assign(subject="group")
    check_legible(
        lambda table, text: intervals(_inferred(table, (0.2, 0.35)), text, subjects), (group, text)
    )


@pytest.mark.parametrize("name", PLOT)
def test_figures_are_saved_the_same_each_time(make_case, name, tmp_path):
    table, text = make_case("bold5000")
    case = (table.iloc[:10], text)
    first, again = ([p.read_bytes() for p in save(PLOT[name](*case), tmp_path, name)] for _ in "ab")
    assert first == again


@pytest.mark.parametrize("name", PLOT)
def test_several_subjects_are_refused(make_case, name):
    with pytest.raises(ValueError, match="has subjects 1, 2, 3: pass the rows of one"):
        PLOT[name](*make_case("three_subjects"))


def test_missing_columns_are_named(make_case):
    table, text = make_case("bold5000")
    with pytest.raises(ValueError, match="score table lacks the columns se, ci_low, ci_high"):
        intervals(table, text)
    with pytest.raises(ValueError, match="comparison table lacks the columns a, b"):
        comparisons(_compared(table).drop(columns=["a", "b"]), table, text)
    with pytest.raises(ValueError, match="lacks the columns best, boot_frequency"):
        best_layers(table, text)
    with pytest.raises(ValueError, match="lacks the columns score_perm, p_fwe"):
        permutation(table, np.zeros(9), text)


# intervals


def test_whiskers_end_where_the_intervals_do(make_case, published):
    table, text = make_case("bold5000")
    table = _inferred(table)
    figure = intervals(table, text)
    assert len(figure.axes) == 10
    for i, ax in enumerate(figure.axes):
        rows = table.iloc[5 * i : 5 * i + 5]
        segments = np.array(_of(ax.collections, "ci")[0].get_segments())
        np.testing.assert_allclose(segments[:, :, 0], np.arange(5)[:, None] * np.ones(2))
        np.testing.assert_allclose(segments[:, :, 1], rows[["ci_low", "ci_high"]])
        np.testing.assert_allclose(_of(ax.lines, "profile")[0].get_ydata(), published[0, i])


def test_markers_are_filled_where_q_is_low(make_case):
    table, text = make_case("bold5000")
    table = _inferred(table).assign(q=[0.01, 0.049, 0.05, 0.9, np.nan] * 10)
    ax = intervals(table, text).axes[3]
    filled, opened, untested = (
        _of(ax.lines, kind)[0] for kind in ("significant", "not-significant", "untested")
    )
    assert [list(line.get_xdata()) for line in (filled, opened, untested)] == [[0, 1], [2, 3], [4]]
    assert to_rgba(filled.get_markerfacecolor()) == to_rgba(mean_colour())
    assert to_rgba(opened.get_markerfacecolor()) == to_rgba("white")
    assert untested.get_markersize() < filled.get_markersize()


def test_without_tests_and_intervals_neither_is_spoken_of(make_case):
    table, text = make_case("bold5000")
    table = _inferred(table, (np.nan, np.nan))
    table[["q", "ci_low"]] = np.nan
    figure = intervals(table, text)
    assert not figure.legends
    note = _note(figure)
    assert not any(word in note for word in ("q <", "CI", "ceiling", "thin"))


def test_near_ceilings_are_bands(make_case):
    table, text = make_case("bold5000")
    table = _inferred(table)
    table.loc[table["roi"] == "LHLOC", ["ceiling_low", "ceiling_high"]] = [0.03, 0.1]
    table.loc[table["roi"] == "LHOPA", "ceiling_low"] = np.nan
    table.loc[table["roi"].eq("LHPPA") & table["depth"].eq(2), "ceiling_high"] = 0.09
    figure = intervals(table, text)
    bands = [_of(ax.patches, "ceiling") for ax in figure.axes]
    assert [len(band) for band in bands] == [1, 1, 0] + [1] * 7
    for band, low, high in ((bands[0], 0.06, 0.08), (bands[1], 0.03, 0.1)):
        values, edges, baseline = band[0].get_data()
        np.testing.assert_array_equal(edges, np.arange(6) - 0.5)
        np.testing.assert_allclose(values, high)
        np.testing.assert_allclose(baseline, low)
    np.testing.assert_allclose(bands[3][0].get_data().values, [0.08, 0.09, 0.08, 0.08, 0.08])
    assert "grey band: noise ceiling" in _note(figure)
    assert len({ax.get_ylim() for ax in figure.axes}) == 1


def test_far_ceilings_are_written_and_leave_the_axis_to_the_scores(make_case):
    table, text = make_case("bold5000")
    table = _inferred(table, (0.214, 0.342))
    figure = intervals(table, text)
    without = intervals(_inferred(make_case("bold5000")[0], (np.nan, np.nan)), text)
    assert not any(_of(ax.patches, "ceiling") for ax in figure.axes)
    assert _written(figure).count("ceiling .21–.34") == 10
    assert "noise ceiling: written above each panel" in _note(figure)
    assert figure.axes[0].get_ylim() == without.axes[0].get_ylim()
    assert "ceiling" not in _note(without)


def test_one_far_ceiling_has_all_written(make_case):
    table, text = make_case("bold5000")
    table = _inferred(table)
    table.loc[table["roi"] == "RHRSC", "ceiling_high"] = 0.5
    written = [t for t in _written(intervals(table, text)) if t.startswith("ceiling")]
    assert sorted(written) == ["ceiling .06–.08"] * 9 + ["ceiling .06–.50"]


def test_hemispheres_stand_below_each_other(make_case):
    table, text = make_case("bold5000")
    boxes = [ax.get_position() for ax in intervals(_inferred(table), text).axes]
    for left, right in zip(boxes[:5], boxes[5:], strict=True):
        assert left.x0 == pytest.approx(right.x0)
        assert left.y0 > right.y1
    assert len({round(box.y0, 9) for box in boxes}) == 2


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("absent", ["LHEarlyVis", "RHEarlyVis"])
def test_a_region_may_lack_a_hemisphere(make_case, absent):
    table, text = make_case("bold5000")
    table = table[table["roi"] != absent].reset_index(drop=True)
    table["layer"] = "a long name of " + table["layer"]
    check_legible(PLOT["intervals"], (table, text))


@pytest.mark.parametrize("name", ["intervals", "comparisons"])
def test_names_under_a_short_column_stand_upright(make_case, name):
    table, text = make_case("bold5000")
    table = table[table["roi"] != "RHOPA"].assign(hemisphere="").reset_index(drop=True)
    table = table[table["depth"] < 4].assign(layer="a_long_name_of_" + table["layer"])
    drawn = []
    check_legible(lambda *case: drawn.append(PLOT[name](*case)) or drawn[0], (table, text))
    axes = drawn[0].axes[:9]
    assert {label.get_rotation() for ax in axes for label in ax.get_xticklabels()} <= {0, 90}


def test_subjects_are_thin_lines_whatever_their_order(make_case, make_bold5000, published):
    table = _inferred(make_bold5000(published.mean(axis=0, keepdims=True), ("group",)))
    subjects = make_bold5000(published, ("1", "2", "3"))
    subjects = subjects.sample(frac=1, random_state=0).sort_values("subject")
    figure = intervals(table, make_case("bold5000")[1], subjects)
    for i, ax in enumerate(figure.axes):
        lines = [_of(ax.lines, f"subject-{k}")[0].get_ydata() for k in range(3)]
        np.testing.assert_allclose(lines, published[:, i])
    assert "thin: each of 3 subjects" in _note(figure)


def test_the_caption_says_what_whiskers_are(make_case):
    table, text = make_case("bold5000")
    note = _note(intervals(_inferred(table), text, level=0.9))
    assert "whiskers: 90 % CI (t(2) dual bootstrap)" in note
    assert "q < 0.05 (FDR over 50 tests)" in note
    note = _note(intervals(_inferred(table).assign(ci_method=""), text, level=0.995))
    assert "whiskers: 99.5 % CI;" in note
    with pytest.raises(ValueError, match="level is 95: expected a coverage between 0 and 1"):
        intervals(_inferred(table), text, level=95)


# comparisons


def _matrix(ax):
    return np.ma.filled(ax.images[0].get_array(), np.nan)


def test_matrices_are_row_minus_column(make_case, published):
    table, text = make_case("bold5000")
    pairs = _compared(table)
    turned = pairs.sample(frac=0.5, random_state=0).index  # as if given as b against a
    pairs.loc[turned, ["a", "b"]] = pairs.loc[turned, ["b", "a"]].to_numpy()
    pairs.loc[turned, "difference"] *= -1
    figure = comparisons(pairs, table, text)
    matrices = np.array([_matrix(ax) for ax in figure.axes[:10]])
    expected = published[0, :, :, None] - published[0, :, None, :]
    np.testing.assert_allclose(matrices, expected, atol=1e-15)
    norm = figure.axes[0].images[0].norm
    assert (norm.vmin, norm.vmax) == pytest.approx((-expected.max(), expected.max()))
    assert "red: the row's layer matches better" in _note(figure)


def test_marks_are_where_q_is_low(make_case):
    table, text = make_case("bold5000")
    pairs = _compared(table)
    figure = comparisons(pairs, table, text)
    for i, ax in enumerate(figure.axes[:10]):
        low = pairs[pairs["within"].eq(table["roi"][5 * i]) & (pairs["q"] < 0.05)]
        places = {(LAYERS.index(a), LAYERS.index(b)) for a, b in low[["a", "b"]].to_numpy()}
        expected = places | {(b, a) for a, b in places}
        marks = _of(ax.collections, "significant")[0].get_offsets()
        assert {(int(y), int(x)) for x, y in marks} == expected
    assert "∗: q < 0.05 (FDR over 100 tests)" in _note(figure)
    none = comparisons(pairs.assign(q=0.5), table, text)
    assert not any(_of(ax.collections, "significant") for ax in none.axes)
    assert "no difference has q < 0.05" in _note(none)


@pytest.mark.parametrize("case_name", ["bold5000", "bures", "many"])
def test_the_best_layer_of_each_roi_is_bold(make_case, case_name):
    table, text = make_case(case_name)
    table = table[table["roi"].isin(table["roi"].unique()[:10])].reset_index(drop=True)
    figure = comparisons(_compared(table), table, text)
    n_roi = table["roi"].nunique()
    bold = [
        [label.get_text() for label in ax.get_yticklabels() if label.get_fontweight() == "bold"]
        for ax in figure.axes[:n_roi]
    ]
    scores = table["score"].to_numpy().reshape(n_roi, -1)
    best = scores.argmax(axis=1) if text.greater_is_better else scores.argmin(axis=1)
    assert bold == [[table["layer"][i]] for i in best]


def test_undefined_differences_are_grey(make_case):
    table, text = make_case("some_undefined")
    figure = comparisons(_compared(table), table, text)
    undefined = np.isnan(_matrix(figure.axes[0]))
    expected = np.zeros((5, 5), dtype=bool)
    expected[3], expected[:, 3] = True, True
    expected[3, 3] = False
    np.testing.assert_array_equal(undefined, expected)
    assert "grey: no score is defined" in _note(figure)


def test_bad_comparisons_are_refused(make_case):
    table, text = make_case("bold5000")
    pairs = _compared(table)
    with pytest.raises(NothingToPlot, match="no layers are compared"):
        comparisons(pairs[pairs["kind"] == "rois"], table[table["layer"] == "conv1"], text)
    with pytest.raises(ValueError, match="have 'V9' under 'within', the score table has LHEarly"):
        comparisons(pairs.replace("LHLOC", "V9"), table, text)
    twice = pairs.iloc[:1].rename(columns={"a": "b", "b": "a"})
    with pytest.raises(ValueError, match="a pair of layers twice"):
        comparisons(pd.concat([pairs, twice]), table, text)


# best layers


def _bars(ax, start):
    """Left end and width of each segment, by ROI and layer."""
    segments = {}
    for patch in ax.patches:
        gid = patch.get_gid() or ""
        if gid.startswith(start):
            segments[tuple(map(int, gid.split("-")[1:]))] = (patch.get_x(), patch.get_width())
    return segments


@pytest.mark.parametrize(
    ("start", "name"), [("boot", "boot_frequency"), ("split", "split_frequency")]
)
def test_segments_are_frequencies(make_case, start, name):
    table, text = make_case("bold5000")
    table = _chosen(table)
    segments = _bars(best_layers(table, text).axes[0], start)
    shares = 100 * table[name].to_numpy().reshape(10, 5)
    assert len(segments) == 50
    for (roi, layer), (left, width) in segments.items():
        assert left == pytest.approx(shares[roi, :layer].sum())
        assert width == pytest.approx(shares[roi, layer])


def test_percentages_and_agreement_are_written(make_case):
    table, text = make_case("bold5000")
    table = _chosen(table)
    shares = np.tile([0.0, 0.02, 0.1, 0.876, 0.004], 10)
    table = table.assign(boot_frequency=shares, split_agreement=np.repeat(np.arange(10) / 9, 5))
    figure = best_layers(table, text)
    written = [text.get_text() for text in _of(figure.axes[0].texts, "share")]
    assert written == ["10 %", "layer3 88 %"] * 10
    agreement = [text for text in _written(figure) if text.startswith("agree")]
    assert agreement == [f"agree {100 * k / 9:.0f} %" for k in range(10)]


def test_the_best_layer_of_all_images_is_outlined(make_case, published):
    table, text = make_case("bold5000")
    figure = best_layers(_chosen(table), text)
    boxes = [p for p in figure.axes[0].patches if (p.get_gid() or "").startswith("best-")]
    best = [int(box.get_gid().split("-")[1]) for box in boxes[::2]]
    np.testing.assert_array_equal(best, published[0].argmax(axis=1))


@pytest.mark.parametrize(
    ("absent", "said"),
    [("split_frequency", "bootstrap samples"), ("boot_frequency", "split halves")],
)
def test_one_of_the_frequencies_may_be_absent(make_case, absent, said):
    table, text = make_case("bold5000")
    figure = best_layers(_chosen(table).assign(**{absent: np.nan}), text)
    assert f"bars: {said}" in _note(figure)
    assert not any(words in _note(figure) for words in ("thick", "thin"))
    heights = {p.get_height() for p in figure.axes[0].patches if isinstance(p, Rectangle)}
    assert len({round(height, 9) for height in heights}) == 1


def test_without_any_frequency_there_is_no_figure(make_case):
    table, text = make_case("bold5000")
    with pytest.raises(
        NothingToPlot, match="neither boot_frequency nor split_frequency has a value"
    ):
        best_layers(_chosen(table).assign(boot_frequency=np.nan, split_frequency=np.nan), text)


def test_an_roi_without_a_best_layer_is_hatched(make_case):
    table, text = make_case("some_undefined")
    ax = best_layers(_chosen(table), text).axes[0]
    hatched = [patch for patch in ax.patches if patch.get_hatch()]
    assert [patch.get_gid() for patch in hatched] == ["undefined-boot-9", "undefined-split-9"]


# null


@pytest.mark.parametrize("n_perm", [19, 20, 39, 59, 99, 100, 1000])
@pytest.mark.parametrize("greater_is_better", [True, False])
def test_beyond_the_threshold_is_p_below_five_percent(n_perm, greater_is_better):
    null = np.random.default_rng(n_perm).normal(size=n_perm)
    sign = 1.0 if greater_is_better else -1.0
    critical = threshold(null, greater_is_better=greater_is_better)
    values = np.concatenate([null, null + 1e-9, null - 1e-9, [99.0, -99.0]])
    p = ((sign * null >= sign * values[:, None]).sum(axis=1) + 1) / (n_perm + 1)
    if critical is None:
        assert (p >= 0.05).all()
    else:
        np.testing.assert_array_equal(sign * values > sign * critical, p < 0.05)


def test_the_histogram_counts_the_null(make_case):
    table, text = make_case("bold5000")
    null = _null(table)
    figure = permutation(_inferred(table), np.append(null, np.nan), text)
    top, strip = figure.axes
    values, edges, _ = _of(top.patches, "null")[0].get_data()
    np.testing.assert_array_equal(values, np.histogram(null, edges)[0])
    assert values.sum() == 500
    critical = np.sort(null)[-25]
    for ax in (top, strip):
        np.testing.assert_allclose(_of(ax.lines, "threshold")[0].get_xdata(), critical)
    assert "each of 500 permutations" in _note(figure)


def test_observed_scores_are_coloured_by_their_test(make_case):
    table, text = make_case("bold5000")
    table = _inferred(table).assign(p_fwe=[0.001, 0.049, 0.05, 0.6, 0.001] * 10)
    figure = permutation(table, _null(table), text)
    strip = figure.axes[1]
    for gid, colour, which in (
        ("score with p_fwe < 0.05", mean_colour(), [0, 1, 4]),
        ("p_fwe ≥ 0.05", GREY, [2, 3]),
    ):
        ticks = _of(strip.collections, gid)[0]
        expected = table["score"].to_numpy().reshape(10, 5)[:, which].ravel()
        np.testing.assert_allclose([s[0, 0] for s in ticks.get_segments()], expected)
        assert to_rgba(ticks.get_edgecolor()[0], 1.0) == to_rgba(colour)
    assert "30 of 50 scores exceed its dashed line (p_fwe < 0.05)" in _note(figure)


def test_the_best_score_is_marked(make_case):
    table, text = make_case("bold5000")
    figure = permutation(_inferred(table), _null(table), text)
    assert _of(figure.axes[1].lines, "observed")[0].get_xdata()[0] == 0.058
    assert "observed max .058: RHLOC, layer3" in _written(figure)
    table, text = make_case("bures")
    null = np.random.default_rng(0).normal(1.2, 0.01, 1000)
    figure = permutation(_inferred(table), null, text)
    best = table["score"].min()
    assert _of(figure.axes[1].lines, "observed")[0].get_xdata()[0] == pytest.approx(best)
    assert _of(figure.axes[0].lines, "threshold")[0].get_xdata()[0] == np.sort(null)[49]
    assert "least score" in _note(figure)
    assert any(text.startswith("5 %: 1.1") for text in _written(figure))


def test_a_null_far_from_the_scores_has_its_own_axis(make_case):
    table, text = make_case("bold5000")
    null = np.random.default_rng(0).normal(0, 0.001, (500, 20)).max(axis=1)
    top, strip = permutation(_inferred(table), null, text).axes
    assert np.ptp(top.get_xlim()) < 2 * np.ptp(null) < np.ptp(strip.get_xlim()) / 3
    assert strip.get_xlim()[1] > 0.058
    top, strip = permutation(_inferred(table), null * 10, text).axes
    assert top.get_xlim() == strip.get_xlim()


def test_too_few_permutations_have_no_threshold(make_case):
    table, text = make_case("bold5000")
    figure = permutation(_inferred(table).assign(p_fwe=0.1), np.full(9, 0.004), text)
    assert not any(_of(ax.lines, "threshold") for ax in figure.axes)
    assert "0 of 50 scores have p_fwe < 0.05, too few permutations for any" in _note(figure)
    values, edges, _ = _of(figure.axes[0].patches, "null")[0].get_data()
    assert list(values) == [9]
    assert edges.mean() == pytest.approx(0.004)


def test_a_null_without_values_is_refused(make_case):
    table, text = make_case("bold5000")
    with pytest.raises(NothingToPlot, match="no permutation has a score"):
        permutation(_inferred(table), np.full(3, np.nan), text)
