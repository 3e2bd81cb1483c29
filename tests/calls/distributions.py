"""Calls of `functrans.scipy.stats`: functions of samples, and the methods of distributions."""

import numpy as np
from numpy_samples import SPD, I, P, V, W, X, Y

import functrans.numpy as fnp
from calls.measure import Call
from functrans.scipy import stats

#: Shape parameters of each distribution, and a point inside each support.
CONTINUOUS: dict[str, tuple[tuple[float, ...], float]] = {
    "beta": ((2.2, 1.4), 0.3), "cauchy": ((), 0.7), "chi": ((2.5,), 1.3), "chi2": ((3.5,), 2.1), "expon": ((), 0.9),
    "exponnorm": ((1.3,), 0.4), "f": ((5.0, 7.0), 0.8), "gamma": ((2.3,), 1.7), "genextreme": ((0.2,), 0.6),
    "gennorm": ((1.5,), 0.7), "genpareto": ((-0.3,), 0.8), "gumbel_l": ((), -0.4), "gumbel_r": ((), 0.4),
    "halfcauchy": ((), 0.7), "halfnorm": ((), 0.8), "invgamma": ((4.2,), 0.4), "invgauss": ((0.8,), 0.7),
    "laplace": ((), 0.6), "loggamma": ((1.4,), 0.3), "logistic": ((), -0.6), "lognorm": ((0.7,), 1.2),
    "maxwell": ((), 1.4), "norm": ((), 0.7), "pareto": ((4.5,), 1.8), "powerlaw": ((1.6,), 0.4), "rayleigh": ((), 1.1),
    "skewnorm": ((1.5,), 0.4), "t": ((4.5,), -0.8), "triang": ((0.4,), 0.3), "truncnorm": ((-1.0, 2.0), 0.4),
    "uniform": ((), 0.4), "vonmises": ((2.0,), 0.6), "weibull_max": ((1.7,), -0.8), "weibull_min": ((1.7,), 0.8),
    "wrapcauchy": ((0.4,), 1.2),
}  # fmt: skip
DISCRETE: dict[str, tuple[float, ...]] = {
    "bernoulli": (0.3,), "betabinom": (9.0, 2.0, 1.5), "binom": (12.0, 0.4), "geom": (0.3,),
    "hypergeom": (20.0, 7.0, 9.0), "nbinom": (3.5, 0.4), "poisson": (3.4,), "randint": (-3.0, 8.0), "zipf": (3.6,),
}  # fmt: skip

STATS = {
    name: Call(getattr(stats, name), (P,))
    for name in (
        "circmean circstd circvar entropy gmean gstd hmean iqr jarque_bera kurtosis median_abs_deviation rankdata sem "
        "skew tmax tmean tmin tsem tstd tvar variation zscore"
    ).split()
}
STATS |= {
    name: Call(getattr(stats, name), (X[:, 0], Y[:, 0]))
    for name in "energy_distance f_oneway linregress ttest_ind ttest_rel wasserstein_distance".split()
}
STATS |= {
    "boxcox": Call(stats.boxcox, (P, 0.5)),
    "boxcox_llf": Call(stats.boxcox_llf, (np.array(0.5), P[0])),
    "chisquare": Call(lambda f: stats.chisquare(f, fnp.full(4, fnp.mean(f))), (W,)),
    "pmean": Call(stats.pmean, (P, 2.5)),
    "pointbiserialr": Call(stats.pointbiserialr, (np.array([True, False, True, False]), W)),
    "power_divergence": Call(lambda f: stats.power_divergence(f, fnp.full(4, fnp.mean(f)), lambda_=0.5), (W,)),
    "trim_mean": Call(stats.trim_mean, (X, 0.34)),
    "ttest_1samp": Call(stats.ttest_1samp, (X, np.array(0.3))),
    "ttest_ind_from_stats": Call(
        stats.ttest_ind_from_stats, (np.array(0.3), np.array(1.2), 9, np.array(0.5), np.array(0.8), 7)
    ),
    "yeojohnson": Call(stats.yeojohnson, (X, 0.5)),
    "yeojohnson_llf": Call(stats.yeojohnson_llf, (np.array(0.5), X[0])),
    "gaussian_kde": Call(lambda x, at: stats.gaussian_kde(x)(at), (X, X[:, :2])),
    "mode": Call(stats.mode, (I,)),
    "moment": Call(stats.moment, (X,), {"order": 3}),
    "pearsonr": Call(stats.pearsonr, (X[:, 0], Y[:, 0])),
    "spearmanr": Call(stats.spearmanr, (V, V[::-1] ** 2)),
    "zmap": Call(stats.zmap, (X, Y)),
    "multivariate_normal": Call(
        lambda x, m, c: stats.multivariate_normal.logpdf(x, m, c + c.T), (X[:, :3], V[:3], SPD[0])
    ),
    "dirichlet": Call(stats.dirichlet.logpdf, (P[0] / P[0].sum(), W), step=0),  # on the simplex
    "multinomial": Call(stats.multinomial.logpmf, (np.array([1.0, 2.0]), 3, np.array([0.3, 0.7])), step=0),
}
MOMENTS = ("mean", "var", "std", "entropy")
METHODS = "logpdf pdf logpmf pmf cdf logcdf sf logsf ppf isf mean var std entropy".split()


def distribution(name: str) -> dict[str, Call]:
    """The methods of a distribution, as functions of the variable and the parameters."""
    row, calls = getattr(stats, name), {}
    shapes, x = CONTINUOUS[name] if name in CONTINUOUS else (DISCRETE[name], 4.0)
    parameters = [np.array(s) for s in shapes]
    for method in METHODS:
        form = getattr(row, "_var" if method == "std" else f"_{method}", None)
        if not hasattr(row, method) or (method in MOMENTS and form is None):
            continue
        if method in ("ppf", "isf"):
            at = [np.array([0.37])]
        else:
            at = [] if method in MOMENTS else [np.array([x])]
        # A step of the variable of a discrete distribution leaves its support.
        step = 1e-6 if name in CONTINUOUS and method not in ("ppf", "isf") else 0
        calls[method] = Call(getattr(row, method), (*at, *parameters), {}, step)
    return calls


DISTRIBUTIONS = {name: distribution(name) for name in (*CONTINUOUS, *DISCRETE)}
