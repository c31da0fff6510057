"""
A loss of your own
==================

The forward and backward passes of `fanin.layers`, a loss in NumPy, and an optimizer of
`fanin.optim`: a network that learns the median of noisy data, by the absolute error.
"""

import matplotlib.pyplot as plt
import numpy as np

from fanin import initializers, layers, optim

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(-3, 3, (400, 1)))
y = np.sin(x) + 0.1 * rng.standard_normal(x.shape)
y[rng.random(len(y)) < 0.2] += 3  # outliers, all on one side

params = {
    "W1": initializers.kaiming((1, 64), rng=0, dtype="float64"),
    "b1": rng.uniform(-2, 2, 64),
    "W2": initializers.small_random((64, 1), rng=1, dtype="float64"),
    "b2": np.zeros(1),
}
adam = optim.Adam(lr=0.01)
for _ in range(2000):
    hidden, first = layers.dense_forward(x, params["W1"], params["b1"], activation="tanh")
    out, last = layers.affine_forward(hidden, params["W2"], params["b2"])
    dhidden, dW2, db2 = layers.affine_backward(np.sign(out - y) / len(x), last)
    _, dW1, db1 = layers.dense_backward(dhidden, first)
    adam.step(params, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2})

figure, panel = plt.subplots(figsize=(7, 4), layout="constrained")
panel.plot(x, y, ".", color="0.6")
panel.plot(x, out, color="#0072b2", label="absolute error")
panel.plot(x, np.sin(x), "k--", label="sin x")
panel.legend()
plt.show()
