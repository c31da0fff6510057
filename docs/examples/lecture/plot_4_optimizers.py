"""
Optimizers
==========

Every rule of `fanin.optim`, from SGD to Lion, on a valley and a saddle. These are real steps: an
optimizer updates any arrays of yours.
"""

import matplotlib.pyplot as plt
import numpy as np

import fanin
from fanin import optim, schedules

axes = fanin.plots.optimizer_paths()

# %%
# SGD stays in a local minimum, at any rate; momentum carries over the ridge.

rates = {"sgd": 0.02, "momentum": 0.02}
axes = fanin.plots.optimizer_paths(rates, surfaces=["local"])

# %%
# Which rule comes of which, and what each adds:

axes = fanin.plots.optimizer_family()

# %%
# The rule by itself:

x, adam = np.array([2.0, 1.0]), optim.Adam(lr=0.1)
for _ in range(100):
    adam.step(x, 2 * x)  # the gradient of x² + y²
print(x)

# %%
# In training, each at a rate that suits it:

(X, y), test = fanin.datasets.load("digits")
rules = [
    optim.SGD(0.1),
    optim.Momentum(0.03),
    optim.Nesterov(0.03),
    optim.AdaGrad(0.03),
    optim.RMSProp(3e-3),
    optim.AdaDelta(1.0),
    optim.Adam(3e-3),
    optim.Nadam(3e-3),
]
runs = {}
for rule in rules:
    net = fanin.MLP([64, 64, 10], seed=0)
    runs[rule.name] = net.fit(X, y, epochs=15, batch_size=64, optimizer=rule, progress=False)
axes = fanin.plots.compare(runs)

# %%
# A schedule multiplies the learning rate. Here are seven, over 20 epochs of 50 steps:

figure, panel = plt.subplots(figsize=(7, 4), layout="constrained")
for schedule in (
    schedules.Constant(),
    schedules.Step(every=5, factor=0.5),
    schedules.Exponential(),
    schedules.InverseTime(),
    schedules.Cosine(),
    schedules.CyclicCosine(cycles=4),
    schedules.OneCycle(),
):
    rates = schedule.lr(0.1, 0, 1000, steps_per_epoch=50, epochs=20)
    panel.plot(np.arange(1000) / 50, rates, label=type(schedule).__name__)
panel.set(xlabel="epoch", ylabel="learning rate")
panel.legend()
plt.show()
