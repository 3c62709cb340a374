"""The dual bootstrap on small real RDMs, compared with rsatoolbox's: one table.

    python benchmarks/dual_bootstrap.py BRAIN.h5 [BRAIN.h5 ...] --model MODELS.h5 [--metric corr]

Takes one rsatoolbox file for each subject and one of candidate models. RDMs of the first ROI are
used, several of them (sessions) averaged. Both programs draw 1000 samples of their own, so they
agree up to sampling noise.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import config_of

import rsa_exp.analysis.analyse  # noqa: F401  # not while time is taken
from rsa_exp.config.schema import FilesData
from rsa_exp.runs.inputs import analyse_config


def link_as(folder: Path, brains: list[Path]) -> None:
    """Link each subject's file under the name that the config expects."""
    for number, path in enumerate(brains):
        (folder / f"{number}.h5").symlink_to(path.absolute())


def ours(brains: list[Path], model: Path, metric: str) -> tuple[Any, float]:
    """Run the engine; return its findings and the seconds they took."""
    with tempfile.TemporaryDirectory() as folder:
        link_as(Path(folder), brains)
        data = FilesData(
            brain=f"{folder}/{{subject}}.h5",
            model=str(model),
            subjects=[str(number) for number in range(len(brains))],
        )
        config = config_of(data, {"n_perm": 0, "n_splits": 0}, subject="group", metric=metric)
        start = time.perf_counter()
        result = analyse_config(config)
        return result, time.perf_counter() - start


def theirs(brains: list[Path], model: Path, metric: str, n_samples: int) -> tuple[Any, float]:
    """Run rsatoolbox's dual bootstrap on the same RDMs, with images reordered."""
    from rsatoolbox.inference import eval_dual_bootstrap
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import RDMs, load_rdm

    candidates = load_rdm(str(model))
    candidates.sort_by(image="alpha")
    rows = []
    for path in brains:
        rdms = load_rdm(str(path))
        rdms.sort_by(image="alpha")
        rois = np.array(rdms.rdm_descriptors["roi"])
        rows.append(rdms.dissimilarities[rois == rois[0]].mean(axis=0))
    models = [ModelFixed(str(i), candidates.subset("index", i)) for i in range(candidates.n_rdm)]
    np.random.seed(0)  # noqa: NPY002  rsatoolbox draws from the global stream
    start = time.perf_counter()
    result = eval_dual_bootstrap(models, RDMs(np.array(rows)), method=metric, N=n_samples)
    return result, time.perf_counter() - start


def main() -> None:
    """Run both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("brains", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--metric", default="corr")
    parser.add_argument("--samples", type=int, default=1000)
    given = parser.parse_args()
    ours(given.brains, given.model, given.metric)  # compiles
    result, seconds = ours(given.brains, given.model, given.metric)
    reference, their_seconds = theirs(given.brains, given.model, given.metric, given.samples)
    scores = result.scores
    scores = scores[scores["roi"] == scores["roi"].iloc[0]]
    print(f"{given.metric}, {len(given.brains)} subjects, dual bootstrap")
    print("| model | score | SE | SE, rsatoolbox | p ceiling | p ceiling, rsatoolbox |")
    print("|---|---|---|---|---|---|")
    p_ceiling = reference.test_noise()
    for row, error, p in zip(scores.itertuples(), reference.get_sem(), p_ceiling, strict=True):
        print(
            f"| {row.layer} | {row.score:.4f} | {row.se:.4f} | {error:.4f} | {row.p_ceiling:.3f} "
            f"| {p:.3f} |"
        )
    ceilings = scores[["ceiling_low", "ceiling_high"]].iloc[0]
    drawn = reference.noise_ceiling.mean(axis=(1, 2))[:, 2]
    print(
        f"noise ceiling {ceilings.iloc[0]:.4f} to {ceilings.iloc[1]:.4f}; rsatoolbox, mean over "
        f"its draws of images: {drawn[0]:.4f} to {drawn[1]:.4f}"
    )
    print(f"{seconds:.2f} s for everything; rsatoolbox {their_seconds:.1f} s for the bootstrap")


if __name__ == "__main__":
    main()
