"""How an analysis of patterns is computed: from sums over them, by tiles, or from whole RDMs.

All ways give the same numbers to 1e-9; which is cheapest depends on the numbers of images, voxels
and units, and RDMs of many images fit into no memory.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from typing import NamedTuple

from rsa_exp.analysis.cost import announce_inference, announce_seconds, inference_seconds
from rsa_exp.analysis.question import Question
from rsa_exp.analysis.settings import Inference
from rsa_exp.errors import InputError, listing
from rsa_exp.rdms.cache import RdmCache
from rsa_exp.stats.condensed import count_pairs
from rsa_exp.stats.metrics.registry import METRICS
from rsa_exp.stats.parallel import in_order, n_workers
from rsa_exp.stats.points.comparison import PointComparison
from rsa_exp.stats.points.points import Points
from rsa_exp.vocabulary import JOINT

__all__ = ["Described", "StudyPoints", "Ways", "available_bytes", "choose_ways"]

# Metrics whose scores streamed tiles give.
_BY_TILES = ("spearman", "rho-a")
# Part of the memory that RDMs may take, and how many of them are held for each core.
_SHARE, _PER_CORE = 0.7, 3
# Multiplications (of doubles, by BLAS) in the time of one of the products that draws from RDMs
# need, and in that of forming and preparing a pair of an RDM.
_OF_DRAWS, _OF_PAIR = 0.25, 60
# Multiplications of doubles by one core in a second, about.
_SPEED = 2.5e10
_PARTS = {
    "scores": "scores",
    "draws": "draws and noise ceilings",
    "permutations": "permutations",
}
_WORDS = {
    "patterns": "come from sums over patterns, without RDMs",
    "tiles": "come from tiles of RDMs",
    "rdms": "come from RDMs made of patterns",
    "none": "were not made: ranks of so many images fit into no memory",
}


@dataclass(frozen=True)
class StudyPoints:
    """The layers and the ROIs of a question as points, of whose RDMs sums need no RDM.

    Attributes
    ----------
    layers : list of Points
        One for each layer.
    rois : list of list of Points
        For each ROI those of its members, then those of the peers who have it.
    """

    layers: list[Points]
    rois: list[list[Points]]

    @classmethod
    def of(cls, rdms: RdmCache, question: Question, *, peers: bool) -> StudyPoints | None:
        """Return the points of a question, with the peers' or without; None if any has none."""
        groups = [list(members) for members in question.members.values()]
        tasks: list[tuple[list[str], str]] = [([], layer) for layer in question.layers]
        sizes = []
        for roi in question.rois:
            named = [[peer] for peer in question.peers if peers and rdms.has_roi(peer, roi)]
            tasks += [(group, roi) for group in (*groups, *named)]
            sizes.append(len(groups) + len(named))

        def read(task: tuple[list[str], str]) -> Points | None:
            subjects, name = task
            return rdms.brain_points(subjects, name) if subjects else rdms.model_points(name)

        found = []
        for points in in_order(read, tasks):
            if points is None:
                return None
            found.append(points)
        layers, brains = found[: len(question.layers)], iter(found[len(question.layers) :])
        return cls(layers, [[next(brains) for _ in range(size)] for size in sizes])


class Described(NamedTuple):
    """How the parts of an analysis were computed, for the record, and as notices."""

    parts: dict[str, str]
    notices: list[str]


@dataclass(frozen=True)
class Ways:
    """How the parts of an analysis are computed.

    Attributes
    ----------
    points : StudyPoints or None
        None where RDMs are read as such, or patterns have no points.
    comparison : PointComparison or None
        Sums over patterns, for metrics that are inner products.
    free : float
        Bytes of memory that were free.
    scores : {'patterns', 'tiles', 'rdms'}
        What gives the scores.
    draws, permutations : {'patterns', 'rdms', 'none'}
        What gives bootstrap and split halves, and permutations; none where the ranks of that many
        images fit into no memory.
    """

    points: StudyPoints | None = None
    comparison: PointComparison | None = None
    free: float = 0.0
    scores: str = "rdms"
    draws: str = "rdms"
    permutations: str = "rdms"

    def described(self, question: Question, inference: Inference) -> Described:
        """Say what was computed and how; nothing for RDM files."""
        if self.points is None:
            return Described({}, [])
        parts = {"scores": self.scores}
        if inference.bootstrap != "none" or inference.n_splits or inference.ceiling != "none":
            parts["draws"] = self.draws
        if inference.n_perm and (question.metric.has_unit or inference.resampling):
            parts["permutations"] = self.permutations
        texts = []
        for way in dict.fromkeys(parts.values()):
            named = [_PARTS[part] for part, other in parts.items() if other == way]
            texts.append(f"{' and '.join(named)} {_WORDS[way]}")
        return Described(parts, ["; ".join(texts)])

    def announce(self, question: Question, inference: Inference, n_images: int) -> None:
        """Warn if inference will take more than a minute."""
        if self.comparison is None or "patterns" not in (self.draws, self.permutations):
            announce_inference(question, inference, n_images)
            return
        cost = self.comparison.cost
        of_images = inference.bootstrap in {"images", "dual"}
        n_draw = 2 * inference.n_splits + (inference.n_boot if of_images else 0)
        work = cost.draw * n_draw * (self.draws == "patterns")
        work += cost.permutation * inference.n_perm * (self.permutations == "patterns")
        announce_seconds(
            f"inference ({n_draw} draws and {inference.n_perm} permutations of {n_images} images; "
            "inference=jackknife gives standard errors without draws)",
            work / (_SPEED * n_workers()),
        )


