"""What the elementwise functions say of themselves: what they are, their public names, an example."""

from functrans.core.documentation import describe
from functrans.lax import elementwise

_TYPES = (
    "Elementwise: operands are arrays and numbers whose shapes broadcast, the dtype of the result is NumPy's for "
    "theirs; ShapeError and DTypeError where there is none."
)

__test__ = describe(
    vars(elementwise),
    """
abs: lax.abs, numpy.abs, numpy.absolute
The absolute value; of a complex number the modulus.
>>> ft.lax.abs(np.array([-1.5, 2.0]))
Array([1.5, 2. ])

acos: lax.acos, numpy.acos, numpy.arccos
The inverse of the cosine, in radians.
>>> ft.lax.acos(np.array([1.0, 0.0]))
Array([0.        , 1.57079633])

acosh: lax.acosh, numpy.acosh, numpy.arccosh
The inverse of the hyperbolic cosine.
>>> ft.lax.acosh(np.array([1.0, 2.0]))
Array([0.       , 1.3169579])

add: lax.add, numpy.add
The sum.
>>> ft.lax.add(np.array([1, 2]), 0.5)
Array([1.5, 2.5])

asin: lax.asin, numpy.arcsin, numpy.asin
The inverse of the sine, in radians.
>>> ft.lax.asin(np.array([0.0, 1.0]))
Array([0.        , 1.57079633])

asinh: lax.asinh, numpy.arcsinh, numpy.asinh
The inverse of the hyperbolic sine.
>>> ft.lax.asinh(np.array([0.0, 1.0]))
Array([0.        , 0.88137359])

atan: lax.atan, numpy.arctan, numpy.atan
The inverse of the tangent, in radians.
>>> ft.lax.atan(np.array([0.0, 1.0]))
Array([0.        , 0.78539816])

atan2: lax.atan2, numpy.arctan2, numpy.atan2
The inverse of the tangent of `x1 / x2` in the quadrant of the point `(x2, x1)`, in radians.
>>> ft.lax.atan2(np.array([1.0, -1.0]), -1.0)
Array([ 2.35619449, -2.35619449])

atanh: lax.atanh, numpy.arctanh, numpy.atanh
The inverse of the hyperbolic tangent.
>>> ft.lax.atanh(np.array([0.0, 0.5]))
Array([0.        , 0.54930614])

bitwise_and: lax.bitwise_and, numpy.bitwise_and
The bits that both integers have; of booleans their conjunction.
>>> ft.lax.bitwise_and(np.array([6, 5]), 3)
Array([2, 1])

bitwise_not: lax.bitwise_not, numpy.bitwise_invert, numpy.bitwise_not, numpy.invert
The bits that an integer has not; of booleans the negation.
>>> ft.lax.bitwise_not(np.array([0, 5]))
Array([-1, -6])

bitwise_or: lax.bitwise_or, numpy.bitwise_or
The bits that either integer has; of booleans their disjunction.
>>> ft.lax.bitwise_or(np.array([6, 5]), 3)
Array([7, 7])

bitwise_xor: lax.bitwise_xor, numpy.bitwise_xor
The bits that just one of two integers has; of booleans whether they differ.
>>> ft.lax.bitwise_xor(np.array([6, 5]), 3)
Array([5, 6])

cbrt: lax.cbrt, numpy.cbrt
The cube root.
>>> ft.lax.cbrt(np.array([8.0, -27.0]))
Array([ 2., -3.])

ceil: lax.ceil, numpy.ceil
The least whole number that is not below.
>>> ft.lax.ceil(np.array([1.2, -1.2]))
Array([ 2., -1.])

conj: lax.conj, numpy.conj, numpy.conjugate
The complex conjugate.
>>> ft.lax.conj(np.array([1 + 2j]))
Array([1.-2.j])

cos: lax.cos, numpy.cos
The cosine of an angle in radians.
>>> ft.lax.cos(np.array([0.0, 1.0]))
Array([1.        , 0.54030231])

cosh: lax.cosh, numpy.cosh
The hyperbolic cosine.
>>> ft.lax.cosh(np.array([0.0, 1.0]))
Array([1.        , 1.54308063])

digamma: lax.digamma, scipy.special.digamma, scipy.special.psi
The derivative of the logarithm of the gamma function.
>>> ft.lax.digamma(np.array([1.0, 2.0]))
Array([-0.57721566,  0.42278434])

div: lax.div, numpy.divide, numpy.true_divide
The quotient, of integers as float64.
>>> ft.lax.div(np.array([1, 3]), 2)
Array([0.5, 1.5])

eq: lax.eq, numpy.equal
Whether two elements are equal.
>>> ft.lax.eq(np.array([1, 2]), 2)
Array([False,  True])

erf: lax.erf, scipy.special.erf
The error function, `2 / sqrt(pi)` times the integral of `exp(-t^2)` from 0 to `x`.
>>> ft.lax.erf(np.array([0.0, 1.0]))
Array([0.        , 0.84270079])

erf_inv: lax.erf_inv, scipy.special.erfinv
The inverse of the error function.
>>> ft.lax.erf_inv(np.array([0.0, 0.5]))
Array([0.        , 0.47693628])

erfc: lax.erfc, scipy.special.erfc
One less the error function, accurate where that is near one.
>>> ft.lax.erfc(np.array([0.0, 5.0]))
Array([1.00000000e+00, 1.53745979e-12])

exp: lax.exp, numpy.exp
The exponential.
>>> ft.lax.exp(np.array([0.0, 1.0]))
Array([1.        , 2.71828183])

exp2: lax.exp2, numpy.exp2
The power of two.
>>> ft.lax.exp2(np.array([3.0, -1.0]))
Array([8. , 0.5])

expm1: lax.expm1, numpy.expm1
The exponential less one, accurate near zero.
>>> ft.lax.expm1(np.array([0.0, 1e-10]))
Array([0.e+00, 1.e-10])

floor: lax.floor, numpy.floor
The greatest whole number that is not above.
>>> ft.lax.floor(np.array([1.8, -1.2]))
Array([ 1., -2.])

ge: lax.ge, numpy.greater_equal
Whether the first is greater than or equal to the second.
>>> ft.lax.ge(np.array([1, 2, 3]), 2)
Array([False,  True,  True])

gt: lax.gt, numpy.greater
Whether the first is greater than the second.
>>> ft.lax.gt(np.array([1, 2, 3]), 2)
Array([False, False,  True])

isfinite: lax.is_finite, lax.isfinite, numpy.isfinite
Whether a number is neither infinite nor NaN.
>>> ft.lax.is_finite(np.array([1.0, np.inf, np.nan]))
Array([ True, False, False])

le: lax.le, numpy.less_equal
Whether the first is less than or equal to the second.
>>> ft.lax.le(np.array([1, 2, 3]), 2)
Array([ True,  True, False])

lgamma: lax.lgamma, scipy.special.gammaln
The logarithm of the absolute value of the gamma function.
>>> ft.lax.lgamma(np.array([1.0, 4.0]))
Array([0.        , 1.79175947])

log: lax.log, numpy.log
The natural logarithm.
>>> ft.lax.log(np.array([1.0, 10.0]))
Array([0.        , 2.30258509])

log1p: lax.log1p, numpy.log1p
The natural logarithm of `1 + x`, accurate near zero.
>>> ft.lax.log1p(np.array([0.0, 1e-10]))
Array([0.e+00, 1.e-10])

logistic: lax.logistic, scipy.special.expit
`1 / (1 + exp(-x))`.
>>> ft.lax.logistic(np.array([0.0, 1.0]))
Array([0.5       , 0.73105858])

lt: lax.lt, numpy.less
Whether the first is less than the second.
>>> ft.lax.lt(np.array([1, 2, 3]), 2)
Array([ True, False, False])

max: lax.max, numpy.maximum
The greater of two elements, NaN if one is.
>>> ft.lax.max(np.array([1.0, 3.0]), 2.0)
Array([2., 3.])

min: lax.min, numpy.minimum
The lesser of two elements, NaN if one is.
>>> ft.lax.min(np.array([1.0, 3.0]), 2.0)
Array([1., 2.])

mul: lax.mul, numpy.multiply
The product.
>>> ft.lax.mul(np.array([1, 2]), 0.5)
Array([0.5, 1. ])

ne: lax.ne, numpy.not_equal
Whether two elements differ.
>>> ft.lax.ne(np.array([1, 2]), 2)
Array([ True, False])

neg: lax.neg, numpy.negative
The negative.
>>> ft.lax.neg(np.array([1.0, -2.0]))
Array([-1.,  2.])

nextafter: lax.nextafter, numpy.nextafter
The next number of the dtype from the first towards the second.
>>> ft.lax.nextafter(np.float32(1.0), np.float32(2.0))
Array(1.0000001, dtype=float32)

polygamma: lax.polygamma, scipy.special.polygamma
The derivative of order `x1`, a whole number, of the digamma function at `x2`.
>>> ft.lax.polygamma(1, np.array([1.0, 2.0]))
Array([1.64493407, 0.64493407])

pow: lax.pow
`x1 ** x2`.
>>> ft.lax.pow(np.array([2.0, 3.0]), 2.0)
Array([4., 9.])

reciprocal: lax.reciprocal, numpy.reciprocal
`1 / x`.
>>> ft.lax.reciprocal(np.array([2.0, 4.0]))
Array([0.5 , 0.25])

rem: lax.rem, numpy.mod, numpy.remainder
The remainder of the division, with the sign of the divisor; `numpy.fmod` has that of the dividend.
>>> ft.lax.rem(np.array([7, -7]), 3)
Array([1, 2])

shift_left: lax.shift_left, numpy.bitwise_left_shift, numpy.left_shift
The bits of the first moved to the left by the second.
>>> ft.lax.shift_left(np.array([1, 3]), 2)
Array([ 4, 12])

shift_right: lax.shift_right_arithmetic, numpy.bitwise_right_shift, numpy.right_shift
The bits of the first moved to the right by the second, the sign kept.
>>> ft.lax.shift_right_arithmetic(np.array([8, -8]), 2)
Array([ 2, -2])

sign: lax.sign, numpy.sign
-1, 0 or 1 as the sign is; of a complex number that divided by its modulus.
>>> ft.lax.sign(np.array([-2.5, 0.0, 3.0]))
Array([-1.,  0.,  1.])

sin: lax.sin, numpy.sin
The sine of an angle in radians.
>>> ft.lax.sin(np.array([0.0, 1.0]))
Array([0.        , 0.84147098])

sinh: lax.sinh, numpy.sinh
The hyperbolic sine.
>>> ft.lax.sinh(np.array([0.0, 1.0]))
Array([0.        , 1.17520119])

sqrt: lax.sqrt, numpy.sqrt
The square root, NaN of negative real numbers.
>>> ft.lax.sqrt(np.array([4.0, 2.0]))
Array([2.        , 1.41421356])

square: lax.square, numpy.square
The square.
>>> ft.lax.square(np.array([3.0, -2.0]))
Array([9., 4.])

sub: lax.sub, numpy.subtract
The difference.
>>> ft.lax.sub(np.array([1, 2]), 0.5)
Array([0.5, 1.5])

tan: lax.tan, numpy.tan
The tangent of an angle in radians.
>>> ft.lax.tan(np.array([0.0, 1.0]))
Array([0.        , 1.55740772])

tanh: lax.tanh, numpy.tanh
The hyperbolic tangent.
>>> ft.lax.tanh(np.array([0.0, 1.0]))
Array([0.        , 0.76159416])

population_count: numpy.bitwise_count
How many bits of the absolute value are one.
>>> ft.numpy.bitwise_count(np.array([0, 5, 255]))
Array([0, 2, 8], dtype=uint8)

copysign: numpy.copysign
The size of the first with the sign of the second.
>>> ft.numpy.copysign(np.array([1.0, 2.0]), -0.0)
Array([-1., -2.])

deg2rad: numpy.deg2rad, numpy.radians
Degrees as radians.
>>> ft.numpy.deg2rad(np.array([0.0, 180.0]))
Array([0.        , 3.14159265])

rad2deg: numpy.degrees, numpy.rad2deg
Radians as degrees.
>>> ft.numpy.rad2deg(np.array([0.0, np.pi]))
Array([  0., 180.])

fabs: numpy.fabs
The absolute value as a float.
>>> ft.numpy.fabs(np.array([-1, 2]))
Array([1., 2.])

floor_divide: numpy.floor_divide
The quotient rounded down.
>>> ft.numpy.floor_divide(np.array([7, -7]), 2)
Array([ 3, -4])

fmax: numpy.fmax
The greater of two elements, the other one where one is NaN.
>>> ft.numpy.fmax(np.array([1.0, np.nan]), 0.5)
Array([1. , 0.5])

fmin: numpy.fmin
The lesser of two elements, the other one where one is NaN.
>>> ft.numpy.fmin(np.array([1.0, np.nan]), 2.5)
Array([1. , 2.5])

fmod: numpy.fmod
The remainder of the division, with the sign of the dividend.
>>> ft.numpy.fmod(np.array([7, -7]), 3)
Array([ 1, -1])

gcd: numpy.gcd
The greatest common divisor.
>>> ft.numpy.gcd(np.array([12, 18]), 8)
Array([4, 2])

heaviside: numpy.heaviside
0 for a negative first operand, 1 for a positive one, the second for zero.
>>> ft.numpy.heaviside(np.array([-1.0, 0.0, 2.0]), 0.5)
Array([0. , 0.5, 1. ])

hypot: numpy.hypot
The hypotenuse, `sqrt(x1^2 + x2^2)` without overflow.
>>> ft.numpy.hypot(np.array([3.0, 5.0]), np.array([4.0, 12.0]))
Array([ 5., 13.])

isinf: numpy.isinf
Whether a number is infinite.
>>> ft.numpy.isinf(np.array([1.0, -np.inf, np.nan]))
Array([False,  True, False])

isnan: numpy.isnan
Whether an element is not a number.
>>> ft.numpy.isnan(np.array([1.0, -np.inf, np.nan]))
Array([False, False,  True])

lcm: numpy.lcm
The least common multiple.
>>> ft.numpy.lcm(np.array([4, 6]), 10)
Array([20, 30])

ldexp: numpy.ldexp
`x1 * 2 ** x2`, of floats and whole exponents.
>>> ft.numpy.ldexp(np.array([0.5, 3.0]), 2)
Array([ 2., 12.])

log10: numpy.log10
The logarithm to the base 10.
>>> ft.numpy.log10(np.array([1.0, 1000.0]))
Array([0., 3.])

log2: numpy.log2
The logarithm to the base 2.
>>> ft.numpy.log2(np.array([1.0, 8.0]))
Array([0., 3.])

logaddexp: numpy.logaddexp
`log(exp(x1) + exp(x2))` without overflow.
>>> ft.numpy.logaddexp(np.array([0.0, 1000.0]), 0.0)
Array([6.93147181e-01, 1.00000000e+03])

logaddexp2: numpy.logaddexp2
`log2(2^x1 + 2^x2)` without overflow.
>>> ft.numpy.logaddexp2(np.array([0.0, 2000.0]), 0.0)
Array([1.e+00, 2.e+03])

logical_and: numpy.logical_and
Whether both are true, that is not zero.
>>> ft.numpy.logical_and(np.array([0, 2]), True)
Array([False,  True])

logical_not: numpy.logical_not
Whether an element is false, that is zero.
>>> ft.numpy.logical_not(np.array([0, 2]))
Array([ True, False])

logical_or: numpy.logical_or
Whether one is true, that is not zero.
>>> ft.numpy.logical_or(np.array([0, 2]), False)
Array([False,  True])

logical_xor: numpy.logical_xor
Whether just one is true, that is not zero.
>>> ft.numpy.logical_xor(np.array([0, 2]), True)
Array([ True, False])

positive: numpy.positive
The number itself.
>>> ft.numpy.positive(np.array([1.0, -2.0]))
Array([ 1., -2.])

rint: numpy.rint
The nearest whole number, of two the even one.
>>> ft.numpy.rint(np.array([1.5, 2.5, -0.7]))
Array([ 2.,  2., -1.])

signbit: numpy.signbit
Whether the sign is negative, of zero too.
>>> ft.numpy.signbit(np.array([1.0, -0.0]))
Array([False,  True])

spacing: numpy.spacing
The distance to the next number of the dtype, away from zero.
>>> ft.numpy.spacing(np.array([1.0, 1024.0]))
Array([2.22044605e-16, 2.27373675e-13])

trunc: numpy.trunc
The whole part.
>>> ft.numpy.trunc(np.array([1.7, -1.7]))
Array([ 1., -1.])

complex: lax.complex
The complex number of a real and an imaginary part, floats of one dtype.
>>> ft.lax.complex(np.array([1.0, 2.0]), np.array([0.0, -1.0]))
Array([1.+0.j, 2.-1.j])

real: lax.real
The real part.
>>> ft.lax.real(np.array([1 + 2j, 3.0]))
Array([1., 3.])

imag: lax.imag
The imaginary part.
>>> ft.lax.imag(np.array([1 + 2j, 3.0]))
Array([2., 0.])

integer_pow: lax.integer_pow
`x ** y` for a whole number `y` that is known; by multiplications.
>>> ft.lax.integer_pow(np.array([2.0, 3.0]), -2)
Array([0.25      , 0.11111111])
""",
    _TYPES,
)
