"""Arguments of the functions of `functrans.scipy.special`; whole numbers and other scalars are not traced."""

import numpy as np

from calls.measure import Call
from functrans.scipy import special

X = np.array([0.3, 0.7, 1.5, 4.0])
P = X / 5
Z = np.array([-3.2, -0.4, 0.6, 2.5])

ARGUMENTS: dict[str, tuple] = {
    "betainc": (X, X[::-1], P), "betaincc": (X, X[::-1], P), "betaincinv": (X, X[::-1], P),
    "betainccinv": (X, X[::-1], P), "beta": (X, X[::-1]), "betaln": (X, X[::-1]), "binom": (X + 3, X),
    "expn": (2, X), "gammainc": (X, X[::-1]), "gammaincc": (X, X[::-1]), "gammaincinv": (X, P),
    "gammainccinv": (X, P), "hyp1f1": (X, X[::-1], Z), "hyp2f1": (X, X[::-1], X + 1, Z / 4), "poch": (X, X[::-1]),
    "iv": (1.5, X), "ive": (1.5, X), "jn": (2, Z), "jv": (1.5, X), "kv": (1.5, X), "kve": (1.5, X), "yv": (1.5, X),
    "kl_div": (X, X[::-1]), "rel_entr": (X, X[::-1]), "xlogy": (X, X[::-1]), "xlog1py": (X, X[::-1]),
    "multigammaln": (X + 3, 3), "polygamma": (2, X), "sph_harm_y": (3, 1, X, Z), "zeta": (X + 1.2, X),
    "logit": (P,), "ellipe": (P,), "ellipk": (P,), "ndtri": (P,), "ndtri_exp": (-X,), "owens_t": (Z, X),
    "boxcox": (X, Z), "boxcox1p": (X, Z), "huber": (X, Z), "pseudo_huber": (X, Z), "comb": (X + 3, X),
    "perm": (X + 3, X), "stdtr": (X + 1, Z), "stdtrit": (X + 1, P), "erfinv": (P,), "erfcinv": (P,), "lambertw": (Z,),
    **dict.fromkeys("cosm1 exprel wofz airy cbrt exp2 exp10 expm1 sinc shichi wrightomega".split(), (Z,)),
    "log1p": (X,), "zetac": (X + 1.2,), "ellipkm1": (P,), "hyp0f1": (1.5, Z), "inv_boxcox": (X, P),
    "inv_boxcox1p": (X, P), "voigt_profile": (Z, X, P),
    **dict.fromkeys("eval_legendre eval_chebyt eval_chebyu eval_laguerre".split(), (4, Z / 4)),
    **dict.fromkeys("eval_hermite eval_hermitenorm spherical_in".split(), (4, Z)),
    **dict.fromkeys("spherical_jn spherical_yn spherical_kn".split(), (2, X)),
    **dict.fromkeys("eval_gegenbauer eval_genlaguerre".split(), (4, 1.5, Z / 4)), "eval_jacobi": (4, 1.5, 0.5, Z / 4),
    **dict.fromkeys("dawsn erf erfc erfcx erfi expit fresnel gamma gammasgn i0 i0e i1 i1e j0 j1".split(), (Z,)),
    **dict.fromkeys("log_expit log_ndtr ndtr rgamma logsumexp softmax log_softmax gammaln factorial".split(), (Z,)),
    **dict.fromkeys("digamma psi entr exp1 expi k0 k0e k1 k1e loggamma sici spence y0 y1".split(), (X,)),
}  # fmt: skip

PLAIN = {
    "nodes of quadratures, of whole numbers": "roots_chebyt roots_chebyu roots_gegenbauer roots_genlaguerre "
    "roots_hermite roots_hermitenorm roots_jacobi roots_laguerre roots_legendre",
}

SPECIAL = {name: Call(getattr(special, name), args) for name, args in ARGUMENTS.items()}
SPECIAL["bernoulli"] = Call(special.bernoulli, (4,))
SPECIAL["bessel_jn"] = Call(special.bessel_jn, (X,), {"v": 3})
# Only by their last argument have these derivatives, and on the sphere.
SPECIAL["hyp1f1"] = Call(special.hyp1f1, (1.3, 2.2, Z))
SPECIAL["hyp2f1"] = Call(special.hyp2f1, (1.3, 0.4, 2.2, Z / 4))
SPECIAL["sph_harm_y"] = Call(special.sph_harm_y, (3, 1, P, Z))
