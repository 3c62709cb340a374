"""Names under a categorical axis, turned and shortened as far as they need to be."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from rsa_exp.figures.layout.style import NAME_LIMIT, SMALL_SIZE
from rsa_exp.figures.layout.text import (
    SLACK,
    in_two_lines,
    line_height,
    literal_lines,
    shorten,
    text_width,
    widest,
)


@dataclass(frozen=True)
class AxisNames:
    """Names under a categorical axis, turned as far as they need to be."""

    # as shown: long ones without their middle, some empty if they do not fit
    names: tuple[str, ...]
    rotation: int  # 0, 45 or 90 degrees
    height: float  # inches below the axis
    overhang: float  # inches by which the first name reaches left of its tick

    @classmethod
    def fit(cls, names: Sequence[str], slot: float) -> "AxisNames":
        """Find how to write names at ticks `slot` inches apart."""
        line, tick = line_height(SMALL_SIZE), 0.07
        width = widest(names, SMALL_SIZE) * SLACK
        if width + 0.06 <= slot:
            return cls(tuple(names), 0, line + tick, text_width(names[0], SMALL_SIZE) / 2)
        short = shorten(names, NAME_LIMIT)
        broken = [in_two_lines(name, slot - 0.06, SMALL_SIZE) for name in short]
        if None not in broken:
            lines = tuple(name or "" for name in broken)
            first = widest(lines[0].split("\n"), SMALL_SIZE)
            return cls(lines, 0, 2 * line + tick, first / 2)
        width = widest(short, SMALL_SIZE) * SLACK
        if slot >= line * 1.35:
            first = text_width(short[0], SMALL_SIZE)
            return cls(short, 45, (width + line) * 0.71 + tick, (first + line) * 0.71)
        every = int(np.ceil(line * 0.95 / slot))
        thinned = tuple(name if i % every == 0 else "" for i, name in enumerate(short))
        return cls(thinned, 90, width + tick, line / 2)

    def write(self, ax: Axes, positions: Sequence[float] | None = None) -> None:
        """Write the names at positions (0, 1, ... by default) of the x axis."""
        at = list(range(len(self.names))) if positions is None else list(positions)
        ax.set_xticks(at, [literal_lines(name.split("\n")) for name in self.names])
        ax.tick_params(axis="x", pad=2)
        for label in ax.get_xticklabels():
            label.set_fontsize(SMALL_SIZE)
            if self.rotation:
                label.set(rotation=self.rotation, ha="right", rotation_mode="anchor")
                label.set_verticalalignment("center" if self.rotation == 90 else "top")
