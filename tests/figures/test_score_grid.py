"""The table as arrays: order, means, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from rsa_exp.figures.layout.score_grid import ScoreGrid, mean_sem


def test_order_and_values_do_not_depend_on_the_rows_order(make_bold5000, published):
    table = make_bold5000(published, ("1", "2", "3"))
    shuffled = table.sample(frac=1, random_state=0)
    grid = ScoreGrid.of(shuffled)
    assert grid.layers == ("conv1", "layer1", "layer2", "layer3", "layer4")
    assert grid.rois == tuple(dict.fromkeys(shuffled["roi"]))
    ordered = ScoreGrid.of(table)
    np.testing.assert_array_equal(ordered.scores, published)
    for i, roi in enumerate(grid.rois):
        subjects = [ordered.subjects.index(s) for s in grid.subjects]
        expected = published[subjects, ordered.rois.index(roi)]
        np.testing.assert_array_equal(grid.scores[:, i], expected)


def test_what_is_absent_or_infinite_is_undefined(make_bold5000):
    table = make_bold5000().drop(index=7)
    table.loc[9, "score"] = np.inf
    scores = ScoreGrid.of(table).scores[0]
    assert np.isnan(scores[1, 2])
    assert np.isnan(scores[1, 4])
    assert np.isnan(scores).sum() == 2


def test_annotation_may_be_missing(make_bold5000):
    table = make_bold5000()
    grid = ScoreGrid.of(table.drop(columns=["hemisphere", "region", "level"]))
    assert set(grid.hemispheres) == set(grid.regions) == set(grid.levels) == {""}
    assert grid.regions_or_rois == grid.rois


def test_mean_and_sem_are_numpys():
    values = np.random.default_rng(0).normal(size=(4, 3, 5))
    mean, sem = mean_sem(values)
    np.testing.assert_allclose(mean, values.mean(axis=0))
    np.testing.assert_allclose(sem, values.std(axis=0, ddof=1) / 2)


def test_mean_and_sem_of_what_is_defined():
    values = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    mean, sem = mean_sem(values)
    np.testing.assert_array_equal(mean, [2.0, 5.0, np.nan])
    np.testing.assert_array_equal(sem, [1.0, np.nan, np.nan])


def test_by_region_averages_within_a_hemisphere_first(make_bold5000):
    table = make_bold5000()
    extra = table[table["roi"] == "LHLOC"].assign(roi="LHLOC2", score=1.0)
    regions = ScoreGrid.of(pd.concat([table, extra])).by_region()
    assert regions.names == ("EarlyVis", "LOC", "OPA", "PPA", "RSC")
    left, right = (1.0 + 0.012) / 2, 0.019
    np.testing.assert_allclose(regions.scores[0, 1, :, 0], [left, right])
    np.testing.assert_allclose(regions.over_hemispheres[0, 1, 0], (left + right) / 2)


def test_bad_tables_are_refused(make_bold5000):
    table = make_bold5000()
    with pytest.raises(ValueError, match="lacks the columns layer, score"):
        ScoreGrid.of(table.drop(columns=["layer", "score"]))
    with pytest.raises(ValueError, match="no rows"):
        ScoreGrid.of(table.iloc[:0])
    with pytest.raises(ValueError, match="more than one score for subject 1, ROI 'LHEarlyVis'"):
        ScoreGrid.of(pd.concat([table, table.iloc[:1]]))
    with pytest.raises(ValueError, match="one metric, the table has pearson, spearman"):
        ScoreGrid.of(pd.concat([table, table.assign(metric="spearman", subject="2")]))
    with pytest.raises(ValueError, match="mixes 'joint'"):
        ScoreGrid.of(pd.concat([table, table.assign(subject="joint")]))
