"""A folder of the Natural Scenes Dataset (Allen et al., 2022, Nature Neuroscience 25, 116).

Anywhere under the folder, as NSD names them (its own tree, or files gathered in one folder):

- ``betas_session01.hdf5`` and so on: ``betas``, int16 of shape (750, z, y, x), 300 times the
  percent signal change, by which they are divided. All in one folder: of one subject, resolution
  and version.
- ``roi/*.nii.gz``: masks of shape (x, y, z) with a number for each ROI, read by nibabel
  (``rsa-exp[nsd]``). Each number above 0 is an ROI, called as the mask and the number:
  ``prf-visualrois-1``. Masks of another shape are of another resolution and left out.
- ``nsd_expdesign.mat``: image ``subjectim[subject - 1, masterordering[trial] - 1]``, counted from
  1, was shown in a trial, and is called ``nsd02951`` as in NSD's own names of the shared images.

Rows are the trials of the sessions that there are, in order; the session of a row is known, its run
is not. The subject is the number in ``subj01``, a folder above the betas, or `Naming.subject`.
Voxels are read session by session, and only the chunks that hold them.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError, listing
from rsa_exp.rdms.readers.hdf5 import damage_reported, own_item
from rsa_exp.rdms.readers.matlab_file import MatlabFile
from rsa_exp.rdms.readers.pattern_source import PatternSource
from rsa_exp.rdms.readers.source import Naming
from rsa_exp.rdms.readers.stored_array import StoredArray
from rsa_exp.stats.condensed import IntArray

__all__ = ["DESCRIPTION", "NsdPatterns", "can_read", "open_file"]

DESCRIPTION = "a folder of NSD with betas_session*.hdf5"
_BETAS = "betas_session*.hdf5"
_DESIGN = "nsd_expdesign.mat"
_SCALE = np.float32(300)
_MAX_VOXELS = 2**26
# What nibabel raises for a damaged file, besides its own errors.
_DAMAGE = (
    OSError, EOFError, ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError,
    struct.error, zlib.error,
)  # fmt: skip
_MAX_LABELS = 1000  # of a mask; Glasser's atlas has 180


def can_read(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Whether a folder holds betas of NSD."""
    return path.is_dir() and next(path.rglob(_BETAS), None) is not None


class NsdPatterns(PatternSource):
    """A folder of NSD; arguments as in `open_patterns`, errors likewise."""

    path: Path

    def __init__(self, path: Path, naming: Naming) -> None:
        super().__init__(path.name, path, naming.row_kind)
        self.of_subject = bool(naming.subject)
        self._sessions = _session_files(path, naming.subject)
        subject = _subject(next(iter(self._sessions.values())), naming.subject)
        shapes = {number: self._shape_of(file) for number, file in self._sessions.items()}
        if len(set(shapes.values())) > 1:
            raise InputError(f"{self.name}: sessions have betas of several shapes: {shapes}")
        self._n_trial, *volume = next(iter(shapes.values()))
        self._volume = tuple(volume)
        images = naming.images
        sessions = [number for number in shapes for _ in range(self._n_trial)]
        design = next(iter(sorted(path.rglob(_DESIGN))), None)
        if images is None:
            if design is None:
                raise InputError(
                    f"{self.name} has no {_DESIGN}, which says which images were shown"
                )
            images = _images(design, subject, self._sessions, self._n_trial)
        self._voxels, masks = self._masks(path, subject)
        self._set_labels(images, self._voxels)
        if len(images) != len(sessions):
            raise InputError(f"{self.name}: {len(images)} image names for {len(sessions)} trials")
        self._set_folds(None, sessions)
        self._columns = list(self._voxels.values())
        used = [] if naming.images is not None or design is None else [design]
        self.files = [*self._sessions.values(), *masks, *used]

    def close(self) -> None:
        """Nothing is held open."""

    def shape(self, index: int) -> tuple[int, int]:
        """Return (n_trial, n_voxel) of an ROI."""
        return self.n_row, len(self._columns[index])

    def _fetch(self, index: int) -> NDArray[Any]:
        """Return percent signal change in float32."""
        columns = self._columns[index]
        values = np.empty((self.n_row, len(columns)), np.float32)
        start = 0
        for path in self._sessions.values():
            with damage_reported(path), h5py.File(path, "r") as file:
                betas = self._betas(file, path)
                try:
                    found = betas.read_columns(columns)
                finally:
                    betas.close()
            np.divide(found, _SCALE, out=values[start : start + len(found)], casting="same_kind")
            start += len(found)
        return values

    def _shape_of(self, path: Path) -> tuple[int, ...]:
        with damage_reported(path), h5py.File(path, "r") as file:
            betas = self._betas(file, path)
            betas.close()
        return betas.shape

    def _betas(self, file: h5py.File, path: Path) -> StoredArray:
        values = own_item(file, "betas")
        if not isinstance(values, h5py.Dataset) or values.ndim != 4 or values.dtype.kind != "i":
            found = listing(file) if values is None else "another kind"
            raise InputError(
                f"{path.name} has no 'betas' of whole numbers, shape (n_trial, z, y, x) ({found})"
            )
        return StoredArray(values, path)

    def _masks(self, folder: Path, subject: int) -> tuple[dict[str, IntArray], list[Path]]:
        """Return the voxels of each ROI, as indices into (z, y, x), and the files of the masks."""
        found: dict[str, IntArray] = {}
        files, others = [], []
        for path in sorted(folder.rglob("roi/*.nii.gz")) or sorted(folder.rglob("*.nii.gz")):
            if _subject_in(path) not in (None, subject) or path.name.startswith("betas"):
                continue
            labels = _mask(path, self._volume)
            if labels is None:
                others.append(path.name)
                continue
            values = np.unique(labels[labels > 0])
            if len(values) > _MAX_LABELS:
                raise InputError(f"{path.name} has {len(values)} values; a mask numbers its ROIs")
            name = path.name.removesuffix(".nii.gz")
            found |= {f"{name}-{value:g}": np.flatnonzero(labels == value) for value in values}
            files.append(path)
        if not found:
            left = f"; of another shape: {listing(others)}" if others else ""
            raise InputError(
                f"{self.name} has no masks of shape {self._volume[::-1]} with ROIs (*.nii.gz in a "
                f"folder 'roi'){left}"
            )
        return found, files


