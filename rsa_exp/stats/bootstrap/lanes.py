"""Numbers of 32 samples side by side in compiled code: numba has no vectors of its own.

`shorts` and `lanes` read a row of a contiguous array whose last axis is 32 long, as unsigned 16-bit
integers or as doubles; `store` writes one. They are added, subtracted and multiplied with the usual
operators. LLVM cuts them into the registers that the processor has.

Why not plain numba: LLVM leaves most loops over the 32 scalar, which takes many times as long.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.core.datamodel.models import PrimitiveModel
from numba.extending import intrinsic, overload, register_model

__all__ = [
    "LANES", "ask", "finish", "greatest", "inside", "lanes", "leading_zeros", "shorts", "store",
    "store_past", "sums_of", "trailing_zeros",
]  # fmt: skip

LANES = 32


def _instruction(generate: Callable[..., Any]) -> Any:
    return intrinsic(generate)


_BIT, _WORD, _POINTER = ir.IntType(1), ir.IntType(64), ir.PointerType()


def _vector(name: str, item: Any) -> tuple[Any, Any]:
    """Make a type of numba's, and LLVM's vector that it stands for."""
    kind, vector = cast(Any, type(name, (types.Type,), {})), ir.VectorType(item, LANES)
    register_model(kind)(lambda *model: cast(Any, PrimitiveModel)(*model, vector))
    return kind(name), vector


_shorts, _SHORTS = _vector("Shorts", ir.IntType(16))
_lanes, _LANES = _vector("Lanes", ir.DoubleType())


def _address(
    context: Any, builder: Any, kind: Any, array: Any, index: Any, size: int = LANES
) -> tuple[Any, Any]:
    """Pointer to entries of a contiguous array from an index on, and their type.

    Where llvmlite's interface allows it, types are given beside pointers: it has announced that
    pointers will lose theirs.
    """
    data = context.make_array(kind)(context, builder, array).data
    item = context.get_data_type(kind.dtype)
    entries = ir.VectorType(item, size)
    address = builder.gep(data, [index], source_etype=item)
    return builder.bitcast(address, entries.as_pointer()), entries


def _place(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> tuple[Any, Any]:
    index = builder.mul(row, ir.Constant(row.type, LANES))
    return _address(context, builder, kind, array, index)


def _read(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> Any:
    address, entries = _place(context, builder, kind, array, row)
    return builder.load(address, align=kind.dtype.bitwidth // 8, typ=entries)


@_instruction
def shorts(_typing: Any, array: Any, _row: Any) -> Any:
    """Read a row of bytes or of 16-bit integers."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        entries = _read(context, builder, signature.args[0], *args)
        return builder.zext(entries, _SHORTS) if array.dtype == types.uint8 else entries

    return _shorts(array, types.intp), generate


@_instruction
def lanes(_typing: Any, array: Any, _row: Any) -> Any:
    """Read a row of bytes or of doubles."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        entries = _read(context, builder, signature.args[0], *args)
        return entries if array.dtype == types.float64 else builder.uitofp(entries, _LANES)

    return _lanes(array, types.intp), generate


@_instruction
def sums_of(_typing: Any, small: Any, _row: Any, large: Any, _other: Any) -> Any:
    """Add a row of unsigned 16-bit integers and a row of 32-bit integers."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        left = _read(context, builder, signature.args[0], *args[:2])
        right = _read(context, builder, signature.args[2], *args[2:])
        return builder.sitofp(builder.add(builder.zext(left, right.type), right), _LANES)

    return _lanes(small, types.intp, large, types.intp), generate


@_instruction
def greatest(_typing: Any, _row: Any) -> Any:
    """Greatest of a row of unsigned 16-bit integers."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(_SHORTS.element, [_SHORTS])
        name = f"llvm.vector.reduce.umax.v{LANES}i16"
        reduce = cast(Any, cgutils).get_or_insert_function(builder.module, kind, name)
        return builder.zext(builder.call(reduce, args), _WORD)

    return types.intp(_shorts), generate


def _storing(past: bool) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address, _ = _place(context, builder, signature.args[0], *args[:2])
        item = signature.args[0].dtype.bitwidth // 8
        stored = builder.store(args[2], address, align=item * LANES if past else item)
        if past:
            once = builder.module.add_metadata([ir.IntType(32)(1)])
            stored.set_metadata("nontemporal", once)
        return context.get_dummy_value()

    return intrinsic(
        lambda _typing, array, _row, kind: (types.void(array, types.intp, kind), generate)
    )


# `store_past` writes a row, which must be one cache line, to memory without reading the line first.
store, store_past = _storing(False), _storing(True)


@_instruction
def finish(_typing: Any) -> Any:
    """Let other threads see what was written, with `store_past` too."""

    def generate(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@_instruction
def ask(_typing: Any, array: Any, _row: Any) -> Any:
    """Ask for a row that will be read soon; it need not exist."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [_POINTER, flag, flag, flag])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [_POINTER], kind)
        address, _ = _place(context, builder, signature.args[0], *args)
        builder.call(prefetch, [address, flag(0), flag(2), flag(1)])  # to read, to keep, data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@_instruction
def inside(_typing: Any, array: Any, _start: Any, _first: Any, _size: Any) -> Any:
    """Which of 64 entries lie in first, ..., first + size - 1: a bit for each."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address, entries = _address(context, builder, signature.args[0], args[0], args[1], 64)
        entry = builder.load(address, align=2, typ=entries)
        none = ir.Constant(entries, ir.Undefined)
        order = ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64)

        def repeated(number: Any) -> Any:
            short = builder.trunc(number, entries.element)
            one = builder.insert_element(none, short, ir.IntType(32)(0))
            return builder.shuffle_vector(one, none, order)

        above = builder.sub(entry, repeated(args[2]))
        return builder.bitcast(builder.icmp_unsigned("<", above, repeated(args[3])), _WORD)

    return types.uint64(array, types.intp, types.intp, types.intp), generate


def _counting(instruction: str) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return getattr(builder, instruction)(args[0], _BIT(0))

    return intrinsic(lambda _typing, _word: (types.intp(types.uint64), generate))


# Zero bits at an end of a word; 64 if it has no others.
leading_zeros, trailing_zeros = _counting("ctlz"), _counting("cttz")


def _calculating(kind: Any, instruction: str, flags: tuple[str, ...]) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args, flags=flags)

    calculate: Any = intrinsic(lambda _typing, _left, _right: (kind(kind, kind), generate))

    def choose(left: Any, right: Any) -> Any:
        return (lambda left, right: calculate(left, right)) if left is right is kind else None

    return choose


for _name in ("add", "sub", "mul"):
    _overload = overload(getattr(operator, _name), strict=False)
    _overload(_calculating(_shorts, _name, ()))
    _overload(_calculating(_lanes, f"f{_name}", ("contract",)))  # fused where possible
