"""Metrics: how good predictions are, with the results of scikit-learn's functions, and under every transformation.

The arguments are scikit-learn's: first what is true, then what was predicted (losses have it the other way round).
Classes are the integers from 0 to `num_classes - 1`. Outside `jit`, `num_classes` may be left to the labels; in
compiled functions it must be given, and a label out of range raises when the program runs. Results are float64.
"""

from functrans.metrics.classes import (
    accuracy,
    balanced_accuracy,
    confusion_matrix,
    f1,
    log_loss,
    matthews_corrcoef,
    precision,
    recall,
    top_k_accuracy,
)
from functrans.metrics.ranking import average_precision, ndcg, roc_auc
from functrans.metrics.regression import mae, mse, r2, rmse

__all__ = [
    "accuracy", "average_precision", "balanced_accuracy", "confusion_matrix", "f1", "log_loss", "mae",
    "matthews_corrcoef", "mse", "ndcg", "precision", "r2", "recall", "rmse", "roc_auc", "top_k_accuracy",
]  # fmt: skip
