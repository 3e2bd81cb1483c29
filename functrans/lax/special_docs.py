"""What the special functions say of themselves: what they are, their public names, an example."""

from functrans.core.documentation import describe
from functrans.lax import incomplete, special

_TYPES = (
    "Elementwise, as SciPy's function: operands are arrays and numbers whose shapes broadcast; integers become "
    "float64, float16 and bfloat16 are computed in float32 and rounded. ShapeError or DTypeError where they do not fit."
)

__test__ = describe(
    {**vars(special), **vars(incomplete)},
    """
bessel_i0e: lax.bessel_i0e, scipy.special.i0e
The modified Bessel function of the first kind of order 0, times `exp(-abs(x))`.
>>> special.i0e(np.array([0.0, 1.0]))
Array([1.        , 0.46575961])

bessel_i1e: lax.bessel_i1e, scipy.special.i1e
The modified Bessel function of the first kind of order 1, times `exp(-abs(x))`.
>>> special.i1e(np.array([0.0, 1.0]))
Array([0.        , 0.20791042])

regularized_incomplete_beta: lax.betainc, lax.regularized_incomplete_beta, scipy.special.betainc
The regularized incomplete beta function of `a`, `b` and `x`, the beta distribution's `cdf`.
>>> special.betainc(2.0, 3.0, np.array([0.0, 0.5]))
Array([0.    , 0.6875])

igamma: lax.igamma, scipy.special.gammainc
The regularized lower incomplete gamma function of `a` and `x`, the gamma distribution's `cdf`.
>>> special.gammainc(2.0, np.array([0.0, 1.0]))
Array([0.        , 0.26424112])

igammac: lax.igammac, scipy.special.gammaincc
The regularized upper incomplete gamma function of `a` and `x`.
>>> special.gammaincc(2.0, np.array([0.0, 1.0]))
Array([1.        , 0.73575888])

zeta: lax.zeta
The zeta function of Hurwitz, the sum of `(q + k)^-x` over `k` from 0.
>>> ft.lax.zeta(2.0, np.array([1.0, 2.0]))
Array([1.64493407, 0.64493407])

beta: scipy.special.beta
The beta function, `gamma(a) gamma(b) / gamma(a + b)`.
>>> special.beta(2.0, np.array([1.0, 3.0]))
Array([0.5       , 0.08333333])

betaincc: scipy.special.betaincc
One less the regularized incomplete beta function.
>>> special.betaincc(2.0, 3.0, np.array([0.0, 0.5]))
Array([1.    , 0.3125])

betainccinv: scipy.special.betainccinv
The inverse of `betaincc` in its last argument.
>>> special.betainccinv(2.0, 3.0, np.array([0.25, 0.5]))
Array([0.54367829, 0.38572757])

betaincinv: scipy.special.betaincinv
The inverse of `betainc` in its last argument.
>>> special.betaincinv(2.0, 3.0, np.array([0.25, 0.5]))
Array([0.24302208, 0.38572757])

betaln: scipy.special.betaln
The logarithm of the absolute value of the beta function.
>>> special.betaln(2.0, np.array([1.0, 3.0]))
Array([-0.69314718, -2.48490665])

binom: scipy.special.binom
The binomial coefficient of real numbers.
>>> special.binom(4.0, np.array([2.0, 2.5]))
Array([6.        , 5.43248872])

boxcox: scipy.special.boxcox
The transformation of Box and Cox, `(x^lmbda - 1) / lmbda`, for `lmbda = 0` the logarithm.
>>> special.boxcox(np.array([1.0, 4.0]), 0.5)
Array([0., 2.])

boxcox1p: scipy.special.boxcox1p
The transformation of Box and Cox of `1 + x`.
>>> special.boxcox1p(np.array([0.0, 3.0]), 0.5)
Array([0., 2.])

cosm1: scipy.special.cosm1
The cosine less one, accurate near zero.
>>> special.cosm1(np.array([0.0, 1e-5]))
Array([ 0.e+00, -5.e-11])

dawsn: scipy.special.dawsn
Dawson's integral, `exp(-x^2)` times the integral of `exp(t^2)` from 0 to `x`.
>>> special.dawsn(np.array([0.0, 1.0]))
Array([0.        , 0.53807951])

ellipe: scipy.special.ellipe
The complete elliptic integral of the second kind of the parameter `m`.
>>> special.ellipe(np.array([0.0, 1.0]))
Array([1.57079633, 1.        ])

ellipk: scipy.special.ellipk
The complete elliptic integral of the first kind of the parameter `m`.
>>> special.ellipk(np.array([0.0, 0.5]))
Array([1.57079633, 1.85407468])

entr: scipy.special.entr
The term of an entropy, `-x log(x)`; 0 at 0, and minus infinity below.
>>> special.entr(np.array([0.0, 0.5]))
Array([0.        , 0.34657359])

erfcinv: scipy.special.erfcinv
The inverse of the complementary error function.
>>> special.erfcinv(np.array([1.0, 0.5]))
Array([-0.        ,  0.47693628])

erfcx: scipy.special.erfcx
`exp(x^2) erfc(x)`.
>>> special.erfcx(np.array([0.0, 10.0]))
Array([1.        , 0.05614099])

erfi: scipy.special.erfi
The imaginary error function, `-i erf(ix)`.
>>> special.erfi(np.array([0.0, 1.0]))
Array([0.        , 1.65042576])

exp1: scipy.special.exp1
The exponential integral, that of `exp(-t) / t` from `x` to infinity.
>>> special.exp1(np.array([0.5, 1.0]))
Array([0.55977359, 0.21938393])

expi: scipy.special.expi
The exponential integral, that of `exp(t) / t` up to `x`.
>>> special.expi(np.array([0.5, 1.0]))
Array([0.4542199 , 1.89511782])

expn: scipy.special.expn
The exponential integral of order `n`, that of `exp(-xt) / t^n` from 1 to infinity.
>>> special.expn(2, np.array([0.0, 1.0]))
Array([1.        , 0.14849551])

exprel: scipy.special.exprel
`(exp(x) - 1) / x`, 1 at 0.
>>> special.exprel(np.array([0.0, 1.0]))
Array([1.        , 1.71828183])

gamma: scipy.special.gamma
The gamma function.
>>> special.gamma(np.array([0.5, 4.0]))
Array([1.77245385, 6.        ])

gammainccinv: scipy.special.gammainccinv
The inverse of `gammaincc` in its last argument.
>>> special.gammainccinv(2.0, np.array([0.25, 0.5]))
Array([2.69263453, 1.67834699])

gammaincinv: scipy.special.gammaincinv
The inverse of `gammainc` in its last argument.
>>> special.gammaincinv(2.0, np.array([0.25, 0.5]))
Array([0.96127876, 1.67834699])

gammasgn: scipy.special.gammasgn
The sign of the gamma function.
>>> special.gammasgn(np.array([0.5, -0.5]))
Array([ 1., -1.])

huber: scipy.special.huber
The loss of Huber, `r^2 / 2` up to `delta` and linear beyond.
>>> special.huber(1.0, np.array([0.5, 3.0]))
Array([0.125, 2.5  ])

hyp1f1: scipy.special.hyp1f1
The confluent hypergeometric function of `a`, `b` and `x`.
>>> special.hyp1f1(1.0, 2.0, np.array([0.0, 1.0]))
Array([1.        , 1.71828183])

hyp2f1: scipy.special.hyp2f1
The hypergeometric function of Gauss, of `a`, `b`, `c` and `x`.
>>> special.hyp2f1(1.0, 1.0, 2.0, np.array([0.0, 0.5]))
Array([1.        , 1.38629436])

bessel_i0: scipy.special.i0
The modified Bessel function of the first kind of order 0.
>>> special.i0(np.array([0.0, 1.0]))
Array([1.        , 1.26606588])

bessel_i1: scipy.special.i1
The modified Bessel function of the first kind of order 1.
>>> special.i1(np.array([0.0, 1.0]))
Array([0.       , 0.5651591])

iv: scipy.special.iv
The modified Bessel function of the first kind of a real order.
>>> special.iv(0.5, np.array([0.0, 1.0]))
Array([0.        , 0.93767489])

ive: scipy.special.ive
The modified Bessel function of the first kind of a real order, times `exp(-abs(x))`.
>>> special.ive(0.5, np.array([0.0, 1.0]))
Array([0.        , 0.34495131])

bessel_j0: scipy.special.j0
The Bessel function of the first kind of order 0.
>>> special.j0(np.array([0.0, 1.0]))
Array([1.        , 0.76519769])

bessel_j1: scipy.special.j1
The Bessel function of the first kind of order 1.
>>> special.j1(np.array([0.0, 1.0]))
Array([0.        , 0.44005059])

jv: scipy.special.jn, scipy.special.jv
The Bessel function of the first kind of a real order.
>>> special.jv(0.5, np.array([0.0, 1.0]))
Array([0.        , 0.67139671])

bessel_k0: scipy.special.k0
The modified Bessel function of the second kind of order 0.
>>> special.k0(np.array([0.5, 1.0]))
Array([0.92441907, 0.42102444])

bessel_k0e: scipy.special.k0e
The modified Bessel function of the second kind of order 0, times `exp(x)`.
>>> special.k0e(np.array([0.5, 1.0]))
Array([1.52410939, 1.14446308])

bessel_k1: scipy.special.k1
The modified Bessel function of the second kind of order 1.
>>> special.k1(np.array([0.5, 1.0]))
Array([1.65644112, 0.60190723])

bessel_k1e: scipy.special.k1e
The modified Bessel function of the second kind of order 1, times `exp(x)`.
>>> special.k1e(np.array([0.5, 1.0]))
Array([2.73100971, 1.63615349])

kl_div: scipy.special.kl_div
The term of a divergence, `x log(x / y) - x + y`.
>>> special.kl_div(np.array([0.0, 0.5]), 0.25)
Array([0.25      , 0.09657359])

kv: scipy.special.kv
The modified Bessel function of the second kind of a real order.
>>> special.kv(0.5, np.array([0.5, 1.0]))
Array([1.0750476, 0.4610685])

kve: scipy.special.kve
The modified Bessel function of the second kind of a real order, times `exp(x)`.
>>> special.kve(0.5, np.array([0.5, 1.0]))
Array([1.77245385, 1.25331414])

log_expit: scipy.special.log_expit
The logarithm of `expit`, accurate where that is near zero.
>>> special.log_expit(np.array([0.0, -100.0]))
Array([  -0.69314718, -100.        ])

log_ndtr: scipy.special.log_ndtr
The logarithm of the distribution function of the normal distribution.
>>> special.log_ndtr(np.array([0.0, -10.0]))
Array([ -0.69314718, -53.23128515])

loggamma: scipy.special.loggamma
The principal branch of the logarithm of the gamma function; NaN of negative real numbers.
>>> special.loggamma(np.array([1.0, 4.0]))
Array([0.        , 1.79175947])

logit: scipy.special.logit
`log(p / (1 - p))`, the inverse of `expit`.
>>> special.logit(np.array([0.5, 0.75]))
Array([0.        , 1.09861229])

ndtr: scipy.special.ndtr
The distribution function of the normal distribution.
>>> special.ndtr(np.array([0.0, 1.0]))
Array([0.5       , 0.84134475])

ndtri: scipy.special.ndtri
The quantiles of the normal distribution.
>>> special.ndtri(np.array([0.5, 0.975]))
Array([0.        , 1.95996398])

ndtri_exp: scipy.special.ndtri_exp
The quantiles of the normal distribution by the logarithms of probabilities.
>>> special.ndtri_exp(np.array([-1.0, -100.0]))
Array([ -0.33747496, -13.88847603])

owens_t: scipy.special.owens_t
Owen's function of `h` and `a`.
>>> special.owens_t(1.0, np.array([0.0, 1.0]))
Array([0.        , 0.06674188])

poch: scipy.special.poch
The rising factorial, `gamma(z + m) / gamma(z)`.
>>> special.poch(3.0, np.array([1.0, 2.0]))
Array([ 3., 12.])

pseudo_huber: scipy.special.pseudo_huber
A smooth loss like Huber's, `delta^2 (sqrt(1 + (r / delta)^2) - 1)`.
>>> special.pseudo_huber(1.0, np.array([0.0, 3.0]))
Array([0.        , 2.16227766])

rel_entr: scipy.special.rel_entr
The term of a relative entropy, `x log(x / y)`.
>>> special.rel_entr(np.array([0.0, 0.5]), 0.25)
Array([0.        , 0.34657359])

rgamma: scipy.special.rgamma
One divided by the gamma function.
>>> special.rgamma(np.array([0.0, 4.0]))
Array([0.        , 0.16666667])

spence: scipy.special.spence
Spence's function, the integral of `log(t) / (1 - t)` from 1 to `z`.
>>> special.spence(np.array([1.0, 2.0]))
Array([ 0.        , -0.82246703])

stdtr: scipy.special.stdtr
The distribution function of Student's distribution with `df` degrees of freedom.
>>> special.stdtr(3.0, np.array([0.0, 1.0]))
Array([0.5       , 0.80449889])

stdtrit: scipy.special.stdtrit
The quantiles of Student's distribution with `df` degrees of freedom.
>>> special.stdtrit(3.0, np.array([0.5, 0.975]))
Array([0.        , 3.18244631])

wofz: scipy.special.wofz
The function of Faddeeva, `exp(-z^2) erfc(-iz)`.
>>> special.wofz(np.array([0.0, 1j]))
Array([1.        +0.j, 0.42758358+0.j])

xlog1py: scipy.special.xlog1py
`x log(1 + y)`, 0 where `x` is 0.
>>> special.xlog1py(np.array([0.0, 2.0]), -0.5)
Array([ 0.        , -1.38629436])

xlogy: scipy.special.xlogy
`x log(y)`, 0 where `x` is 0.
>>> special.xlogy(np.array([0.0, 2.0]), 0.5)
Array([ 0.        , -1.38629436])

bessel_y0: scipy.special.y0
The Bessel function of the second kind of order 0.
>>> special.y0(np.array([0.5, 1.0]))
Array([-0.44451873,  0.08825696])

bessel_y1: scipy.special.y1
The Bessel function of the second kind of order 1.
>>> special.y1(np.array([0.5, 1.0]))
Array([-1.47147239, -0.78121282])

yv: scipy.special.yv
The Bessel function of the second kind of a real order.
>>> special.yv(0.5, np.array([0.5, 1.0]))
Array([-0.99024588, -0.43109887])

ellipkm1: scipy.special.ellipkm1
The complete elliptic integral of the first kind of the parameter `1 - p`.
>>> special.ellipkm1(np.array([1.0, 1e-10]))
Array([ 1.57079633, 12.89921983])

hyp0f1: scipy.special.hyp0f1
The confluent hypergeometric limit function of `v` and `x`.
>>> special.hyp0f1(1.0, np.array([0.0, 1.0]))
Array([1.       , 2.2795853])

inv_boxcox: scipy.special.inv_boxcox
The inverse of `boxcox`.
>>> special.inv_boxcox(np.array([0.0, 2.0]), 0.5)
Array([1., 4.])

inv_boxcox1p: scipy.special.inv_boxcox1p
The inverse of `boxcox1p`.
>>> special.inv_boxcox1p(np.array([0.0, 2.0]), 0.5)
Array([0., 3.])

voigt_profile: scipy.special.voigt_profile
The density of a sum of a normal and a Cauchy variable, of widths `sigma` and `gamma`.
>>> special.voigt_profile(np.array([0.0, 1.0]), 1.0, 0.5)
Array([0.27895547, 0.20017964])

wrightomega: scipy.special.wrightomega
Wright's omega function, the solution `w` of `w + log(w) = z`.
>>> special.wrightomega(np.array([0.0, 1.0]))
Array([0.56714329, 1.        ])

zetac: scipy.special.zetac
Riemann's zeta function less one.
>>> special.zetac(np.array([2.0, 50.0]))
Array([6.44934067e-01, 8.88178421e-16])
""",
    _TYPES,
    "import numpy as np, functrans as ft\nfrom functrans.scipy import special",
)
