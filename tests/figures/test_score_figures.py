"""The numbers that each figure shows are the table's."""

import numpy as np
import pytest
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import to_rgba
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.patches import Rectangle
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from rsa_exp.figures import FIGURES, FigureText, Tables
from rsa_exp.figures.layout.line_names import spread_apart
from rsa_exp.figures.layout.score_scale import ScoreScale
from rsa_exp.figures.layout.style import layer_colours
from rsa_exp.figures.layout.text import fit_width, shorten, text_width, wrap
from rsa_exp.figures.of_result.radar import evenly_spaced
from rsa_exp.figures.of_result.scatter import best_rois


def _plot(name, table, text):
    return FIGURES[name](Tables(table, text))


def _by_gid(artists, start):
    return {a.get_gid(): a for a in artists if (a.get_gid() or "").startswith(start)}


def _number(written):
    return float(written.replace("−", "-"))


def _outlined(figure):
    return {tuple(map(int, gid.split("-")[1:])) for gid in _by_gid(figure.axes[0].patches, "best-")}


# heatmap


def test_heatmap_writes_the_scores(make_case, published):
    ax = _plot("heatmap", *make_case("bold5000")).axes[0]
    cells = _by_gid(ax.texts, "cell-")
    written = [[_number(cells[f"cell-{i}-{j}"].get_text()) for j in range(5)] for i in range(10)]
    np.testing.assert_allclose(written, published[0], atol=1e-9)
    mesh = next(c for c in ax.collections if isinstance(c, QuadMesh))
    np.testing.assert_allclose(np.ravel(mesh.get_array()), published[0].ravel())


def test_heatmap_writes_mean_and_sem_of_subjects(make_case, published):
    ax = _plot("heatmap", *make_case("three_subjects")).axes[0]
    cells = _by_gid(ax.texts, "cell-")
    mean, sem = cells["cell-6-3"].get_text().split("\n±")
    assert _number(mean) == pytest.approx(published[:, 6, 3].mean(), abs=5.1e-4)
    expected = published[:, 6, 3].std(ddof=1) / np.sqrt(3)
    assert _number(sem) == pytest.approx(expected, abs=5.1e-4)


def test_heatmap_outlines_the_best_layer(make_case, published):
    expected = {(i, int(published[0, i].argmax())) for i in range(10)}
    assert _outlined(_plot("heatmap", *make_case("bold5000"))) == expected
    table, _ = make_case("bold5000")
    lower = FigureText("", "", "Distance", greater_is_better=False)
    expected = {(i, int(published[0, i].argmin())) for i in range(10)}
    assert _outlined(_plot("heatmap", table, lower)) == expected


def test_heatmap_outlines_ties_and_never_an_undefined_score(make_case):
    table, text = make_case("bold5000")
    table = table[table["depth"] <= 3].reset_index(drop=True)
    table["score"] = [1.0, 2.0, 2.0 - 1e-13, np.nan, 0.0, -1.0, *[np.nan] * 3, *[0.0, 1.0, 0.5] * 7]
    expected = {(0, 1), (0, 2), (1, 1), *((i, 1) for i in range(3, 10))}
    assert _outlined(_plot("heatmap", table, text)) == expected


def test_heatmap_hatches_what_is_undefined(make_case):
    table, text = make_case("some_undefined")
    ax = _plot("heatmap", table, text).axes[0]
    hatched = [p for p in ax.patches if isinstance(p, Rectangle) and p.get_hatch()]
    undefined = int(table["score"].isna().sum())
    assert len(hatched) == undefined
    written = [text.get_text() for text in _by_gid(ax.texts, "cell-").values()]
    assert written.count("n/a") == undefined


@pytest.mark.parametrize(
    ("name", "colour_map", "limits"),
    [
        ("bold5000", "viridis", (0.0, 0.058)),
        ("mixed_signs", "RdBu_r", (-0.033, 0.033)),
        ("riemann", "viridis", (-41.76, -38.52)),
        ("bures", "viridis_r", (0.968, 1.184)),
    ],
)
def test_colours_follow_the_signs_of_the_scores(make_case, name, colour_map, limits):
    table, text = make_case(name)
    cmap, norm = ScoreScale.of(table["score"].to_numpy(), text).colours
    assert cmap.name == colour_map
    assert (norm.vmin, norm.vmax) == pytest.approx(limits)


