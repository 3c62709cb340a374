"""Passes over the points of a form and of others, a block of images at a time, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.condensed import FloatArray
from rsa_exp.stats.panels import ROWS, pack
from rsa_exp.stats.parallel import in_order
from rsa_exp.stats.points.forms import Form, Piece, block_starts, pieces_of
from rsa_exp.stats.points.products import columns_beside, multiply_panels, right_panels

__all__ = ["Chunk", "Vectors", "chunks_of", "multiply", "row_sums", "weighted_sums"]

# Columns of a piece: a form with itself saves nearly half of the work if they are few.
_OWN, _OTHER = 192, 2048
# Bytes of the products of a chunk, and columns of other forms in it: the more, the fewer passes.
_CHUNK_BYTES = 1 << 27
_CHUNK_COLUMNS = 4096


class Vectors(Protocol):
    """What is multiplied: vectors of `width` entries, one for each image."""

    n_cond: int
    width: int

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return those of images `start` to `stop`, shape (stop - start, width)."""


@dataclass(frozen=True)
class Chunk:
    """A form and the pieces of forms whose vectors are multiplied with its own in one pass.

    Attributes
    ----------
    form : int
        Index of the form.
    own : list of Piece
        Of the form itself; multiplied with its columns from the piece on, as M is symmetric.
    others : list of Piece
        Of other forms.
    """

    form: int
    own: list[Piece]
    others: list[Piece]

    @property
    def pieces(self) -> list[Piece]:
        """All, own ones first."""
        return [*self.own, *self.others]

    def first(self, piece: Piece) -> int:
        """Return the form's first column that is multiplied with a piece."""
        return piece.start if piece.form == self.form else 0

    def blocks(self, forms: Sequence[Vectors]) -> range:
        """Return the first images of its blocks."""
        indices = {self.form, *(piece.form for piece in self.others)}
        return block_starts(forms[self.form].n_cond, max(forms[k].width for k in indices))

    def multiplications(self, forms: Sequence[Vectors]) -> float:
        """Count multiplications for each image."""
        width = forms[self.form].width
        return float(sum((p.stop - p.start) * (width - self.first(p)) for p in self.pieces))


def chunks_of(forms: Sequence[Form], index: int, others: Sequence[int]) -> list[Chunk]:
    """Cut the products of a form with itself and with others into chunks of bounded memory."""
    width = forms[index].width
    pieces = pieces_of(index, forms[index], _OWN)
    for other in others:
        pieces += pieces_of(other, forms[other], _OTHER)
    chunks = [Chunk(index, [], [])]
    size = n_column = 0
    for piece in pieces:
        length = piece.stop - piece.start
        added = 8 * length * (width - chunks[-1].first(piece))
        is_own = piece.form == index
        size, n_column = size + added, n_column + (0 if is_own else length)
        if (size > _CHUNK_BYTES or n_column > _CHUNK_COLUMNS) and (
            chunks[-1].own or chunks[-1].others
        ):
            size, n_column = added, 0 if is_own else length
            chunks.append(Chunk(index, [], []))
        (chunks[-1].own if is_own else chunks[-1].others).append(piece)
    return chunks


def _beside(
    forms: Sequence[Vectors], pieces: Sequence[Piece], start: int, stop: int
) -> NDArray[Any]:
    """Read pieces side by side."""
    read = {form: forms[form].read(start, stop) for form in dict.fromkeys(p.form for p in pieces)}
    found = [read[piece.form][:, piece.start : piece.stop] for piece in pieces]
    return np.concatenate(found, axis=1) if found else np.empty((stop - start, 0))


def _edges(pieces: Sequence[Piece]) -> list[int]:
    """Where pieces that lie side by side begin, and where the last ends."""
    return [0, *np.cumsum([piece.stop - piece.start for piece in pieces], dtype=int).tolist()]


