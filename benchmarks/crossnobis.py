"""Crossnobis RDMs of unequal repetitions: by Gram matrices, and by rsatoolbox's pairs of rows.

    python benchmarks/crossnobis.py [--conditions 600] [--runs 3] [--channels 100]

Each condition is measured once in each run, the first a second time in the first run. Both programs
get the same patterns and the same covariance of the noise (shrinkage_diag), and use one thread;
times are CPU time, ours the best of several.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from rsatoolbox.data import Dataset
from rsatoolbox.data.noise import prec_from_unbalanced
from rsatoolbox.rdm import calc_rdm_unbalanced

from rsa_exp.stats.parallel import one_blas_thread
from rsa_exp.stats.patterns.measurements import Measurements, PatternOptions
from rsa_exp.stats.patterns.prepare import prepare


def ours(measurements: Measurements) -> tuple[np.ndarray, float]:
    """Return the RDM and the CPU time of all steps from the patterns, the best of five."""
    images = np.arange(measurements.n_image)
    times = []
    for _ in range(5):
        start = time.process_time()
        rdm = prepare(measurements, PatternOptions("crossnobis", "shrinkage_diag")).rdm(images)
        times.append(time.process_time() - start)
    return rdm, min(times)


def theirs(measurements: Measurements) -> tuple[np.ndarray, float, float]:
    """Return the RDM, and the CPU times of the distances and of the noise."""
    descriptors = {"image": measurements.images, "run": measurements.runs}
    data = Dataset(measurements.values, obs_descriptors=descriptors)
    # It sorts through an array of integers that it fills with NaN.
    warnings.filterwarnings("ignore", "invalid value encountered in cast")
    start = time.process_time()
    precision = prec_from_unbalanced(data, "image", method="shrinkage_diag")
    middle = time.process_time()
    rdms = calc_rdm_unbalanced(data, "crossnobis", "image", precision, "run")
    return rdms.dissimilarities[0], time.process_time() - middle, middle - start


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--conditions", type=int, default=600)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--channels", type=int, default=100)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    images = np.append(np.tile(np.arange(given.conditions), given.runs), 0)
    runs = np.append(np.repeat(np.arange(given.runs), given.conditions), 0)
    signal = rng.standard_normal((given.conditions, given.channels))
    values = signal[images] + rng.standard_normal((len(images), given.channels))
    measurements = Measurements(values, images, given.conditions, runs)
    with one_blas_thread():
        rdm, seconds = ours(measurements)
        expected, distances, noise = theirs(measurements)
    print("| conditions | runs | channels | ours | rsatoolbox: distances | noise | ratio |"
          " largest difference |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    print(
        f"| {given.conditions} | {given.runs} | {given.channels} | {seconds:.4f} s |"
        f" {distances:.2f} s | {noise:.2f} s | {(distances + noise) / seconds:.0f}x |"
        f" {np.abs(rdm - expected).max():.1e} |"
    )


if __name__ == "__main__":
    main()
