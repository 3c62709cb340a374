"""What an analysis is about: whose RDMs are compared with which layers, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsa_exp.stats.metrics.registry import Metric
from rsa_exp.vocabulary import JOINT, POOLED

__all__ = ["Question"]


@dataclass(frozen=True)
class Question:
    """What is scored, and how.

    Attributes
    ----------
    subject : str
        A subject, ``joint`` or ``group``.
    subjects : sequence of str
        All subjects of the study.
    rois, layers : sequence of str
        What is compared.
    metric : Metric
        How RDMs are compared.
    seed : int
        Of all draws and permutations.
    """

    subject: str
    subjects: Sequence[str]
    rois: Sequence[str]
    layers: Sequence[str]
    metric: Metric
    seed: int

    @property
    def members(self) -> dict[str, list[str]]:
        """What is scored by itself: each subject, or the mean RDM of all as ``joint``."""
        if self.subject == JOINT:
            return {JOINT: list(self.subjects)}
        scored = self.subjects if self.subject in POOLED else [self.subject]
        return {subject: [subject] for subject in scored}

    @property
    def peers(self) -> list[str]:
        """Further subjects, whom the noise ceiling of a single one needs."""
        if self.subject in POOLED:
            return []
        return [subject for subject in self.subjects if subject != self.subject]
