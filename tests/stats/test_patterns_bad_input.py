"""Patterns that cannot be used are refused in one line that says what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rsa_exp.errors import InputError
from rsa_exp.stats.patterns.measurements import Measurements, PatternOptions
from rsa_exp.stats.patterns.prepare import prepare

IMAGES = np.tile(np.arange(6), 2)
RUNS = np.repeat([0, 1], 6)
VALUES = np.random.default_rng(0).standard_normal((12, 4))
GOOD = Measurements(VALUES, IMAGES, 6, RUNS)
CONSTANT = np.ones((12, 4))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"values": VALUES[0]}, "shape (4,)"),
        ({"values": VALUES.astype(complex)}, "complex128"),
        ({"values": VALUES.astype(object)}, "object"),
        ({"values": VALUES[:0], "images": IMAGES[:0], "runs": None}, "shape (0, 4)"),
        ({"values": VALUES.T}, "transposed"),
        ({"images": IMAGES.astype(float)}, "float64"),
        ({"runs": RUNS[:-1]}, "runs are an array of shape (11,)"),
        ({"n_image": 5}, "from 0 to 4"),
        ({"images": IMAGES - 1}, "numbered from -1"),
    ],
)
def test_arrays_that_do_not_fit(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        replace(GOOD, **change)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"distance": "corelation"}, "did you mean 'correlation'"),
        ({"noise": "ledoit"}, "noise=ledoit"),
        ({"folds": "all"}, "folds=all"),
        ({"zscore": "images"}, "zscore=images"),
        ({"distance": "mahalanobis"}, "noise=shrinkage_diag"),
        ({"distance": "euclidean", "noise": "full"}, "distance=mahalanobis"),
        ({"distance": "poisson", "zscore": "run"}, "zscore=none"),
        ({"min_reliability": 1.5}, "min_reliability=1.5"),
        ({"min_reliability": float("nan")}, "min_reliability=nan"),
        ({"min_reliability": True}, "min_reliability=True"),
        ({"min_reliability": "high"}, "min_reliability=high"),
    ],
)
def test_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        PatternOptions(**options)
    assert words in str(caught.value)


ONCE = {"values": VALUES[:6], "images": IMAGES[:6], "runs": RUNS[:6]}
WIDE = np.random.default_rng(1).standard_normal((12, 7))
HOLES = np.where(np.eye(12, 4, dtype=bool), np.nan, VALUES)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"values": VALUES * np.nan}, {}, "no row has a finite value"),
        ({"values": HOLES}, {}, "each of the 4 channels has values that are NaN"),
        ({"values": VALUES * 1e200}, {}, "no row has a finite value"),
        ({"values": CONSTANT}, {}, "0 of 6 images have a defined distance=correlation"),
        ({"values": CONSTANT * 0}, {"distance": "cosine"}, "(6 have a zero pattern)"),
        ({"values": CONSTANT}, {"zscore": "run"}, "no channel is left"),
        ({"runs": None}, {"zscore": "run"}, "zscore=run needs the run of each row"),
        ({"runs": np.arange(12)}, {"zscore": "run"}, "12 of 12 runs have one"),
        ({"runs": RUNS - 1}, {"zscore": "run"}, "6 of 12 rows have no run"),
        ({"runs": None}, {"distance": "crossnobis"}, "needs the run of each row"),
        ({"runs": RUNS - 1}, {"distance": "crossnobis"}, "6 of 12 rows have no run"),
        ({"runs": RUNS * 0}, {"distance": "crossnobis"}, "at least two runs"),
        ({}, {"distance": "crossnobis", "folds": "session"}, "needs the session of each row"),
        ({"runs": IMAGES % 2}, {"distance": "crossnobis"}, "(6 are in one run alone)"),
        ({}, {"distance": "poisson"}, "values are below 0"),
        (ONCE, {"distance": "mahalanobis", "noise": "full"}, "no image was measured twice"),
        (ONCE, {"min_reliability": 0.1}, "measured twice"),
        ({}, {"min_reliability": 1.0}, "the highest is"),
        ({"values": WIDE}, {"distance": "mahalanobis", "noise": "full"}, "noise=shrinkage_diag"),
        ({"values": CONSTANT}, {"distance": "mahalanobis", "noise": "diag"}, "no noise"),
        (
            {"values": np.hstack([VALUES, VALUES[:, :1] + VALUES[:, 1:2]])},
            {"distance": "mahalanobis", "noise": "full"},
            "sums of others",
        ),
    ],
)
def test_patterns(change: dict[str, Any], options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        prepare(replace(GOOD, **change), PatternOptions(**options), what="subject 1, V1")
    assert words in str(caught.value)
    assert str(caught.value).startswith("subject 1, V1: ")


@pytest.mark.parametrize(
    ("residuals", "dof", "zscore", "words"),
    [
        (np.ones((20, 3)), None, "none", "(residuals, 4)"),
        (VALUES, 12, "none", "fewer than the residuals"),
        (VALUES, 0, "none", "at least 1"),
        (VALUES * np.nan, None, "none", "0 residuals"),
        (CONSTANT, None, "none", "no noise"),
        (VALUES, None, "run", "set zscore=none"),
    ],
)
def test_residuals(residuals: np.ndarray, dof: int | None, zscore: str, words: str) -> None:
    options = PatternOptions("mahalanobis", "diag", zscore=zscore)
    with pytest.raises(InputError) as caught:
        prepare(GOOD, options, residuals=residuals, dof=dof, what="V1")
    assert words in str(caught.value)
    assert str(caught.value).startswith("V1: ")


def test_residuals_lose_channels_with_the_patterns() -> None:
    values, residuals = VALUES.copy(), np.random.default_rng(2).standard_normal((30, 4))
    values[0, 1] = np.nan
    spoiled = residuals.copy()
    spoiled[3, 2] = np.inf
    spoiled[7] = np.nan
    options = PatternOptions("mahalanobis", "full")
    found = prepare(replace(GOOD, values=values), options, residuals=spoiled)
    assert [line.split()[:3] for line in found.warnings] == [["1", "of", "4"], ["1", "of", "3"]]
    left = replace(GOOD, values=VALUES[:, [0, 3]])
    expected = prepare(left, options, residuals=np.delete(residuals, 7, axis=0)[:, [0, 3]])
    np.testing.assert_array_equal(found.rdm(np.arange(6)), expected.rdm(np.arange(6)))
    unused = prepare(GOOD, PatternOptions("crossnobis"), residuals=residuals)
    assert "not used" in unused.notices[0]
