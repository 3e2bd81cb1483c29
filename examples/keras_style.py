"""The first program of a Keras user: a sequence of layers learns real handwritten digits in five epochs.

python examples/keras_style.py
"""

from functools import partial

import numpy as np
from scipy.ndimage import zoom
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import functrans as ft
from functrans import nn, train

digits = load_digits()  # scans of 8 x 8 pixels, here drawn to 28 x 28
images = zoom(digits.images, (1, 3.5, 3.5), order=1).reshape(-1, 784).astype(np.float32)
images = (images - images.mean()) / images.std()
x_train, x_test, y_train, y_test = train_test_split(images, digits.target, test_size=0.2, random_state=0)

first, last = ft.random.split(ft.random.key(0))
model = nn.Sequential(nn.Dense(784, 64, key=first), nn.relu, nn.Dense(64, 10, key=last))
loss = partial(ft.losses.categorical_cross_entropy, from_logits=True)
adam = ft.optim.adam(ft.optim.cosine_decay_schedule(3e-3, decay_steps=450))

trained = train.fit(model, (x_train, y_train), loss, adam, epochs=5, batch_size=16, metrics=["accuracy"])
print("test", train.evaluate(trained.model, (x_test, y_test), loss, ["accuracy"]))
probabilities = nn.softmax(train.predict(trained.model, x_test[:3]))
print(f"the first three are {y_test[:3]}, read as {probabilities.argmax(1)}, sure to {probabilities.max(1).round(3)}")
