"""
Initialisation
==============

Six layers, a batch of random inputs, and three ways to draw the weights. Too small, and the
activations fade away from layer to layer; too large, and tanh saturates; Xavier's scale keeps their
spread. The lecture's layers have 4,096 units, these have 1,024, and take a moment.
"""

import fanin
from fanin.diagnostics import activation_statistics

widths = [1024] * 7
small = activation_statistics(widths, init="small_random", std=0.01, activation="tanh")
axes = fanin.plots.activations(small)

# %%
# Where on tanh's curve the outputs of each layer fall: near 0, where the next layer has little to
# work with. With large weights they fall where the curve is flat.

axes = fanin.plots.tanh_outputs(small)

# %%

large = activation_statistics(widths, init="small_random", std=0.1, activation="tanh")
axes = fanin.plots.tanh_outputs(large)

# %%
# Xavier: every layer has the spread of its inputs, about.

xavier = activation_statistics(widths, init="xavier", activation="tanh")
axes = fanin.plots.activations(xavier)

# %%
# With ReLU half of the units are off, and Xavier's scale is too small by the root of 2: Kaiming's
# is right.

kaiming = activation_statistics(widths, init="kaiming", activation="relu")
axes = fanin.plots.activations(kaiming)

# %%
# The same of your own network and data, before it has taken a step:

(X, y), _ = fanin.datasets.load("digits")
net = fanin.MLP([64, 256, 256, 256, 10], init="small_random", seed=0)
print(net.activation_report(X, y))

# %%
# Beyond the lecture: a norm forgives a bad start.

for norm in (None, "layer", "batch"):
    net = fanin.MLP([64, 256, 256, 256, 10], init="small_random", norm=norm, seed=0)
    net.fit(X, y, epochs=3, batch_size=32, optimizer="sgd", progress=False)
    print(norm, net.evaluate(X, y)["accuracy"])
