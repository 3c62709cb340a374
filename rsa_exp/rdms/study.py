"""The files of one question, opened and aligned: every RDM comes out over the same images."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from rsa_exp.errors import InputError, listing, suggestion
from rsa_exp.rdms.alignment import Alignment, LabelledFile, align
from rsa_exp.rdms.images import choose_images
from rsa_exp.rdms.inputs import FileState, InputRecord
from rsa_exp.rdms.pair_gather import PairGather
from rsa_exp.rdms.readers import RdmSource, open_rdms
from rsa_exp.stats.condensed import FloatArray

__all__ = ["Study", "choose_names"]


def choose_names(
    wanted: str | Sequence[str], available: Sequence[str], kind: str, where: str
) -> list[str]:
    """Resolve what a user asked for among the names there are.

    Parameters
    ----------
    wanted : str or sequence of str
        ``all``, a name, a shell pattern (``LH*``), or several of these.
    available : sequence of str
        The names there are, whose order is kept.
    kind : str
        ``ROI`` or ``layer``, for the message.
    where : str
        Whose names they are, for the message.

    Returns
    -------
    list of str
        Names in the order of `available`, each once.

    Raises
    ------
    InputError
        If something that was asked for fits no name.
    """
    patterns = [wanted] if isinstance(wanted, str) else list(wanted)
    chosen: set[str] = set()
    for pattern in patterns:
        exact = {pattern} if pattern in available else set()
        fits = exact or {name for name in available if _fits(name, pattern)}
        if not fits:
            raise InputError(
                f"{where} has no {kind} '{pattern}' (it has {listing(available)})"
                f"{suggestion(pattern, available)}"
            )
        chosen |= fits
    if not chosen:
        raise InputError(f"no {kind} was asked for; {where} has {listing(available)}")
    return [name for name in available if name in chosen]


def _fits(name: str, wanted: str | Sequence[str]) -> bool:
    """Whether a name is among those asked for."""
    patterns = [wanted] if isinstance(wanted, str) else wanted
    return any(pattern in {"all", name} or fnmatchcase(name, pattern) for pattern in patterns)


class Study:
    """Brain files of several subjects and a model file, over their common images.

    Which images are common is decided over all subjects given here and the model, so that every
    run of a sweep scores the same images whichever subject it is about. A context manager: files
    stay open inside it.

    Parameters
    ----------
    brain : mapping of str to Path
        Subject to RDM file.
    model : Path
        The model's RDM file.
    how : {'stem', 'exact'}
        How image names are matched.
    images : str
        ``all``, a source, or a file with one name a line.
    sources : mapping of str to str
        Source name to pattern of image names.
    image_key, roi_key, layer_key : str
        Descriptors that name images, ROIs and layers (see `open_rdms`).
    layers : sequence of str or None
        The model's layers in depth order; None takes the rows of the file in order.
    hint : str
        Where missing files can be had.

    Attributes
    ----------
    alignment : Alignment
        The images in use.
    layers : list of str
        Layers in depth order.
    notices : list of str
        What was done that the user may not expect: rows averaged.
    warnings : list of str
        What was lost: images that a subject or a way of matching costs, ROIs, names of a list.
    states : list of FileState
        All files that were opened, also those of subjects who only decide the common images.

    Raises
    ------
    InputError
        If a file, a name or the alignment cannot be used.
    """

    def __init__(
        self,
        brain: Mapping[str, Path],
        model: Path,
        *,
        how: str,
        images: str,
        sources: Mapping[str, str],
        image_key: str,
        roi_key: str,
        layer_key: str,
        layers: Sequence[str] | None = None,
        hint: str = "",
    ) -> None:
        self.notices: list[str] = []
        self.warnings: list[str] = []
        self._gathers: dict[bytes, PairGather] = {}
        self._lock = threading.Lock()
        with ExitStack() as stack:
            self._brain = {
                subject: stack.enter_context(
                    open_rdms(path, image_key=image_key, row_key=roi_key, row_kind="ROI", hint=hint)
                )
                for subject, path in brain.items()
            }
            self._model = stack.enter_context(
                open_rdms(
                    model, image_key=image_key, row_key=layer_key, row_kind="layer", hint=hint
                )
            )
            for file in (*self._brain.values(), self._model):
                self.notices += file.guessed
            self.layers = self._check_layers(layers)
            self.alignment = self._align(how, images, sources)
            files = (*self._brain.values(), self._model)
            self.states = [FileState.of(file.path) for file in files if file.path is not None]
            self._files = stack.pop_all()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *raised: object) -> None:
        self._files.close()

    @property
    def images(self) -> list[str]:
        """Names of the images in use, as the first subject's file has them."""
        first = next(iter(self._brain.values()))
        return [first.images[i] for i in self.alignment.positions[str(first.path)]]

    @property
    def n_images(self) -> int:
        """Images in use."""
        return len(self.alignment.keys)

    def rois(self, subjects: Sequence[str], wanted: str | Sequence[str]) -> list[str]:
        """ROIs to score: those asked for, which every one of `subjects` must have.

        Parameters
        ----------
        subjects : sequence of str
            Whose ROIs.
        wanted : str or sequence of str
            ``all``, a name, a pattern, or several.
        """
        files = [self._brain[subject] for subject in subjects]
        shared = [name for name in files[0].names if all(name in f.names for f in files)]
        others = sorted(set().union(*(f.names for f in files)).difference(shared))
        partial = [name for name in others if _fits(name, wanted)]
        if partial:
            self._warn(f"left out, because not all subjects have them: {listing(partial)}")
        where = files[0].name if len(files) == 1 else f"subjects {listing(subjects)}"
        chosen = choose_names(wanted, shared, "ROI", where)
        for file in files:
            for roi in chosen:
                if (count := file.row_names.count(roi)) > 1:
                    self.notices.append(f"{file.name}: ROI '{roi}' has {count} RDMs, averaged")
        return chosen

    def has_roi(self, subject: str, roi: str) -> bool:
        """Whether a subject's file has an ROI."""
        return roi in self._brain[subject].names

    def brain_rdm(self, subjects: Sequence[str], roi: str) -> FloatArray:
        """Return an ROI's RDM over the common images, the mean of several subjects' where asked.

        Several rows of one name (sessions) are averaged first. A mean is taken, pair by pair, over
        the rows (then the subjects) that have the pair. May be called from several threads.

        Parameters
        ----------
        subjects : sequence of str
            One subject, or those whose mean is wanted.
        roi : str
            Which.

        Returns
        -------
        ndarray of shape (n_pairs,)
            In memory of its own; NaN where nobody has the pair.
        """
        return _mean(
            _mean(
                self._read(self._brain[subject], row) for row in self._brain[subject].rows_of(roi)
            )
            for subject in subjects
        )

    def model_rdm(self, layer: str) -> FloatArray:
        """Return the RDM of a layer over the common images.

        Returns
        -------
        ndarray of shape (n_pairs,)
            In memory of its own; NaN marks a missing pair.
        """
        return self._read(self._model, self._model.rows_of(layer)[0])

    def inputs(self) -> list[InputRecord]:
        """Return what has been read so far, file by file."""
        return [
            InputRecord(
                role,
                file.name,
                str(file.path.absolute()) if file.path else "",
                file.digest(),
                file.row_digests(),
                file.n_cond,
                len(file.row_names),
                subject,
            )
            for role, files in (("brain", self._brain), ("model", {"": self._model}))
            for subject, file in files.items()
            if file.row_digests()
        ]

    def digest_rows(self, role: str, subject: str, rows: Iterable[str]) -> None:
        """Read rows of a file for their digests alone, to be had from `inputs`.

        Parameters
        ----------
        role, subject : str
            Which file, as an `InputRecord` has them; a subject that the study has not is left out.
        rows : iterable of str
            Which rows, as its `rows` are keyed; those that the file has not are left out.
        """
        file = self._model if role == "model" else self._brain.get(subject)
        if file is not None:
            found = map(file.row_of_key, rows)
            for row in found:
                if row is not None:
                    file.read_row(row)

    def _read(self, file: RdmSource, row: int) -> FloatArray:
        values = self._gather_of(file)(file.read_row(row))
        if np.isinf(values).any():
            raise InputError(
                f"{file.name}: {file.row_kind} '{file.row_names[row]}' holds infinite "
                "dissimilarities; mark missing pairs with NaN"
            )
        return values

    def _gather_of(self, file: RdmSource) -> PairGather:
        """Return the index for a file's order of images; files of one order share it."""
        positions = self.alignment.positions[str(file.path)]
        mark = positions.tobytes() + file.n_cond.to_bytes(8, "little")
        with self._lock:
            if mark not in self._gathers:
                self._gathers[mark] = PairGather(positions, file.n_cond)
            return self._gathers[mark]

    def _check_layers(self, layers: Sequence[str] | None) -> list[str]:
        file = self._model
        repeated = {name for name in file.names if file.row_names.count(name) > 1}
        wanted = list(file.names if layers is None else layers)
        if len(set(wanted)) < len(wanted):
            raise InputError(f"data.layers names a layer twice: {listing(wanted)}")
        if repeated.intersection(wanted):
            raise InputError(
                f"{file.name}: several RDMs are called layer '{min(repeated)}'; give each "
                "layer one RDM, or name another descriptor with data.layer_key=NAME"
            )
        for layer in wanted:
            file.rows_of(layer)
        return wanted

    def _align(self, how: str, images: str, sources: Mapping[str, str]) -> Alignment:
        files = [
            LabelledFile(str(file.path), file.images)
            for file in (*self._brain.values(), self._model)
        ]
        alignment = align(files, how)
        self.warnings += alignment.warnings
        self._say_who_costs_images(files, how, len(alignment.keys))
        first = files[0]
        labels = [first.images[i] for i in alignment.positions[first.name]]
        keep, warning = choose_images(images, labels, how, sources)
        if warning:
            self._warn(warning)
        return alignment.restrict(keep)

    def _say_who_costs_images(self, files: list[LabelledFile], how: str, n_common: int) -> None:
        """Name each subject without whom more than a tenth more images would be common."""
        for subject, file in zip(self._brain, files, strict=False):
            others = [other for other in files if other is not file]
            if len(others) < 2:
                return
            matched = align(others, how)
            gain = len(matched.keys) - n_common
            if gain > n_common / 10:
                self._warn(
                    f"subject {subject} has {len(file.images)} images: with it {n_common} are "
                    f"common, without it {len(matched.keys)}"
                )

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


def _mean(rdms: Iterable[FloatArray]) -> FloatArray:
    """Mean of several RDMs, pair by pair over those that have it; the first is overwritten."""
    rows = iter(rdms)
    total, more = next(rows), next(rows, None)
    if more is None:
        return total
    count = (~np.isnan(total)).astype(np.int32)
    total[count == 0] = 0.0
    while more is not None:
        present = ~np.isnan(more)
        count += present
        more[~present] = 0.0
        total += more
        more = next(rows, None)
    total[count == 0] = np.nan
    total /= np.maximum(count, 1)
    return total
