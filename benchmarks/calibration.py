"""Coverage of intervals and error rates of tests, from simulated studies with known truth.

    python benchmarks/calibration.py [--studies 2000] [--folder FOLDER]
                                     [--write docs/calibration.md]

Image i is a vector ``z_i`` of independent normal variables, and an RDM is a quadratic form of them:
``d_ij = (z_i - z_j)' G (z_i - z_j)`` (squared Euclidean distances), or ``d_ij = -z_i' G z_j``
(which, like correlation distances, has no component that belongs to one image alone). In both, over
infinitely many images, two RDMs correlate with ``tr(Gx Gy) / sqrt(tr(Gx Gx) tr(Gy Gy))``.
Measurement noise is modelled by dimensions of a single subject. Every study is analysed by
`draw_study`, `permute_study` and the tables of a run, on RDMs held in memory. Finished chunks are
kept in FOLDER, so that an interrupted run continues where it stopped.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import squareform
from scipy.stats import binomtest
from scipy.stats import t as student
from threadpoolctl import threadpool_limits

from rsa_exp.analysis.bootstrap import draw_study
from rsa_exp.analysis.draws import Drawn
from rsa_exp.analysis.permutation import permute_study
from rsa_exp.analysis.question import Question
from rsa_exp.analysis.settings import Inference
from rsa_exp.analysis.tables import ceiling_table, comparison_table, score_table
from rsa_exp.files import write_text
from rsa_exp.rdms.cache import RdmCache
from rsa_exp.stats.bootstrap.inner_products import Pool
from rsa_exp.stats.condensed import n_cond_of
from rsa_exp.stats.metrics.registry import METRICS
from rsa_exp.stats.metrics.similarity import similarity
from rsa_exp.stats.uncertainty import Kind, Sampling, t_test

Array = NDArray[np.float64]
Record = dict[str, float]

SEED, LEVEL, ALPHA = 20260, 0.95, 0.05
# Studies of a chunk; in those of new subjects for the same images, all share the images.
CHUNK = 40
# Subjects whose mean score on a chunk's images stands for that of all subjects.
CROWD = 1000
# Two blocks of latent dimensions that brains have, and those that only models have.
BLOCK, OWN = 4, 8
SHARED = 2 * BLOCK
ROIS = ("left", "right")
# a: of known truth. mirror: as true as a in every subject. swapped: as true as a in the population.
# near: as true as the lower noise ceiling, in the mean. nought: of truth 0.
LAYERS = ("a", "mirror", "swapped", "near", "nought")
FAMILY = ("nought", "nought2", "nought3")
FORMS = ("distances", "products")
# Form, subjects, images, and the divisor of the number of studies.
DESIGNS = (
    ("distances", 3, 80, 1), ("distances", 8, 80, 1), ("distances", 20, 60, 1),
    ("products", 3, 80, 1), ("products", 8, 80, 1), ("products", 20, 60, 1),
    ("distances", 3, 200, 2), ("products", 3, 200, 2),
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A kind of study."""

    form: str
    n_subjects: int
    n_images: int
    n_boot: int
    n_perm: int

    @property
    def name(self) -> str:
        """Of the cell's files."""
        return f"{self.form}-{self.n_subjects}-{self.n_images}-{self.n_boot}-{self.n_perm}"


@dataclass(frozen=True)
class Subjects:
    """Subjects of the population.

    Attributes
    ----------
    maps : ndarray of shape (n_subject, 2, 2, BLOCK, BLOCK)
        From each block of latent dimensions to channels, in each ROI.
    noise : ndarray of shape (n_subject, 2)
        Variance of a noise channel.
    """

    maps: Array
    noise: Array

    @property
    def forms(self) -> Array:
        """G on the shared dimensions, its two blocks, of shape (n_subject, 2, 2 * BLOCK ** 2)."""
        squares = self.maps.swapaxes(-1, -2) @ self.maps
        return squares.reshape(*self.noise.shape, -1)

    @property
    def unit_forms(self) -> Array:
        """The same, over the norm of all of G."""
        forms = self.forms
        norms = np.sqrt((forms**2).sum(axis=-1) + NOISE_CHANNELS * self.noise**2)
        return np.asarray(forms / norms[..., None])

    def ceilings(self) -> Array:
        """Noise ceilings over infinitely many images, lower and upper, mean over subjects: (2,)."""
        unit = self.unit_forms[:, 0]
        gram = unit @ unit.T
        np.fill_diagonal(gram, 1.0)
        pool = Pool(gram[:, :, None], np.ones((len(gram), 1)))
        return np.asarray(pool.ceilings()[:, :, 0].mean(axis=1))


