"""A recurrent network learns to write like Python's reference manual, one character after the other.

    python examples/char_rnn.py [--steps N] [--output FOLDER]

The text is the manual that comes with Python (the module `pydoc_data.topics`). It prints what the network writes as it
learns, and writes `char_rnn_loss.png`.
"""

import argparse
import re
import time
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from matplotlib.figure import Figure

import functrans as ft
from functrans import lax, losses, nn, optim, random

HIDDEN, EMBEDDING, BATCH, LENGTH = 256, 32, 32, 64


class Writer(nn.Module):
    """Scores of the next character, for each character of a text."""

    embed: nn.Embedding
    rnn: nn.RNN
    head: nn.Linear

    def __init__(self, characters, key):
        a, b, c = random.split(key, 3)
        self.embed = nn.Embedding(characters, EMBEDDING, key=a)
        self.rnn = nn.RNN(nn.GRUCell(EMBEDDING, HIDDEN, key=b))
        self.head = nn.Linear(HIDDEN, characters, key=c)

    def __call__(self, text):
        outputs, _ = self.rnn(self.embed(text))
        return self.head(outputs)


def loss(model, text):
    """Cross-entropy of each next character, in nats, averaged over a batch of texts."""
    return losses.categorical_cross_entropy(model(text[:, :-1]), text[:, 1:], from_logits=True)


def make_step(optimizer):
    @ft.jit
    def step(model, state, text):
        value, gradient = ft.value_and_grad(loss)(model, text)
        updates, state = optimizer.update(gradient, state, model)
        return optim.apply_updates(model, updates), state, value

    return step


@ft.jit
def write(model, start, noise, temperature):
    """Characters drawn one after the other, each from the distribution that the network gives: a scan."""

    def one(carry, g):
        character, h = carry
        h = model.rnn.cell(model.embed(character), h)
        character = (model.head(h) / temperature + g).argmax()  # the Gumbel-max trick
        return (character, h), character

    h = np.zeros(HIDDEN, np.float32)
    return lax.scan(one, (start, h), noise)[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=Path("."), help="folder for the picture")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    text = re.sub(" {2,}", "  ", "\n".join(topics[name] for name in sorted(topics)))
    alphabet = sorted(set(text))
    number = {character: i for i, character in enumerate(alphabet)}
    data = np.array([number[character] for character in text])
    print(f"{len(text):,} characters of {len(alphabet)} kinds; knowing nothing costs {np.log(len(alphabet)):.2f} nats")

    rng = np.random.default_rng(0)
    model = Writer(len(alphabet), random.key(0))
    optimizer = optim.chain(
        optim.clip_by_global_norm(1.0), optim.adam(optim.cosine_decay_schedule(4e-3, options.steps))
    )
    step, state, values = make_step(optimizer), optimizer.init(model), []
    start = time.perf_counter()
    for i in range(1, options.steps + 1):
        places = rng.integers(0, len(data) - LENGTH - 1, BATCH)
        model, state, value = step(model, state, data[places[:, None] + np.arange(LENGTH + 1)])
        values.append(float(value))
        if i % max(options.steps // 3, 1) == 0:
            noise = random.gumbel(random.key(i), (300, len(alphabet)), np.float32)
            written = write(model, np.asarray(number["T"]), noise, np.float32(0.6))
            print(f"\n--- step {i}, {np.mean(values[-50:]):.3f} nats a character, {time.perf_counter() - start:.0f} s")
            print("T" + "".join(alphabet[c] for c in written))

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(values, linewidth=0.5, alpha=0.4, color="C0")
    window = min(50, len(values))
    axes.plot(np.arange(window - 1, len(values)), np.convolve(values, np.ones(window) / window, "valid"), color="C0")
    axes.set(xlabel="step", ylabel="cross-entropy (nats a character)", title="Learning to write Python's manual")
    figure.savefig(options.output / "char_rnn_loss.png", dpi=120)
    print(f"\nwrote {options.output / 'char_rnn_loss.png'}")


if __name__ == "__main__":
    main()
