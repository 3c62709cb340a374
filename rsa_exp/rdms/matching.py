"""The images of a study: common to its sources, and as far as they are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rsa_exp.rdms.alignment import Alignment, LabelledFile, align, costly_subjects
from rsa_exp.rdms.images import choose_images
from rsa_exp.rdms.readers import RdmSource

__all__ = ["match_images"]


def match_images(
    files: Sequence[RdmSource],
    subjects: Sequence[str],
    how: str,
    images: str,
    sources: Mapping[str, str],
) -> tuple[Alignment, list[str]]:
    """Match the images of the subjects' sources and the model's, and keep the chosen ones.

    Parameters
    ----------
    files : sequence of RdmSource
        Of each subject, then of the model.
    subjects : sequence of str
        Their names, for warnings.
    how, images, sources
        As in `rsa_exp.open_study`.

    Returns
    -------
    alignment : Alignment
        The images in use.
    warnings : list of str
        What was lost: images that a subject or a way of matching costs, names of a list.

    Raises
    ------
    InputError
        If names stand for several images, or fewer than three images are left.
    """
    labelled = [
        LabelledFile(file.name if file.path is None else str(file.path), file.images)
        for file in files
    ]
    alignment = align(labelled, how)
    warnings = list(alignment.warnings)
    warnings += costly_subjects(subjects, labelled, how, len(alignment.keys))
    labels = [files[0].images[i] for i in alignment.positions[0]]
    keep, warning = choose_images(images, labels, how, sources)
    warnings += [warning] if warning else []
    return alignment.restrict(keep), warnings
