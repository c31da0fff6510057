"""
Stochastic gradient descent
===========================

A step goes against the gradient, as far as the learning rate says: with a small one the way is
long, with a large one it leads away.
"""

import numpy as np

import fanin

(X, y), test = fanin.datasets.load("digits")
runs = {}
for name, rate in {"too small": 1e-4, "right": 0.1, "too large": 30.0}.items():
    net = fanin.MLP([64, 64, 10], seed=0)
    sgd = fanin.optim.SGD(rate)
    runs[f"{rate:g}: {name}"] = net.fit(
        X, y, epochs=15, batch_size=64, optimizer=sgd, progress=False
    )
axes = fanin.plots.learning_rates(runs)

# %%
# Gradient descent takes each step in exactly the right direction, and each costs a pass over all
# rows. A minibatch's direction is an estimate, and cheap: on the right, the same number of rows
# brings SGD much further.

left, right = X[:, :, :4].mean(axis=(1, 2)), X[:, :, 4:].mean(axis=(1, 2))
standardize = lambda a: (a - a.mean()) / a.std()  # noqa: E731
axes = fanin.plots.gd_vs_sgd(
    2 * standardize(left), standardize(right), batch_sizes=(None, 32, 1), lr=0.05, seed=0
)

# %%
# Epoch, batch, iteration: an epoch over N rows in batches of n takes N / n steps, rounded up.

for n in (1, 32, 128, None):
    history = fanin.MLP([64, 64, 10], seed=0).fit(X, y, epochs=1, batch_size=n, progress=False)
    print(n, history.params["steps"], np.round(history.history["loss"][-1], 3))
