"""
Dropout
=======

In each step of training some units are set to 0 at random, so that none can rely on another.
"""

import numpy as np

import fanin

axes = fanin.plots.dropout_thinning(keep=0.5, seed=0)

# %%
# It helps where a network overfits: few rows, some wrong labels, and a network that is large enough
# to learn them by heart.

(X, y), (X_test, y_test) = fanin.datasets.load("digits")
X, y = X[:600], y[:600].copy()
rng = np.random.default_rng(0)
wrong = rng.permutation(600)[:120]
y[wrong] = rng.integers(0, 10, 120)

runs = {}
for name, options in {
    "all units": {},
    "dropout": {"keep": 0.5},
    "DropConnect": {"drop_connect": 0.5},
}.items():
    net = fanin.MLP([64, 256, 256, 10], seed=0, **options)
    runs[name] = net.fit(
        X, y, validation_data=(X_test, y_test), epochs=60, batch_size=50, progress=False
    )
    print(name, net.evaluate(X, y)["accuracy"], net.evaluate(X_test, y_test)["accuracy"])
axes = fanin.plots.compare(runs, "val_accuracy")

# %%
# Inverted dropout divides by the probability of keeping a unit in training, and leaves prediction
# as it is; vanilla dropout multiplies at test time. The mean is the same.

ones = np.ones((10_000, 8))
inverted, _ = fanin.layers.dropout_forward(ones, keep=0.5, rng=0)
vanilla, _ = fanin.layers.dropout_forward(ones, keep=0.5, mode="vanilla", rng=0)
print(inverted.mean(), vanilla.mean(), vanilla.mean() / 0.5)