# How much of a subject's map is its own, noise channels, their variance and how that varies.
OWN_SHARE, NOISE_CHANNELS, NOISE, NOISE_SPREAD = 0.45, 12, 3.5, 0.3
MEAN_MAP = np.diag([1.6, 1.1, 0.8, 0.5])


def draw_subjects(rng: np.random.Generator, n: int) -> Subjects:
    """Draw subjects; ROIs and the two blocks are exchangeable."""
    own = rng.standard_normal((n, 1, 2, BLOCK, BLOCK)) + rng.standard_normal(
        (n, 2, 2, BLOCK, BLOCK)
    )
    noise = NOISE * np.exp(NOISE_SPREAD * rng.standard_normal((n, 1))) * np.ones((1, 2))
    return Subjects(MEAN_MAP + OWN_SHARE * own, noise)


class World:
    """A model, and its true scores, for studies of some number of subjects."""

    def __init__(self, n_subjects: int) -> None:
        rng = np.random.default_rng(SEED)
        a = np.concatenate(
            [rng.standard_normal((6, SHARED)), 0.7 * rng.standard_normal((6, OWN))], axis=1
        )
        flip = np.concatenate([np.ones(BLOCK), -np.ones(BLOCK), np.ones(OWN)])
        swap = np.r_[BLOCK:SHARED, :BLOCK, SHARED : SHARED + OWN]
        alike = rng.standard_normal((6, OWN))
        family = {
            name: np.concatenate(
                [np.zeros((6, SHARED)), alike + rng.standard_normal((6, OWN))], axis=1
            )
            for name in FAMILY
        }
        # Layer name to weights of features on the latent dimensions.
        self.features = {"a": a, "mirror": a * flip, "swapped": a[:, swap], **family}
        self._crowd = draw_subjects(rng, 40000)
        groups = [draw_subjects(rng, n_subjects) for _ in range(4000)]
        # What is expected of new subjects: noise ceilings of so many, and layers' scores.
        self.ceilings = np.mean([group.ceilings() for group in groups], axis=0)
        self.features["near"] = self._near(float(self.ceilings[0]))
        self.expected = self.truth(self._crowd)[:, 0].mean(axis=0)

    def truth(self, subjects: Subjects) -> Array:
        """Scores over infinitely many images, of shape (n_subject, n_roi, n_layer)."""
        layers = np.stack([self._unit(self.features[name]) for name in LAYERS])
        return np.asarray(subjects.unit_forms @ layers.T)

    @staticmethod
    def _unit(features: Array) -> Array:
        """Give a layer's G as `Subjects.unit_forms` gives a brain's: what both blocks hold."""
        form = features.T @ features
        blocks = [form[:BLOCK, :BLOCK], form[BLOCK:SHARED, BLOCK:SHARED]]
        return np.asarray(np.stack(blocks).ravel() / np.linalg.norm(form))

    def _near(self, ceiling: float) -> Array:
        """Mix the mean brain with what no brain has until its score is that of the ceiling."""
        blocks = self._crowd.forms.mean(axis=(0, 1)).reshape(2, BLOCK, BLOCK)
        roots = [np.linalg.cholesky(block).T for block in blocks]

        def features(share: float) -> Array:
            whole = np.zeros((SHARED + OWN, SHARED + OWN))
            whole[:BLOCK, :BLOCK], whole[BLOCK:SHARED, BLOCK:SHARED] = roots
            whole[SHARED:, SHARED:] = np.sqrt(share) * np.eye(OWN)
            return whole

        low, high = 0.0, 100.0
        unit = self._crowd.unit_forms.mean(axis=(0, 1))
        for _ in range(60):
            middle = (low + high) / 2
            reached = float(unit @ self._unit(features(middle)))
            low, high = (middle, high) if reached > ceiling else (low, middle)
        return features(middle)


def rdms(patterns: Array, form: str) -> Array:
    """Condensed RDMs of patterns of shape (..., n_image, n_channel)."""
    products = patterns @ patterns.swapaxes(-1, -2)
    first, second = np.triu_indices(patterns.shape[-2], 1)
    upper = products[..., first, second]
    if form == "products":
        return np.asarray(-upper)
    squares = np.einsum("...ii->...i", products)
    return np.asarray(squares[..., first] + squares[..., second] - 2 * upper)


