"""Losses against SciPy, scikit-learn and PyTorch (`losses.json`), their definitions, and in the extremes of floats."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics
from helpers import check_batching
from hypothesis import given, strategies as st

import functrans as ft
from functrans import errors, losses
from functrans.testing import check_grads

STORED = json.loads((Path(__file__).parent / "losses.json").read_text())
X, Y, Z, Q, LOGITS = (np.array(STORED[k]) for k in ("x", "y", "z", "q", "logits"))
FIGURES = {k: np.array(v) for k, v in STORED["losses"].items()}
P = scipy.special.softmax(X / 4, -1)
BITS = np.array([[1, 0, 1, 1], [0, 0, 1, 0], [1, 1, 0, 0]])
SIGNS = 2 * BITS - 1
CLASSES = np.array([2, 0, 3])
LABELS = np.array([[1, 2, 2], [3, 0, 0], [1, 1, 1], [2, 3, 0]])
LABEL_LENGTHS, TIMES = np.array([3, 1, 3, 2]), np.array([7, 4, 6, 3])

#: A function of the predictions and the reduction, and the predictions, by the names of losses.json.
STORED_LOSSES = {
    "huber": (lambda x, **k: losses.huber(x, Y, 0.8, **k), X),
    "binary_logits": (lambda x, **k: losses.binary_cross_entropy(x, BITS, from_logits=True, **k), X),
    "cross_entropy": (lambda x, **k: losses.categorical_cross_entropy(x, CLASSES, from_logits=True, **k), X),
    "cross_entropy_smoothed": (
        lambda x, **k: losses.categorical_cross_entropy(x, CLASSES, from_logits=True, label_smoothing=0.2, **k),
        X,
    ),
    "cross_entropy_soft": (lambda x, **k: losses.categorical_cross_entropy(x, Q, from_logits=True, **k), X),
    "kl": (lambda x, **k: losses.kl_divergence(x, Q, from_logits=True, **k), X),
    "cosine": (lambda x, **k: losses.cosine_similarity_loss(x, Y, **k), X),
    "triplet2": (lambda x, **k: losses.triplet_margin(x, Y, Z, 1.5, **k), X),
    "triplet1": (lambda x, **k: losses.triplet_margin(x, Y, Z, 1.5, p=1, **k), X),
    "triplet3": (lambda x, **k: losses.triplet_margin(x, Y, Z, 1.5, p=3, **k), X),
    "ctc": (lambda x, **k: losses.ctc_loss(x, LABELS, TIMES, LABEL_LENGTHS, **k), LOGITS),
}

#: The others, with SciPy, scikit-learn or the definition for a reference.
OTHER_LOSSES = {
    "mean_squared_error": (lambda x, **k: losses.mean_squared_error(x, Y, **k), X, (X - Y) ** 2),
    "mean_absolute_error": (lambda x, **k: losses.mean_absolute_error(x, Y, **k), X, abs(X - Y)),
    "log_cosh": (lambda x, **k: losses.log_cosh(x, Y, **k), X, np.log(np.cosh(X - Y))),
    "pinball": (lambda x, **k: losses.pinball(x, Y, 0.8, **k), X, np.where(Y > X, 0.8 * (Y - X), 0.2 * (X - Y))),
    "gaussian": (
        lambda x, **k: losses.gaussian_nll(x, Y, abs(Z), full=True, **k),
        X,
        -scipy.stats.norm.logpdf(Y, X, abs(Z) ** 0.5),
    ),
    "gaussian_variances": (
        lambda v, **k: losses.gaussian_nll(X.astype(v.dtype), Y, v, **k),
        1 + abs(Z),
        -scipy.stats.norm.logpdf(Y, X, (1 + abs(Z)) ** 0.5) - np.log(2 * np.pi) / 2,
    ),
    "poisson": (
        lambda m, **k: losses.poisson_nll(m, BITS + 1, **k),
        1 + abs(X),
        -scipy.stats.poisson.logpmf(BITS + 1, 1 + abs(X)) - scipy.special.gammaln(BITS + 2),
    ),
    "poisson_logs": (
        lambda x, **k: losses.poisson_nll(x, BITS, from_logs=True, **k),
        X,
        -scipy.stats.poisson.logpmf(BITS, np.exp(X)),
    ),
    "focal": (
        lambda p, **k: losses.binary_focal_cross_entropy(p, BITS, 1.5, 0.3, **k),
        P,
        -np.where(BITS, 0.3 * (1 - P) ** 1.5 * np.log(P), 0.7 * P**1.5 * np.log(1 - P)),
    ),
    "focal_logits": (
        lambda x, **k: losses.binary_focal_cross_entropy(x, BITS, from_logits=True, **k),
        X,
        -np.where(
            BITS,
            scipy.special.expit(-X) ** 2 * np.log(scipy.special.expit(X)),
            scipy.special.expit(X) ** 2 * np.log(scipy.special.expit(-X)),
        ),
    ),
    "binary": (
        lambda p, **k: losses.binary_cross_entropy(p, BITS, **k),
        P,
        -np.where(BITS, np.log(P), np.log(1 - P)),
    ),
    "binary_smoothed": (
        lambda x, **k: losses.binary_cross_entropy(x, BITS, from_logits=True, label_smoothing=0.2, **k),
        X,
        -(0.8 * BITS + 0.1) * np.log(scipy.special.expit(X)) - (0.9 - 0.8 * BITS) * np.log(scipy.special.expit(-X)),
    ),
    "categorical": (
        lambda p, **k: losses.categorical_cross_entropy(p, CLASSES, **k),
        P,
        -np.log(P[np.arange(3), CLASSES]),
    ),
    "categorical_soft": (
        lambda p, **k: losses.categorical_cross_entropy(p, Q, label_smoothing=0.2, **k),
        P,
        -np.sum((0.8 * Q + 0.05) * np.log(P), -1),
    ),
    "categorical_axis": (
        lambda x, **k: losses.categorical_cross_entropy(x, np.array([0, 2, 1, 1]), from_logits=True, axis=0, **k),
        X,
        -scipy.special.log_softmax(X, 0)[[0, 2, 1, 1], np.arange(4)],
    ),
    "kl": (lambda p, **k: losses.kl_divergence(p, Q, **k), P, scipy.special.rel_entr(Q, P).sum(-1)),
    "hinge": (lambda x, **k: losses.hinge(x, SIGNS, **k), X, np.maximum(0, 1 - SIGNS * X)),
    "squared_hinge": (lambda x, **k: losses.squared_hinge(x, SIGNS, **k), X, np.maximum(0, 1 - SIGNS * X) ** 2),
    "categorical_hinge": (
        lambda x, **k: losses.categorical_hinge(x, CLASSES, **k),
        X,
        [max(0, 1 + np.delete(x, c).max() - x[c]) for x, c in zip(X, CLASSES)],
    ),
}

ALL = {
    **{f"stored-{name}": (loss, x, FIGURES[name]) for name, (loss, x) in STORED_LOSSES.items()},
    **OTHER_LOSSES,
}


def test_every_stored_loss_is_compared():
    assert set(FIGURES) == {*STORED_LOSSES, "ctc_gradient"}


@pytest.mark.parametrize("name", ALL)
def test_values(name):
    loss, x, want = ALL[name]
    got = loss(x, reduction="none")
    np.testing.assert_allclose(got, np.reshape(want, got.shape), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_transformations(name):
    loss, x, _ = ALL[name]
    each = lambda x: loss(x, reduction="none")
    np.testing.assert_allclose(ft.jit(each)(x), each(x), rtol=1e-12, atol=1e-13)
    check_batching(each, x)
    # Second derivatives of functions with corners are those of their smooth parts; all are smooth at these points.
    check_grads(lambda x: loss(x), (x,), order=2)


@pytest.mark.parametrize("name", ALL)
def test_float32(name):
    loss, x, want = ALL[name]
    for function in (loss, ft.jit(loss), ft.grad(loss)):
        assert function(x.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(loss(x.astype(np.float32)), np.mean(want), rtol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_reductions_and_weights(name):
    loss, x, _ = ALL[name]
    each = np.asarray(loss(x, reduction="none"))
    weights = np.random.default_rng(0).uniform(size=each.shape)
    for w, factor in ((None, 1.0), (weights, weights), (weights > 0.5, weights > 0.5)):
        total = np.sum(factor * np.ones(each.shape))
        np.testing.assert_allclose(loss(x, weights=w, reduction="none"), factor * each, rtol=1e-12)
        np.testing.assert_allclose(loss(x, weights=w, reduction="sum"), np.sum(factor * each), rtol=1e-12)
        np.testing.assert_allclose(loss(x, weights=w), np.sum(factor * each) / total, rtol=1e-12)
    assert float(loss(x, weights=0.0)) == 0.0


def test_same_as_scikit_learn():
    np.testing.assert_allclose(
        losses.pinball(X, Y, 0.3), sklearn.metrics.mean_pinball_loss(Y, X, alpha=0.3), rtol=1e-12
    )
    np.testing.assert_allclose(
        losses.categorical_cross_entropy(P, CLASSES), sklearn.metrics.log_loss(CLASSES, P, labels=range(4)), rtol=1e-12
    )
    np.testing.assert_allclose(
        losses.hinge(X.ravel(), SIGNS.ravel()), sklearn.metrics.hinge_loss(SIGNS.ravel(), X.ravel()), rtol=1e-12
    )
    np.testing.assert_allclose(
        losses.categorical_hinge(X, CLASSES), sklearn.metrics.hinge_loss(CLASSES, X, labels=range(4)), rtol=1e-12
    )


@given(st.booleans(), st.floats(0, 1))
def test_one_hot_labels_are_integers(from_logits, smoothing):
    x = X if from_logits else P
    loss = lambda y: losses.categorical_cross_entropy(
        x, y, from_logits=from_logits, label_smoothing=smoothing, reduction="none"
    )
    np.testing.assert_allclose(loss(ft.nn.one_hot(CLASSES, 4)), loss(CLASSES), rtol=1e-12)


# ---------------------------------------------------------------- extremes

SURE = np.array([-1e4, -50.0, 0.0, 50.0, 1e4])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("jit", [False, True])
def test_sure_logits_neither_overflow_nor_cancel(dtype, jit):
    x = SURE.astype(dtype)
    for label in (0.0, 1.0):
        y = np.full(5, label)
        loss = lambda x, y=y: losses.binary_cross_entropy(x, y, from_logits=True, reduction="none")
        value, pull = ft.vjp(ft.jit(loss) if jit else loss, x)
        away = np.where(label == 1, -x, x).astype(float)
        np.testing.assert_allclose(value, np.logaddexp(0.0, away), rtol=1e-6)
        (gradient,) = pull(np.ones(5, dtype))
        np.testing.assert_allclose(gradient, scipy.special.expit(x.astype(float)) - label, rtol=1e-5, atol=1e-7)
    both = np.stack([x, -x], -1)
    loss = lambda x: losses.categorical_cross_entropy(x, np.zeros(5, int), from_logits=True, reduction="none")
    np.testing.assert_allclose((ft.jit(loss) if jit else loss)(both), np.logaddexp(0.0, -2.0 * x), rtol=1e-6, atol=1e-7)


def test_sure_probabilities():
    assert float(losses.binary_cross_entropy(np.array([0.0, 1.0]), np.array([0, 1]))) == 0.0
    assert np.isfinite(ft.grad(losses.binary_cross_entropy)(np.array([0.0, 1.0]), np.array([0, 1]))).all()
    one_hot = np.array([[1.0, 0.0]])
    assert float(losses.categorical_cross_entropy(one_hot, one_hot)) == 0.0
    np.testing.assert_array_equal(ft.grad(losses.categorical_cross_entropy)(one_hot, one_hot), [[-1.0, 0.0]])
    assert float(losses.kl_divergence(one_hot, one_hot)) == 0.0
    assert float(losses.kl_divergence(one_hot, np.array([[0.5, 0.5]]))) == np.inf


def test_log_cosh_near_zero_and_far_away():
    small = np.array([1e-9, -1e-5, 1e-3])
    np.testing.assert_allclose(losses.log_cosh(small, 0 * small, reduction="none"), small**2 / 2, rtol=1e-6)
    far = np.array([-1e6, 1e6])
    np.testing.assert_allclose(losses.log_cosh(far, 0 * far, reduction="none"), 1e6 - np.log(2), rtol=1e-14)
    np.testing.assert_allclose(ft.grad(losses.log_cosh)(far, 0 * far), [-0.5, 0.5])


def test_derivatives_where_distances_are_zero():
    zeros = np.zeros((1, 3))
    for loss in (losses.triplet_margin, lambda a, p, n: losses.cosine_similarity_loss(a, p)):
        assert np.isfinite(ft.grad(loss)(zeros, zeros, zeros)).all()
    assert float(losses.cosine_similarity_loss(zeros, zeros)) == 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_focal_loss_of_sure_logits(dtype):
    x, y = SURE.astype(dtype), np.ones(5)
    value, slope = ft.jit(ft.value_and_grad(
        lambda x: losses.binary_focal_cross_entropy(x, y, from_logits=True, reduction="sum")
    ))(x)  # fmt: skip
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(value, np.sum(scipy.special.expit(-SURE) ** 2 * np.logaddexp(0, -SURE)), rtol=1e-6)


def test_what_has_no_weight_has_no_part():
    x, y = np.array([1.0, np.nan, np.inf]), np.array([0.0, 0.0, 0.0])
    assert float(losses.mean_squared_error(x, y, weights=np.array([True, False, False]))) == 1.0


def test_integers_become_floats():
    assert losses.mean_squared_error(np.array([1, 4]), np.array([1, 2])).dtype == np.float64
    assert float(losses.mean_squared_error(np.zeros((0, 2)), np.zeros((0, 2)))) == 0.0


# ---------------------------------------------------------------- CTC


def collapsed(path, blank):
    return [c for c, before in zip(path, [None, *path]) if c != blank and c != before]


def by_enumeration(logits, labels, blank):
    """Minus the log-probability of all paths that stand for the labels, one by one."""
    times, classes = logits.shape
    logs = scipy.special.log_softmax(logits, -1)
    paths = [
        sum(logs[t, c] for t, c in enumerate(path))
        for path in itertools.product(range(classes), repeat=times)
        if collapsed(path, blank) == list(labels)
    ]
    return -scipy.special.logsumexp(paths) if paths else np.inf


@given(st.integers(0, 4), st.integers(0, 5), st.integers(0, 2), st.integers(0, 2), st.integers(0, 1000), st.booleans())
def test_ctc_is_the_sum_over_paths(count, times, padding, blank, seed, jit):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(1, times + padding, 3))
    labels = rng.choice([c for c in range(3) if c != blank], size=(1, count + padding))
    loss = lambda x: losses.ctc_loss(x, labels, np.array([times]), np.array([count]), blank_id=blank)
    want = by_enumeration(logits[0, :times], labels[0, :count], blank)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose((ft.jit(loss) if jit else loss)(logits), want, rtol=1e-10, atol=1e-12)
    gradient = ft.grad(loss)(logits)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[0, times:], 0.0)


def test_ctc_gradient():
    gradient = ft.jit(ft.grad(lambda x: losses.ctc_loss(x, LABELS, TIMES, LABEL_LENGTHS, reduction="sum")))(LOGITS)
    np.testing.assert_allclose(gradient, FIGURES["ctc_gradient"].reshape(LOGITS.shape), rtol=1e-6, atol=1e-8)


def test_ctc_without_lengths():
    full = losses.ctc_loss(LOGITS, LABELS[[0, 0, 2, 0]], reduction="none")
    given_lengths = losses.ctc_loss(LOGITS, LABELS[[0, 0, 2, 0]], np.full(4, 7), np.full(4, 3), reduction="none")
    np.testing.assert_array_equal(full, given_lengths)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: losses.mean_squared_error(x, Y),
        lambda x: losses.huber(x, Y, 0.8),
        lambda x: losses.log_cosh(x, Y),
        lambda x: losses.binary_cross_entropy(x, BITS, from_logits=True),
        lambda x: losses.categorical_cross_entropy(x, CLASSES, from_logits=True),
    ],
    ids=["squared", "huber", "log_cosh", "binary", "categorical"],
)
@pytest.mark.parametrize("transform", [lambda f: f, ft.jit], ids=["eager", "jit"])
def test_bfloat16_predictions_keep_their_dtype(loss, transform):
    small = X.astype(ft.numpy.bfloat16)
    exact = small.astype(float)
    got, slope = transform(ft.value_and_grad(loss))(small)
    want, want_slope = ft.value_and_grad(loss)(exact)
    assert got.dtype == slope.dtype == ft.numpy.bfloat16
    np.testing.assert_allclose(got.astype(float), want, rtol=2**-5)  # a result has 8 bits, and some steps round
    np.testing.assert_allclose(slope.astype(float), want_slope, rtol=2**-5, atol=2**-9)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: losses.mean_squared_error(X, Y[0]), errors.ShapeError, r"one shape, got \(3, 4\) and \(4,\)"),
        (lambda: losses.huber(X, Y, reduction="avg"), errors.ArgumentError, "'mean', 'sum' or 'none', got 'avg'"),
        (lambda: losses.hinge(X, SIGNS, weights=np.ones(5)), errors.ShapeError, r"weights of shape \(5,\) do not"),
        (lambda: losses.huber(X, Y, weights=np.ones(3)), errors.ShapeError, r"write weights\[..., None\]"),
        (lambda: losses.huber(X[:, :1], Y[:, 0]), errors.ShapeError, r"and \(3,\); write targets\[..., None\]"),
        (lambda: losses.log_cosh(1j * X, Y), errors.DTypeError, "takes real numbers, got complex128"),
        (
            lambda: losses.categorical_cross_entropy(X, np.array([0, 4, 1])),
            errors.IndexOutOfBoundsError,
            r"labels lie in \[0, 4\), got 4",
        ),
        (
            lambda: losses.categorical_hinge(X, np.array([0, -1, 1])),
            errors.IndexOutOfBoundsError,
            r"labels lie in \[0, 4\), got -1",
        ),
        (
            lambda: losses.categorical_cross_entropy(X, np.array([0.0, 1.0, 2.0])),
            errors.DTypeError,
            "are integers, got f",
        ),
        (lambda: losses.categorical_cross_entropy(X, np.zeros((3, 5))), errors.ShapeError, r"got shape \(3, 5\)"),
        (lambda: losses.categorical_hinge(X, BITS), errors.ShapeError, r"take labels of shape \(3,\), got \(3, 4\)"),
        (
            lambda: losses.binary_cross_entropy(X, BITS, label_smoothing=1.5),
            errors.ArgumentError,
            "a label_smoothing between 0 and 1, got 1.5",
        ),
        (lambda: losses.triplet_margin(X, Y, Z, p=0.5), errors.ArgumentError, "p of 1 or more, got 0.5"),
        (lambda: losses.ctc_loss(X, LABELS), errors.ShapeError, r"logits \(batch, times, classes\)"),
        (lambda: losses.ctc_loss(LOGITS, LABELS, blank_id=4), errors.ArgumentError, "none of the 4 classes"),
        (lambda: losses.ctc_loss(LOGITS, LABELS + 3), errors.IndexOutOfBoundsError, r"lie in \[0, 4\)"),
        (lambda: losses.ctc_loss(LOGITS, LABELS, TIMES + 1), errors.ArgumentError, "are between 0 and 7, got 4 to 8"),
        (lambda: losses.ctc_loss(LOGITS, LABELS, TIMES[:2]), errors.ShapeError, "a number for each of 4 examples"),
    ],
    ids=range(18),
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_labels_out_of_range_in_compiled_code_give_nan():
    labels = np.array([0, 4, 1])
    for loss in (losses.categorical_cross_entropy, losses.categorical_hinge):
        each = ft.jit(lambda y, loss=loss: loss(P, y, reduction="none"))(labels)
        np.testing.assert_array_equal(np.isnan(each), [False, True, False])