@pytest.mark.parametrize(
    ("values", "value", "written"),
    [
        ([0.004, 0.058], 0.053, ".053"),
        ([0.1, 0.6], 0.45, ".45"),
        ([-0.03, 0.05], -0.0071, "−.007"),
        ([-0.03, 0.05], -0.0001, ".000"),
        ([-41.8, -38.5], -40.123, "−40.1"),
        ([0.2, 1.2], 0.45, "0.45"),
        ([1e-6, 9e-6], 4.32e-6, "4.3"),
        ([0.5, 0.5], 0.5, ".50"),
        ([100.0, 9000.0], 450.0, "450"),
    ],
)
def test_numbers_have_as_many_decimals_as_the_range_needs(values, value, written):
    scale = ScoreScale.of(np.array(values), FigureText("", "", "r"))
    assert scale.number(value) == written


def test_small_scores_are_written_with_their_power_of_ten():
    scale = ScoreScale.of(np.array([1e-6, 9e-6]), FigureText("", "", "r"))
    assert scale.label == "r (×10⁻⁶)"
    assert scale.tick_labels[-1] in {"8", "9"}


# bars


def _bar_heights(figure):
    """Array of shape (n_region, n_layer)."""
    columns = [
        [bar for c in ax.containers if isinstance(c, BarContainer) for bar in [list(c)]]
        for ax in figure.axes
    ]
    return np.hstack([[[b.get_height() for b in bars] for bars in ax] for ax in columns]).T


def test_bars_are_means_over_hemispheres(make_case, published):
    figure = _plot("bars", *make_case("bold5000"))
    expected = (published[0, :5] + published[0, 5:]) / 2
    np.testing.assert_allclose(_bar_heights(figure), expected)


def test_bars_show_each_hemisphere_and_no_error_bars(make_case, published):
    ax = _plot("bars", *make_case("bold5000")).axes[0]
    assert not any(isinstance(c, ErrorbarContainer) for c in ax.containers)
    markers = {
        line.get_marker(): line.get_ydata() for line in ax.lines if len(line.get_ydata()) == 25
    }
    np.testing.assert_allclose(markers["<"], published[0, :5].ravel())
    np.testing.assert_allclose(markers[">"], published[0, 5:].ravel())


def test_bars_of_subjects_have_sem(make_case, published):
    ax = _plot("bars", *make_case("three_subjects")).axes[0]
    of_subjects = (published[:, :5] + published[:, 5:]) / 2
    bars = [c for c in ax.containers if isinstance(c, BarContainer)]
    errors = [c for c in ax.containers if isinstance(c, ErrorbarContainer)]
    assert len(bars) == len(errors) == 5
    for layer, (bar, error) in enumerate(zip(bars, errors, strict=True)):
        mean = of_subjects[..., layer].mean(axis=0)
        sem = of_subjects[..., layer].std(axis=0, ddof=1) / np.sqrt(3)
        np.testing.assert_allclose([b.get_height() for b in bar], mean)
        ends = np.array(error.lines[2][0].get_segments())[:, :, 1]
        np.testing.assert_allclose(ends, np.stack([mean - sem, mean + sem], axis=1))


def test_each_roi_without_a_region_is_a_group(make_case):
    table, text = make_case("many")
    heights = _bar_heights(_plot("bars", table, text))
    np.testing.assert_allclose(heights, table["score"].to_numpy().reshape(33, 19))


def test_undefined_bars_are_hatched_and_not_zero(make_case):
    table, text = make_case("bold5000")
    table.loc[table["region"].eq("LOC") & table["layer"].eq("layer2"), "score"] = np.nan
    ax = _plot("bars", table, text).axes[0]
    bars = [c for c in ax.containers if isinstance(c, BarContainer)]
    assert [len(c) for c in bars] == [5, 5, 4, 5, 5]
    assert len(_by_gid(ax.patches, "undefined")) == 1


