"""The special cases of the Array API standard 2024.12 for elementwise functions, as tables.

A case reads `operands -> result`. Operands are separated by `;`, the parts of a complex number by `,`. The words for
operands stand in `VALUES`; a result is a number (`pi/2`, `-0`, `1`), an operand (`x1`), `nan`, or a part of these. `~`
before a result says that its sign is unspecified, `cis` that it is infinity (or zero) times cos b + i sin b.
"""

import math

inf, nan = math.inf, math.nan

VALUES = {
    "nan": [nan],
    "+0": [0.0],
    "-0": [-0.0],
    "0": [0.0, -0.0],
    "1": [1.0],
    "-1": [-1.0],
    "|1|": [1.0, -1.0],
    "+inf": [inf],
    "-inf": [-inf],
    "inf": [inf, -inf],
    "finite": [0.0, -0.0, 1.0, -2.5, 1e30, -1e-30],
    "nonzero": [1.0, -2.5, 3.0, 1e30, -1e-30],  # finite
    "+finite": [1.0, 2.5, 1e30, 1e-30],
    "-finite": [-1.0, -2.5, -1e30, -1e-30],
    ">0": [1e-30, 2.5, inf],
    "<0": [-1e-30, -2.5, -inf],
    ">1": [1.5, 1e30, inf],
    "<-1": [-1.5, -1e30, -inf],
    "<1": [0.5, 0.0, -inf],
    "|>1|": [1.5, -1e30, inf],
    "|<1|": [0.5, -1e-30, 0.0],
    "odd": [1.0, 3.0],
    "-odd": [-1.0, -3.0],
    "even": [2.0, 0.5, 2.5],  # greater than 0, and no odd integer
    "-even": [-2.0, -0.5, -2.5],
    "fraction": [0.5, -2.5],
    "whole": [1.0, -3.0, 1e30],
    "number": [0.0, -0.0, 1.0, -2.5, inf, -inf],
    "unequal": [0.5, -1.0, 2.0, -inf],  # to 1 and 0
    "any": [nan, 0.0, -0.0, 1.0, -2.5, inf, -inf],
    "small": [0.5, 1.0, 2.0],  # positive and finite, where angles are told apart
}

# Functions that keep zeros and NaN and are odd, and the like, share lines.
ODD = "nan -> nan / +0 -> +0 / -0 -> -0 / "
ROUNDING = ODD + "+inf -> +inf / -inf -> -inf / whole -> x1"
LOGARITHM = "nan -> nan / <0 -> nan / 0 -> -inf / 1 -> +0 / +inf -> +inf"

UNARY = {
    "abs": "nan -> nan / -0 -> +0 / -inf -> +inf",
    "acos": "nan -> nan / >1 -> nan / <-1 -> nan / 1 -> +0",
    "acosh": "nan -> nan / <1 -> nan / 1 -> +0 / +inf -> +inf",
    "asin": ODD + ">1 -> nan / <-1 -> nan",
    "asinh": ODD + "+inf -> +inf / -inf -> -inf",
    "atan": ODD + "+inf -> pi/2 / -inf -> -pi/2",
    "atanh": ODD + "<-1 -> nan / >1 -> nan / -1 -> -inf / 1 -> +inf",
    "ceil": ROUNDING,
    "cos": "nan -> nan / 0 -> 1 / inf -> nan",
    "cosh": "nan -> nan / 0 -> 1 / inf -> +inf",
    "exp": "nan -> nan / 0 -> 1 / +inf -> +inf / -inf -> +0",
    "expm1": ODD + "+inf -> +inf / -inf -> -1",
    "floor": ROUNDING,
    "isfinite": "inf -> 0 / nan -> 0 / finite -> 1",
    "isinf": "inf -> 1 / nan -> 0 / finite -> 0",
    "isnan": "nan -> 1 / number -> 0",
    "log": LOGARITHM,
    "log1p": ODD + "<-1 -> nan / -1 -> -inf / +inf -> +inf",
    "log2": LOGARITHM,
    "log10": LOGARITHM,
    "reciprocal": "nan -> nan / +0 -> +inf / -0 -> -inf / +inf -> +0 / -inf -> -0",
    "round": ROUNDING,
    "sign": "nan -> nan / <0 -> -1 / 0 -> 0 / >0 -> 1",
    "signbit": "+0 -> 0 / -0 -> 1 / +inf -> 0 / -inf -> 1 / +finite -> 0 / -finite -> 1",
    "sin": ODD + "inf -> nan",
    "sinh": ODD + "+inf -> +inf / -inf -> -inf",
    "sqrt": ODD + "<0 -> nan / +inf -> +inf",
    "square": "nan -> nan / 0 -> +0 / inf -> +inf",
    "tan": ODD + "inf -> nan",
    "tanh": ODD + "+inf -> 1 / -inf -> -1",
    "trunc": ROUNDING,
}

