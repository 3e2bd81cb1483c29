"""Statistics, as `scipy.stats`: distributions with SciPy's names, parameters, methods and special values.

`norm.logpdf(x, loc, scale)`, `gamma.sf(x, a)`, `poisson.ppf(q, mu)` and so on, of plain and of traced arrays. A result
has the dtype of its arguments (float64 for integers, float32 for floats of 16 bits), NaN where SciPy has NaN, and
derivatives with respect to the variable and all continuous parameters, of second order too. Logarithms of tails hold
where the tails underflow. Methods that SciPy computes by numerical integration are not offered.
"""

from functrans.scipy.stats.discrete import bernoulli, betabinom, binom, geom, hypergeom, nbinom, poisson, randint, zipf
from functrans.scipy.stats.elementary import (
    cauchy,
    halfcauchy,
    laplace,
    logistic_distribution as logistic,
    triang,
    uniform,
    vonmises,
    wrapcauchy,
)
from functrans.scipy.stats.exponential import (
    expon,
    genextreme,
    genpareto,
    gumbel_l,
    gumbel_r,
    pareto,
    powerlaw,
    rayleigh,
    weibull_max,
    weibull_min,
)
from functrans.scipy.stats.gamma import beta, chi, chi2, f, gamma, gennorm, invgamma, loggamma, maxwell, t
from functrans.scipy.stats.kde import gaussian_kde
from functrans.scipy.stats.multivariate import dirichlet, multinomial, multivariate_normal
from functrans.scipy.stats.normal import exponnorm, halfnorm, invgauss, lognorm, norm, skewnorm, truncnorm
from functrans.scipy.stats.samples import (
    entropy,
    gmean,
    hmean,
    iqr,
    kurtosis,
    mode,
    moment,
    pearsonr,
    rankdata,
    sem,
    skew,
    spearmanr,
    zmap,
    zscore,
)

__all__ = [
    "bernoulli", "beta", "betabinom", "binom", "cauchy", "chi", "chi2", "dirichlet", "entropy", "expon", "exponnorm",
    "f", "gamma", "gaussian_kde", "genextreme", "gennorm", "genpareto", "geom", "gmean", "gumbel_l", "gumbel_r",
    "halfcauchy", "halfnorm", "hmean", "hypergeom", "invgamma", "invgauss", "iqr", "kurtosis", "laplace", "loggamma",
    "logistic", "lognorm", "maxwell", "mode", "moment", "multinomial", "multivariate_normal", "nbinom", "norm",
    "pareto", "pearsonr", "poisson", "powerlaw", "randint", "rankdata", "rayleigh", "sem", "skew", "skewnorm",
    "spearmanr", "t", "triang", "truncnorm", "uniform", "vonmises", "weibull_max", "weibull_min", "wrapcauchy",
    "zipf", "zmap", "zscore",
]  # fmt: skip