def brain_rdms(rng: np.random.Generator, subjects: Subjects, images: Array, form: str) -> Array:
    """Measure RDMs of shape (n_subject, n_roi, n_pairs)."""
    blocks = images[:, :SHARED].reshape(len(images), 2, BLOCK)
    signal = np.einsum("srbcl,ibl->sribc", subjects.maps, blocks)
    signal = signal.reshape(*subjects.noise.shape, len(images), SHARED)
    noise = rng.standard_normal((*subjects.noise.shape, len(images), NOISE_CHANNELS))
    noise *= np.sqrt(subjects.noise)[..., None, None]
    return rdms(np.concatenate([signal, noise], axis=-1), form)


@dataclass(frozen=True)
class Held:
    """A study held in memory, as far as inference looks at it."""

    model: dict[str, Array]
    brain: Array

    @property
    def n_images(self) -> int:
        """Images of all RDMs."""
        return n_cond_of(self.brain.shape[-1])

    def model_rdm(self, layer: str) -> Array:
        """RDM of a layer."""
        return self.model[layer].copy()

    def brain_rdm(self, subjects: Sequence[str], roi: str) -> Array:
        """RDM of one subject."""
        (subject,) = subjects
        return np.array(self.brain[int(subject), ROIS.index(roi)])

    def has_roi(self, subject: str, roi: str) -> bool:
        """Whether a subject has an ROI."""
        return int(subject) < len(self.brain) and roi in ROIS

    def question(self, layers: Sequence[str], seed: int) -> Question:
        """All subjects' mean score."""
        subjects = [str(subject) for subject in range(len(self.brain))]
        return Question("group", subjects, ROIS, layers, METRICS["corr"], seed)

    def scores(self, layers: Sequence[str]) -> Array:
        """Scores of shape (n_subject, n_roi, n_layer)."""
        flat = self.brain.reshape(-1, self.brain.shape[-1])
        found = similarity(flat, np.stack([self.model[name] for name in layers]), "corr").scores
        return np.asarray(found.reshape(len(self.brain), len(ROIS), len(layers)))

    def draws(self, scores: Array, kind: Kind, cell: Cell, seed: int, ceiling: str) -> Drawn:
        """Bootstrap as a run does."""
        inference = Inference(kind, cell.n_boot, n_splits=0, ci=LEVEL, ceiling=ceiling)
        question = self.question(LAYERS, seed)
        return draw_study(cast(RdmCache, self), question, inference, scores, complete=True)


def frame(scores: Array, layers: Sequence[str]) -> pd.DataFrame:
    """Table of the mean over subjects, as a run has it."""
    n_roi, n_layer = scores.shape[1:]
    facts = dict.fromkeys(("study", "subject", "hemisphere", "region", "level", "model"), "")
    return pd.DataFrame(
        {
            **facts,
            "roi": np.repeat(ROIS, n_layer),
            "layer": np.tile(layers, n_roi),
            "metric": "corr",
            "score": scores.mean(axis=0).ravel(),
        },
        index=range(n_roi * n_layer),
    )


class Report:
    """What one study's intervals and tests say, against the truth."""

    def __init__(self) -> None:
        self.record: Record = {}

    def interval(self, what: str, method: str, low: float, high: float, truth: float) -> None:
        """Enter whether an interval holds the truth, and its width."""
        self.record[f"interval|{what}|{method}"] = float(low <= truth <= high)
        self.record[f"width|{what}|{method}"] = float(high - low)

    def variance(self, what: str, method: str, variance: float, error: float) -> None:
        """Enter a variance, and the squared error that it is to equal in the mean."""
        self.record[f"variance|{what}|{method}"] = float(variance)
        self.record[f"square|{what}|{method}"] = float(error) ** 2

    def student(
        self, what: str, method: str, estimate: float, variance: float, dof: float, truth: float
    ) -> None:
        """Enter a t interval, and its variance."""
        self.variance(what, method, variance, estimate - truth)
        reach = float(student.ppf((1 + LEVEL) / 2, dof)) * float(np.sqrt(max(variance, 0.0)))
        self.interval(what, method, estimate - reach, estimate + reach, truth)

    def test(self, what: str, method: str, p: float) -> None:
        """Enter whether a test finds something."""
        self.record[f"test|{what}|{method}"] = float(p <= ALPHA)


def p_value(estimate: float, variance: float, dof: float, *, tails: int) -> float:
    """P value of a t test, whose degrees of freedom need not be whole."""
    ratio = estimate / np.sqrt(max(variance, np.finfo(float).eps))
    return float(student.sf(ratio if tails == 1 else abs(ratio), dof) * tails)


