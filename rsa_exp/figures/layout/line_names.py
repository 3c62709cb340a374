"""Names written beside the ends of lines, so that no legend has to be looked up."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from rsa_exp.figures.layout.style import GREY, SMALL_SIZE, RoiLook
from rsa_exp.figures.layout.text import line_height, literal
from rsa_exp.figures.result import Array

LEADER = 0.16  # inches between the axes and the names


def name_lines(
    ax: Axes,
    scores: Array,
    names: Sequence[str],
    looks: Sequence[RoiLook],
    size: tuple[float, float],
) -> None:
    """Write each line's name beside its end, moved up or down where names would overlap."""
    low, high = ax.get_ylim()
    right = ax.get_xlim()[1]
    per_inch_x = (right - ax.get_xlim()[0]) / size[0]
    per_inch_y = (high - low) / size[1]
    ends = [_last_defined(values) for values in scores]
    wanted = np.array([low if end is None else end[1] for end in ends])
    gap = line_height(SMALL_SIZE) * per_inch_y
    for y, end, name, look in zip(
        spread_apart(wanted, gap, low, high), ends, names, looks, strict=True
    ):
        at = right + LEADER * per_inch_x
        label = ax.text(at, y, literal(name), size=SMALL_SIZE, color=look.colour, va="center")
        if end is None:
            label.set(text=literal(f"{name} n/a"), color=GREY)
            continue
        to_name = [end[0], right, at - 0.04 * per_inch_x], [end[1], end[1], y]
        (leader,) = ax.plot(*to_name, color=look.colour, lw=0.4, alpha=0.6, zorder=1.8)
        leader.set(clip_on=False, gid="leader")


def _last_defined(values: Array) -> tuple[int, float] | None:
    defined = np.flatnonzero(np.isfinite(values))
    return (int(defined[-1]), float(values[defined[-1]])) if defined.size else None


def spread_apart(wanted: Array, gap: float, low: float, high: float) -> Array:
    """Move positions as little as possible (least squares) until they are `gap` apart.

    They stay within `low` and `high` as far as there is room. Pool adjacent violators: positions
    less their rank's gaps have to be non-decreasing.
    """
    order = np.argsort(wanted, kind="stable")
    blocks: list[tuple[float, int]] = []  # mean and number of the values pooled
    for value in wanted[order] - gap * np.arange(len(wanted)):
        mean, n = float(value), 1
        while blocks and blocks[-1][0] > mean:
            other, m = blocks.pop()
            mean, n = (mean * n + other * m) / (n + m), n + m
        blocks.append((mean, n))
    level = np.concatenate([np.full(n, mean) for mean, n in blocks])
    last = max(low, high - gap * (len(wanted) - 1))
    placed = np.empty(len(wanted))
    placed[order] = np.clip(level, low, last) + gap * np.arange(len(wanted))
    return placed
