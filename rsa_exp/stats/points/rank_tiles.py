"""Spearman's rho and rho-a between RDMs given by points, of which no RDM is ever whole.

Two passes over the tiles of an RDM make its table (`RankTable`); a third finds each pair's midrank
in two tables and adds up the products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np

from rsa_exp.errors import InputError
from rsa_exp.stats.condensed import FloatArray, count_pairs
from rsa_exp.stats.parallel import Progress, ignore, in_order, n_workers
from rsa_exp.stats.points.points import Points
from rsa_exp.stats.points.rank_tables import RankTable, Tile, table_bytes, tiles, work_bytes

__all__ = ["MEMORY", "RankCost", "rank_cost", "rank_scores"]

MEMORY = 3e9
"""Bytes that are used if nothing else is said: enough for 30,000 images."""

# What `rank_cost` supposes of a core: multiply-adds a second, and seconds a pair and pass for the
# rest.
_SPEED, _REST = 2.5e10, 6e-8
_METHODS = ("spearman", "rho-a")


class RankCost(NamedTuple):
    """What `rank_scores` will take.

    Attributes
    ----------
    seconds : float
        Within a factor of two or so, depending on the machine.
    bytes : int
        Memory beyond that of the points.
    """

    seconds: float
    bytes: int


def _products(table: RankTable, others: Sequence[RankTable], tile: Tile) -> FloatArray:
    centred = table.find(tile)
    return np.array([centred @ other.find(tile) for other in others])


def _sums(
    points: Points, others: Sequence[RankTable], advance: Callable[[int], None]
) -> tuple[float, FloatArray]:
    """Make a table, and the sums of its products with itself and with other tables."""
    table = RankTable.of(points, advance)
    sums = np.zeros(len(others))
    for products in in_order(partial(_products, table, others), tiles(points.n_cond)):
        sums += products
        for each in (table, *others):
            advance(each.coder.n_dim)
    return table.square, sums


def _score(method: str, n_pairs: int, product: float, left: float, right: float) -> float:
    """Score from sums of products of twice the centred midranks."""
    if method == "rho-a":
        return 3 * product / (float(n_pairs) ** 3 - n_pairs)
    return min(1.0, max(-1.0, product / sqrt(left * right)))


def _score_block(
    held: Sequence[Points], passing: Sequence[Points], method: str, advance: Callable[[int], None]
) -> FloatArray:
    """Scores of shape (len(passing), len(held)), with tables of all that are held."""
    tables = [RankTable.of(points, advance) for points in held]
    scores = np.full((len(passing), len(held)), np.nan)
    for row, points in zip(scores, passing, strict=True):
        square, sums = _sums(points, tables, advance)
        for k, table in enumerate(tables):
            if square > 0 and table.square > 0:
                row[k] = _score(method, len(table.rests), sums[k], square, table.square)
    return scores


@dataclass(frozen=True)
class _Plan:
    """Which tables are held.

    Attributes
    ----------
    swapped : bool
        Whether brain RDMs are held while model RDMs come one by one, instead of the reverse.
    held : int
        Tables held at a time, besides that of the RDM that they are compared with.
    seconds : float
        On one core.
    bytes : int
        As in `RankCost`.
    """

    swapped: bool
    held: int
    seconds: float
    bytes: int

    @classmethod
    def of(
        cls, n_cond: int, model_dims: Sequence[int], brain_dims: Sequence[int], memory: float
    ) -> _Plan:
        """Choose the side of which holding tables takes less time."""
        n_pairs = count_pairs(n_cond)
        table, work = table_bytes(n_pairs), work_bytes()
        fit = int((memory - work) // table) - 1
        if fit < 1:
            raise InputError(
                f"ranks of {n_cond} images need {(2 * table + work) / 1e9:.1f} GB, and "
                f"{memory / 1e9:.1f} GB are allowed: allow more, or take fewer images"
            )

        def choice(swapped: bool) -> _Plan:
            mine, other = (brain_dims, model_dims) if swapped else (model_dims, brain_dims)
            held = max(1, min(fit, len(mine)))
            mine_seconds, other_seconds = (
                sum(_pass_seconds(n_cond, n_dim) for n_dim in dims) for dims in (mine, other)
            )
            # Two passes make a table, and one looks up.
            seconds = (2 + len(other)) * mine_seconds + 3 * ceil(len(mine) / held) * other_seconds
            return cls(swapped, held, seconds, (held + 1) * table + work)

        return min(choice(False), choice(True), key=lambda plan: plan.seconds)


def _pass_seconds(n_cond: int, n_dim: int) -> float:
    return count_pairs(n_cond) * (n_dim / _SPEED + _REST)


def rank_cost(
    n_cond: int, model_dims: Sequence[int], brain_dims: Sequence[int], memory: float = MEMORY
) -> RankCost:
    """Estimate what `rank_scores` will take.

    Parameters
    ----------
    n_cond : int
        Images.
    model_dims, brain_dims : sequence of int
        Dimensions of the points of each RDM.
    memory : float
        As for `rank_scores`.

    Returns
    -------
    RankCost
        Seconds and bytes.

    Raises
    ------
    InputError
        If two tables need more memory.
    """
    plan = _Plan.of(n_cond, model_dims, brain_dims, memory)
    return RankCost(plan.seconds / n_workers(), plan.bytes)


def rank_scores(
    models: Sequence[Points],
    brains: Sequence[Points],
    method: str,
    on_progress: Progress = ignore,
    memory: float = MEMORY,
) -> FloatArray:
    """Compare RDMs given by points by Spearman's rho or rho-a, without forming any RDM.

    The same bits for any number of cores. Can be interrupted between tiles.

    Parameters
    ----------
    models, brains : sequence of Points
        RDMs of the same images. Each is read several times.
    method : {'spearman', 'rho-a'}
        As in `METRICS`.
    on_progress : callable
        Called with the share of all work that was just finished.
    memory : float
        Bytes to use, besides the points. The more tables fit, the fewer are made again. Two are
        needed: 4.5 bytes a pair of images (8.5 up to 16,384 images), and 0.2 GB. Scores are the
        same bits whatever it is.

    Returns
    -------
    ndarray of shape (n_brain, n_model)
        NaN where either RDM is constant.

    Raises
    ------
    InputError
        If two tables need more memory, or the points are not finite or change while they are read.
    ValueError
        If the RDMs are not of the same number of images, or the method is another.
    """
    if method not in _METHODS:
        raise ValueError(f"tiles give {' and '.join(_METHODS)}, not {method!r}")
    sizes = {points.n_cond for points in (*models, *brains)}
    if len(sizes) != 1:
        raise ValueError(f"RDMs are of different numbers of images: {sorted(sizes)}")
    n_cond = sizes.pop()
    model_dims, brain_dims = ([points.n_dim for points in side] for side in (models, brains))
    plan = _Plan.of(n_cond, model_dims, brain_dims, memory)
    held, passing = (brains, models) if plan.swapped else (models, brains)
    n_tiles = len(list(tiles(n_cond)))

    def advance(n_dim: int) -> None:
        on_progress(_pass_seconds(n_cond, n_dim) / n_tiles / plan.seconds)

    scores = np.hstack(
        [
            _score_block(held[start : start + plan.held], passing, method, advance)
            for start in range(0, len(held), plan.held)
        ]
    )
    return scores.T if plan.swapped else scores
