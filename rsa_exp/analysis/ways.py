"""How an analysis of patterns is computed: from sums over them, by tiles, or from whole RDMs.

All ways give the same numbers to 1e-9; which is cheapest depends on the numbers of images, voxels
and units, and RDMs of many images fit into no memory.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
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
from rsa_exp.stats.points.comparison import Cost, PointComparison
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
_NO_COST = Cost(0.0, 0.0, 0.0, 0.0)
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
    made : bool
        Whether RDMs are made of patterns, and not read as such.
    points : StudyPoints or None
        Where some part comes from patterns or tiles.
    comparison : PointComparison or None
        Where some part comes from patterns.
    cost : Cost
        Of the comparison.
    free : float
        Bytes of memory that were free.
    scores : {'patterns', 'tiles', 'rdms'}
        What gives the scores.
    draws, permutations : {'patterns', 'rdms', 'none'}
        What gives bootstrap and split halves, and permutations; none where the ranks of that many
        images fit into no memory.
    """

    made: bool = False
    points: StudyPoints | None = None
    comparison: PointComparison | None = None
    cost: Cost = _NO_COST
    free: float = 0.0
    scores: str = "rdms"
    draws: str = "rdms"
    permutations: str = "rdms"

    def described(self, question: Question, inference: Inference) -> Described:
        """Say what was computed and how; nothing for RDM files."""
        if not self.made:
            return Described({}, [])
        parts = {"scores": self.scores}
        if inference.draws:
            parts["draws"] = self.draws
        if inference.n_perm and (question.metric.has_unit or inference.resampling):
            parts["permutations"] = self.permutations
        texts = []
        for way in dict.fromkeys(parts.values()):
            named = [part for part, other in parts.items() if other == way]
            what = " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))
            texts.append(f"{what} {_WORDS[way]}")
        return Described(parts, ["; ".join(texts)])

    def announce(self, question: Question, inference: Inference, n_images: int) -> None:
        """Warn if inference will take more than a minute."""
        if "patterns" not in (self.draws, self.permutations):
            if self.draws != "none":
                announce_inference(question, inference, n_images)
            return
        n_draw = inference.n_draw
        work = self.cost.draw * n_draw * (self.draws == "patterns")
        work += self.cost.permutation * inference.n_perm * (self.permutations == "patterns")
        announce_seconds(
            f"inference ({n_draw} draws and {inference.n_perm} permutations of {n_images} images; "
            "inference=jackknife gives standard errors without draws)",
            work / (_SPEED * n_workers()),
        )


def choose_ways(rdms: RdmCache, question: Question, inference: Inference, precision: str) -> Ways:
    """Choose the cheapest way for each part of an analysis.

    What costs least depends on the numbers of images, voxels and units alone. Where RDMs do not fit
    into the memory that is free, another way is taken whatever it costs.

    Parameters
    ----------
    rdms, question, inference
        The study's RDMs, what is scored, and what is inferred; `bootstrap` is not ``auto``.
    precision : {'float64', 'float32'}
        As in `PointComparison`.

    Raises
    ------
    InputError
        If RDMs are needed, and take more memory than there is.
    """
    if not rdms.has_patterns(question.members):
        return Ways()
    n_images, metric = rdms.n_images, question.metric
    needed, free = 8 * count_pairs(n_images) * (1 + _PER_CORE * n_workers()), available_bytes()
    fits = needed <= _SHARE * free
    linear = metric.bootstrap == "weights"
    by_tiles = metric.name in _BY_TILES and not fits
    ceilings = linear and inference.ceiling != "none" and question.subject != JOINT
    found = Ways(made=True, free=free)
    if linear:
        sizes = _Sizes.of(rdms, question, peers=ceilings)
        found = replace(found, cost=sizes.cost(len(question.members), pooled=ceilings))
        parts = _cheapest(found.cost, sizes, question, inference) if fits else ("patterns",) * 3
        found = replace(found, scores=parts[0], draws=parts[1], permutations=parts[2])
    elif by_tiles:
        found = replace(found, scores="tiles", draws="none", permutations="none")
    if found.scores == found.draws == found.permutations == "rdms" and fits:
        return found
    points = None
    if linear or by_tiles:
        points = StudyPoints.of(rdms, question, peers=ceilings)
    if points is None and fits:
        return Ways(made=True, free=free)
    if points is None:
        names = listing([name for name in METRICS if METRICS[name].bootstrap == "weights"])
        raise InputError(
            f"metric={metric.name} of these patterns needs RDMs of {n_images} images, "
            f"{8 * count_pairs(n_images) / 1e9:.1f} GB each and {needed / 1e9:.0f} GB in all, and "
            f"{free / 1e9:.0f} GB are free; {names} of complete patterns need no RDM, or choose "
            "fewer images with images=FILE"
        )
    if not linear:
        return replace(found, points=points)
    n_member = len(question.members)
    comparison = PointComparison(
        metric, points.layers, points.rois, n_member, precision, pooled=ceilings
    )
    return replace(found, points=points, comparison=comparison)


@dataclass(frozen=True)
class _Sizes:
    """Images, and dimensions of the points of the layers, and of each ROI's members and peers."""

    n_images: int
    layers: list[int]
    rois: list[list[int]]

    @classmethod
    def of(cls, rdms: RdmCache, question: Question, *, peers: bool) -> _Sizes:
        groups = list(question.members.values())
        rois = []
        for roi in question.rois:
            named = [[peer] for peer in question.peers if peers and rdms.has_roi(peer, roi)]
            rois.append([rdms.n_dim(group, roi) for group in (*groups, *named)])
        return cls(rdms.n_images, [rdms.n_dim([""], layer) for layer in question.layers], rois)

    def cost(self, n_member: int, *, pooled: bool) -> Cost:
        """Multiplications of a `PointComparison`, about."""
        brains = [dim for roi in self.rois for dim in roi]
        across = sum(self.layers) * sum(dim for roi in self.rois for dim in roi[:n_member])
        own = sum(dim * dim for dim in (*self.layers, *brains)) / 2
        pools = sum(sum(roi) ** 2 - sum(dim * dim for dim in roi) for roi in self.rois) / 2
        full = self.n_images * (own + pools * pooled + across)
        return Cost(full, 2 * full, full, float(self.n_images * across))

    @property
    def forming(self) -> float:
        """Multiplications in whose time all RDMs are formed."""
        every = [*self.layers, *(dim for roi in self.rois for dim in roi)]
        return float(count_pairs(self.n_images) * sum(dim + _OF_PAIR for dim in every))


def _cheapest(
    cost: Cost, sizes: _Sizes, question: Question, inference: Inference
) -> tuple[str, ...]:
    """Choose between patterns and RDMs for scores, draws and permutations, by what they cost."""
    n_images, forming = sizes.n_images, sizes.forming
    n_cell = sum(map(len, sizes.rois)) * len(sizes.layers)

    def from_rdms(part: Inference) -> float:
        return forming + _OF_DRAWS * inference_seconds(question, part, n_images, 1.0)

    draws = replace(inference, n_perm=0)
    permutations = replace(inference, bootstrap="none", n_splits=0, ceiling="none")
    scores = cost.full <= forming + n_cell * count_pairs(n_images)
    chosen = (
        scores,
        scores
        if draws.is_none
        else cost.without_images + cost.draw * inference.n_draw <= from_rdms(draws),
        scores
        if permutations.is_none
        else cost.permutation * inference.n_perm <= from_rdms(permutations),
    )
    return tuple("patterns" if from_patterns else "rdms" for from_patterns in chosen)


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
