"""Random numbers: equal to JAX's, distributed as they should be, the same compiled, mapped and eagerly."""

import json

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, strategies as st
from random_samples import FIGURES, samples

import functrans as ft
from functrans import errors, lax, random

FIGURE = json.loads(FIGURES.read_text())
SAMPLES = samples(random)
KEY = random.key(42)


def figure(label):
    stored = FIGURE[label]
    dtype = np.dtype(stored["dtype"])
    part = np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype
    return np.array(stored["values"], part).view(dtype).reshape(stored["shape"])


def tolerance(label, dtype):
    """Relative, where an inverse function or a loop rounds; a Wald sample is a difference of two large numbers."""
    if dtype.kind not in "fc" or label.startswith("uniform"):
        return 0.0
    return float(np.finfo(dtype).eps) * (1 << 12 if label.startswith("wald") else 100)


def test_every_sample_has_a_figure():
    assert FIGURE.keys() == SAMPLES.keys()
    sampled = {label.split("-")[0] for label in SAMPLES}
    helpers = {"PRNGKey", "key", "clone", "key_data", "key_impl", "wrap_key_data"}
    assert sampled == set(random.__all__) - helpers


@pytest.mark.parametrize("label", SAMPLES)
def test_samples_are_those_of_jax(label):
    want, got = figure(label), SAMPLES[label](KEY)
    if not label.startswith("categorical"):  # indices are int64 here
        assert got.dtype == want.dtype
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=tolerance(label, want.dtype), atol=0)


@pytest.mark.parametrize("label", SAMPLES)
def test_compiled_and_mapped(label):
    """A compiled sampler mapped over keys gives for each key what it gives alone."""
    keys = random.split(KEY, 3)
    sample = SAMPLES[label]
    want = np.stack([sample(k) for k in keys])
    rtol = tolerance(label, want.dtype)
    np.testing.assert_allclose(ft.jit(sample)(keys[1]), want[1], rtol=rtol)
    np.testing.assert_allclose(ft.vmap(sample)(keys), want, rtol=rtol)
    np.testing.assert_allclose(ft.jit(ft.vmap(sample))(keys), want, rtol=rtol)


# ---------------------------------------------------------------- distributions

