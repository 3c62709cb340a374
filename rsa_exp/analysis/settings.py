"""What is to be inferred from scores."""

from __future__ import annotations

from dataclasses import dataclass

from rsa_exp.errors import InputError, check_choice
from rsa_exp.vocabulary import BOOTSTRAPS, CEILINGS, JACKKNIFE, MIN_DRAWS

__all__ = ["HOW_TO_RESAMPLE", "NO_INFERENCE", "Inference"]

HOW_TO_RESAMPLE = "inference=full, or Inference(resampling=True), does"
"""What makes draws that cost a whole comparison each; for messages."""


@dataclass(frozen=True)
class Inference:
    """How far scores are to be trusted: bootstrap, permutation tests and noise ceilings.

    Attributes
    ----------
    bootstrap : {'auto', 'images', 'subjects', 'dual', 'jackknife', 'none'}
        What is drawn: images (for statements about new images), subjects, or both (Schuett et al.
        2023, eLife 12:e82566); ``auto`` is ``dual`` for ``subject="group"`` of two or more, else
        ``images``. ``jackknife`` leaves out each image once instead of drawing them: standard
        errors and t intervals over images at the cost of the scores, at any number of images, for
        ``corr``, ``cosine``, ``corr_cov`` and ``cosine_cov``.
    n_boot : int
        Bootstrap draws, at least 20.
    n_perm : int
        Permutations of the images; 0 makes no permutation test.
    n_splits : int
        Splits of the images into halves, to choose the best layer on one and score it on the other.
    ci : float
        Confidence level of intervals, in [0.5, 1).
    ceiling : {'auto', 'draws', 'none'}
        Noise ceiling: from all data, and in each draw where that is cheap; in each draw whatever
        it costs; none.
    resampling : bool
        Whether draws and permutations are made that cost a whole comparison each (``tau-a``,
        ``tau-b``, ``bures``, ``bures_metric``, registered metrics; ranks or whitened metrics of
        RDMs with missing pairs).
    keep_draws : bool
        Whether the result keeps all draws.

    Raises
    ------
    InputError
        If a value is out of its range.
    """

    bootstrap: str = "auto"
    n_boot: int = 1000
    n_perm: int = 1000
    n_splits: int = 50
    ci: float = 0.95
    ceiling: str = "auto"
    resampling: bool = False
    keep_draws: bool = False

    def __post_init__(self) -> None:
        check_choice("bootstrap", self.bootstrap, BOOTSTRAPS)
        check_choice("ceiling", self.ceiling, CEILINGS)
        if self.bootstrap not in {"none", JACKKNIFE} and self.n_boot < MIN_DRAWS:
            raise InputError(
                f"n_boot={self.n_boot} draws make no interval; use {MIN_DRAWS} or more, or "
                "bootstrap='none'"
            )
        for name in ("n_boot", "n_perm", "n_splits"):
            if getattr(self, name) < 0:
                raise InputError(f"{name}={getattr(self, name)} is negative; use 0 or more")
        if not 0.5 <= self.ci < 1:
            raise InputError(f"ci={self.ci} is not a confidence level such as 0.95")

    @property
    def n_draw(self) -> int:
        """Draws of images, and halves of them."""
        of_images = self.bootstrap in {"images", "dual"}
        return 2 * self.n_splits + (self.n_boot if of_images else 0)

    @property
    def draws(self) -> bool:
        """Whether there is a bootstrap, or split halves, or noise ceilings."""
        return self.bootstrap != "none" or self.ceiling != "none" or self.n_splits > 0

    @property
    def is_none(self) -> bool:
        """Whether nothing is to be inferred."""
        return not (self.draws or self.n_perm)


NO_INFERENCE = Inference("none", n_boot=0, n_perm=0, n_splits=0, ceiling="none")
"""Scores alone."""