def satterthwaite(total: float, of_subjects: float, sampling: Sampling) -> float:
    """Degrees of freedom of a sum of variances over subjects and over images.

    Satterthwaite 1946, Biometrics Bulletin 2:110. What is not of subjects has those of images.
    """
    rest = max(total - of_subjects, 0.0)
    parts = of_subjects**2 / (sampling.n_subjects - 1) + rest**2 / (sampling.n_images - 1)
    return float((of_subjects + rest) ** 2 / parts)


def influences(brain: Array, model: Array, n_images: int) -> Array:
    """How much of each subject's correlation each image's weight brings: (n_subject, n_image)."""
    x = (model - model.mean()) / model.std()
    y = brain - brain.mean(axis=1, keepdims=True)
    y /= y.std(axis=1, keepdims=True)
    r = (y @ x / len(x))[:, None]
    pairs = y * x - r / 2 * (x**2 + y**2)
    sums = np.stack([squareform(row, checks=False).sum(axis=0) for row in pairs])
    assert sums.shape == (len(brain), n_images)
    return np.asarray(sums / len(x))


class SecondOrder:
    """Variances less what a bootstrap of images counts twice too often: the quadratic part.

    A draw with weights ``w = 1 + u`` differs from the estimate by a part linear in u and a part
    quadratic in u. What each pair brings on its own, v, adds 2v to the variance of the linear
    part (it cannot be told from what images bring) and v to that of the quadratic part, where v
    alone is true.
    """

    def __init__(self, study: Held, drawn: Drawn, scores: Array) -> None:
        self._study, self._drawn, self._scores = study, drawn, scores
        self._shares = drawn.subject_counts / len(scores)
        self._deviation = drawn.image_counts.astype(np.float64) - 1

    def cell(self, roi: int, layer: int) -> tuple[Array, Array, Array]:
        """Draws of both, subjects and images; and quadratic parts of the first and the last."""
        brain, model = self._study.brain[:, roi], self._study.model[LAYERS[layer]]
        linear = influences(brain, model, self._study.n_images) @ self._deviation
        full = self._scores[:, roi, layer]
        draws = self._drawn.scores[:, roi, layer]
        of_both = draws[0] - ((full[:, None] + linear) * self._shares).sum(axis=0)
        of_images = draws[2] - full.mean() - linear.mean(axis=0)
        return draws, of_both, of_images

    @staticmethod
    def variances(parts: tuple[Array, Array, Array], sampling: Sampling) -> tuple[float, ...]:
        """Corrected variances for new images, and for both; the latter's degrees of freedom.

        Last, the variance of the quadratic part.
        """
        draws, of_both, of_images = parts
        both, subjects, images = draws.var(axis=-1, ddof=1)
        both -= 2 * of_both.var(ddof=1)
        images -= 2 * of_images.var(ddof=1)
        i = sampling.n_images / (sampling.n_images - 1)
        s = sampling.n_subjects / (sampling.n_subjects - 1)
        total = s * subjects + i * images - s * i * (both - subjects - images)
        total = min(max(total, s * subjects, i * images), both)
        dof = satterthwaite(total, s * subjects, sampling)
        return i * images, total, dof, float(of_images.var(ddof=1))