def test_no_bars_from_a_zero_that_means_nothing(make_case):
    table, text = make_case("riemann")
    ax = _plot("bars", table, text).axes[0]
    assert not any(isinstance(c, BarContainer) for c in ax.containers)
    levels = np.array([c.get_segments()[0][0][1] for c in ax.collections])
    scores = table["score"].to_numpy().reshape(2, 5, 5)
    np.testing.assert_allclose(levels, scores.mean(axis=0)[0])
    assert ax.get_ylim()[1] < 0


# profiles


def test_profiles_of_one_subject_are_its_rois(make_case, published):
    figure = _plot("profiles", *make_case("bold5000"))
    assert [t.get_text() for t in figure.texts if t.get_text() in {"early", "mid", "high"}] == [
        "early", "mid", "high",
    ]  # fmt: skip
    lines = [[x for x in ax.lines if x.get_marker() not in {"None", ""}] for ax in figure.axes]
    assert [len(x) for x in lines] == [2, 2, 6]
    members = ([0, 5], [1, 6], [2, 3, 4, 7, 8, 9])
    for drawn, rois in zip(lines, members, strict=True):
        np.testing.assert_allclose([x.get_ydata() for x in drawn], published[0, rois])
    assert not any(isinstance(c, PolyCollection) for ax in figure.axes for c in ax.collections)
    assert not any(ax.containers for ax in figure.axes)


def test_profiles_of_subjects_have_numpys_mean_and_sem(make_case, published):
    figure = _plot("profiles", *make_case("three_subjects"))
    members = ([0, 5], [1, 6], [2, 3, 4, 7, 8, 9])
    for ax, rois in zip(figure.axes, members, strict=True):
        of_subjects = published[:, rois].mean(axis=1)
        mean = of_subjects.mean(axis=0)
        sem = of_subjects.std(axis=0, ddof=1) / np.sqrt(3)
        np.testing.assert_allclose(_by_gid(ax.lines, "mean")["mean"].get_ydata(), mean)
        vertices = _by_gid(ax.collections, "sem")["sem"].get_paths()[0].vertices
        for layer in range(5):
            edges = vertices[vertices[:, 0] == layer, 1]
            assert edges.min() == pytest.approx(mean[layer] - sem[layer])
            assert edges.max() == pytest.approx(mean[layer] + sem[layer])


def test_undefined_scores_are_gaps(make_case):
    figure = _plot("profiles", *make_case("some_undefined"))
    first = next(x for x in figure.axes[0].lines if x.get_marker() == "o")
    np.testing.assert_array_equal(np.isnan(first.get_ydata()), [False] * 3 + [True, False])


def test_unknown_levels_come_last(make_case):
    table, text = make_case("bold5000")
    table["level"] = table["level"].replace({"mid": "", "early": "V9"})
    figure = _plot("profiles", table, text)
    titles = [t.get_text() for t in figure.texts]
    assert [t for t in titles if t in {"high", "V9", "no level"}] == ["high", "V9", "no level"]


def test_names_are_spread_apart_as_little_as_possible():
    wanted = np.array([0.5, 0.52, 0.1, 0.51])
    placed = spread_apart(wanted, 0.1, 0.0, 1.0)
    np.testing.assert_allclose(placed, [0.41, 0.61, 0.1, 0.51])
    assert (np.diff(np.sort(spread_apart(np.ones(5), 0.2, 0.0, 1.0))) >= 0.2 - 1e-12).all()
    assert spread_apart(np.ones(5), 0.2, 0.0, 1.0).max() <= 1.0 + 1e-12


# scatter


def test_scatter_shows_the_rois_with_the_best_scores(make_case, published):
    figure = _plot("scatter", *make_case("bold5000"))
    best = np.sort(np.argsort(-published[0].max(axis=1), kind="stable")[:8])
    points = _by_gid(figure.axes[0].lines, "roi-")
    assert len(points) == 8
    for k, roi in enumerate(best):
        np.testing.assert_allclose(points[f"roi-{k}"].get_ydata(), published[0, roi])
    markers = {line.get_marker() for line in points.values()}
    assert len(markers) == 8
    note = next(t.get_text() for t in figure.texts if t.get_gid() == "note")
    assert note.startswith("the 8 of 10 ROIs with the highest best-layer score")


