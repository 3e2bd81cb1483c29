"""What the distributions of numbers say of themselves: what they are, their parameters, an example."""

TYPES = (
    "Methods take arrays and numbers whose shapes broadcast and give floats: float64 of integers, float32 of smaller "
    "floats. Parameters outside of their range give NaN. As the object of this name in `scipy.stats`."
)
IMPORTS = "import numpy as np\nfrom functrans.scipy import stats"
TEXT = """
beta: scipy.stats.beta
The beta distribution, on [0, 1]; parameters `a, b, loc, scale`.
>>> stats.beta.cdf(0.5, 2.0, 2.0)
Array(0.5)

cauchy: scipy.stats.cauchy
Cauchy's distribution; parameters `loc, scale`.
>>> stats.cauchy.cdf(1.0)
Array(0.75)

chi: scipy.stats.chi
The distribution of the root of a sum of `df` squares of standard normal variables; parameters `df, loc, scale`.
>>> stats.chi.cdf(1.0, 2.0)
Array(0.39346934)

chi2: scipy.stats.chi2
The distribution of a sum of `df` squares of standard normal variables; parameters `df, loc, scale`.
>>> stats.chi2.sf(3.84, 1.0)
Array(0.05004352)

expon: scipy.stats.expon
The exponential distribution; parameters `loc, scale`.
>>> stats.expon.pdf(np.array([0.0, 1.0]))
Array([1.        , 0.36787944])

exponnorm: scipy.stats.exponnorm
The distribution of a sum of a normal and an exponential variable; parameters `K, loc, scale`.
>>> stats.exponnorm.cdf(1.0, 1.5)
Array(0.4370429)

f: scipy.stats.f
Fisher's distribution of quotients of variances; parameters `dfn, dfd, loc, scale`.
>>> stats.f.sf(4.0, 2.0, 10.0)
Array(0.05292215)

gamma: scipy.stats.gamma
The gamma distribution of shape `a`; parameters `a, loc, scale`.
>>> stats.gamma.logpdf(np.array([0.5, 1.0]), 2.0)
Array([-1.19314718, -1.        ])

genextreme: scipy.stats.genextreme
The generalized distribution of extreme values of shape `c`; parameters `c, loc, scale`.
>>> stats.genextreme.cdf(1.0, 0.1)
Array(0.70561999)

gennorm: scipy.stats.gennorm
The generalized normal distribution of shape `beta`; parameters `beta, loc, scale`.
>>> stats.gennorm.pdf(1.0, 1.0)
Array(0.18393972)

genpareto: scipy.stats.genpareto
The generalized distribution of Pareto of shape `c`; parameters `c, loc, scale`.
>>> stats.genpareto.sf(1.0, 0.5)
Array(0.44444444)

gumbel_l: scipy.stats.gumbel_l
Gumbel's distribution of minima; parameters `loc, scale`.
>>> stats.gumbel_l.cdf(0.0)
Array(0.63212056)

gumbel_r: scipy.stats.gumbel_r
Gumbel's distribution of maxima; parameters `loc, scale`.
>>> stats.gumbel_r.cdf(0.0)
Array(0.36787944)

halfcauchy: scipy.stats.halfcauchy
The distribution of the absolute value of a variable of Cauchy's distribution; parameters `loc, scale`.
>>> stats.halfcauchy.cdf(1.0)
Array(0.5)

halfnorm: scipy.stats.halfnorm
The distribution of the absolute value of a normal variable; parameters `loc, scale`.
>>> stats.halfnorm.cdf(1.0)
Array(0.68268949)

invgamma: scipy.stats.invgamma
The distribution of the inverse of a gamma variable of shape `a`; parameters `a, loc, scale`.
>>> stats.invgamma.cdf(1.0, 2.0)
Array(0.73575888)

invgauss: scipy.stats.invgauss
The inverse Gaussian distribution of shape `mu`; parameters `mu, loc, scale`.
>>> stats.invgauss.cdf(1.0, 1.0)
Array(0.668102)

laplace: scipy.stats.laplace
Laplace's distribution; parameters `loc, scale`.
>>> stats.laplace.cdf(np.array([0.0, 1.0]))
Array([0.5       , 0.81606028])

loggamma: scipy.stats.loggamma
The distribution of the logarithm of a gamma variable of shape `c`; parameters `c, loc, scale`.
>>> stats.loggamma.cdf(0.0, 1.0)
Array(0.63212056)

logistic: scipy.stats.logistic
The logistic distribution; parameters `loc, scale`.
>>> stats.logistic.cdf(np.array([0.0, 1.0]))
Array([0.5       , 0.73105858])

lognorm: scipy.stats.lognorm
The distribution of the exponential of a normal variable of deviation `s`; parameters `s, loc, scale`.
>>> stats.lognorm.cdf(1.0, 0.5)
Array(0.5)

maxwell: scipy.stats.maxwell
Maxwell's distribution of speeds; parameters `loc, scale`.
>>> stats.maxwell.mean()
Array(1.59576912)

norm: scipy.stats.norm
The normal distribution of mean `loc` and deviation `scale`; parameters `loc, scale`.
>>> stats.norm.cdf(np.array([0.0, 1.96]))
Array([0.5      , 0.9750021])

pareto: scipy.stats.pareto
Pareto's distribution of shape `b`; parameters `b, loc, scale`.
>>> stats.pareto.sf(2.0, 3.0)
Array(0.125)

powerlaw: scipy.stats.powerlaw
The distribution on [0, 1] with a power for a density; parameters `a, loc, scale`.
>>> stats.powerlaw.cdf(0.5, 2.0)
Array(0.25)

rayleigh: scipy.stats.rayleigh
Rayleigh's distribution; parameters `loc, scale`.
>>> stats.rayleigh.cdf(1.0)
Array(0.39346934)

skewnorm: scipy.stats.skewnorm
The skewed normal distribution of shape `a`; parameters `a, loc, scale`.
>>> stats.skewnorm.pdf(0.0, 1.0)
Array(0.39894228)

t: scipy.stats.t
Student's distribution with `df` degrees of freedom; parameters `df, loc, scale`.
>>> stats.t.ppf(0.975, 10.0)
Array(2.22813885)

triang: scipy.stats.triang
The triangular distribution on [0, 1] with its mode at `c`; parameters `c, loc, scale`.
>>> stats.triang.cdf(0.5, 0.5)
Array(0.5)

truncnorm: scipy.stats.truncnorm
The normal distribution between `a` and `b`; parameters `a, b, loc, scale`.
>>> stats.truncnorm.cdf(0.5, -1.0, 1.0)
Array(0.78045321)

uniform: scipy.stats.uniform
The uniform distribution from `loc` to `loc + scale`; parameters `loc, scale`.
>>> stats.uniform.cdf(0.25)
Array(0.25)

vonmises: scipy.stats.vonmises
The distribution of von Mises of angles, of concentration `kappa`; parameters `kappa, loc, scale`.
>>> stats.vonmises.pdf(0.0, 1.0)
Array(0.34171049)

weibull_max: scipy.stats.weibull_max
Weibull's distribution of maxima, of shape `c`; parameters `c, loc, scale`.
>>> stats.weibull_max.cdf(-1.0, 2.0)
Array(0.36787944)

weibull_min: scipy.stats.weibull_min
Weibull's distribution, of shape `c`; parameters `c, loc, scale`.
>>> stats.weibull_min.cdf(1.0, 2.0)
Array(0.63212056)

wrapcauchy: scipy.stats.wrapcauchy
Cauchy's distribution of angles, of shape `c`; parameters `c, loc, scale`.
>>> stats.wrapcauchy.pdf(0.0, 0.5)
Array(0.47746483)

bernoulli: scipy.stats.bernoulli
The distribution of one trial that succeeds with probability `p`; parameters `p, loc`.
>>> stats.bernoulli.pmf(np.array([0, 1]), 0.25)
Array([0.75, 0.25])

betabinom: scipy.stats.betabinom
The distribution of successes whose probability has a beta distribution; parameters `n, a, b, loc`.
>>> stats.betabinom.pmf(1, 2, 1.0, 1.0)
Array(0.33333333)

binom: scipy.stats.binom
The distribution of successes among `n` trials; parameters `n, p, loc`.
>>> stats.binom.pmf(np.arange(3), 2, 0.5)
Array([0.25, 0.5 , 0.25])

geom: scipy.stats.geom
The distribution of the number of trials to the first success; parameters `p, loc`.
>>> stats.geom.pmf(np.array([1, 2]), 0.5)
Array([0.5 , 0.25])

hypergeom: scipy.stats.hypergeom
The distribution of what is drawn without replacement; parameters `M, n, N, loc`.
>>> stats.hypergeom.pmf(1, 4, 2, 2)
Array(0.66666667)

nbinom: scipy.stats.nbinom
The distribution of failures before `n` successes; parameters `n, p, loc`.
>>> stats.nbinom.pmf(0, 2, 0.5)
Array(0.25)

poisson: scipy.stats.poisson
The distribution of Poisson of mean `mu`; parameters `mu, loc`.
>>> stats.poisson.pmf(np.arange(3), 1.0)
Array([0.36787944, 0.36787944, 0.18393972])

randint: scipy.stats.randint
The uniform distribution of whole numbers from `low` to `high - 1`; parameters `low, high, loc`.
>>> stats.randint.pmf(np.array([0, 5]), 0, 4)
Array([0.25, 0.  ])

zipf: scipy.stats.zipf
Zipf's distribution with the exponent `a`; parameters `a, loc`.
>>> stats.zipf.pmf(np.array([1, 2]), 2.0)
Array([0.6079271 , 0.15198178])
"""
