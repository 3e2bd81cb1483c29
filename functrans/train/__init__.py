"""Training: a model, data, a loss and an optimizer in; a trained model and the history of its training out.

`fit` is a loop over `jit(value_and_grad(loss))` and an optimizer's update, with what such loops come to need: batches
in random order, metrics, validation, a progress bar, early stopping, checkpoints, and states from which training goes
on as if it had not been interrupted. Whoever needs another loop writes it, in ten lines of the same parts.
"""

from functrans.train.callbacks import Callback, Checkpoint, EarlyStopping, Epoch
from functrans.train.evaluation import evaluate, predict
from functrans.train.fitting import Trained, fit
from functrans.train.history import History
from functrans.train.state import TrainState

__all__ = [
    "Callback", "Checkpoint", "EarlyStopping", "Epoch", "History", "TrainState", "Trained", "evaluate", "fit",
    "predict",
]  # fmt: skip