N = 20_000
CONTINUOUS = {
    "uniform": (lambda k: random.uniform(k, (N,), minval=-1.0, maxval=2.0), scipy.stats.uniform(-1, 3)),
    "normal": (lambda k: random.normal(k, (N,)), scipy.stats.norm()),
    "normal float32": (lambda k: random.normal(k, (N,), "float32"), scipy.stats.norm()),
    "truncated_normal": (lambda k: random.truncated_normal(k, -1.0, 2.0, (N,)), scipy.stats.truncnorm(-1, 2)),
    "lognormal": (lambda k: random.lognormal(k, 0.5, (N,)), scipy.stats.lognorm(0.5)),
    "exponential": (lambda k: random.exponential(k, (N,)), scipy.stats.expon()),
    "laplace": (lambda k: random.laplace(k, (N,)), scipy.stats.laplace()),
    "logistic": (lambda k: random.logistic(k, (N,)), scipy.stats.logistic()),
    "cauchy": (lambda k: random.cauchy(k, (N,)), scipy.stats.cauchy()),
    "gumbel": (lambda k: random.gumbel(k, (N,)), scipy.stats.gumbel_r()),
    "gumbel high": (lambda k: random.gumbel(k, (N,), "float32", mode="high"), scipy.stats.gumbel_r()),
    "pareto": (lambda k: random.pareto(k, 3.0, (N,)), scipy.stats.pareto(3)),
    "weibull_min": (lambda k: random.weibull_min(k, 2.0, 1.5, (N,)), scipy.stats.weibull_min(1.5, scale=2)),
    "rayleigh": (lambda k: random.rayleigh(k, 2.0, (N,)), scipy.stats.rayleigh(scale=2)),
    "maxwell": (lambda k: random.maxwell(k, (N,)), scipy.stats.maxwell()),
    "triangular": (lambda k: random.triangular(k, -1.0, 0.0, 3.0, (N,)), scipy.stats.triang(0.25, -1, 4)),
    "wald": (lambda k: random.wald(k, 2.0, (N,)), scipy.stats.invgauss(2.0)),
    "gamma": (lambda k: random.gamma(k, 0.7, (N,)), scipy.stats.gamma(0.7)),
    "gamma large": (lambda k: random.gamma(k, 30.0, (N,)), scipy.stats.gamma(30)),
    "loggamma": (lambda k: random.loggamma(k, 0.3, (N,)), scipy.stats.loggamma(0.3)),
    "beta": (lambda k: random.beta(k, 2.0, 0.5, (N,)), scipy.stats.beta(2, 0.5)),
    "dirichlet": (lambda k: random.dirichlet(k, [1.0, 2.0, 3.0], (N,))[:, 1], scipy.stats.beta(2, 4)),
    "chisquare": (lambda k: random.chisquare(k, 3.0, (N,)), scipy.stats.chi2(3)),
    "f": (lambda k: random.f(k, 3.0, 7.0, (N,)), scipy.stats.f(3, 7)),
    "t": (lambda k: random.t(k, 5.0, (N,)), scipy.stats.t(5)),
    "generalized_normal": (lambda k: random.generalized_normal(k, 4.0, (N,)), scipy.stats.gennorm(4)),
    "ball": (lambda k: np.linalg.norm(random.ball(k, 3, shape=(N,)), axis=-1), scipy.stats.powerlaw(3)),
    "double_sided_maxwell": (
        lambda k: abs(random.double_sided_maxwell(k, 0.0, 2.0, (N,))),
        scipy.stats.maxwell(scale=2),
    ),
    "multivariate_normal": (
        lambda k: random.multivariate_normal(k, [0.0, 1.0], [[2.0, 1.0], [1.0, 2.0]], (N,)) @ np.array([1.0, 1.0]),
        scipy.stats.norm(1, 6**0.5),
    ),
    "orthogonal": (
        lambda k: random.orthogonal(k, 2, (N,))[:, 0, 0],
        scipy.stats.arcsine(-1, 2),
    ),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_distribution(name):
    """Kolmogorov-Smirnov, and the moments, of a compiled sampler."""
    sample, distribution = CONTINUOUS[name]
    x = np.asarray(ft.jit(sample)(random.key(len(name))), float)
    assert scipy.stats.kstest(x, distribution.cdf).pvalue > 1e-3
    mean, variance = distribution.stats("mv")
    if np.isfinite(variance):
        assert abs(x.mean() - mean) < 5 * np.sqrt(variance / N)


DISCRETE = {
    "randint": (lambda k: random.randint(k, (N,), 3, 9), scipy.stats.randint(3, 9)),
    "bernoulli": (lambda k: random.bernoulli(k, 0.3, (N,)), scipy.stats.bernoulli(0.3)),
    "rademacher": (lambda k: (random.rademacher(k, (N,)) + 1) // 2, scipy.stats.bernoulli(0.5)),
    "geometric": (lambda k: random.geometric(k, 0.4, (N,)), scipy.stats.geom(0.4)),
    "poisson": (lambda k: random.poisson(k, 3.0, (N,)), scipy.stats.poisson(3)),
    "poisson large": (lambda k: random.poisson(k, 40.0, (N,)), scipy.stats.poisson(40)),
    "binomial": (lambda k: random.binomial(k, 8, 0.3, (N,)), scipy.stats.binom(8, 0.3)),
    "binomial large": (lambda k: random.binomial(k, 200, 0.7, (N,)), scipy.stats.binom(200, 0.7)),
    "multinomial": (
        lambda k: random.multinomial(k, 9, [0.2, 0.5, 0.3], shape=(N, 3))[:, 1],
        scipy.stats.binom(9, 0.5),
    ),
    "categorical": (
        lambda k: random.categorical(k, np.log([0.3, 0.7]), shape=(N,)),
        scipy.stats.bernoulli(0.7),
    ),
    "choice": (lambda k: random.choice(k, 2, (N,), p=np.array([0.3, 0.7])), scipy.stats.bernoulli(0.7)),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_distribution(name):
    """Chi-squared of the counts, rare values put together."""
    sample, distribution = DISCRETE[name]
    x = np.asarray(ft.jit(sample)(random.key(len(name))), int)
    values = np.arange(x.min() - 1, x.max() + 2)
    expected = N * distribution.pmf(values)
    common = values[expected >= 8]
    counts = [np.sum(x == v) for v in common] + [np.sum(~np.isin(x, common))]
    wanted = N * np.array([*distribution.pmf(common), max(1 - distribution.pmf(common).sum(), 1e-12)])
    counts, wanted = (v[: -1 if wanted[-1] < 1e-6 else None] for v in (np.array(counts), wanted))
    assert scipy.stats.chisquare(counts, wanted * counts.sum() / wanted.sum()).pvalue > 1e-3


def test_without_replacement_nothing_comes_twice():
    keys = random.split(KEY, 50)
    rows = ft.vmap(lambda k: random.choice(k, 6, (4,), replace=False, p=np.full(6, 1 / 6)))(keys)
    rows = np.concatenate([rows, ft.vmap(lambda k: random.choice(k, 6, (4,), replace=False))(keys)])
    rows = np.concatenate(
        [rows, ft.vmap(lambda k: random.categorical(k, np.zeros(6), shape=(4,), replace=False))(keys)]
    )
    assert all(len(set(r)) == 4 for r in rows.tolist())


@given(st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_a_permutation_is_one(n, seed):
    x = random.permutation(random.key(seed), n)
    assert sorted(x.tolist()) == list(range(n))


@given(st.integers(-(2**63), 2**64 - 1))
def test_seeds(seed):
    words = [seed % 2**64 >> 32, seed % 2**32]
    assert random.key(seed).tolist() == words
    typed = np.int64(seed) if seed < 2**63 else np.uint64(seed)
    assert ft.jit(random.key)(typed).tolist() == words


def test_seeds_of_32_bits():
    for dtype in (np.int32, np.uint32, np.uint8):
        assert random.key(dtype(7)).tolist() == [0, 7]
    assert random.key(np.int32(-1)).tolist() == [0, 2**32 - 1]


@given(st.data())
def test_parts_of_a_sample_do_not_depend_on_the_rest(data):
    """Element i is a function of the key and of i."""
    n, m = data.draw(st.integers(0, 60)), data.draw(st.integers(0, 60))
    np.testing.assert_array_equal(random.bits(KEY, n)[: min(n, m)], random.bits(KEY, m)[: min(n, m)])


def test_large_samples_have_counters_of_64_bits():
    """Beyond 2^32 elements the high word of the counter counts; the state of a generator reaches there at once."""
    state = np.array([1, 2, 0, 2**32 - 2], np.uint32)
    state, x = lax.rng_bit_generator(state, 4, "uint64")
    assert state.tolist() == [1, 2, 1, 2]
    _, y = lax.rng_bit_generator(np.array([1, 2, 1, 0], np.uint32), 2, "uint64")
    assert x[2:].tolist() == y.tolist()


def test_a_generator_goes_on():
    state, x = ft.jit(lambda s: lax.rng_bit_generator(s, (2, 3), "uint16"))(np.array([1, 2], np.uint32))
    assert x.dtype == np.uint16
    _, y = lax.rng_bit_generator(state, (2, 3), "uint16")
    assert not np.array_equal(x, y)


# ---------------------------------------------------------------- derivatives


def implicit(distribution, x, a):
    """How a sample moves with a parameter when its place in the distribution stays."""
    place = distribution(a).cdf(x)

    def central(h):
        high, low = (distribution(b).ppf(place) for b in (a + h, a - h))
        return (high - low) / (2 * h)

    return (4 * central(1e-3 * a) - central(2e-3 * a)) / 3


@pytest.mark.parametrize("a", [0.3, 1.0, 4.0, 60.0])
def test_implicit_derivatives(a):
    keys = random.split(KEY, 20)
    cases = {
        random.gamma: scipy.stats.gamma,
        random.loggamma: scipy.stats.loggamma,
        random.chisquare: scipy.stats.chi2,
    }
    for sampler, distribution in cases.items():
        f = ft.vmap(ft.value_and_grad(lambda a, key, sampler=sampler: sampler(key, a)), (None, 0))
        for transformed in (f, ft.jit(f)):
            x, dx = transformed(a, keys)
            np.testing.assert_allclose(dx, implicit(distribution, np.asarray(x), a), rtol=1e-7)


def test_derivatives_of_transformed_samples():
    for a in (0.7, 3.0):
        dx = ft.jacfwd(lambda a: random.dirichlet(KEY, a))(np.array([a, 1.0, 2.0]))
        np.testing.assert_allclose(dx.sum(0), 0, atol=1e-12)  # a point of the simplex stays on it
        ft.testing.check_grads(lambda s: random.lognormal(KEY, s, (4,)), (a,), order=2)
        ft.testing.check_grads(lambda s: random.weibull_min(KEY, 2.0, s, (4,)), (a,), order=2)
        ft.testing.check_grads(lambda s: random.pareto(KEY, s, (4,)), (a,), order=2)
        ft.testing.check_grads(lambda s: random.triangular(KEY, -s, 0.1 * s, s, (4,)), (a,), order=2)
        ft.testing.check_grads(lambda s: random.truncated_normal(KEY, -s, s + 1, (4,)), (a,), order=2)


def test_derivative_of_an_expectation():
    """d/da E[beta(a, b)] = b / (a + b)^2, by samples."""
    f = ft.jit(ft.grad(lambda a: np.mean(random.beta(KEY, a, 3.0, (N,)))))
    assert abs(f(2.0) - 3 / 25) < 2e-3


# ---------------------------------------------------------------- key reuse


@pytest.mark.parametrize(
    "transform", [lambda f: f, ft.jit, lambda f: lambda k: ft.vmap(f)(k[None])[0]], ids=["eager", "jit", "vmap"]
)
def test_key_reuse(transform):
    f = transform(lambda key: random.normal(key) + random.uniform(key))
    with ft.config.debug_key_reuse(), pytest.raises(errors.KeyReuseError, match=r"normal at .*test_random.py:\d+"):
        f(KEY)
    f(KEY)  # forgotten, and no longer watched


def test_what_is_no_key_reuse():
    with ft.config.debug_key_reuse():
        key, subkey = random.split(KEY)
        random.normal(random.clone(subkey)), random.normal(key)
        random.gamma(random.fold_in(subkey, 1), 2.0), random.beta(random.fold_in(subkey, 2), 2.0, 1.0)
        random.normal(subkey), random.normal(random.clone(subkey))
        with pytest.raises(errors.KeyReuseError, match="by random.split"):
            random.bits(KEY)


def test_key_reuse_in_a_compiled_loop():
    @ft.jit
    def f(key):
        return lax.fori_loop(0, 3, lambda i, x: x + random.normal(key), 0.0)

    with ft.config.debug_key_reuse(), pytest.raises(errors.KeyReuseError):
        f(KEY)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: random.key(1.5), errors.DTypeError, "a seed is an integer"),
        (lambda: random.key(np.arange(3)), errors.ArgumentError, "use vmap for an array of seeds"),
        (lambda: random.key(2**64), errors.ArgumentError, "up to 64 bits"),
        (lambda: random.normal(42), errors.DTypeError, "a key is an array of uint32 of shape (2,)"),
        (lambda: random.normal(random.split(KEY, 3)), errors.ShapeError, "use vmap for an array of keys"),
        (lambda: random.normal(KEY, (2,), "int32"), errors.DTypeError, "float or complex dtype"),
        (lambda: random.uniform(KEY, (2,), "complex64"), errors.DTypeError, "float dtype"),
        (lambda: random.uniform(KEY, (2,), minval=np.zeros(3)), errors.ShapeError, "parameters of shape (3,)"),
        (lambda: random.randint(KEY, (2,), 0, 1, "float32"), errors.DTypeError, "integer dtype"),
        (lambda: random.gamma(KEY, 1j), errors.DTypeError, "parameters are real numbers"),
        (lambda: random.beta(KEY, np.ones(2), np.ones(3)), errors.ShapeError, "do not broadcast"),
        (lambda: random.bits(KEY, -1), errors.ShapeError, "negative"),
        (lambda: random.choice(KEY, 0, (2,)), errors.ArgumentError, "nothing to choose"),
        (lambda: random.choice(KEY, 3, (4,), replace=False), errors.ArgumentError, "4 among 3"),
        (lambda: random.choice(KEY, 3, p=P2), errors.ShapeError, "there are 3 elements"),
        (lambda: random.categorical(KEY, LOGITS2, shape=(3,)), errors.ShapeError, "must end in (2,)"),
        (lambda: random.bernoulli(KEY, mode="x"), errors.ArgumentError, "'low' or 'high'"),
        (lambda: random.multivariate_normal(KEY, 0.0, 1.0), errors.ArgumentError, "a mean (..., n)"),
        (lambda: random.wrap_key_data(KEY, impl="rbg"), errors.ArgumentError, "threefry2x32"),
        (lambda: random.fold_in(KEY, 1.0), errors.DTypeError, "takes an integer"),
        (lambda: random.permutation(KEY, 1.5), errors.ArgumentError, "an array or an integer"),
    ],
    ids=range(21),
)
def test_errors(call, error, message):
    with pytest.raises(error) as info:
        call()
    assert message in str(info.value)


P2, LOGITS2 = np.full(2, 0.5), np.zeros((2, 2))


def test_arguments_as_jax_has_them():
    """`dtype=None` is the default dtype; `impl` names the one generator; bits are of 64 bits, as with 64-bit types."""
    for name, args, dtype in (
        ("uniform", (3,), float), ("normal", (3,), float), ("randint", (3, 0, 9), int), ("poisson", (2.0, 3), int),
        ("geometric", (0.5, 3), int), ("rademacher", (3,), int), ("bits", (3,), np.uint64), ("t", (2.0, 3), float),
    ):  # fmt: skip
        sampler = getattr(random, name)
        np.testing.assert_array_equal(sampler(KEY, *args, dtype=None), sampler(KEY, *args))
        assert sampler(KEY, *args).dtype == dtype
    np.testing.assert_array_equal(random.key(7, impl="threefry2x32"), random.PRNGKey(7))
    assert random.t(KEY, np.array([2.0, 3.0])).shape == (2,)
    with pytest.raises(errors.ArgumentError, match="threefry2x32"):
        random.key(7, impl="rbg")


@pytest.mark.skipif(ft.numpy.bfloat16.names is not None, reason="ml_dtypes is not installed")
def test_bfloat16():
    """The first numbers that jax.random gives: it draws them from 8 bits each."""
    figures = {
        "uniform": [0.6484375, 0.5703125, 0.15625, 0.203125],
        "normal": [0.38671875, 0.1826171875, -1.0, -0.82421875],
        "gumbel": [0.8359375, 0.57421875, -0.62109375, -0.466796875],
        "laplace": [-0.357421875, -0.15625, 1.1484375, 0.890625],
    }
    dtype = ft.numpy.bfloat16
    for name, want in figures.items():
        draw = lambda key, name=name: getattr(random, name)(key, shape=(4,), dtype=dtype)
        for got in (draw(random.key(0)), ft.jit(draw)(random.key(0))):
            assert got.dtype == dtype
            np.testing.assert_allclose(got.astype(float), want, rtol=2.0**-7)
    shape = np.ones(2, dtype)
    for name in ("gamma", "chisquare", "t", "pareto"):
        assert getattr(random, name)(random.key(0), shape, dtype=dtype).dtype == dtype
    np.testing.assert_array_equal(
        random.bernoulli(random.key(0), shape[:1] / 2, (8,)), [False, False, True, True, False, True, True, False]
    )
