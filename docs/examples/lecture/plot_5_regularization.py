"""
Regularisation: L2
==================

The parameters of the least loss are not unique. L2, a term that grows with the weights, prefers
small ones, and the boundary between the classes becomes smoother.
"""

import numpy as np

import fanin

rng = fanin.random.Generator(0)
turn, y = np.pi * rng.random(80), np.arange(80) % 2
side = 1 - 2 * y
X = np.stack([side * np.cos(turn) + y, side * np.sin(turn) + 0.5 * y], axis=1)
X = (X + 0.3 * rng.standard_normal((80, 2))).astype(np.float32)

nets = {}
for reg in (0, 1e-3, 1e-2):
    net = fanin.MLP([2, 64, 64, 2], seed=0)
    adam = fanin.optim.Adam(0.01)
    net.fit(X, y, epochs=400, batch_size=16, optimizer=adam, reg=reg, progress=False)
    nets[f"reg = {reg:g}"] = net
axes = fanin.plots.decision_boundaries(nets, X, y)

# %%
# Weights four times as large, and the next layer's a quarter: the same function and the same loss.
# Only the term tells them apart.

net = fanin.MLP([2, 64, 2], seed=0)
net.fit(X, y, epochs=100, batch_size=16, progress=False)
large = net.copy()
for name, factor in (("W1", 4), ("b1", 4), ("W2", 1 / 4)):
    large.params[name] *= np.float32(factor)
for one in (net, large):
    print(one.loss(X, y), one.loss(X, y, reg=1e-3))
