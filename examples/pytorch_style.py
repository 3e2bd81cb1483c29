"""The first program of a PyTorch user: a module class, an explicit loop, real handwritten digits.

python examples/pytorch_style.py
"""

import numpy as np
from scipy.ndimage import zoom
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import functrans as ft
from functrans import nn, optim, random

digits = load_digits()  # scans of 8 x 8 pixels, here drawn to 28 x 28
images = zoom(digits.images, (1, 3.5, 3.5), order=1).reshape(-1, 784).astype(np.float32)
images = (images - images.mean()) / images.std()
x_train, x_test, y_train, y_test = train_test_split(images, digits.target, test_size=0.2, random_state=0)


class Net(nn.Module):
    fc1: nn.Linear
    fc2: nn.Linear

    def __init__(self, key):
        first, last = random.split(key)
        self.fc1 = nn.Linear(784, 64, key=first)
        self.fc2 = nn.Linear(64, 10, key=last)

    def __call__(self, x):
        return self.fc2(nn.relu(self.fc1(x)))


def criterion(model, x, y):
    return ft.losses.categorical_cross_entropy(model(x), y, from_logits=True)


@ft.jit
def step(model, state, x, y):
    loss, gradients = ft.value_and_grad(criterion)(model, x, y)
    updates, state = optimizer.update(gradients, state)
    return optim.apply_updates(model, updates), state, loss


model = Net(random.key(0))
optimizer = optim.adam(optim.cosine_decay_schedule(3e-3, decay_steps=450))
state = optimizer.init(model)
for epoch in range(5):
    for batch in np.array_split(random.permutation(random.key(epoch), len(x_train)), 90):
        model, state, loss = step(model, state, x_train[batch], y_train[batch])
    print(f"epoch {epoch + 1}, loss {loss:.4f}")
print(f"test accuracy {np.mean(model(x_test).argmax(1) == y_test):.2%}")
