"""Matrix products of panels, in machine code of our own: most of the time of all inference.

A left panel has 12 numbers side by side (`ROWS`), a right panel 128 bytes of them (`columns_of`).
Each of their inner products is one running sum over the panels' length, of fused multiply-adds in
order. So it has the same bits wherever its two vectors lie, whatever they are multiplied with, and
on every processor that has such an instruction; a matrix product of BLAS promises none of this.

It is also faster than the BLAS that numpy brings where that does not know the processor: one core
of an AMD EPYC of 2024 makes 225 against 123 GFLOP/s in single precision
(``benchmarks/inference.py``).
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from rsa_exp.stats.compiled import compiled
from rsa_exp.stats.condensed import FloatArray

__all__ = [
    "DEPTH",
    "ROWS",
    "add_products",
    "columns_of",
    "inner_products",
    "multiplications_per_second",
    "multiply",
    "pack",
]

ROWS = 12
"""Numbers side by side in a left panel."""

# Bytes of the numbers side by side in a right panel.
_COLUMN_BYTES = 128

DEPTH = 512
"""How long a running sum may become: sums of so many numbers are added in double precision."""

_INDEX = ir.IntType(32)


def columns_of(dtype: Any) -> int:
    """Numbers side by side in a right panel: 32 in single precision, 16 in double."""
    return _COLUMN_BYTES // int(np.dtype(dtype).itemsize)


def _registers() -> tuple[int, int]:
    """Bytes of a vector register of this machine, and how many vectors to multiply at a time.

    As many sums as there are registers for: neither number changes a bit of any of them.
    """
    has_wide = binding.get_host_cpu_features().get("avx512f", False)
    return (64, 2) if has_wide else (32, 1)


_REGISTER_BYTES, _TOGETHER = _registers()


def _generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kinds = signature.args
    item = context.get_data_type(kinds[0].dtype)
    size = kinds[0].dtype.bitwidth // 8
    vector = ir.VectorType(item, _REGISTER_BYTES // size)
    per_panel = _COLUMN_BYTES // _REGISTER_BYTES
    left, right, out = (
        context.make_array(kind)(context, builder, arg)
        for kind, arg in zip(kinds, args, strict=True)
    )
    length = builder.extract_value(left.shape, 0)

    def at(array: Any, index: Any) -> Any:
        return builder.gep(array.data, [index], source_etype=item)

    def vector_at(array: Any, index: Any) -> Any:
        return builder.bitcast(at(array, index), vector.as_pointer())

    undefined = ir.Constant(vector, ir.Undefined)
    first_of = ir.Constant(ir.VectorType(_INDEX, vector.count), [0] * vector.count)
    for first in range(0, per_panel, _TOGETHER):
        start, loop, done = builder.block, *map(builder.append_basic_block, ("loop", "done"))
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(length.type)
        sums = [builder.phi(vector) for _ in range(ROWS * _TOGETHER)]
        row = builder.mul(k, length.type(_COLUMN_BYTES // size))
        offsets = [length.type((first + v) * vector.count) for v in range(_TOGETHER)]
        loaded = [
            builder.load(vector_at(right, builder.add(row, offset)), align=size, typ=vector)
            for offset in offsets
        ]
        row, added = builder.mul(k, length.type(ROWS)), []
        for r in range(ROWS):
            number = builder.load(at(left, builder.add(row, length.type(r))), typ=item)
            alone = builder.insert_element(undefined, number, _INDEX(0))
            everywhere = builder.shuffle_vector(alone, undefined, first_of)
            for v, values in enumerate(loaded):
                product = builder.fmul(everywhere, values, flags=("contract",))
                added.append(builder.fadd(sums[r * _TOGETHER + v], product, flags=("contract",)))
        following = builder.add(k, length.type(1))
        k.add_incoming(length.type(0), start)
        k.add_incoming(following, loop)
        for total, more in zip(sums, added, strict=True):
            total.add_incoming(ir.Constant(vector, [0.0] * vector.count), start)
            total.add_incoming(more, loop)
        builder.cbranch(builder.icmp_signed("<", following, length), loop, done)
        builder.position_at_end(done)
        for index, total in enumerate(added):
            r, v = divmod(index, _TOGETHER)
            place = length.type(r * (_COLUMN_BYTES // size) + (first + v) * vector.count)
            builder.store(total, vector_at(out, place), align=size)
    return context.get_dummy_value()


multiply: Any = intrinsic(
    lambda _typing, left, right, out: (types.void(left, right, out), _generate)
)
"""``multiply(left, right, out)`` in compiled code: write the inner products of two panels to `out`.

Contiguous arrays of one type, of shapes (length, ROWS), (length, columns) and (ROWS, columns), with
a length of at least 1.
"""


@compiled
def _pack(rows: NDArray[Any], panels: NDArray[Any]) -> None:
    n_panel, length, width = panels.shape
    for p in range(n_panel):
        for lane in range(min(width, rows.shape[0] - p * width)):
            for k in range(length):
                panels[p, k, lane] = rows[p * width + lane, k]


def pack(rows: NDArray[Any], width: int) -> NDArray[Any]:
    """Lay the rows of a matrix side by side, as panels of shape (n_panel, n_column, width).

    Behind the last row are zeros.
    """
    panels = np.zeros((-(-len(rows) // width), rows.shape[1], width), dtype=rows.dtype)
    _pack(rows, panels)
    return panels


@compiled
def add_products(
    left: NDArray[Any], right: NDArray[Any], length: int, depth: int, out: FloatArray
) -> None:
    """Add to `out` the inner products of all panels, over their first `length` numbers.

    Running sums are of `depth` numbers; `out` may have fewer rows than the left panels.
    """
    width = right.shape[2]
    part = np.empty((ROWS, width), dtype=left.dtype)
    for q in range(right.shape[0]):
        panel = right[q]
        for start in range(0, length, depth):
            stop = min(start + depth, length)
            for p in range(left.shape[0]):
                rows = left[p]
                multiply(rows[start:stop], panel[start:stop], part)
                for r in range(min(ROWS, out.shape[0] - p * ROWS)):
                    for c in range(width):
                        out[p * ROWS + r, q * width + c] += part[r, c]


def inner_products(rows: NDArray[Any], panels: NDArray[Any]) -> FloatArray:
    """Inner products of the rows of one matrix with those of another, which is packed already.

    Returns
    -------
    ndarray of shape (n_row, n_panel * width)
        In double precision; the bits of each depend on its two rows alone.
    """
    out = np.zeros((len(rows), panels.shape[0] * panels.shape[2]))
    add_products(pack(rows, ROWS), panels, panels.shape[1], DEPTH, out)
    return out


def multiplications_per_second(dtype: Any) -> float:
    """Measure how fast one core multiplies and adds panels, in a few milliseconds."""
    rows = np.ones((20 * ROWS, DEPTH), dtype=dtype)
    panels = pack(np.ones((256, DEPTH), dtype=dtype), columns_of(dtype))
    inner_products(rows, panels)  # compiled, and in the cache
    start = time.perf_counter()
    inner_products(rows, panels)
    return len(rows) * 256 * DEPTH / (time.perf_counter() - start)