_ANY_NAN = "nan ; any -> nan / any ; nan -> nan / "
_QUOTIENT = (
    "inf ; inf -> nan / 0 ; 0 -> nan / +0 ; >0 -> +0 / -0 ; >0 -> -0 / +0 ; <0 -> -0 / -0 ; <0 -> +0 / "
    ">0 ; +0 -> +inf / >0 ; -0 -> -inf / <0 ; +0 -> -inf / <0 ; -0 -> +inf / "
    "+inf ; +finite -> +inf / +inf ; -finite -> -inf / -inf ; +finite -> -inf / -inf ; -finite -> +inf / "
    "+finite ; +inf -> +0 / +finite ; -inf -> -0 / -finite ; +inf -> -0 / -finite ; -inf -> +0"
)

BINARY = {
    "add": _ANY_NAN + "+inf ; -inf -> nan / -inf ; +inf -> nan / +inf ; +inf -> +inf / -inf ; -inf -> -inf / "
    "+inf ; finite -> +inf / -inf ; finite -> -inf / finite ; +inf -> +inf / finite ; -inf -> -inf / "
    "-0 ; -0 -> -0 / -0 ; +0 -> +0 / +0 ; -0 -> +0 / +0 ; +0 -> +0 / 0 ; nonzero -> x2 / nonzero ; 0 -> x1",
    "atan2": _ANY_NAN + ">0 ; 0 -> pi/2 / +0 ; >0 -> +0 / +0 ; +0 -> +0 / +0 ; -0 -> pi / +0 ; <0 -> pi / "
    "-0 ; >0 -> -0 / -0 ; +0 -> -0 / -0 ; -0 -> -pi / -0 ; <0 -> -pi / <0 ; 0 -> -pi/2 / +finite ; +inf -> +0 / "
    "+finite ; -inf -> pi / -finite ; +inf -> -0 / -finite ; -inf -> -pi / +inf ; finite -> pi/2 / "
    "-inf ; finite -> -pi/2 / +inf ; +inf -> pi/4 / +inf ; -inf -> 3*pi/4 / -inf ; +inf -> -pi/4 / "
    "-inf ; -inf -> -3*pi/4",
    "copysign": "number ; <0 -> -|x1| / number ; -0 -> -|x1| / number ; +0 -> |x1| / number ; >0 -> |x1| / "
    "nan ; any -> nan",
    "divide": _ANY_NAN + _QUOTIENT,
    "equal": "nan ; any -> 0 / any ; nan -> 0 / +inf ; +inf -> 1 / -inf ; -inf -> 1 / 0 ; 0 -> 1 / inf ; finite -> 0",
    "floor_divide": _ANY_NAN + _QUOTIENT,
    "hypot": "inf ; any -> +inf / any ; inf -> +inf / 0 ; finite -> |x2| / finite ; 0 -> |x1| / "
    "finite ; nan -> nan / "
    "nan ; finite -> nan / nan ; nan -> nan",
    "logaddexp": _ANY_NAN + "+inf ; number -> +inf / number ; +inf -> +inf",
    "maximum": _ANY_NAN + "+inf ; number -> +inf / -inf ; number -> x2",
    "minimum": _ANY_NAN + "-inf ; number -> -inf / +inf ; number -> x2",
    "multiply": _ANY_NAN + "inf ; 0 -> nan / 0 ; inf -> nan / +inf ; +inf -> +inf / -inf ; -inf -> +inf / "
    "+inf ; -inf -> -inf / +inf ; +finite -> +inf / +inf ; -finite -> -inf / -finite ; +inf -> -inf / "
    "+0 ; -finite -> -0 / -0 ; -finite -> +0 / +finite ; -0 -> -0",
    "nextafter": _ANY_NAN + "-0 ; +0 -> +0 / +0 ; -0 -> -0",
    "not_equal": "nan ; any -> 1 / any ; nan -> 1 / +inf ; -inf -> 1 / 0 ; 0 -> 0 / inf ; finite -> 1",
    "pow": "unequal ; nan -> nan / any ; 0 -> 1 / nan ; nonzero -> nan / nan ; inf -> nan / |>1| ; +inf -> +inf / "
    "|>1| ; -inf -> +0 / |1| ; inf -> 1 / 1 ; any -> 1 / |<1| ; +inf -> +0 / |<1| ; -inf -> +inf / "
    "+inf ; >0 -> +inf / +inf ; <0 -> +0 / -inf ; odd -> -inf / -inf ; even -> +inf / -inf ; -odd -> -0 / "
    "-inf ; -even -> +0 / +0 ; >0 -> +0 / +0 ; <0 -> +inf / -0 ; odd -> -0 / -0 ; even -> +0 / -0 ; -odd -> -inf / "
    "-0 ; -even -> +inf / -finite ; fraction -> nan",
    "remainder": _ANY_NAN + "inf ; inf -> nan / any ; 0 -> nan / 0 ; >0 -> +0 / 0 ; <0 -> -0 / inf ; finite -> nan / "
    "+finite ; +inf -> x1 / +finite ; -inf -> x2 / -finite ; +inf -> x2 / -finite ; -inf -> x1",
    "subtract": _ANY_NAN + "+inf ; +inf -> nan / -inf ; -inf -> nan / +inf ; finite -> +inf / "
    "finite ; +inf -> -inf / "
    "+0 ; +0 -> +0 / -0 ; +0 -> -0 / +0 ; -0 -> +0 / -0 ; -0 -> +0",
}