def _session_files(folder: Path, subject: str) -> dict[int, Path]:
    """Return the files of betas by session, in order."""
    number = _digits(subject)
    found = [
        path
        for path in sorted(folder.rglob(_BETAS))
        if number is None or _subject_in(path) in (None, number)
    ]
    folders = sorted({str(path.parent.relative_to(folder)) for path in found})
    if len(folders) != 1:
        problem = f"in several folders ({listing(folders)}); give" if folders else "none; give"
        raise InputError(
            f"{folder.name}: betas of subject '{subject}' are {problem} a folder with betas of one "
            "subject, resolution and version"
        )
    numbered = {n: path for path in found if (n := _digits(path.stem)) is not None}
    if not numbered:
        raise InputError(f"{folder.name}: files of betas have no number of a session")
    return dict(sorted(numbered.items()))


def _digits(text: str) -> int | None:
    match = re.search(r"(\d{1,6})$", text)
    return int(match[1]) if match else None


def _subject_in(path: Path) -> int | None:
    """Return the number in a folder called subj01."""
    found = [m for part in path.absolute().parts if (m := re.fullmatch(r"subj(\d{1,3})", part))]
    return int(found[-1][1]) if found else None


def _subject(path: Path, given: str) -> int:
    number = _subject_in(path)
    number = _digits(given) if number is None else number
    if number is None or number < 1:
        raise InputError(
            f"{path.parent}: the subject's number is not known; keep NSD's folder subj01 above it"
        )
    return number


def _images(path: Path, subject: int, sessions: Iterable[int], n_trial: int) -> list[str]:
    """Return the names of the images of the sessions' trials."""
    file = MatlabFile(path)
    try:
        tables = []
        for name in ("masterordering", "subjectim"):
            variable = file.variables.get(name)
            if variable is None or variable.kind != "numbers":
                raise InputError(f"{path.name} has no '{name}' (it has {listing(file.variables)})")
            tables.append(np.asarray(variable.load()).astype(np.int64))
    finally:
        file.close()
    order, ids = tables[0].ravel(), np.atleast_2d(tables[1])
    if subject > len(ids):
        raise InputError(f"{path.name} has {len(ids)} subjects, not subject {subject}")
    names = []
    for session in sessions:
        shown = order[(session - 1) * n_trial : session * n_trial]
        if session < 1 or len(shown) < n_trial or (shown < 1).any() or (shown > ids.shape[1]).any():
            raise InputError(
                f"{path.name} does not say which {n_trial} images session {session} had"
            )
        names += [f"nsd{image:05d}" for image in ids[subject - 1, shown - 1]]
    return names


def _mask(path: Path, volume: tuple[int, ...]) -> NDArray[Any] | None:
    """Return a mask as (z, y, x), flat; None if it is of another shape."""
    try:
        import nibabel  # an extra, not for other formats
        from nibabel import filebasedimages, spatialimages, wrapstruct
    except ImportError:
        raise InputError(
            "masks of NSD (.nii.gz) are read by nibabel: pip install 'rsa-exp[nsd]'"
        ) from None
    of_nibabel = (
        filebasedimages.ImageFileError,
        spatialimages.HeaderDataError,
        spatialimages.ImageDataError,
        wrapstruct.WrapStructError,
    )
    try:
        image = nibabel.Nifti1Image.from_filename(str(path), mmap=False)
        if tuple(image.shape) != volume[::-1]:
            return None
        if np.prod(volume) > _MAX_VOXELS or image.get_data_dtype().kind not in "fiu":
            raise ValueError("too large, or no numbers")
        return np.asarray(image.dataobj).T.ravel()
    except (*of_nibabel, *_DAMAGE) as error:
        raise InputError(f"{path} is not a NIfTI file of a mask; copy it again") from error


open_file = NsdPatterns
