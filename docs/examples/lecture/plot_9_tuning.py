"""
Tuning
======

First a learning rate with which the loss goes down within a hundred steps.
"""

import fanin
from fanin import tuning

(X, y), (X_test, y_test) = fanin.datasets.load("digits")
probe = tuning.lr_probe(fanin.MLP([64, 32, 10], seed=0), X, y)
axes = fanin.plots.rates(probe)

# %%
# Nine trials on a grid and nine at random. The learning rate matters, L2 hardly: the grid tries
# three rates, random search nine.

space = {"lr": tuning.loguniform(1e-5, 10), "reg": tuning.loguniform(1e-6, 1e-2)}
fixed = {"epochs": 5, "hidden": 32, "optimizer": "sgd", "batch_size": 32, "progress": False}
grid = tuning.search(space, (X, y), 9, strategy="grid", **fixed)
drawn = tuning.search(space, (X, y), 9, strategy="random", **fixed)
axes = fanin.plots.grid_vs_random(grid, drawn)

# %%
# From coarse to fine: the range around the best trials is searched again. An edge is reported where
# the best values lie at an end of their range.

coarse = tuning.search(space, (X, y), 30, **fixed)
fine = tuning.search(coarse.refine(), (X, y), 20, **fixed)
print(coarse.best.score, fine.best.score, *fine.edges(), sep="\n")
axes = fanin.plots.search(coarse)

# %%
# What the curves show of three runs, and what to do next: one that ended too soon, one that learned
# 200 rows by heart, and one whose network is too small.

runs = {}
for name, rows, hidden, epochs, rule in (
    ("needs training", 1437, 64, 12, fanin.optim.SGD(0.01)),
    ("overfitting", 200, 256, 40, fanin.optim.Adam(0.01)),
    ("underfitting", 1437, 2, 40, fanin.optim.Adam(0.01)),
):
    net = fanin.MLP([64, hidden, 10], seed=0)
    runs[name] = net.fit(
        X[:rows], y[:rows], validation_data=(X_test, y_test), epochs=epochs, batch_size=32,
        optimizer=rule, progress=False,
    )  # fmt: skip
    print(tuning.loss_curve(runs[name]))
axes = fanin.plots.learning_curves(runs)
