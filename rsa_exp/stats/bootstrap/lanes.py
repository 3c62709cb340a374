"""Eight doubles side by side in compiled code: numba has no vectors, and LLVM makes few of its own.

`load`, `load_ahead` and `store` move a row of a contiguous array whose last axis is eight long;
vectors are added, subtracted and multiplied with the usual operators.

Why not plain numba: `weighted_rank_scores` of 4 x 5 RDMs (600 images in 64 samples, 1500 in 16)
takes 8.4 and 7.8 times the processor time with loops over the eight, which LLVM leaves scalar. With
eight scalars written out, and numba's SLP vectoriser switched on for the whole process, it takes
1.6 and 1.3 times as long; without that switch 4.6 and 4.3 times (numba 0.68.1, AVX-512; the scores
have the same bits in all cases).
"""

from __future__ import annotations

import operator
from typing import Any, cast

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.core.datamodel.models import PrimitiveModel
from numba.extending import intrinsic, overload, register_model

__all__ = ["LANES", "load", "load_ahead", "store"]

# Eight doubles are one register of AVX-512, two of AVX, four of NEON.
LANES = 8
# How many rows ahead `load_ahead` asks for memory.
_AHEAD = 128

_Lanes: Any = type("Lanes", (types.Type,), {})
_lanes = _Lanes("lanes")
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
_POINTER = ir.PointerType()
register_model(_Lanes)(lambda *kind: cast(Any, PrimitiveModel)(*kind, _VECTOR))


def _address(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> tuple[Any, Any]:
    """Pointer to a row of eight in a contiguous array, and the type of the row.

    Where llvmlite's interface allows it, types are given beside pointers: it has announced that
    pointers will lose theirs.
    """
    data = context.make_array(kind)(context, builder, array).data
    item = context.get_data_type(kind.dtype)
    first = builder.mul(row, ir.Constant(row.type, LANES))
    row_type = ir.VectorType(item, LANES)
    address = builder.gep(data, [first], source_etype=item)
    return builder.bitcast(address, row_type.as_pointer()), row_type


def _loading(ahead: int) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        item = signature.args[0].dtype
        address, row = _address(context, builder, signature.args[0], *args)
        if ahead:
            flag = ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [_POINTER, flag, flag, flag])
            prefetch = builder.module.declare_intrinsic("llvm.prefetch", [_POINTER], kind)
            there = builder.gep(address, [flag(ahead)], source_etype=row)
            builder.call(prefetch, [there, flag(0), flag(3), flag(1)])  # to read, to keep, data
        vector = builder.load(address, align=item.bitwidth // 8, typ=row)
        if item == types.float64:
            return vector
        return (builder.sitofp if item.signed else builder.uitofp)(vector, _VECTOR)

    return intrinsic(lambda _typing, array, _row: (_lanes(array, types.intp), generate))


def _storing() -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        item, vector = signature.args[0].dtype, args[2]
        address, row = _address(context, builder, signature.args[0], *args[:2])
        if item != types.float64:
            vector = builder.fptosi(vector, row)
        builder.store(vector, address, align=item.bitwidth // 8)
        return context.get_dummy_value()

    kinds = types.intp, _lanes
    return intrinsic(lambda _typing, array, _row, _vector: (types.void(array, *kinds), generate))


def _calculating(instruction: str) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args, flags=("contract",))  # fused where possible

    calculate: Any = intrinsic(lambda _typing, _left, _right: (_lanes(_lanes, _lanes), generate))

    def choose(left: Any, right: Any) -> Any:
        return (lambda left, right: calculate(left, right)) if left is right is _lanes else None

    return choose


load, load_ahead, store = _loading(0), _loading(_AHEAD), _storing()
for _operation, _instruction in (("add", "fadd"), ("sub", "fsub"), ("mul", "fmul")):
    overload(getattr(operator, _operation), strict=False)(_calculating(_instruction))
