"""Statistics, as `scipy.stats`: distributions with SciPy's names, parameters, methods and special values.

`norm.logpdf(x, loc, scale)`, `gamma.sf(x, a)`, `poisson.ppf(q, mu)` and so on, of plain and of traced arrays. A result
has the dtype of its arguments (float64 for integers, float32 for floats of 16 bits), NaN where SciPy has NaN, and
derivatives with respect to the variable and all continuous parameters, of second order too. Logarithms of tails hold
where the tails underflow. Methods that SciPy computes by numerical integration are not offered.
"""

import sys

from functrans.core.documentation import describe as _describe
from functrans.scipy.stats import docs
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
from functrans.scipy.stats.gammas import beta, chi, chi2, f, gamma, gennorm, invgamma, loggamma, maxwell, t
from functrans.scipy.stats.inference import (
    chisquare,
    f_oneway,
    jarque_bera,
    linregress,
    pearsonr,
    pointbiserialr,
    power_divergence,
    spearmanr,
    ttest_1samp,
    ttest_ind,
    ttest_ind_from_stats,
    ttest_rel,
)
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
    rankdata,
    sem,
    skew,
    zmap,
    zscore,
)
from functrans.scipy.stats.summaries import (
    boxcox,
    boxcox_llf,
    circmean,
    circstd,
    circvar,
    energy_distance,
    gstd,
    median_abs_deviation,
    pmean,
    tmax,
    tmean,
    tmin,
    trim_mean,
    tsem,
    tstd,
    tvar,
    variation,
    wasserstein_distance,
    yeojohnson,
    yeojohnson_llf,
)

__test__ = _describe(globals(), docs.TEXT, docs.TYPES, docs.IMPORTS)

__all__ = [
    "bernoulli", "beta", "betabinom", "binom", "boxcox", "boxcox_llf", "cauchy", "chi", "chi2", "chisquare",
    "circmean", "circstd", "circvar", "dirichlet", "energy_distance", "entropy", "expon", "exponnorm", "f",
    "f_oneway", "gamma", "gaussian_kde", "genextreme", "gennorm", "genpareto", "geom", "gmean", "gstd", "gumbel_l",
    "gumbel_r", "halfcauchy", "halfnorm", "hmean", "hypergeom", "invgamma", "invgauss", "iqr", "jarque_bera",
    "kurtosis", "laplace", "linregress", "loggamma", "logistic", "lognorm", "maxwell", "median_abs_deviation", "mode",
    "moment", "multinomial", "multivariate_normal", "nbinom", "norm", "pareto", "pearsonr", "pmean", "pointbiserialr",
    "poisson", "power_divergence", "powerlaw", "randint", "rankdata", "rayleigh", "sem", "skew", "skewnorm",
    "spearmanr", "t", "tmax", "tmean", "tmin", "triang", "trim_mean", "truncnorm", "tsem", "tstd", "ttest_1samp",
    "ttest_ind", "ttest_ind_from_stats", "ttest_rel", "tvar", "uniform", "variation", "vonmises",
    "wasserstein_distance", "weibull_max", "weibull_min", "wrapcauchy", "yeojohnson", "yeojohnson_llf", "zipf",
    "zmap", "zscore",
]  # fmt: skip

for _name in __all__:  # `import functrans.scipy.stats.norm`, as JAX has it, where each distribution is a module
    if hasattr(globals()[_name], "logpdf") or hasattr(globals()[_name], "logpmf"):
        sys.modules[f"{__name__}.{_name}"] = globals()[_name]