def test_best_rois_follow_the_direction():
    mean = np.array([[0.1, 0.9], [np.nan, np.nan], [0.5, 0.4], [0.2, np.nan]])
    assert best_rois(mean, 2, greater_is_better=True) == [0, 2]
    assert best_rois(mean, 2, greater_is_better=False) == [0, 3]
    assert best_rois(mean, 8, greater_is_better=True) == [0, 1, 2, 3]


# radar


def test_radar_has_a_circle_a_hemisphere_and_closed_lines(make_case, published):
    figure = _plot("radar", *make_case("bold5000"))
    assert [ax.name for ax in figure.axes] == ["polar", "polar"]
    for side, ax in enumerate(figure.axes):
        lines = _by_gid(ax.lines, "layer-")
        for layer in range(5):
            scores = published[0, 5 * side : 5 * side + 5, layer]
            closed = np.append(scores, scores[0])
            np.testing.assert_allclose(lines[f"layer-{layer}"].get_ydata(), closed)
        assert ax.get_rmin() == 0


def test_radar_of_negative_scores_starts_below_them_and_shows_zero(make_case):
    ax = _plot("radar", *make_case("mixed_signs")).axes[0]
    assert ax.get_rmin() <= -0.021
    assert "zero" in _by_gid(ax.lines, "zero")
    riemann = _plot("radar", *make_case("riemann")).axes[0]
    assert riemann.get_rmin() <= -41.76
    assert not _by_gid(riemann.lines, "zero")


def test_radar_of_few_axes_is_bars(make_case):
    table, text = make_case("categories")
    figure = _plot("radar", table, text)
    assert [ax.name for ax in figure.axes] == ["rectilinear"]
    np.testing.assert_allclose(_bar_heights(figure)[0], table["score"])
    note = next(t.get_text() for t in figure.texts if t.get_gid() == "note")
    assert "fewer than three regions: bars instead of a radar" in note


def test_evenly_spaced_includes_first_and_last():
    assert evenly_spaced(19, 6) == [0, 4, 7, 11, 14, 18]
    assert evenly_spaced(5, 6) == [0, 1, 2, 3, 4]
    assert evenly_spaced(1, 6) == [0]


# surface


@pytest.fixture
def patches(monkeypatch):
    """Corners (layer, ROI, score) of the patches that a surface is drawn with."""
    corners = []

    def record(verts, **options):
        corners.extend(verts)
        return Poly3DCollection(verts, **options)

    monkeypatch.setattr("rsa_exp.figures.of_result.surface.Poly3DCollection", record)
    return corners


def test_surface_has_a_patch_where_all_corners_are_defined(make_case, published, patches):
    _plot("surface", *make_case("bold5000"))
    assert len(patches) == 9 * 4
    x, y, z = np.array(patches).reshape(-1, 3).T
    np.testing.assert_array_equal(z, published[0][y.astype(int), x.astype(int)])


def test_surface_leaves_holes(make_case, patches):
    table, text = make_case("bold5000")
    table.loc[table["roi"].eq("LHOPA") & table["layer"].eq("layer2"), "score"] = np.nan
    _plot("surface", table, text)
    assert len(patches) == 9 * 4 - 4


def test_one_roi_has_no_surface(make_case, patches):
    _plot("surface", *make_case("categories"))
    assert not patches


# text


def test_shortened_names_stay_distinct():
    names = ["a" * 30 + c + "b" * 30 for c in "xyz"]
    short = shorten(names, 10)
    assert len(set(short)) == 3
    assert shorten(["short", "n" * 30], 10) == ("short", "nnnnn…nnnn")


def test_wrapped_lines_fit():
    lines = wrap("words and a/path/" + "p" * 200, 2.0, 7)
    assert all(text_width(line, 7) <= 2.0 for line in lines)
    assert "".join(lines).replace(" ", "") == "wordsanda/path/" + "p" * 200
    assert text_width(fit_width("n" * 99, 1.0, 7), 7) <= 1.0


def test_layers_are_told_apart_on_white():
    for n in (1, 2, 5, 19):
        colours = layer_colours(n)
        assert len(set(colours)) == n
        assert all(sum(to_rgba(c)[:3]) < 2.0 for c in colours)
