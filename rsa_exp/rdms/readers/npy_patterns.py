"""Patterns in numpy's files of one array: a ``.npy`` file, or a folder with one for each ROI.

A file has a matrix of shape (n_row, n_channel), called by the file's name without its extension. It
has no names of images: they are given (``data.image_names=FILE``), or listed one a line in
``NAME_images.txt`` beside ``NAME.npy``, or in ``file_names.txt`` or ``images.txt`` in its folder.

In a folder, all ``.npy`` files are matrices with the same rows, in the natural order of their names
(``conv2`` before ``conv10``). What all names of ROIs begin with, up to an underscore, is dropped,
since it is the subject's: BOLD5000's ``CSI1_GLMbetas-..._allses_LHPPA.npy`` and
``..._allses_RHLOC.npy`` are ``LHPPA`` and ``RHLOC``. Its list ``CSI1_imgnames.txt`` is to be given.
"""

from __future__ import annotations

from pathlib import Path

from rsa_exp.rdms.readers.folders import files_in, row_names_of
from rsa_exp.rdms.readers.matrix_patterns import MatrixPatterns
from rsa_exp.rdms.readers.name_lists import find_images
from rsa_exp.rdms.readers.npy_files import MAGIC, open_npy
from rsa_exp.rdms.readers.source import Naming

__all__ = ["DESCRIPTION", "NpyPatterns", "can_read", "open_file"]

DESCRIPTION = "a .npy file of patterns, or a folder of such files"


def can_read(path: Path, head: bytes) -> bool:
    """Whether a file begins as ``.npy`` files do, or a folder has some."""
    return bool(files_in(path, ".npy")) if path.is_dir() else head.startswith(MAGIC)


class NpyPatterns(MatrixPatterns):
    """A ``.npy`` file, or a folder of them; arguments as in `rsa_exp.rdms.readers.open_patterns`.

    An `InputError` if a file is damaged, or of another shape than the names of images ask for.
    """

    def __init__(self, path: Path, naming: Naming) -> None:
        super().__init__(path.name, path, naming.row_kind)
        images, lists = find_images(path, naming)
        files = files_in(path, ".npy") if path.is_dir() else [path]
        names = row_names_of(files, naming.row_kind)
        self._set_matrices(dict(zip(names, map(open_npy, files), strict=True)), images)
        self.files = [*files, *lists]


open_file = NpyPatterns
