"""Metrics against scikit-learn on random samples, eager and compiled; what they refuse."""

import warnings

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, strategies as st

import functrans as ft
from functrans import errors, metrics

KINDS = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}


@st.composite
def samples(draw, classes=None):
    """Labels, predictions, the number of classes (not all of which occur), and weights or None."""
    classes = classes or draw(st.integers(2, 5))
    count = draw(st.integers(1, 25))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    some = rng.choice(classes, draw(st.integers(1, classes)), replace=False)
    weights = rng.uniform(0.1, 2.0, count) if draw(st.booleans()) else None
    return rng.choice(some, count), rng.integers(0, classes, count), classes, weights


def assert_both(function, args, want, **options):
    """Eager and compiled results are this, in float64."""
    for f in (function, ft.jit(function)):
        got = f(*args)
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12, **options)
        assert got.dtype == np.float64


@given(samples())
def test_accuracy(drawn):
    true, predicted, _, weights = drawn
    metric = lambda t, p: metrics.accuracy(t, p, weights=weights)
    assert_both(metric, (true, predicted), sk.accuracy_score(true, predicted, sample_weight=weights))


def test_accuracy_of_rows():
    true, predicted = np.array([[0, 1], [1, 1], [0, 0]]), np.array([[0, 1], [1, 0], [0, 0]])
    assert_both(metrics.accuracy, (true, predicted), sk.accuracy_score(true, predicted))


@given(samples(), st.sampled_from([None, "true", "pred", "all"]))
def test_confusion_matrix(drawn, normalize):
    true, predicted, classes, weights = drawn
    metric = lambda t, p: metrics.confusion_matrix(t, p, classes, normalize=normalize, weights=weights)
    want = sk.confusion_matrix(true, predicted, labels=range(classes), normalize=normalize, sample_weight=weights)
    got = metric(true, predicted)
    np.testing.assert_allclose(got, want, rtol=1e-12)
    np.testing.assert_allclose(ft.jit(metric)(true, predicted), got, rtol=1e-12)
    assert got.dtype == (np.int64 if normalize is None and weights is None else np.float64)
    needed = max(true.max(), predicted.max()) + 1
    assert metrics.confusion_matrix(true, predicted).shape == (needed, needed)


@given(
    samples(),
    st.sampled_from(list(KINDS)),
    st.sampled_from(["micro", "macro", "weighted", None]),
    st.sampled_from([0.0, 1.0]),
)
def test_averages_over_classes(drawn, name, average, zero_division):
    true, predicted, classes, weights = drawn
    options = {"average": average, "zero_division": zero_division}
    metric = lambda t, p: getattr(metrics, name)(t, p, num_classes=classes, weights=weights, **options)
    labels = range(classes) if average is None else None
    want = KINDS[name](true, predicted, labels=labels, sample_weight=weights, **options)
    assert_both(metric, (true, predicted), want)
    if average is not None:
        np.testing.assert_allclose(
            getattr(metrics, name)(true, predicted, weights=weights, **options), want, rtol=1e-10
        )


@given(samples(2), st.sampled_from(list(KINDS)), st.integers(0, 1), st.sampled_from([0.0, 1.0]))
def test_two_classes(drawn, name, pos_label, zero_division):
    true, predicted, _, weights = drawn
    options = {"pos_label": pos_label, "zero_division": zero_division}
    metric = lambda t, p: getattr(metrics, name)(t, p, weights=weights, **options)
    if pos_label in (*true, *predicted):  # scikit-learn refuses others
        assert_both(metric, (true, predicted), KINDS[name](true, predicted, sample_weight=weights, **options))
        assert_both(metric, (true == 1, predicted == 1), metric(true, predicted))
    else:
        assert_both(metric, (true, predicted), zero_division)


@given(samples(), st.integers(1, 6), st.booleans())
def test_top_k_accuracy(drawn, k, ties):
    true, _, classes, weights = drawn
    classes = max(classes, 3)  # for two scikit-learn takes scores of one
    rng = np.random.default_rng(k)
    scores = rng.integers(0, 3, (len(true), classes)).astype(float) if ties else rng.normal(size=(len(true), classes))
    metric = lambda t, s: metrics.top_k_accuracy(t, s, k, weights=weights)
    if k < classes:
        want = sk.top_k_accuracy_score(true, scores, k=k, labels=range(classes), sample_weight=weights)
        assert_both(metric, (true, scores), want)
    else:
        assert_both(metric, (true, scores), 1.0)


