"""Patterns in numpy's archives (``numpy.savez("sub-1.npz", V1=betas, images=names, run=runs)``).

Each numeric array of two dimensions, (n_row, n_channel), is the matrix of the ROI or layer that it
is called by; a single array without a name (``arr_0``) is called by the file's name. The array
``image_key`` has the names of the images of the rows; where there is none, the only array of text
with as many entries as there are rows. Arrays called ``run_key`` and ``session_key`` say in which
run and session each row was measured. Other arrays of fewer dimensions are left unread, as are
Python objects. Names can also be given (``data.image_names=FILE``) or listed as for ``.npy`` files.
"""

from __future__ import annotations

from pathlib import Path

from rsa_exp.errors import InputError, listing
from rsa_exp.rdms.readers.matrix_patterns import MatrixPatterns
from rsa_exp.rdms.readers.name_lists import find_images
from rsa_exp.rdms.readers.npz_files import (
    MAGIC,
    NpzMember,
    is_label,
    is_text,
    open_npz,
    read_texts,
)
from rsa_exp.rdms.readers.source import Naming

__all__ = ["DESCRIPTION", "NpzPatterns", "can_read", "open_file"]

DESCRIPTION = "an .npz file of patterns"


def can_read(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Whether a file begins as an archive does."""
    return head.startswith(MAGIC)


class NpzPatterns(MatrixPatterns):
    """An ``.npz`` file; arguments as in `rsa_exp.rdms.readers.open_patterns`.

    An `InputError` if it is damaged, or its arrays have other shapes than the names ask for.
    """

    def __init__(self, path: Path, naming: Naming) -> None:
        super().__init__(path.name, path, naming.row_kind)
        members = open_npz(path)
        labels = {key: member for key, member in members.items() if is_label(member)}
        matrices = self._find_matrices(members)
        named = members.get(naming.image_key)
        if naming.images is None and named is not None and named.dtype.kind == "O":
            raise InputError(
                f"{self.name}: '{naming.image_key}' has Python objects, which are never loaded; "
                "save it as text: numpy.array(names, dtype=str)"
            )
        images, self.files = self._find_images(path, naming, labels, matrices)
        runs, sessions = (
            read_texts(path, labels, key) if key in labels else None
            for key in (naming.run_key, naming.session_key)
        )
        self._set_matrices(matrices, images, runs, sessions)

    def _find_matrices(self, members: dict[str, NpzMember]) -> dict[str, NpzMember]:
        numbers = {k: m for k, m in members.items() if m.dtype.kind in "biuf"}
        for key, member in numbers.items():
            if len(member.shape) > 2:
                raise InputError(
                    f"{self.name}: '{key}' has shape {member.shape}; store measurements x channels "
                    "(array.reshape(len(array), -1))"
                )
        matrices = {key: member for key, member in numbers.items() if len(member.shape) == 2}
        if not matrices:
            shapes = (f"{k}: {m.dtype.name:.20} {m.shape}" for k, m in members.items())
            raise InputError(
                f"{self.name} has no matrix of numbers (it has {listing(shapes)}); expected one "
                f"of shape (n_row, n_channel) for each {self.row_kind}"
            )
        return {self.path.stem: matrices["arr_0"]} if list(matrices) == ["arr_0"] else matrices

    def _find_images(
        self,
        path: Path,
        naming: Naming,
        labels: dict[str, NpzMember],
        matrices: dict[str, NpzMember],
    ) -> tuple[list[object], list[Path]]:
        """Return the names of images, and the files that are read."""
        sizes = {size for matrix in matrices.values() for size in matrix.shape}
        usable = {
            key: is_text(member)
            for key, member in labels.items()
            if key not in {naming.run_key, naming.session_key}
            and (member.shape[0] in sizes or key == naming.image_key)
        }
        if naming.images is None and (naming.image_key in usable or any(usable.values())):
            return read_texts(path, labels, self._choose(usable, naming.image_key, "image")), [path]
        images, lists = find_images(path, naming)
        return [*images], [path, *lists]


open_file = NpzPatterns
