"""Draws of a study: bootstraps, noise ceilings and splits into halves, ROI by ROI.

Brain RDMs pass by the model's, which stay in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from tqdm import tqdm

from rsa_exp.analysis.cost import BAR, announce_cost
from rsa_exp.analysis.draws import Drawn
from rsa_exp.analysis.point_scoring import draw_points
from rsa_exp.analysis.question import Question
from rsa_exp.analysis.settings import HOW_TO_RESAMPLE, Inference
from rsa_exp.errors import listing
from rsa_exp.rdms.cache import RdmCache
from rsa_exp.stats.bootstrap.engines import DrawScorer, ResamplingScorer, can_weight, make_scorer
from rsa_exp.stats.bootstrap.inner_products import DrawScores, Pool
from rsa_exp.stats.condensed import FloatArray, IntArray, Rdm, count_pairs
from rsa_exp.stats.draws import bootstrap_counts, halves
from rsa_exp.stats.noise_ceiling import bootstrap_rank_ceilings, pooled_ceilings, rank_ceilings
from rsa_exp.stats.parallel import Progress, in_order, one_blas_thread
from rsa_exp.stats.points.comparison import PointComparison
from rsa_exp.stats.uncertainty import Kind, Sampling, jackknife_error
from rsa_exp.vocabulary import JACKKNIFE, MIN_PAIRS, SINGLE_PRECISION

__all__ = ["draw_study"]

# Brain RDMs held at a time where several ROIs share work.
_BRAIN_BYTES = 3 << 28


# Noise ceilings of an ROI, lower and upper, of each of its subjects: from all data, (2, n_subject),
# and for each way of drawing (2, n_subject, n_boot); an empty list where none were drawn.
_Ceilings = tuple[FloatArray, list[FloatArray]]


def draw_study(
    rdms: RdmCache,
    question: Question,
    inference: Inference,
    scores: FloatArray,
    *,
    complete: bool,
    folder: Path | None = None,
    comparison: PointComparison | None = None,
) -> Drawn:
    """Make the draws of an analysis.

    Held in memory at a time: the model's RDMs and those of one ROI's subjects in the working type
    (8 bytes a pair, 4 from 2000 images on) and, for each core, the memory of `pair_sums`. For
    metrics of ranks, brain RDMs of three quarters of a gigabyte and the memory of
    `weighted_rank_scores`.

    Parameters
    ----------
    rdms, question, inference
        The study's RDMs, what is scored, and what to draw; `bootstrap` is not ``auto``.
    scores : ndarray of shape (n_member, n_roi, n_layer)
        The members' scores, from all data.
    complete : bool
        Whether it is known that no pair of the model and the members is missing.
    folder : Path, optional
        Where sums over pairs are kept for other analyses; numbers do not depend on it.
    comparison : PointComparison, optional
        Of the study's layers and ROIs, from which draws come without RDMs.

    Returns
    -------
    Drawn
        The same bits for any number of threads.
    """
    with one_blas_thread():  # also around what is done between loops over threads
        return _Drawing(rdms, question, inference, scores, complete, folder).run(comparison)


class _Drawing:
    """The draws of one analysis in the making."""

    def __init__(
        self,
        rdms: RdmCache,
        question: Question,
        inference: Inference,
        scores: FloatArray,
        complete: bool,
        folder: Path | None,
    ) -> None:
        self.rdms, self.plan, self.full, self.folder = rdms, inference, scores, folder
        self.rois, self.layers, self.metric = question.rois, question.layers, question.metric
        self.members, self.peers, self.seed = question.members, question.peers, question.seed
        self.models = [partial(self._read_layer, layer) for layer in self.layers]
        known = [] if complete else in_order(lambda read: read().missing, self.models)
        self.can_weight = can_weight(self.metric, list(known))
        self.announced: set[str] = set()
        self.drawn = self._nothing_yet()
        self.splits = halves(self.seed, rdms.n_images, self.drawn.halves.shape[3])

    def _nothing_yet(self) -> Drawn:
        notices: list[str] = []
        kind, plan = self._kind(notices), self.plan
        n_member, n_roi, n_layer = self.full.shape
        n_images = self.rdms.n_images
        sampling = Sampling(kind, n_images, n_member, plan.ci) if kind else None
        n_way = len(sampling.ways) if sampling else 0
        of_images = plan.n_boot if kind in {"images", "dual"} else 0
        of_subjects = plan.n_boot if kind in {"subjects", "dual"} else 0
        n_left_out = n_images if kind == JACKKNIFE else 0
        n_boot = max(of_images, of_subjects, n_left_out)

        def empty(*shape: int) -> FloatArray:
            return np.full(shape, np.nan)

        return Drawn(
            sampling,
            scores=empty(n_way, n_roi, n_layer, n_boot),
            member_scores=empty(n_member, n_roi, n_layer, max(of_images, n_left_out)),
            ceilings=empty(n_way, n_roi, 2, n_boot),
            full_ceilings=empty(n_roi, 2),
            member_ceilings=empty(n_member, n_roi, 2),
            halves=empty(2, n_roi, n_layer, plan.n_splits if self._affordable else 0),
            jackknife=empty(n_roi, n_layer),
            image_counts=bootstrap_counts(self.seed, "images", n_images, of_images),
            subject_counts=bootstrap_counts(self.seed, "subjects", n_member, of_subjects),
            notices=notices,
            warnings=[],
        )

    @property
    def _affordable(self) -> bool:
        """Whether draws of images are weighted, or are to be resampled otherwise."""
        return self.can_weight or self.plan.resampling

    def _kind(self, notices: list[str]) -> Kind | None:
        """Return what can be drawn, and note why that is less than was asked for."""
        kind, why = self.plan.bootstrap, ""
        if kind == JACKKNIFE and (self.metric.bootstrap != "weights" or not self.can_weight):
            notices.append(
                f"no jackknife: it is for {listing(SINGLE_PRECISION)}, and where these are "
                "whitened for RDMs without missing pairs"
            )
            return None
        if self.metric.bootstrap == "none":
            why = f"{self.metric.name} has no value where an image is drawn twice"
        elif not self._affordable:
            why = f"{self.metric.name} has to be computed anew in each draw ({HOW_TO_RESAMPLE})"
        if kind not in {"images", "dual"} or not why:
            return None if kind == "none" else cast(Kind, kind)
        notices.append(f"no bootstrap over images: {why}")
        if kind == "images":
            return None
        notices.append("intervals and tests speak about new subjects for these images only")
        return "subjects"

    def run(self, comparison: PointComparison | None) -> Drawn:
        if comparison is not None:
            drawn = draw_points(comparison, self.drawn.image_counts, self.splits)
            for index, scores in enumerate(drawn):
                self._take(index, scores, None)
            return self.drawn
        engine = None
        if self.can_weight:
            engine = make_scorer(
                self.metric,
                self.models,
                self.drawn.image_counts,
                self.splits,
                len(self.members),
                n_peer=len(self.peers),
                folder=self.folder,
            )
        # An ROI at a time, where ROIs share no more work than that of the model's RDMs.
        step = 1
        if self.metric.bootstrap != "weights" or engine is None:
            row = count_pairs(self.rdms.n_images) * len(self.members) * (8 if engine is None else 4)
            step = max(1, _BRAIN_BYTES // row)
        with tqdm(
            total=len(self.rois), desc="bootstrap", bar_format=BAR, disable=None, leave=False
        ) as bar:
            for first in range(0, len(self.rois), step):
                self._draw(engine, range(len(self.rois))[first : first + step], bar.update)
        return self.drawn

    def _draw(self, engine: DrawScorer | None, rois: Sequence[int], on_progress: Progress) -> None:
        """Score ROIs under all draws of images; those that cannot be weighted are resampled."""
        ceilings: dict[int, _Ceilings | None] = {}
        incomplete: dict[int, list[Rdm]] = {}

        def read_complete() -> Iterator[list[Rdm]]:
            for index in rois:
                rdms = self._read(self.rois[index])
                ceilings[index] = self._plain_ceilings(rdms)
                members = rdms[: len(self.members)]
                if engine is not None and can_weight(self.metric, _missing(members)):
                    yield self._weighted(rdms)
                else:
                    incomplete[index] = members

        weighted = [] if engine is None else engine.score(read_complete(), on_progress)
        if engine is None:
            list(read_complete())
        complete = [index for index in rois if index not in incomplete]
        found = dict(zip(complete, weighted, strict=True))
        if incomplete:
            found |= self._resample(incomplete, on_progress)
        for index in rois:
            self._take(index, found[index], ceilings[index])

    def _resample(
        self, rdms: Mapping[int, list[Rdm]], on_progress: Progress
    ) -> dict[int, DrawScores]:
        """Score ROIs whose draws cannot be weights, if that is wanted."""
        n_column = self.drawn.image_counts.shape[1] + self.splits.shape[1]
        if n_column and self.plan.resampling:
            scorer, chosen = self._resampling_scorer(), list(rdms.values())
            self._announce(
                f"{self.metric.name} is computed anew in {n_column} draws of images",
                partial(scorer.score, chosen, most=1),
                n_column * len(self.rois) / len(chosen),
            )
            return dict(zip(rdms, scorer.score(chosen, on_progress), strict=True))
        if self.can_weight:
            names = listing([self.rois[index] for index in rdms], 4)
            how = f"so each draw is a whole comparison ({HOW_TO_RESAMPLE})"
            why = "for which there is no jackknife" if self._ways == (JACKKNIFE,) else how
            self.drawn.warnings.append(f"no draws of images for {names}: pairs are missing, {why}")
        on_progress(len(rdms))
        nothing = DrawScores(np.full((len(self.members), len(self.layers), n_column), np.nan))
        return dict.fromkeys(rdms, nothing)

    def _read_layer(self, layer: str) -> Rdm:
        return Rdm.of(self.rdms.model_rdm(layer))

    def _resampling_scorer(self) -> ResamplingScorer:
        models = list(in_order(lambda read: read(), self.models))
        return ResamplingScorer(self.metric, models, self.drawn.image_counts, self.splits)

    def _read(self, roi: str) -> list[Rdm]:
        """RDMs of an ROI: the members', then those of the peers who have it."""
        groups = [*self.members.values()]
        if self.plan.ceiling != "none":
            groups += [[peer] for peer in self.peers if self.rdms.has_roi(peer, roi)]
        rdms = list(in_order(lambda group: Rdm.of(self.rdms.brain_rdm(group, roi)), groups))
        n_member = len(self.members)
        flat = [index for index in range(n_member, len(rdms)) if not rdms[index].varies]
        for index in flat:
            self.drawn.notices.append(
                f"subject {groups[index][0]} is left out of the noise ceiling of {roi}: its RDM "
                "is constant or missing"
            )
        return [rdm for index, rdm in enumerate(rdms) if index not in flat]

    def _weighted(self, rdms: list[Rdm]) -> list[Rdm]:
        """RDMs to weight: for inner products the peers' too, which give the noise ceiling."""
        if self.metric.bootstrap == "weights" and can_weight(self.metric, _missing(rdms)):
            return rdms
        return rdms[: len(self.members)]

    def _plain_ceilings(self, rdms: list[Rdm]) -> _Ceilings | None:
        """Noise ceilings that weighting does not give: from all data, of ranks also drawn."""
        metric, plan, ways = self.metric, self.plan, self._ways
        if plan.ceiling == "none":
            return None
        if metric.bootstrap == "weights":
            weighted = self.can_weight and can_weight(metric, _missing(rdms))
            return None if weighted else (pooled_ceilings(rdms, metric), [])
        full = rank_ceilings(rdms, metric)
        if plan.ceiling != "draws" or not ways or len(rdms) < 2:
            return full, []
        images = None if ways == ("subjects",) else self.drawn.image_counts
        times = None if ways == ("images",) else self.drawn.subject_counts
        image, time = (None if counts is None else counts[:, :1] for counts in (images, times))
        self._announce(
            f"noise ceilings of {metric.name} are ranked anew in {plan.n_boot} draws",
            partial(bootstrap_rank_ceilings, rdms, metric, image, time),
            plan.n_boot * len(self.rois),
        )
        drawn = bootstrap_rank_ceilings(rdms, metric, images, times)
        return full, list(drawn)

    def _announce(self, what: str, once: Callable[[], object], times: float) -> None:
        """Announce what costly work will take, once for all ROIs."""
        if what not in self.announced:
            self.announced.add(what)
            announce_cost(what, once, times)

    def _pool_ceilings(self, pool: Pool, full: Pool, left_out: Pool) -> _Ceilings:
        """Noise ceilings of an inner product, from the subjects' Gram matrices."""
        n_draw = self.drawn.image_counts.shape[1]
        images = Pool(pool.products[:, :, :n_draw], pool.norms[:, :n_draw])
        times = self.drawn.subject_counts
        sources = {"both": (images, times), "subjects": (full, times), "images": (images, None)}
        sources[JACKKNIFE] = left_out, None
        drawn = [pool.ceilings(counts) for pool, counts in (sources[way] for way in self._ways)]
        return full.ceilings()[:, :, 0], drawn

    @property
    def _ways(self) -> tuple[str, ...]:
        return self.drawn.sampling.ways if self.drawn.sampling else ()

    def _take(self, index: int, weighted: DrawScores, ceilings: _Ceilings | None) -> None:
        """Enter what was found for an ROI."""
        drawn, n_member = self.drawn, len(self.members)
        scores = weighted.scores.copy()
        counts = np.concatenate([drawn.image_counts, self.splits], axis=1)
        scores[:, :, (counts > 0).sum(axis=0) < MIN_PAIRS] = np.nan
        n_draw, n_split = drawn.image_counts.shape[1], drawn.halves.shape[3]
        images = scores[:, :, :n_draw]
        if self._ways == (JACKKNIFE,):
            left_out = weighted.without_image
            images = drawn.member_scores[:, index] if left_out is None else left_out
        drawn.member_scores[:, index] = images
        drawn.halves[0, index] = scores[:, :, n_draw : n_draw + n_split].mean(axis=0)
        drawn.halves[1, index] = scores[:, :, n_draw + n_split :].mean(axis=0)
        if weighted.without_image is not None:
            drawn.jackknife[index] = jackknife_error(weighted.without_image.mean(axis=0))
        shares = drawn.subject_counts / n_member
        for way, name in enumerate(self._ways):
            if name in {"images", JACKKNIFE}:
                drawn.scores[way, index] = images.mean(axis=0)
            else:  # one column serves all draws where images stay
                each = images if name == "both" else self.full[:, index, :, None]
                drawn.scores[way, index] = (each * shares[:, None]).sum(axis=0)
        pools = weighted.pool, weighted.full_pool, weighted.pool_without_image
        if ceilings is None and self.plan.ceiling != "none" and None not in pools:
            ceilings = self._pool_ceilings(*cast(tuple[Pool, Pool, Pool], pools))
        if ceilings is not None:
            full, drawn_ceilings = ceilings
            drawn.full_ceilings[index] = self._over_members(full)
            drawn.member_ceilings[:, index] = full[:, :n_member].T
            for way, each in enumerate(drawn_ceilings):
                drawn.ceilings[way, index] = self._over_members(each)

    def _over_members(self, ceilings: FloatArray) -> FloatArray:
        """Mean ceiling of the members that are drawn: peers only serve to pool."""
        own = ceilings[:, : len(self.members)]
        known = np.isfinite(own)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(known, own, 0.0).sum(axis=1) / known.sum(axis=1))


def _missing(rdms: Sequence[Rdm]) -> list[IntArray]:
    return [rdm.missing for rdm in rdms]
