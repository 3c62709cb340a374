"""Sorting by packed keys and counting inversions, against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau, rankdata

from rsa_exp.stats.metrics.kendall import inversions
from rsa_exp.stats.metrics.ranks import _codes

VALUES = {
    "distinct": lambda rng, n: rng.random(n),
    "few values": lambda rng, n: rng.integers(0, 5, n).astype(float),
    "constant": lambda _, n: np.ones(n),
    "last bits": lambda rng, n: 1 + rng.integers(0, 4, n) * 2.0**-52,
    "subnormal": lambda rng, n: rng.standard_normal(n) * 1e-310,
    "span overflows": lambda rng, n: rng.standard_normal(n) * 1e308,
    "one outlier": lambda rng, n: np.append(rng.random(n), 1e300),
    "signed zeros": lambda rng, n: np.append(rng.choice([0.0, -0.0], n), [1.0, -1.0]),
    "many magnitudes": lambda rng, n: np.exp(50 * rng.standard_normal(n)),
}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("n", [1, 2, 3, 17, 1000, 70_001])
def test_ranks_are_exact_whatever_the_values(kind: str, n: int) -> None:
    with np.errstate(over="ignore"):
        values = np.clip(VALUES[kind](np.random.default_rng(n), n), -1.7e308, 1.7e308)
    np.testing.assert_array_equal(_codes(values), 2 * rankdata(values))


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 33, 257])
def test_inversions_of_short_sequences(n: int) -> None:
    rng = np.random.default_rng(n)
    for highest in (2, n + 1):
        sequence = rng.integers(0, highest, n).astype(np.int32)
        by_hand = sum(int((sequence[:i] > sequence[i]).sum()) for i in range(n))
        assert inversions(sequence.copy(), np.empty_like(sequence)) == by_hand


@pytest.mark.parametrize("n", [65_535, 65_536, 65_537, 200_003])
@pytest.mark.parametrize("highest", [3, 1_000_000])
def test_inversions_of_long_sequences(n: int, highest: int) -> None:
    sequence = np.random.default_rng(n).integers(0, highest, n).astype(np.int32)
    total, counts = n * (n - 1) // 2, np.bincount(sequence).astype(np.int64)
    tied = int((counts * (counts - 1) // 2).sum())
    discordant = inversions(sequence.copy(), np.empty_like(sequence))
    tau = (total - tied - 2 * discordant) / np.sqrt(total) / np.sqrt(total - tied)
    assert tau == pytest.approx(kendalltau(np.arange(n), sequence).correlation, abs=1e-12)
