"""A network of dense layers learns to read handwritten digits: scikit-learn's 1,797 real scans of 8 x 8 pixels.

    python examples/digits.py [--epochs N] [--output FOLDER] [--jaxpr]

It writes `digits_loss.png` (the loss while training) and `digits_predictions.png` (scans with what the network read).
"""

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import functrans as ft

SIZES = (64, 128, 64, 10)
BATCH = 64
OPTIMIZER = ft.optim.adam(1e-3)


def initial_parameters(rng, sizes):
    """Weights drawn for layers followed by relu (He et al., 2015), and zero biases."""
    return [
        {
            "w": (rng.normal(size=(n, m)) * np.sqrt(2 / n)).astype(np.float32),
            "b": np.zeros(m, np.float32),
        }
        for n, m in zip(sizes, sizes[1:])
    ]


def predict(parameters, images):
    """The scores of the ten digits for each image."""
    *hidden, last = parameters
    for layer in hidden:
        images = ft.nn.relu(images @ layer["w"] + layer["b"])
    return images @ last["w"] + last["b"]


def loss(parameters, images, labels):
    """Cross-entropy of the predicted distribution, averaged over the images."""
    log_probability = ft.nn.log_softmax(predict(parameters, images))
    return -np.mean(np.take_along_axis(log_probability, labels[:, None], axis=1))


@ft.jit
def train_step(parameters, state, images, labels):
    value, gradient = ft.value_and_grad(loss)(parameters, images, labels)
    updates, state = OPTIMIZER.update(gradient, state)
    return ft.optim.apply_updates(parameters, updates), state, value


@ft.jit
def accuracy(parameters, images, labels):
    return np.mean(np.argmax(predict(parameters, images), axis=1) == labels)


def draw(folder, losses, parameters, images, labels):
    """The two pictures."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    axes.semilogy(losses, linewidth=0.8)
    axes.set(xlabel="training step", ylabel="loss (cross-entropy, nats)", title="Training on handwritten digits")
    figure.savefig(folder / "digits_loss.png", dpi=120)

    read = np.argmax(predict(parameters, images), axis=1)
    wrong = np.flatnonzero(read != labels)
    shown = np.concatenate([wrong[:8], np.setdiff1d(np.arange(32), wrong)])[:24]
    figure, grid = plt.subplots(3, 8, figsize=(8, 3.6), layout="constrained")
    for axes, i in zip(grid.flat, shown):
        axes.imshow(images[i].reshape(8, 8), cmap="gray_r")
        axes.set_title(f"{read[i]}" if read[i] == labels[i] else f"{read[i]}, is {labels[i]}", fontsize=9,
                       color="black" if read[i] == labels[i] else "crimson")  # fmt: skip
        axes.axis("off")
    figure.suptitle("What the network reads in test scans")
    figure.savefig(folder / "digits_predictions.png", dpi=120)
    return [folder / "digits_loss.png", folder / "digits_predictions.png"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--output", type=Path, default=Path("."), help="folder for the pictures")
    parser.add_argument("--jaxpr", action="store_true", help="print the jaxpr of the loss")
    options = parser.parse_args()

    start = time.perf_counter()
    digits = load_digits()
    images = (digits.data / 16).astype(np.float32)
    train_x, test_x, train_y, test_y = train_test_split(
        images, digits.target, test_size=0.2, random_state=0, stratify=digits.target
    )
    rng = np.random.default_rng(0)
    parameters = initial_parameters(rng, SIZES)
    if options.jaxpr:
        print(ft.make_jaxpr(loss)(parameters, train_x[:BATCH], train_y[:BATCH]))

    state = OPTIMIZER.init(parameters)
    losses = []
    with tqdm(range(options.epochs), unit="epoch") as progress:
        for _ in progress:
            order = rng.permutation(len(train_x))
            for i in range(0, len(order) - BATCH + 1, BATCH):
                batch = order[i : i + BATCH]
                parameters, state, value = train_step(parameters, state, train_x[batch], train_y[batch])
                losses.append(float(value))
            progress.set_postfix(loss=f"{np.mean(losses[-20:]):.4f}")

    pictures = draw(options.output, losses, parameters, test_x, test_y)
    print(f"training accuracy {float(accuracy(parameters, train_x, train_y)):.2%}")
    print(f"test accuracy {float(accuracy(parameters, test_x, test_y)):.2%}  ({time.perf_counter() - start:.1f} s)")
    print("wrote " + ", ".join(map(str, pictures)))


if __name__ == "__main__":
    main()
