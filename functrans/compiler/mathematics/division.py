"""Division by a constant, without the division.

The product with the rounded reciprocal is corrected by its residual, which a fused multiply-add gives exactly
(Markstein: Computation of elementary functions on the IBM RISC System/6000 processor, 1990). So the quotient is rounded
as the machine's division rounds it; where the residual is subnormal, one unit in the last place may be missing.
"""

from __future__ import annotations

from typing import Any

from functrans.compiler.mathematics.values import compiled, fused, where


def divide_by(x: Any, c: Any) -> Any:
    """The quotient x / c for a positive constant c whose reciprocal is a normal number."""
    reciprocal = 1.0 / c  # of a constant: LLVM computes it
    quotient = x * reciprocal
    excess = fused(quotient, c, -x)  # so, with these signs, zeros keep theirs
    corrected = fused(-excess, reciprocal, quotient)
    return where(corrected == corrected, corrected, quotient)  # infinite quotients have no residual


divide_by_f64, divide_by_f32 = compiled(divide_by)