def choose_ways(rdms: RdmCache, question: Question, inference: Inference, precision: str) -> Ways:
    """Choose the cheapest way for each part of an analysis.

    Parameters
    ----------
    rdms, question, inference
        The study's RDMs, what is scored, and what is inferred; `bootstrap` is not ``auto``.
    precision : {'float64', 'float32'}
        As in `PointComparison`.

    Raises
    ------
    InputError
        If RDMs are needed, and one takes more memory than there is.
    """
    n_images, metric = rdms.n_images, question.metric
    row = 8 * count_pairs(n_images)
    needed = row * (1 + _PER_CORE * n_workers())
    free = available_bytes()
    fits = needed <= _SHARE * free
    able = metric.bootstrap == "weights" or (metric.name in _BY_TILES and not fits)
    peers = inference.ceiling != "none" and metric.has_ceiling and question.subject != JOINT
    points = None
    if able and rdms.has_patterns(question.members):
        points = StudyPoints.of(rdms, question, peers=peers and metric.bootstrap == "weights")
    if points is None:
        if not fits and rdms.has_patterns(question.members):
            linear = [name for name in METRICS if METRICS[name].bootstrap == "weights"]
            raise InputError(
                f"metric={metric.name} of these patterns needs RDMs of {n_images} images, "
                f"{row / 1e9:.1f} GB each and {needed / 1e9:.0f} GB in all, and {free / 1e9:.0f} "
                f"GB are free; {listing(linear)} of complete patterns need no RDM, or choose "
                "fewer images with images=FILE"
            )
        return Ways()
    if metric.bootstrap != "weights":
        return Ways(points, None, free, "tiles", "none", "none")
    comparison = PointComparison(
        metric, points.layers, points.rois, len(question.members), precision
    )
    if not fits:
        return Ways(points, comparison, free, "patterns", "patterns", "patterns")
    cost, forming = comparison.cost, _forming(points, n_images)
    n_cell = sum(map(len, points.rois)) * len(points.layers)
    scores = cost.full <= forming + n_cell * count_pairs(n_images)
    draws = _draws_from_patterns(comparison, question, inference, forming, n_images)
    each = sqrt(inference.n_perm) if inference.n_perm else 0.0
    work = inference_seconds(question, _only_permutations(inference), n_images, 1.0) * _OF_DRAWS
    permutations = cost.permutation * inference.n_perm <= forming * (each > 0) + work
    return Ways(
        points,
        comparison,
        free,
        *("patterns" if chosen else "rdms" for chosen in (scores, draws, permutations)),
    )


def _draws_from_patterns(
    comparison: PointComparison,
    question: Question,
    inference: Inference,
    forming: float,
    n_images: int,
) -> bool:
    """Whether draws, and noise ceilings, take less time from patterns than from RDMs."""
    of_images = inference.bootstrap in {"images", "dual"}
    n_column = 2 * inference.n_splits + (inference.n_boot if of_images else 0)
    cost = comparison.cost
    from_points = cost.draw * n_column + cost.without_images
    without = _without_permutations(inference)
    from_rdms = inference_seconds(question, without, n_images, 1.0) * _OF_DRAWS + forming
    return from_points <= from_rdms


def _without_permutations(inference: Inference) -> Inference:
    return replace(inference, n_perm=0)


def _only_permutations(inference: Inference) -> Inference:
    return replace(inference, bootstrap="none", n_splits=0, ceiling="none")


def _forming(points: StudyPoints, n_images: int) -> float:
    """Multiplications in whose time all RDMs are formed."""
    every: Sequence[Points] = [*points.layers, *(brain for roi in points.rois for brain in roi)]
    return float(count_pairs(n_images) * sum(each.n_dim + _OF_PAIR for each in every))


def available_bytes() -> float:
    """Return how much memory a process may take now: of the machine, and of its control group."""
    found = [float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))]
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = meminfo.read_text(encoding="ascii").splitlines()
        found += [
            1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")
        ]
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and (text := limit.read_text(encoding="ascii").strip()).isdecimal():
        used = Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii")
        found.append(float(text) - float(used))
    return max(0.0, min(found))