#: Of the complex plane's upper half; the lower follows from f(conj z) = conj f(z). `sqrt` at +-infinity + b i is as in
#: C99, of which the standard's text has the real and the imaginary part exchanged.
COMPLEX = {
    "abs": "inf,any -> +inf / any,inf -> +inf / 0,number -> |b| / number,0 -> |a| / nan,finite -> nan / "
    "finite,nan -> nan / "
    "nan,nan -> nan",
    "acos": "0,+0 -> pi/2,-0 / 0,nan -> pi/2,nan / finite,+inf -> pi/2,-inf / nonzero,nan -> nan,nan / "
    "-inf,+finite -> pi,-inf / +inf,+finite -> +0,-inf / -inf,+inf -> 3*pi/4,-inf / +inf,+inf -> pi/4,-inf / "
    "inf,nan -> nan,~inf / nan,finite -> nan,nan / nan,+inf -> nan,-inf / nan,nan -> nan,nan",
    "acosh": "0,+0 -> +0,pi/2 / finite,+inf -> +inf,pi/2 / nonzero,nan -> nan,nan / +0,nan -> nan,~pi/2 / "
    "-inf,+finite -> +inf,pi / +inf,+finite -> +inf,+0 / -inf,+inf -> +inf,3*pi/4 / +inf,+inf -> +inf,pi/4 / "
    "inf,nan -> +inf,nan / nan,finite -> nan,nan / nan,+inf -> +inf,nan / nan,nan -> nan,nan",
    "asinh": "+0,+0 -> +0,+0 / +finite,+inf -> +inf,pi/2 / finite,nan -> nan,nan / +inf,+finite -> +inf,+0 / "
    "+inf,+inf -> +inf,pi/4 / nan,+0 -> nan,+0 / nan,nonzero -> nan,nan / nan,+inf -> ~inf,nan / nan,nan -> nan,nan",
    "atanh": "+0,+0 -> +0,+0 / +0,nan -> +0,nan / 1,+0 -> +inf,+0 / +finite,+inf -> +0,pi/2 / "
    "nonzero,nan -> nan,nan / "
    "+inf,+finite -> +0,pi/2 / +inf,+inf -> +0,pi/2 / +inf,nan -> +0,nan / nan,finite -> nan,nan / "
    "nan,+inf -> ~0,pi/2 / nan,nan -> nan,nan",
    "cosh": "+0,+0 -> 1,+0 / +0,+inf -> nan,~0 / +0,nan -> nan,~0 / nonzero,+inf -> nan,nan / "
    "nonzero,nan -> nan,nan / "
    "+inf,+0 -> +inf,+0 / +inf,small -> cis / +inf,+inf -> ~inf,nan / +inf,nan -> +inf,nan / nan,0 -> nan,~0 / "
    "nan,nonzero -> nan,nan / nan,nan -> nan,nan",
    "exp": "0,+0 -> 1,+0 / finite,+inf -> nan,nan / finite,nan -> nan,nan / +inf,+0 -> +inf,+0 / -inf,small -> cis / "
    "+inf,small -> cis / -inf,+inf -> ~0,~0 / +inf,+inf -> ~inf,nan / -inf,nan -> ~0,~0 / +inf,nan -> ~inf,nan / "
    "nan,+0 -> nan,+0 / nan,nonzero -> nan,nan / nan,nan -> nan,nan",
    "expm1": "0,+0 -> +0,+0 / finite,+inf -> nan,nan / finite,nan -> nan,nan / +inf,+0 -> +inf,+0 / "
    "-inf,small -> -1,cis / "
    "+inf,small -> cis / -inf,+inf -> -1,~0 / +inf,+inf -> ~inf,nan / -inf,nan -> -1,~0 / +inf,nan -> ~inf,nan / "
    "nan,+0 -> nan,+0 / nan,nonzero -> nan,nan / nan,nan -> nan,nan",
    "log": "-0,+0 -> -inf,pi / +0,+0 -> -inf,+0 / finite,+inf -> +inf,pi/2 / finite,nan -> nan,nan / "
    "-inf,+finite -> +inf,pi / +inf,+finite -> +inf,+0 / -inf,+inf -> +inf,3*pi/4 / +inf,+inf -> +inf,pi/4 / "
    "inf,nan -> +inf,nan / nan,finite -> nan,nan / nan,+inf -> +inf,nan / nan,nan -> nan,nan",
    "log1p": "-1,+0 -> -inf,+0 / finite,+inf -> +inf,pi/2 / finite,nan -> nan,nan / -inf,+finite -> +inf,pi / "
    "+inf,+finite -> +inf,+0 / -inf,+inf -> +inf,3*pi/4 / +inf,+inf -> +inf,pi/4 / inf,nan -> +inf,nan / "
    "nan,finite -> nan,nan / nan,+inf -> +inf,nan / nan,nan -> nan,nan",
    "sign": "0,0 -> +0,+0 / nan,any -> nan,nan / any,nan -> nan,nan",
    "sinh": "+0,+0 -> +0,+0 / +0,+inf -> ~0,nan / +0,nan -> ~0,nan / +finite,+inf -> nan,nan / "
    "+finite,nan -> nan,nan / "
    "+inf,+0 -> +inf,+0 / +inf,small -> cis / +inf,+inf -> ~inf,nan / +inf,nan -> ~inf,nan / nan,+0 -> nan,+0 / "
    "nan,nonzero -> nan,nan / nan,nan -> nan,nan",
    "sqrt": "0,+0 -> +0,+0 / any,+inf -> +inf,+inf / finite,nan -> nan,nan / -inf,+finite -> +0,+inf / "
    "+inf,+finite -> +inf,+0 / -inf,nan -> nan,~inf / +inf,nan -> +inf,nan / nan,finite -> nan,nan / "
    "nan,nan -> nan,nan",
    "tanh": "+0,+0 -> +0,+0 / nonzero,+inf -> nan,nan / +0,+inf -> +0,nan / nonzero,nan -> nan,nan / "
    "+0,nan -> +0,nan / "
    "+inf,+finite -> 1,+0 / +inf,+inf -> 1,~0 / +inf,nan -> 1,~0 / nan,+0 -> nan,+0 / nan,nonzero -> nan,nan / "
    "nan,nan -> nan,nan",
    "isfinite": "nan,any -> 0 / any,nan -> 0 / inf,any -> 0 / any,inf -> 0 / finite,finite -> 1",
    "isinf": "inf,any -> 1 / any,inf -> 1 / finite,finite -> 0 / nan,finite -> 0 / finite,nan -> 0 / nan,nan -> 0",
    "isnan": "nan,any -> 1 / any,nan -> 1 / number,number -> 0",
    "round": "nan,whole -> nan,b / whole,nan -> a,nan / inf,whole -> a,b / whole,inf -> a,b / 0,0 -> a,b",
}  # fmt: skip