def multiply(
    forms: Sequence[Vectors],
    chunk: Chunk,
    dtype: type,
    *,
    weights: NDArray[Any] | None = None,
    on_block: Callable[[], object] = lambda: None,
) -> list[FloatArray]:
    """Multiply ``U' diag(w) V``: a form's vectors with those of each piece.

    Parameters
    ----------
    forms, chunk
        What to multiply.
    dtype : type
        In which the images of a block are multiplied; blocks are added in double precision.
    weights : ndarray of shape (n_cond,), optional
        At least 0; 1 by default. Images of weight 0 cost nothing.
    on_block : callable, optional
        Called in the calling thread after each block.

    Returns
    -------
    list of ndarray of shape (width - first, stop - start)
        For each piece, own ones first; their first rows are `Chunk.first`.
    """
    form = forms[chunk.form]
    starts = chunk.blocks(forms)

    def work(start: int) -> list[FloatArray]:
        stop = min(start + starts.step, form.n_cond)
        left = form.read(start, stop)
        right = _beside(forms, chunk.others, start, stop)
        if weights is not None:
            rows = np.flatnonzero(weights[start:stop])
            roots = np.sqrt(weights[start + rows, None], dtype=np.float64)
            left, right = left[rows] * roots, right[rows] * roots
        left = np.ascontiguousarray(left, dtype=dtype)
        panels, width = columns_beside(left, ROWS), left.shape[1]
        parts = []
        for piece in chunk.own:
            first = piece.start // ROWS
            beside = right_panels(left[:, piece.start : piece.stop], dtype)
            product = multiply_panels(panels[first:], beside)
            kept = slice(piece.start - first * ROWS, width - first * ROWS)
            parts.append(product[kept, : piece.stop - piece.start])
        product = multiply_panels(panels, right_panels(right, dtype))
        return [*parts, product[:width, : right.shape[1]]]

    totals: list[FloatArray] = []
    for parts in in_order(work, starts):
        if totals:
            for total, part in zip(totals, parts, strict=True):
                total += part
        else:
            totals = parts
        on_block()
    others = np.split(totals[-1], _edges(chunk.others)[1:-1], axis=1) if chunk.others else []
    return [*totals[:-1], *others]


def row_sums(
    forms: Sequence[Vectors],
    chunk: Chunk,
    matrices: Sequence[FloatArray],
    dtype: type,
    left_vectors: FloatArray,
    right_vectors: Sequence[FloatArray],
    on_block: Callable[[], object] = lambda: None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sum ``u_i' F v_i``, and products with vectors, for each image.

    Parameters
    ----------
    forms, chunk, dtype
        As in `multiply`.
    matrices : sequence of ndarray
        F for each piece, of the shapes that `multiply` returns.
    left_vectors : ndarray of shape (width, n_vector)
        To multiply with the form's u, in double precision.
    right_vectors : sequence of ndarray of shape (stop - start,)
        To multiply with the pieces of other forms, likewise; or none.
    on_block : callable, optional
        As in `multiply`.

    Returns
    -------
    sums : ndarray of shape (n_piece, n_cond)
    left : ndarray of shape (n_vector, n_cond)
    right : ndarray of shape (number of right vectors, n_cond)
    """
    form, n_own, edges = forms[chunk.form], len(chunk.own), _edges(chunk.others)
    factors = [right_panels(matrix, dtype) for matrix in matrices[:n_own]]
    beside = np.concatenate([np.empty((form.width, 0)), *matrices[n_own:]], axis=1)
    factor_beside = right_panels(beside, dtype)
    starts = chunk.blocks(forms)

    def work(start: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        stop = min(start + starts.step, form.n_cond)
        exact, exact_right = form.read(start, stop), _beside(forms, chunk.others, start, stop)
        vectors = (exact @ left_vectors).T
        right_sums = np.empty((len(right_vectors), stop - start))
        for k, vector in enumerate(right_vectors):
            right_sums[k] = exact_right[:, edges[k] : edges[k + 1]] @ vector
        panels = pack(exact.astype(dtype, copy=False), ROWS)
        sums = np.empty((n_own + len(chunk.others), stop - start))

        def add(k: int, product: FloatArray, values: FloatArray) -> None:
            np.einsum("ij,ij->i", product, values, out=sums[k])

        for k, (piece, factor) in enumerate(zip(chunk.own, factors, strict=True)):
            product = multiply_panels(panels, factor, piece.start)
            columns = slice(piece.start, piece.stop)
            add(k, product[: stop - start, : piece.stop - piece.start], exact[:, columns])
        product = multiply_panels(panels, factor_beside)[: stop - start]
        for k in range(len(chunk.others)):
            ends = slice(edges[k], edges[k + 1])
            add(n_own + k, product[:, ends], exact_right[:, ends])
        return sums, vectors, right_sums

    found = []
    for parts in in_order(work, starts):
        found.append(parts)
        on_block()
    sums, left, right = (np.concatenate(part, axis=1) for part in zip(*found, strict=True))
    return sums, left, right


def weighted_sums(forms: Sequence[Vectors], weights: NDArray[Any]) -> list[FloatArray]:
    """Sum ``U'w`` of each form for each column of weights, shape (width, n_column)."""
    tasks = [
        (index, start, starts.step)
        for index, form in enumerate(forms)
        for starts in [block_starts(form.n_cond, form.width)]
        for start in starts
    ]

    def work(task: tuple[int, int, int]) -> FloatArray:
        index, start, step = task
        stop = min(start + step, len(weights))
        drawn = weights[start:stop].astype(np.float64)
        return np.asarray(forms[index].read(start, stop).T @ drawn)

    totals = [np.zeros((form.width, weights.shape[1])) for form in forms]
    for (index, _, _), part in zip(tasks, in_order(work, tasks), strict=True):
        totals[index] += part
    return totals
