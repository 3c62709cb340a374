"""Strings of any length, of which HDF5's own reading cannot be trusted.

Where such strings are damaged, HDF5 (2.0) loops for ever or takes gigabytes: of a thousand small
files with a few bytes changed, about one does. So the common form (a data set in one piece) is
followed here through the file's heaps, and any other is read in a process of its own, with limits.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import h5py

__all__ = ["strings_apart", "strings_of"]

_REFERENCE = struct.Struct("<IQI")  # length, address of the heap, number in it
_HEAP = struct.Struct("<4sB3xQ")  # mark, version, size
_OBJECT = struct.Struct("<HH4xQ")  # number, uses, size
_NOWHERE = (0, 2**64 - 1)
_MAX_BYTES = 8192  # of one string, which others may share; longer ones are cut, and no name
_SECONDS = 30


def strings_of(values: h5py.Dataset, path: Path) -> list[bytes] | None:
    """Read a data set of strings of any length; None if it is not in one piece.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    offset = values.id.get_offset() if values.chunks is None else None
    if offset is None or values.file.id.get_create_plist().get_sizes() != (8, 8):
        return None
    with path.open("rb") as stream:
        stream.seek(offset)
        table = stream.read(_REFERENCE.size * len(values))
        if len(table) < _REFERENCE.size * len(values):
            raise ValueError("the strings lie beyond the end of the file")
        heaps: dict[int, dict[int, bytes]] = {}
        left = path.stat().st_size
        strings = []
        for length, address, number in _REFERENCE.iter_unpack(table):
            if length == 0 or address in _NOWHERE:
                strings.append(b"")
                continue
            if address not in heaps:
                stream.seek(address)
                heap = _read_heap(stream.read(_HEAP.size), left)
                left -= heap
                heaps[address] = _objects(stream.read(heap - _HEAP.size))
            held = heaps[address].get(number, b"")
            if length > len(held):
                raise ValueError("a string is longer than what the file holds of it")
            strings.append(held[: min(length, _MAX_BYTES)].rstrip(b"\0"))
    return strings


def _read_heap(header: bytes, left: int) -> int:
    """Return a heap's size; all heaps together are no larger than the file."""
    mark, version, size = _HEAP.unpack(header.ljust(_HEAP.size, b"\0"))
    if mark != b"GCOL" or version != 1 or not _HEAP.size <= size <= left:
        raise ValueError("a heap of strings is damaged")
    return int(size)


def _objects(heap: bytes) -> dict[int, bytes]:
    """Return what a heap holds by number; number 0 is the free space at its end."""
    held, at = {}, 0
    while at + _OBJECT.size <= len(heap):
        number, _, size = _OBJECT.unpack_from(heap, at)
        if number == 0:
            break
        at += _OBJECT.size
        held[number] = heap[at : at + size]
        at += size + -size % 8
    return held


def strings_apart(path: Path, group: str, name: str) -> list[str]:
    """Read an attribute or a data set of strings in a process with limits of time and memory.

    Parameters
    ----------
    path : Path
        The file.
    group, name : str
        Which.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    reader = Path(__file__).with_name("strings_apart.py")
    command = [sys.executable, "-P", str(reader), str(path.absolute()), group, name]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            check=True,
            timeout=_SECONDS,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )
        strings: list[str] = json.loads(done.stdout)
    except subprocess.SubprocessError as error:
        raise ValueError("the strings cannot be read") from error
    return strings