@dataclass
class Bench:
    """One cell's studies."""

    cell: Cell

    @cached_property
    def world(self) -> World:
        """Model and truth."""
        return World(self.cell.n_subjects)

    def images(self, rng: np.random.Generator) -> tuple[Array, dict[str, Array]]:
        """Draw new images, and give the model's RDMs of them."""
        images = rng.standard_normal((self.cell.n_images, SHARED + OWN))
        layers = self.world.features.items()
        return images, {name: rdms(images @ w.T, self.cell.form) for name, w in layers}

    def study(self, rng: np.random.Generator) -> Record:
        """Inference to new images, and to new images and subjects, on one new study."""
        world, report = self.world, Report()
        images, model = self.images(rng)
        subjects = draw_subjects(rng, self.cell.n_subjects)
        held = Held(model, brain_rdms(rng, subjects, images, self.cell.form))
        scores = held.scores(LAYERS)
        seed = int(rng.integers(1 << 31))
        dual = held.draws(scores, "dual", self.cell, seed, "auto")
        assert dual.sampling is not None
        # The draws that `bootstrap=images` makes with the same seed.
        of_images = replace(
            dual,
            sampling=replace(dual.sampling, kind="images"),
            scores=dual.scores[2:],
            ceilings=dual.ceilings[2:],
        )
        given = world.truth(subjects).mean(axis=0)
        ceilings = subjects.ceilings()
        expected = np.stack([world.expected] * 2)
        self.judge(report, scores, of_images, given, float(ceilings[0]))
        left_out = held.draws(scores, "jackknife", self.cell, seed, "auto")
        self.judge(report, scores, left_out, given, float(ceilings[0]))
        self.judge(report, scores, dual, expected, float(world.ceilings[0]))
        self.judge_second_order(report, held, dual, scores, given)
        self.judge_permutation(report, held, seed)
        return report.record

    def judge(
        self, report: Report, scores: Array, drawn: Drawn, truth: Array, ceiling: float
    ) -> None:
        """Record the intervals and tests of a run's tables."""
        sampling = drawn.sampling
        assert sampling is not None
        kind, dof = sampling.kind, sampling.dof
        method = "percentile" if kind == "images" else "t"
        rows = frame(scores, LAYERS)
        table = score_table(rows, drawn, None, METRICS["corr"]).set_index(["roi", "layer"])
        compared = comparison_table(rows, drawn)
        assert compared is not None
        pairs = compared.set_index(["within", "a", "b"])
        limits = ceiling_table(rows, drawn)
        assert limits is not None
        ours = {
            "score": (table.loc["left", "a"], "score", float(truth[0, 0])),
            "layer - layer": (
                pairs.loc["left", "a", "near"], "difference", float(truth[0, 0] - truth[0, 3])
            ),
            "ROI - ROI": (
                pairs.loc["a", "left", "right"], "difference", float(truth[0, 0] - truth[1, 0])
            ),
        }  # fmt: skip
        for what, (row, column, true) in ours.items():
            report.interval(what, f"{kind}, {method}", row["ci_low"], row["ci_high"], true)
            if kind == "images":
                report.student(what, "images, t", row[column], row["se"] ** 2, dof, true)
            else:
                report.variance(what, f"{kind}, t", row["se"] ** 2, row[column] - true)
        low = limits.iloc[0]
        report.interval(
            "lower ceiling", f"{kind}, {method}",
            low["ceiling_low_ci_low"], low["ceiling_low_ci_high"], ceiling,
        )  # fmt: skip
        error = low["ceiling_low"] - ceiling
        report.variance("lower ceiling", f"{kind}, {method}", low["ceiling_low_se"] ** 2, error)
        nought = table.loc["left", "nought"]
        report.test("score > 0", kind, nought["p_zero"])
        report.variance("score, true value 0", f"{kind}, t", nought["se"] ** 2, nought["score"])
        # Equal in every subject; equal in the population only.
        report.test("layer = its mirror", kind, pairs.loc[("left", "a", "mirror"), "p"])
        near = table.loc["left", "near"]
        gap = near["score"] - near["ceiling_low"] - (truth[0, 3] - ceiling)
        below = drawn.scores[:, 0, 3] - drawn.ceilings[:, 0, 0]
        gap_variance = float(sampling.variance(below))
        report.variance("score - lower ceiling", f"{kind}, t", gap_variance, gap)
        if kind == "dual":
            report.test("layer = layer", kind, pairs.loc[("left", "a", "swapped"), "p"])
            report.test("ROI = ROI", kind, pairs.loc[("a", "left", "right"), "p"])
            report.test("score = lower ceiling", kind, near["p_ceiling"])
            self.judge_freedom(report, scores, drawn, truth, ceiling)
            return
        # These subjects' truths differ: what is tested is the difference less the true one.
        for what, key, true in (
            ("layer = layer", ("left", "a", "swapped"), truth[0, 0] - truth[0, 2]),
            ("ROI = ROI", ("a", "left", "right"), truth[0, 0] - truth[1, 0]),
        ):
            found = pairs.loc[key]
            p = float(t_test(found["difference"] - true, found["se"], dof, "both"))
            report.test(what, kind, p)
        p = float(t_test(gap, np.sqrt(gap_variance), dof, "both"))
        report.test("score = lower ceiling", kind, p)

    def judge_freedom(
        self, report: Report, scores: Array, drawn: Drawn, truth: Array, ceiling: float
    ) -> None:
        """Record the dual bootstrap with degrees of freedom by Satterthwaite."""
        sampling, draws = drawn.sampling, drawn.scores
        assert sampling is not None
        mean, limit = scores.mean(axis=0), drawn.ceilings[:, 0, 0]
        low = float(drawn.full_ceilings[0, 0])
        true = truth[0]
        method = "dual, Satterthwaite"
        for what, estimate, some, value, tails in (
            ("score", mean[0, 0], draws[:, 0, 0], true[0], 0),
            ("layer - layer", mean[0, 0] - mean[0, 3], draws[:, 0, 0] - draws[:, 0, 3],
             true[0] - true[3], 0),
            ("ROI - ROI", mean[0, 0] - mean[1, 0], draws[:, 0, 0] - draws[:, 1, 0], 0.0, 0),
            ("lower ceiling", low, limit, ceiling, 0),
            ("score > 0", mean[0, 4], draws[:, 0, 4], 0.0, 1),
            ("layer = its mirror", mean[0, 0] - mean[0, 1], draws[:, 0, 0] - draws[:, 0, 1], 0., 2),
            ("layer = layer", mean[0, 0] - mean[0, 2], draws[:, 0, 0] - draws[:, 0, 2], 0.0, 2),
            ("ROI = ROI", mean[0, 0] - mean[1, 0], draws[:, 0, 0] - draws[:, 1, 0], 0.0, 2),
            ("score = lower ceiling", mean[0, 3] - low, draws[:, 0, 3] - limit, 0.0, 2),
        ):  # fmt: skip
            total = float(sampling.variance(some))
            of_subjects = float(replace(sampling, kind="subjects").variance(some[1:]))
            dof = satterthwaite(total, of_subjects, sampling)
            if tails:
                report.test(what, method, p_value(estimate, total, dof, tails=tails))
            else:
                report.student(what, f"{method} t", estimate, total, dof, value)

    def judge_second_order(
        self, report: Report, held: Held, dual: Drawn, scores: Array, given: Array
    ) -> None:
        """Record intervals and tests with second-order corrected variances."""
        assert dual.sampling is not None
        sampling, dof = dual.sampling, self.cell.n_images - 1
        parts = SecondOrder(held, dual, scores)
        mean, expected = scores.mean(axis=0), self.world.expected
        a, near, nought, other = (parts.cell(*at) for at in ((0, 0), (0, 3), (0, 4), (1, 0)))
        for what, part, estimate, true, in_all in (
            ("score", a, mean[0, 0], given[0, 0], expected[0]),
            ("layer - layer", _less(a, near), mean[0, 0] - mean[0, 3], given[0, 0] - given[0, 3],
             expected[0] - expected[3]),
            ("ROI - ROI", _less(a, other), mean[0, 0] - mean[1, 0], given[0, 0] - given[1, 0], 0.0),
        ):  # fmt: skip
            images, both, freedom, quadratic = parts.variances(part, sampling)
            report.student(what, "images, second order, t", estimate, images, dof, true)
            report.student(what, "dual, second order, t", estimate, both, sampling.dof, in_all)
            name = "dual, second order, Satterthwaite t"
            report.student(what, name, estimate, both, freedom, in_all)
            if what == "score":
                less = dual.jackknife[0, 0] ** 2 - quadratic
                report.student(what, "jackknife, second order, t", estimate, less, dof, true)
        images, both, some, quadratic = parts.variances(nought, sampling)
        less = float(dual.jackknife[0, 4] ** 2) - quadratic
        for method, variance, freedom in (
            ("images, second order", images, dof),
            ("jackknife, second order", less, dof),
            ("dual, second order", both, sampling.dof),
            ("dual, second order, Satterthwaite", both, some),
        ):
            report.test("score > 0", method, p_value(mean[0, 4], variance, freedom, tails=1))
            report.variance("score, true value 0", f"{method}, t", variance, mean[0, 4])

    def judge_permutation(self, report: Report, held: Held, seed: int) -> None:
        """Record the results of permutation tests of layers whose true score is 0."""
        question = held.question(FAMILY, seed)
        permuted = permute_study(cast(RdmCache, held), question, self.cell.n_perm, complete=True)
        rows = frame(held.scores(FAMILY), FAMILY)
        table = score_table(rows, None, permuted, METRICS["corr"])
        report.test("score > 0", "permutation, p_perm", table["p_perm"].iloc[0])
        report.test("any score > 0, of 2 x 3", "permutation, p_fwe", table["p_fwe"].min())
        uncorrected = "permutation, p_perm, uncorrected"
        report.test("any score > 0, of 2 x 3", uncorrected, table["p_perm"].min())

    def same_images(self, rng: np.random.Generator, n_studies: int) -> Iterator[Record]:
        """Inference to new subjects for the same images, on studies that share their images."""
        cell = self.cell
        images, model = self.images(rng)
        crowd = []
        for _ in range(0, CROWD, 100):
            held = Held(model, brain_rdms(rng, draw_subjects(rng, 100), images, cell.form))
            crowd.append(held.scores(LAYERS).mean(axis=(0, 1)))
        truth = np.mean(crowd, axis=0)
        for _ in range(n_studies):
            subjects = draw_subjects(rng, cell.n_subjects)
            held = Held(model, brain_rdms(rng, subjects, images, cell.form))
            scores = held.scores(LAYERS)
            drawn = held.draws(scores, "subjects", cell, int(rng.integers(1 << 31)), "none")
            yield self.judge_subjects(scores, drawn, truth)

    def judge_subjects(self, scores: Array, drawn: Drawn, truth: Array) -> Record:
        """Record the tables of a bootstrap over subjects; ROIs have the same true score."""
        sampling, report = drawn.sampling, Report()
        assert sampling is not None
        dof = sampling.dof
        rows = frame(scores, LAYERS)
        table = score_table(rows, drawn, None, METRICS["corr"]).set_index(["roi", "layer"])
        compared = comparison_table(rows, drawn)
        assert compared is not None
        pairs = compared.set_index(["within", "a", "b"])
        (left, right), near = drawn.scores[0, :, 0], drawn.scores[0, 0, 3]
        gap = truth[0] - truth[3]
        for what, row, column, draws, true in (
            ("score", table.loc["left", "a"], "score", left, truth[0]),
            ("layer - layer", pairs.loc["left", "a", "near"], "difference", left - near, gap),
            ("ROI - ROI", pairs.loc["a", "left", "right"], "difference", left - right, 0.0),
        ):
            low, high = np.quantile(draws, [0.025, 0.975])
            report.interval(what, "subjects, percentile", low, high, true)
            report.student(what, "subjects, t", row[column], row["se"] ** 2, dof, true)
        nought = table.loc["left", "nought"]
        p = float(t_test(nought["score"] - truth[4], nought["se"], dof, "greater"))
        report.test("score > 0", "subjects", p)
        report.test("score > 0", "subjects, read as for new images", nought["p_zero"])
        found = pairs.loc["left", "a", "mirror"]
        shifted = found["difference"] - (truth[0] - truth[1])
        p = float(t_test(shifted, found["se"], dof, "both"))
        report.test("layer = its mirror", "subjects", p)
        report.test("ROI = ROI", "subjects", pairs.loc[("a", "left", "right"), "p"])
        return report.record

    def chunk(self, number: int, n_studies: int) -> dict[str, list[float]]:
        """Simulate and analyse a chunk of studies of both designs."""
        where = (FORMS.index(self.cell.form), self.cell.n_subjects, self.cell.n_images, number)
        new, same = np.random.SeedSequence(SEED, spawn_key=where).spawn(2)
        each = [self.study(np.random.default_rng(seed)) for seed in new.spawn(n_studies)]
        others = self.same_images(np.random.default_rng(same), n_studies)
        records = [a | b for a, b in zip(each, others, strict=True)]
        return {name: [record[name] for record in records] for name in records[0]}


