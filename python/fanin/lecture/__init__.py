"""The lecture's own names: its trainer, its two-layer net, and its listings as they run here.

Random search: a few epochs at each of many learning rates and L2 strengths, drawn log-uniformly.

>>> from numpy.random import seed, uniform
>>> from fanin import ClassifierTrainer, init_two_layer_model, two_layer_net
>>> (X_train, y_train), (X_val, y_val) = fanin.datasets.load("digits")
>>> X_train, X_val = X_train / 16, X_val / 16
>>> seed(0)
>>> max_count = 3
>>> for count in range(max_count):
...     reg = 10**uniform(-5, 0)
...     lr = 10**uniform(-2, 0)
...     model = init_two_layer_model(64, 50, 10, std=0.1, seed=count)
...     best_model_local, stats = ClassifierTrainer().train(
...         X_train, y_train, X_val, y_val, model, two_layer_net, num_epochs=5, reg=reg,
...         update="momentum", learning_rate_decay=0.9, learning_rate=lr, seed=count)
...     val_acc = stats["best_val_acc"]
...     print("val_acc: %f, lr: %e, reg: %e, (%d / %d)"
...           % (val_acc, lr, reg, count + 1, max_count))
val_acc: 0.955556, lr: 2.693883e-01, reg: 5.547119e-03, (1 / 3)
val_acc: 0.963889, lr: 1.229607e-01, reg: 1.032326e-02, (2 / 3)
val_acc: 0.944444, lr: 1.957890e-01, reg: 1.313028e-03, (3 / 3)

Dropout, inverted: what is kept is divided by p in training, and the test is left as it is. X is
(N, D) here, its rows the examples, where the lecture's listing has ``W1 @ X``.

>>> from fanin import layers
>>> p = 0.5  # probability of keeping a unit
>>> rng = fanin.random.Generator(seed=0)
>>> def normal(*shape):
...     return rng.standard_normal(shape, dtype="float64")
>>> W1, W2, W3 = normal(8, 1000) / 2, normal(1000, 100) / 30, normal(100, 3) / 10
>>> b1, b2, b3 = np.zeros(1000), np.zeros(100), np.zeros(3)
>>> def train_step(X):
...     H1, U1 = layers.dropout_forward(layers.dense(X, W1, b1), keep=p, rng=rng)
...     H2, U2 = layers.dropout_forward(layers.dense(H1, W2, b2), keep=p, rng=rng)
...     out = layers.dense(H2, W3, b3, activation="identity")
...     # layers.dropout_backward(dH2, U2), ... backpropagate
...     return out, H1
>>> def predict(X):
...     H1 = layers.dense(X, W1, b1)  # no scaling necessary
...     H2 = layers.dense(H1, W2, b2)
...     return layers.dense(H2, W3, b3, activation="identity"), H1
>>> X = normal(500, 8)
>>> (out, H1), (tested, H1_tested) = train_step(X), predict(X)
>>> bool(abs(H1.mean() - H1_tested.mean()) < 0.01 * H1_tested.mean())
True

Vanilla dropout leaves what is kept as it is, and the test scales it by p. The mask is ``uniform <
p``: the listing's ``randn < p`` keeps 69 % of the units at p = 0.5, not the half that its test then
counts on, since a normal deviate lies below 0.5 that often.

>>> def train_step(X):
...     H1 = layers.dense(X, W1, b1)
...     H1 *= rng.random(H1.shape) < p  # drop!
...     H2 = layers.dense(H1, W2, b2)
...     H2 *= rng.random(H2.shape) < p  # drop!
...     return layers.dense(H2, W3, b3, activation="identity"), H1
>>> def predict(X):
...     H1 = layers.dense(X, W1, b1) * p  # scale the activations
...     H2 = layers.dense(H1, W2, b2) * p
...     return layers.dense(H2, W3, b3, activation="identity"), H1
>>> (out, H1), (tested, H1_tested) = train_step(X), predict(X)
>>> bool(abs(H1.mean() - H1_tested.mean()) < 0.01 * H1_tested.mean())
True
>>> draws = normal(1000000)
>>> round(float((draws < 0.5).mean()), 2), round(float((rng.random(1000000) < 0.5).mean()), 2)
(0.69, 0.5)

Optimizers: the listings' loops, each followed by the same path with `fanin.optim`, on a bowl that
is a hundred times as steep in one direction as in the other.

>>> from fanin import optim
>>> def compute_gradient(x):
...     return np.array([0.1, 10.0]) * x
>>> learning_rate, rho = 0.05, 0.9
>>> def descend(optimizer):
...     x = np.array([1.0, 1.0])
...     for _ in range(100):
...         optimizer.step(x, compute_gradient(x))
...     return x

>>> x = np.array([1.0, 1.0])  # SGD
>>> for _ in range(100):
...     dx = compute_gradient(x)
...     x -= learning_rate * dx
>>> bool(np.allclose(x, descend(optim.SGD(learning_rate)), rtol=1e-12)), x.round(3)
(True, array([0.606, 0.   ]))

>>> x, vx = np.array([1.0, 1.0]), 0  # SGD + Momentum
>>> for _ in range(100):
...     dx = compute_gradient(x)
...     vx = rho * vx + dx
...     x -= learning_rate * vx
>>> bool(np.allclose(x, descend(optim.Momentum(learning_rate, rho=rho)), rtol=1e-12)), x.round(3)
(True, array([-0.004,  0.003]))

>>> x, grad_squared = np.array([1.0, 1.0]), 0  # AdaGrad
>>> for _ in range(100):
...     dx = compute_gradient(x)
...     grad_squared += dx * dx
...     x -= learning_rate * dx / (np.sqrt(grad_squared) + 1e-7)
>>> bool(np.allclose(x, descend(optim.AdaGrad(learning_rate)), rtol=1e-12)), x.round(3)
(True, array([0.276, 0.276]))
"""

from fanin.lecture.names import init_two_layer_model, two_layer_net
from fanin.lecture.trainer import ClassifierTrainer, Stats

__all__ = ["ClassifierTrainer", "Stats", "init_two_layer_model", "two_layer_net"]
