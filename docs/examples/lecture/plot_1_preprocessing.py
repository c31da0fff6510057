"""
Preprocessing
=============

Zero-centring takes the mean of each feature away, normalisation divides by its standard deviation,
PCA turns the data onto their principal directions, and whitening scales each of these to 1.
"""

import numpy as np

import fanin
from fanin.preprocessing import PCA, Normalize

(X, y), (X_test, y_test) = fanin.datasets.load("digits")

# Two features that go together: the mean brightness of an image and of its centre.
whole, centre = X.mean(axis=(1, 2)), X[:, 2:6, 2:6].mean(axis=(1, 2))
axes = fanin.plots.preprocessing(np.stack([whole, centre], axis=1))

# %%
# Why the scales matter: on unequal ones gradient descent swings across the valley, on equal ones
# it goes straight to the best, from any side. A line is fitted to the brightness of two pixels.

pixels = X.reshape(len(X), 64)[:, [28, 1]].astype(np.float64)
axes = fanin.plots.normalization_paths(pixels, y.astype(np.float64))

# %%
# A network keeps its preprocessing, in its file too. Here 64 pixels become 20 components:

net = fanin.MLP([20, 64, 10], seed=0)
net.fit(X, y, preprocess=[Normalize(), PCA(20)], epochs=20, batch_size=32, progress=False)
print(net.evaluate(X_test, y_test))

# %%
# What is wrong with data says a report of them:

print(fanin.diagnostics.data_report(X, y))
