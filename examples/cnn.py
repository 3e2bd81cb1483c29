"""A convolutional network reads handwritten digits: convolutions, pooling, dropout, early stopping, a saved model.

    python examples/cnn.py [--epochs N] [--output FOLDER]

It writes `cnn_history.png` (loss and accuracy over the epochs), `cnn_mistakes.png` (what it misread) and
`cnn.safetensors` (the model).
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import functrans as ft
from functrans import nn, optim, random, train

cross_entropy = partial(ft.losses.categorical_cross_entropy, from_logits=True)


def make_model(key):
    """Two convolutions, each followed by pooling, on images (batch, 1, 8, 8); then one dense layer."""
    first, second, last = random.split(key, 3)
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding="same", key=first), nn.relu, nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding="same", key=second), nn.relu, nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(64 * 2 * 2, 10, key=last),
    )  # fmt: skip


def draw_mistakes(path, images, labels, scores):
    """The images that were misread, the worst first."""
    read = scores.argmax(1)
    sure = np.asarray(nn.softmax(scores)).max(1)
    wrong = sorted(np.flatnonzero(read != labels), key=lambda i: -sure[i])[:8]
    figure = Figure(figsize=(1.5 * max(len(wrong), 2), 2.2), layout="constrained")
    for axes, i in zip(figure.subplots(1, max(len(wrong), 1), squeeze=False)[0], wrong):
        axes.imshow(images[i, 0], cmap="gray_r")
        axes.set_title(f"{labels[i]} read as {read[i]}\n({sure[i]:.0%} sure)", fontsize=9)
        axes.set_axis_off()
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40, help="at most; it stops when it no longer improves")
    parser.add_argument("--output", type=Path, default=Path("."), help="folder for pictures and model")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    digits = load_digits()
    images = (digits.images[:, None] / 16).astype(np.float32)
    x, x_test, y, y_test = train_test_split(images, digits.target, test_size=0.2, random_state=0)
    x, x_valid, y, y_valid = train_test_split(x, y, test_size=0.1, random_state=0)

    model = make_model(random.key(0))
    print(nn.summary(model, (64, 1, 8, 8)))
    trained = train.fit(
        model, (x, y), cross_entropy, optim.adam(2e-3), options.epochs, batch_size=64,
        validation_data=(x_valid, y_valid), metrics=["accuracy"], callbacks=[train.EarlyStopping(patience=8)],
    )  # fmt: skip
    scores = train.predict(trained.model, x_test)
    print(f"best after {trained.state.epoch} epochs: test accuracy {ft.metrics.accuracy(y_test, scores.argmax(1)):.2%}")
    print("confusion matrix (rows: true digits)")
    print(ft.metrics.confusion_matrix(y_test, scores.argmax(1)))

    trained.history.plot(options.output / "cnn_history.png")
    draw_mistakes(options.output / "cnn_mistakes.png", x_test, y_test, scores)
    ft.save(options.output / "cnn.safetensors", trained.model)
    again = ft.load(options.output / "cnn.safetensors", like=make_model(random.key(1)))
    assert (train.predict(again, x_test) == scores).all()
    print(f"wrote cnn_history.png, cnn_mistakes.png and cnn.safetensors to {options.output}")


if __name__ == "__main__":
    main()
