"""Numbers of half precision in memory, which a kernel computes with in single precision."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from llvmlite import ir

from litspike.engine.cpu.jit import processor

BITS = ir.IntType(16)
_WIDE, _FLOAT = ir.IntType(32), ir.FloatType()


@cache
def readable(dtype: torch.dtype) -> bool:
    """Whether this processor's kernels read and write a dtype: float16 needs instructions that not each one has."""
    if dtype is torch.float16:
        triple, _, features = processor()
        return "+f16c" in features.split(",") or triple.startswith(("aarch64", "arm64"))
    return dtype in (torch.bfloat16, torch.float32, torch.float64)


def widened(builder: Any, bits: Any, dtype: torch.dtype) -> Any:
    """A number of half precision, as its bits, in single precision."""
    if dtype is torch.float16:
        return builder.fpext(builder.bitcast(bits, ir.HalfType()), _FLOAT)
    return builder.bitcast(builder.shl(builder.zext(bits, _WIDE), _WIDE(16)), _FLOAT)


def narrowed(builder: Any, number: Any, dtype: torch.dtype) -> Any:
    """The bits of a number in half precision, rounded to the nearest, of two as near to the even one."""
    if dtype is torch.float16:
        return builder.bitcast(builder.fptrunc(number, ir.HalfType()), BITS)
    bits = builder.bitcast(number, _WIDE)
    odd = builder.and_(builder.lshr(bits, _WIDE(16)), _WIDE(1))
    rounded = builder.lshr(builder.add(bits, builder.add(odd, _WIDE(0x7FFF))), _WIDE(16))
    return builder.trunc(builder.select(builder.fcmp_unordered("uno", number, number), _WIDE(0x7FC0), rounded), BITS)
