"""Eight doubles side by side in compiled code: numba has no vectors, and LLVM makes few of its own.

`load`, `load_ahead` and `store` move a row of a contiguous array whose last axis is eight long;
vectors are added, subtracted and multiplied with the usual operators.
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
register_model(_Lanes)(lambda *kind: cast(Any, PrimitiveModel)(*kind, _VECTOR))


def _address(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> Any:
    """Pointer to a row of eight in a contiguous array."""
    data = context.make_array(kind)(context, builder, array).data
    item = builder.gep(data, [builder.mul(row, ir.Constant(row.type, LANES))])
    return builder.bitcast(item, ir.VectorType(item.type.pointee, LANES).as_pointer())


def _loading(ahead: int) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        item = signature.args[0].dtype
        address = _address(context, builder, signature.args[0], *args)
        if ahead:
            byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
            prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
            there = builder.bitcast(builder.gep(address, [flag(ahead)]), byte)
            builder.call(prefetch, [there, flag(0), flag(3), flag(1)])  # to read, to keep, data
        vector = builder.load(address)
        vector.align = item.bitwidth // 8
        if item == types.float64:
            return vector
        return (builder.sitofp if item.signed else builder.uitofp)(vector, _VECTOR)

    return intrinsic(lambda _typing, array, _row: (_lanes(array, types.intp), generate))


def _storing() -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        item, vector = signature.args[0].dtype, args[2]
        address = _address(context, builder, signature.args[0], *args[:2])
        if item != types.float64:
            vector = builder.fptosi(vector, address.type.pointee)
        builder.store(vector, address).align = item.bitwidth // 8
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
