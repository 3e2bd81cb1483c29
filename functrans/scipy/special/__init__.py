"""Special functions, as `scipy.special`: SciPy's own functions on plain arrays, and their traced forms.

Results, dtypes and special values are SciPy's. Inside `jit` most are part of a kernel, which calls SciPy's C functions
without Python or holds code of its own; complex arguments and a few rare functions (`fresnel`, `lambertw`, `sici`,
`sph_harm_y`, `zeta` without `q`) are calls of SciPy between kernels. All have derivatives of any order in both modes,
but by the order of a Bessel function, by the parameters of `hyp1f1` and `hyp2f1`, and third ones by the parameters of
`gammainc`, `betainc` and `stdtr`: these raise an error that says so. `scipy.special.errstate` holds for plain arrays
alone.
"""

from functrans.lax.elementwise import (
    digamma,
    erf,
    erf_inv as erfinv,
    erfc,
    lgamma as gammaln,
    logistic as expit,
    polygamma,
)
from functrans.lax.incomplete import (
    betaincc,
    betainccinv,
    betaincinv,
    gammainccinv,
    gammaincinv,
    igamma as gammainc,
    igammac as gammaincc,
    regularized_incomplete_beta as betainc,
    stdtr,
    stdtrit,
)
from functrans.lax.special import (
    bessel_i0 as i0,
    bessel_i0e as i0e,
    bessel_i1 as i1,
    bessel_i1e as i1e,
    bessel_j0 as j0,
    bessel_j1 as j1,
    bessel_k0 as k0,
    bessel_k0e as k0e,
    bessel_k1 as k1,
    bessel_k1e as k1e,
    bessel_y0 as y0,
    bessel_y1 as y1,
    beta,
    betaln,
    binom,
    boxcox,
    boxcox1p,
    cosm1,
    dawsn,
    ellipe,
    ellipk,
    entr,
    erfcinv,
    erfcx,
    erfi,
    exp1,
    expi,
    expn,
    exprel,
    gamma,
    gammasgn,
    huber,
    hyp1f1,
    hyp2f1,
    iv,
    ive,
    jv,
    kl_div,
    kv,
    kve,
    log_expit,
    log_ndtr,
    loggamma,
    logit,
    ndtr,
    ndtri,
    ndtri_exp,
    owens_t,
    poch,
    pseudo_huber,
    rel_entr,
    rgamma,
    spence,
    wofz,
    xlog1py,
    xlogy,
    yv,
)
from functrans.scipy.special.functions import (
    bernoulli,
    bessel_jn,
    comb,
    factorial,
    fresnel,
    lambertw,
    multigammaln,
    perm,
    sici,
    sph_harm_y,
    zeta,
)
from functrans.scipy.special.sums import log_softmax, logsumexp, softmax

__all__ = [
    "bernoulli", "bessel_jn", "beta", "betainc", "betaincc", "betainccinv", "betaincinv", "betaln", "binom",
    "boxcox", "boxcox1p", "comb", "cosm1", "dawsn", "digamma", "ellipe", "ellipk", "entr", "erf", "erfc", "erfcinv",
    "erfcx", "erfi", "erfinv", "exp1", "expi", "expit", "expn", "exprel", "factorial", "fresnel", "gamma",
    "gammainc", "gammaincc", "gammainccinv", "gammaincinv", "gammaln", "gammasgn", "huber", "hyp1f1", "hyp2f1",
    "i0", "i0e", "i1", "i1e", "iv", "ive", "j0", "j1", "jn", "jv", "k0", "k0e", "k1", "k1e", "kl_div", "kv", "kve",
    "lambertw", "log_expit", "log_ndtr", "log_softmax", "loggamma", "logit", "logsumexp", "multigammaln", "ndtr",
    "ndtri", "ndtri_exp", "owens_t", "perm", "poch", "polygamma", "pseudo_huber", "psi", "rel_entr", "rgamma",
    "sici", "softmax", "spence", "sph_harm_y", "stdtr", "stdtrit", "wofz", "xlog1py", "xlogy", "y0", "y1", "yv",
    "zeta",
]  # fmt: skip

psi = digamma
jn = jv
