"""RDMs in numpy's files: ``.npy``, ``.npz``, or a folder of either.

An array of n images has the shape (n_pairs,), (n, n), or with several RDMs of one name, for
sessions or repetitions, (k, n_pairs), (k, n, n) or (n, n, k); several are averaged by the study.
Condensed means the upper triangle row by row, as mne-rsa, scipy and rsatoolbox have it.

``.npy`` (mne-rsa, Algonauts)
    One array, called by the file's name.
``.npz`` (``numpy.savez("sub-1.npz", V1=rdm, V2=rdm, images=names)``, Algonauts)
    An array for each ROI or layer, called by its key; a single array without a name (``arr_0``),
    as Net2Brain has for brains, is called by the file's name. The text array ``image_key`` has the
    names of the images, else the only one.
Net2Brain's ``RDM_{layer}.npz``
    ``rdm`` (condensed), ``stimuli_name``, and ``layer_name``, by which the layer is called; the
    pickled ``meta`` is left unread.
A folder
    All its ``.npy`` and ``.npz`` files, in the natural order of their names (``layer2`` before
    ``layer10``), with the same images. What the names of files of ROIs all begin with, up to an
    underscore, is dropped.

Where a file has no names, they are given (``data.image_names=FILE``) or listed in a text file, as
for patterns (`rsa_exp.rdms.readers.npy_patterns`). Net2Brain's and Algonauts' brains have none.
"""

from __future__ import annotations

from pathlib import Path

from rsa_exp.errors import InputError, listing
from rsa_exp.rdms.readers import npy_files, npz_files
from rsa_exp.rdms.readers.folders import files_in, row_names_of
from rsa_exp.rdms.readers.matrix_patterns import StoredArray
from rsa_exp.rdms.readers.name_lists import find_images
from rsa_exp.rdms.readers.npz_files import NpzMember, is_label, is_text, read_texts
from rsa_exp.rdms.readers.source import Naming
from rsa_exp.rdms.readers.stacked_rdms import StackedRdms

__all__ = ["DESCRIPTION", "NumpyRdms", "can_read", "open_file"]

DESCRIPTION = "a .npy or .npz file of RDMs, or a folder of such files"

_MAX_NAME_BYTES = 2**16
_SUFFIXES = (".npy", ".npz")


def can_read(path: Path, head: bytes) -> bool:
    """Whether a file begins as numpy's files do, or a folder has some."""
    is_file = head.startswith((npy_files.MAGIC, npz_files.MAGIC))
    return is_file or (path.is_dir() and bool(files_in(path, *_SUFFIXES)))


class NumpyRdms(StackedRdms):
    """A file or folder; arguments as in `rsa_exp.rdms.readers.open_rdms`.

    An `InputError` if a file is damaged, has no names of images, or holds other arrays than RDMs.
    """

    def __init__(self, path: Path, naming: Naming) -> None:
        super().__init__(path.name, path, naming.row_kind)
        self._naming = naming
        files = files_in(path, *_SUFFIXES) if path.is_dir() else [path]
        stacks: list[tuple[str, StoredArray]] = []
        images: list[object] | None = None
        for file, name in zip(files, row_names_of(files, naming.row_kind), strict=True):
            found, own = self._open(file, name)
            stacks += found
            if own is not None and naming.images is None:
                if images not in (None, own):
                    raise InputError(
                        f"{file} has other images than {files[0].name}, or another order of them"
                    )
                images = own
        if images is None:
            listed, lists = find_images(path, naming)
            images, self.files = [*listed], [*files, *lists]
        else:
            self.files = files
        self.guessed = list(dict.fromkeys(self.guessed))
        self._set_stacks(stacks, images)

    def _open(
        self, file: Path, name: str
    ) -> tuple[list[tuple[str, StoredArray]], list[object] | None]:
        """Return the arrays of one file with their names, and the images it names."""
        with file.open("rb") as stream:
            is_archive = stream.read(len(npz_files.MAGIC)) == npz_files.MAGIC
        if not is_archive:
            return [(name, npy_files.open_npy(file))], None
        members = npz_files.open_npz(file)
        texts = {key: m for key, m in members.items() if is_label(m) and is_text(m)}
        images = self._images_of(file, members, texts)
        layer = members.get("layer_name")
        if "rdm" in members and layer is not None and _is_name(layer):
            return [(str(layer.read()), members["rdm"])], images
        rdms: list[tuple[str, StoredArray]] = [
            (key, member)
            for key, member in members.items()
            if member.dtype.kind in "fiu" and key != self._naming.image_key
        ]
        if not rdms:
            shapes = (f"{k}: {m.dtype.name:.20} {m.shape}" for k, m in members.items())
            raise InputError(f"{file.name} has no array of numbers (it has {listing(shapes)})")
        return ([(name, rdms[0][1])] if [key for key, _ in rdms] == ["arr_0"] else rdms), images

    def _images_of(
        self, file: Path, members: dict[str, NpzMember], texts: dict[str, NpzMember]
    ) -> list[object] | None:
        """Return the images that an archive names; None if it names none."""
        key = self._naming.image_key
        named = {key: members[key]} if key in members and is_label(members[key]) else {}
        if self._naming.images is not None or not (texts or named):
            return None
        chosen = self._choose(
            {**dict.fromkeys(texts, True), **dict.fromkeys(named, True)}, key, "image"
        )
        return read_texts(file, members, chosen)


def _is_name(member: NpzMember) -> bool:
    """Whether an array is one text, and no longer than a name."""
    return is_text(member) and member.shape == () and 0 < member.header.n_bytes < _MAX_NAME_BYTES


open_file = NumpyRdms
