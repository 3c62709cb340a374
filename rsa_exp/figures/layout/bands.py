"""Bands of a standard error along a line over layers."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from rsa_exp.figures.result import Array


def sem_band(ax: Axes, mean: Array, sem: Array, colour: str, alpha: float) -> None:
    """Shade mean ± SEM, each of shape (n_layer,), at x = 0, 1, ...; with gaps where undefined.

    A value without neighbours, where a band would have no width, has an error bar.
    """
    layers = np.arange(len(mean))
    ax.fill_between(layers, mean - sem, mean + sem, color=colour, alpha=alpha, lw=0, gid="sem")
    alone = _without_neighbours(sem)
    if alone.any():
        ax.errorbar(layers[alone], mean[alone], sem[alone], fmt="none", ecolor=colour)


def _without_neighbours(values: Array) -> NDArray[np.bool_]:
    """Mark defined values between undefined ones, array of the values' shape."""
    there = np.isfinite(values)
    beside = np.pad(there, 1)
    return np.array(there & ~beside[:-2] & ~beside[2:])