@given(samples(2), st.booleans())
def test_roc_auc(drawn, ties):
    true, _, _, weights = drawn
    rng = np.random.default_rng(len(true))
    scores = rng.integers(0, 4, len(true)) if ties else rng.normal(size=len(true))
    metric = lambda t, s: metrics.roc_auc(t, s, weights=weights)
    if len(set(true)) == 2:
        assert_both(metric, (true, scores), sk.roc_auc_score(true, scores, sample_weight=weights))
    else:
        with pytest.raises(errors.ArgumentError, match="compares positive with negative samples, but there are no"):
            metric(true, scores)
        assert np.isnan(ft.jit(metric)(true, scores))


@st.composite
def indicators(draw):
    """Labels of which a sample may have several, scores, some of them equal, and weights or None."""
    shape = draw(st.integers(1, 20)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    scores = rng.integers(0, 4, shape).astype(float) if draw(st.booleans()) else rng.normal(size=shape)
    weights = rng.uniform(0.1, 2.0, shape[0]) if draw(st.booleans()) else None
    return (rng.uniform(size=shape) < draw(st.sampled_from([0.2, 0.5]))).astype(int), scores, weights


@given(
    indicators(),
    st.sampled_from(list(KINDS)),
    st.sampled_from(["micro", "macro", "weighted", "samples", None]),
    st.sampled_from([0.0, 1.0]),
)
def test_several_labels_of_a_sample(drawn, name, average, zero_division):
    true, scores, weights = drawn
    predicted = (scores > 1).astype(int)
    options = {"average": average, "zero_division": zero_division}
    metric = lambda t, p: getattr(metrics, name)(t, p, weights=weights, **options)
    assert_both(metric, (true, predicted), KINDS[name](true, predicted, sample_weight=weights, **options))
    assert_both(metric, (true == 1, predicted == 1), metric(true, predicted))


@given(indicators(), st.sampled_from(["micro", "macro", "weighted", None]))
def test_scores_of_several_labels(drawn, average):
    true, scores, weights = drawn
    options = {"average": average}
    metric = lambda t, s: metrics.average_precision(t, s, weights=weights, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of labels that no sample has
        want = sk.average_precision_score(true, scores, sample_weight=weights, **options)
    if average != "weighted" or true.any():
        assert_both(metric, (true, scores), want)
    if all(len(set(column)) == 2 for column in true.T):
        metric = lambda t, s: metrics.roc_auc(t, s, weights=weights, **options)
        assert_both(metric, (true, scores), sk.roc_auc_score(true, scores, sample_weight=weights, **options))


@given(samples(3), st.sampled_from(["macro", "weighted"]))
def test_scores_of_classes(drawn, average):
    true, _, _, weights = drawn
    true = np.concatenate([true, range(3)])  # all classes occur
    weights = None if weights is None else np.concatenate([weights, [1, 2, 3]])
    scores = np.random.default_rng(len(true)).dirichlet(np.ones(3), len(true))
    for metric, reference, options in (
        (metrics.roc_auc, sk.roc_auc_score, {"multi_class": "ovr"}),
        (metrics.average_precision, sk.average_precision_score, {}),
    ):
        want = reference(true, scores, sample_weight=weights, average=average, **options)
        assert_both(lambda t, s, m=metric: m(t, s, average=average, weights=weights), (true, scores), want)


@given(st.integers(1, 6), st.integers(2, 6), st.one_of(st.none(), st.integers(1, 7)), st.booleans(), st.booleans())
def test_ndcg(count, items, k, ties, weighted):
    rng = np.random.default_rng(count * items)
    true = rng.integers(0, 3, (count, items))
    scores = rng.integers(0, 3, true.shape).astype(float) if ties else rng.normal(size=true.shape)
    weights = rng.uniform(0.1, 2.0, count) if weighted else None
    metric = lambda t, s: metrics.ndcg(t, s, k, weights=weights)
    assert_both(metric, (true, scores), sk.ndcg_score(true, scores, k=k, sample_weight=weights))


def test_scores_of_nan():
    for metric in (metrics.roc_auc, metrics.average_precision):
        for f in (metric, ft.jit(metric)):
            assert np.isnan(f(np.array([0, 1, 1]), np.array([0.5, np.nan, 1.0])))


@given(samples())
def test_balanced_accuracy_and_correlation(drawn):
    true, predicted, classes, weights = drawn
    for metric, reference in (
        (metrics.balanced_accuracy, sk.balanced_accuracy_score),
        (metrics.matthews_corrcoef, sk.matthews_corrcoef),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's, of classes that are predicted and never true
            want = reference(true, predicted, sample_weight=weights)
        assert_both(lambda t, p, m=metric: m(t, p, num_classes=classes, weights=weights), (true, predicted), want)
        np.testing.assert_allclose(metric(true, predicted, weights=weights), want, rtol=1e-10, atol=1e-12)


@given(samples(3), st.sampled_from([np.float32, np.float64]))
def test_log_loss(drawn, dtype):
    true, predicted, _, weights = drawn
    p = np.random.default_rng(len(true)).dirichlet(np.ones(3), len(true)).astype(dtype)
    p[0] = np.eye(3)[predicted[0]]  # surely right or surely wrong
    want = sk.log_loss(true, p, labels=range(3), sample_weight=weights)
    for metric in (metrics.log_loss, ft.jit(metrics.log_loss)):
        np.testing.assert_allclose(metric(true, p, weights=weights), want, rtol=1e-6 if dtype == np.float32 else 1e-12)


@given(samples(2))
def test_log_loss_of_two_classes(drawn):
    true, _, _, weights = drawn
    p = np.random.default_rng(len(true)).uniform(size=len(true))
    want = sk.log_loss(true, p, labels=[0, 1], sample_weight=weights)
    assert_both(lambda t, p: metrics.log_loss(t, p, weights=weights), (true, p), want)


@given(st.integers(2, 12), st.sampled_from([(), (1,), (3,)]), st.booleans(), st.booleans(), st.integers(0, 100))
def test_regression(count, outputs, weighted, constant, seed):
    rng = np.random.default_rng(seed)
    true, predicted = rng.normal(size=(2, count, *outputs))
    if constant:
        true[...] = 2.0
        predicted[..., :1] = 2.0
    weights = rng.uniform(0.1, 2.0, count) if weighted else None
    for metric, reference in (
        (metrics.mse, sk.mean_squared_error),
        (metrics.mae, sk.mean_absolute_error),
        (metrics.rmse, sk.root_mean_squared_error),
        (metrics.r2, sk.r2_score),
    ):
        want = reference(true, predicted, sample_weight=weights)
        assert_both(lambda t, p, m=metric: m(t, p, weights=weights), (true, predicted), want)


def test_batches():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 3, (2, 4, 20))
    for metric in (
        lambda t, p: metrics.f1(t, p, average="macro", num_classes=3),
        lambda t, p: metrics.accuracy(t, p),
        lambda t, p: metrics.roc_auc(t > 0, p),
        lambda t, p: metrics.r2(t, p),
    ):
        np.testing.assert_allclose(
            ft.vmap(metric)(true, predicted), [metric(*x) for x in zip(true, predicted)], rtol=1e-12
        )


# ---------------------------------------------------------------- errors

ONES, TWO_D = np.array([0, 1, 1]), np.zeros((3, 2))
BITS = np.array([[0, 0], [1, 0], [1, 0]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: metrics.accuracy(ONES, ONES[:2]), errors.ShapeError, r"one shape, got \(3,\) and \(2,\)"),
        (lambda: metrics.accuracy(ONES[:0], ONES[:0]), errors.ArgumentError, "takes one sample at least"),
        (lambda: metrics.accuracy(1, 1), errors.ShapeError, "takes arrays of samples, got a scalar"),
        (lambda: metrics.accuracy(ONES, ONES, weights=np.ones(2)), errors.ShapeError, "a number for each of 3 samples"),
        (lambda: metrics.confusion_matrix(TWO_D, TWO_D), errors.ShapeError, r"takes classes \(samples,\)"),
        (
            lambda: metrics.confusion_matrix(ONES, ONES + 1, 2),
            errors.IndexOutOfBoundsError,
            r"confusion_matrix: y_pred lie in \[0, 2\), got 2",
        ),
        (
            lambda: metrics.confusion_matrix(-ONES, ONES),
            errors.IndexOutOfBoundsError,
            r"y_true lie in \[0, 2\), got -1",
        ),
        (lambda: metrics.confusion_matrix(ONES * 1.0, ONES), errors.DTypeError, "y_true are integers or booleans"),
        (lambda: metrics.confusion_matrix(ONES, ONES, normalize="rows"), errors.ArgumentError, "got 'rows'"),
        (lambda: metrics.precision(2 * ONES, ONES), errors.ArgumentError, "but there is a label 2; choose 'micro'"),
        (lambda: metrics.recall(ONES, ONES, num_classes=3), errors.ArgumentError, "is for the classes 0 and 1; choose"),
        (lambda: metrics.f1(ONES, ONES, average="mean"), errors.ArgumentError, "got 'mean'"),
        (lambda: metrics.top_k_accuracy(ONES, ONES), errors.ShapeError, r"scores \(samples, classes\)"),
        (lambda: metrics.top_k_accuracy(ONES, TWO_D, 0), errors.ArgumentError, "k of 1 or more, got 0"),
        (lambda: metrics.top_k_accuracy(2 * ONES, TWO_D), errors.IndexOutOfBoundsError, r"lie in \[0, 2\), got 2"),
        (lambda: metrics.roc_auc(0 * ONES, ONES), errors.ArgumentError, "there are no positive ones"),
        (lambda: metrics.roc_auc(ONES | 1, ONES), errors.ArgumentError, "there are no negative ones"),
        (lambda: metrics.roc_auc(BITS, TWO_D), errors.ArgumentError, "there are no positive ones for label 1"),
        (lambda: metrics.roc_auc(ONES, ONES[:2]), errors.ShapeError, r"got \(3,\) and \(2,\)"),
        (lambda: metrics.roc_auc(ONES, TWO_D, average="samples"), errors.ArgumentError, "got 'samples'"),
        (lambda: metrics.average_precision(BITS + 1, TWO_D), errors.IndexOutOfBoundsError, r"\[0, 2\), got 2"),
        (lambda: metrics.ndcg(ONES, ONES), errors.ShapeError, r"takes arrays \(samples, items\), got shape \(3,\)"),
        (lambda: metrics.ndcg(-BITS, TWO_D), errors.ArgumentError, "not negative, got -1"),
        (lambda: metrics.ndcg(BITS, TWO_D, 0), errors.ArgumentError, "k of 1 or more, got 0"),
        (lambda: metrics.f1(BITS, BITS), errors.ArgumentError, "'binary' is for one label of each sample"),
        (lambda: metrics.f1(ONES, ONES, average="samples"), errors.ArgumentError, "is for samples of several labels"),
        (lambda: metrics.f1(BITS, BITS[:2], average="macro"), errors.ShapeError, "must have one shape"),
        (lambda: metrics.f1(2 * BITS, BITS, average="macro"), errors.IndexOutOfBoundsError, "y_true lie in"),
        (lambda: metrics.f1(BITS, BITS, average="macro", num_classes=3), errors.ArgumentError, "num_classes=3 of"),
        (lambda: metrics.log_loss(ONES, TWO_D - 0.5), errors.ArgumentError, "between 0 and 1, got -0.5"),
        (lambda: metrics.log_loss(ONES, TWO_D[:2]), errors.ShapeError, r"got \(3,\) and \(2, 2\)"),
        (lambda: metrics.r2(ONES[:1], ONES[:1]), errors.ArgumentError, "takes two samples at least"),
        (lambda: metrics.mse(TWO_D[None], TWO_D[None]), errors.ShapeError, r"got shape \(1, 3, 2\)"),
        (
            lambda: ft.jit(metrics.confusion_matrix)(ONES, ONES),
            errors.ArgumentError,
            "confusion_matrix of traced labels needs num_classes",
        ),
    ],
    ids=range(34),
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("wrong", [-1, 3])
def test_labels_out_of_range_in_compiled_code(wrong):
    labels, right, scores = np.array([0, wrong, 1]), np.array([0, 1, 2]), np.full((3, 3), 1 / 3)
    for metric, args in (
        (lambda t, p: metrics.confusion_matrix(t, p, 3), (labels, right)),
        (lambda t, p: metrics.f1(p, t, num_classes=3, average="macro"), (labels, right)),
        (metrics.top_k_accuracy, (labels, scores)),
        (metrics.log_loss, (labels, scores)),
        (metrics.roc_auc, (labels, scores)),
        (lambda t, p: metrics.f1(t, p, average="macro"), (np.stack([labels, right]), np.eye(3, dtype=int)[:2])),
    ):
        with pytest.raises(IndexError):
            ft.jit(metric)(*args)