def _less(left: tuple[Array, Array, Array], right: tuple[Array, Array, Array]) -> Any:
    return tuple(a - b for a, b in zip(left, right, strict=True))


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Set BLAS to one thread once, not for each loop: that takes half the time of a small study."""
    with (
        threadpool_limits(limits=1, user_api="blas"),
        patch("rsa_exp.stats.parallel.one_blas_thread", nullcontext),
        patch("rsa_exp.analysis.bootstrap.one_blas_thread", nullcontext),
    ):
        yield


def results(cell: Cell, n_studies: int, folder: Path) -> dict[str, list[float]]:
    """All of a cell's studies; chunks that are in the folder are not simulated again."""
    bench, parts = Bench(cell), []
    start = time.perf_counter()
    for number, first in enumerate(range(0, n_studies, CHUNK)):
        size = min(CHUNK, n_studies - first)
        path = folder / f"{cell.name}-{number}-{size}.json"
        if not path.exists():
            with one_blas_thread():
                found = bench.chunk(number, size)
            write_text(path, json.dumps(found))
        parts.append(json.loads(path.read_text()))
    print(f"{cell.name}: {time.perf_counter() - start:.0f} s", flush=True)
    return {name: [value for part in parts for value in part[name]] for name in parts[0]}


def rates(cell: Cell, found: dict[str, list[float]]) -> pd.DataFrame:
    """Rows of the table: coverage of intervals, and false positive rates of tests."""
    rows = []
    for name, values in found.items():
        sort, what, method = name.split("|")
        if sort not in {"interval", "test"}:
            continue
        nominal = LEVEL if sort == "interval" else ALPHA
        hits, n = int(sum(values)), len(values)
        exact = binomtest(hits, n).proportion_ci(0.99, "exact")
        verdict = "pass"
        if not exact.low <= nominal <= exact.high:
            errors_too_often = (hits / n < nominal) == (sort == "interval")
            verdict = "liberal" if errors_too_often else "conservative"
        width = np.median(found[f"width|{what}|{method}"]) if sort == "interval" else np.nan
        rows.append(
            {
                "RDMs": cell.form, "subjects": cell.n_subjects, "images": cell.n_images,
                "sort": sort, "what": what, "method": method, "k": hits, "N": n, "rate": hits / n,
                "low": exact.low, "high": exact.high, "nominal": nominal, "verdict": verdict,
                "width": width,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def ratios(cell: Cell, found: dict[str, list[float]]) -> pd.DataFrame:
    """Mean estimated variance of each method, divided by the true mean squared error."""
    rows = []
    for name, values in found.items():
        sort, what, method = name.split("|")
        if sort == "variance" and "Satterthwaite" not in method:  # of the same variance
            squares = np.array(found[f"square|{what}|{method}"])
            stated = np.maximum(values, 0)
            ratio = stated.mean() / squares.mean()
            # Of a ratio of means, to first order.
            error = (stated - ratio * squares).std() / np.sqrt(len(squares)) / squares.mean()
            rows.append(
                {
                    "RDMs": cell.form, "subjects": cell.n_subjects, "images": cell.n_images,
                    "sort": sort, "what": what, "method": method, "N": len(values), "rate": ratio,
                    "low": ratio - 2.576 * error, "high": ratio + 2.576 * error, "nominal": 1.0,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def entry(row: Any) -> str:
    """One rate, or ratio, as the table shows it."""
    if row.sort == "variance":
        return f"{row.rate:.2f} [{row.low:.2f}, {row.high:.2f}]"
    verdict = "**liberal**" if row.verdict == "liberal" else row.verdict
    width = f"; {row.width:.3f}" if row.sort == "interval" else ""
    limits = f"[{row.low:.3f}, {row.high:.3f}]"
    return f"{row.k:.0f}/{row.N} = {row.rate:.3f} {limits} {verdict}{width}"


def markdown(table: pd.DataFrame, sort: str) -> str:
    """One line per method, one column per kind of study."""
    lines: dict[tuple[str, str], list[str]] = {}
    heads: dict[str, None] = {}
    for row in table[table["sort"] == sort].itertuples():
        heads[f"{row.subjects} subjects, {row.images} images"] = None
        lines.setdefault((row.what, row.method), []).append(entry(row))
    text = [f"| quantity | method | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    order = {what: index for index, (what, _) in reversed([*enumerate(lines)])}
    for (what, method), entries in sorted(lines.items(), key=lambda item: order[item[0][0]]):
        text.append(f"| {what} | {method} | {' | '.join(entries)} |")
    return "\n".join(text)


SORTS = {
    "interval": "Coverage of 95 % intervals (nominal 0.95); their median width",
    "test": "False positive rate of tests at 0.05 (nominal 0.05)",
    "variance": "Mean estimated variance divided by the true mean squared error (1 is correct)",
}


def tables(table: pd.DataFrame) -> str:
    """All of it as Markdown."""
    parts = []
    for sort, title in SORTS.items():
        for form, some in table.groupby("RDMs", sort=False):
            parts.append(f"### {title}: {form}\n\n{markdown(some, sort)}")
    return "\n\n".join(parts)


BEGIN, END = "<!-- benchmarks/calibration.py writes from here", "<!-- to here -->"


def main() -> None:
    """Simulate, and print Markdown tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--permutations", type=int, default=199)
    temporary = Path(tempfile.gettempdir()) / "rsa_exp_calibration"
    parser.add_argument("--folder", type=Path, default=temporary)
    parser.add_argument("--write", type=Path, help="document whose tables are replaced")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for form, n_subjects, n_images, part in DESIGNS:
        cell = Cell(form, n_subjects, n_images, given.draws, given.permutations)
        found = results(cell, max(1, given.studies // part), given.folder)
        parts += [rates(cell, found), ratios(cell, found)]
    table = pd.concat(parts, ignore_index=True)
    text = tables(table)
    print(text)
    rows = table.to_csv(index=False, float_format="%.4g")
    write_text(given.folder / "calibration.csv", rows)
    if given.write:
        page = given.write.read_text(encoding="utf-8")
        head, rest = page.split(BEGIN)
        note, tail = rest.split("-->", 1)[0], rest.split(END)[1]
        write_text(given.write, f"{head}{BEGIN}{note}-->\n\n{text}\n\n{END}{tail}")


if __name__ == "__main__":
    main()
