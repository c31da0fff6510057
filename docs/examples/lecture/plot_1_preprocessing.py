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

# Two features that go together: the mean brightness of the image's left and right half.
left, right = X[:, :, :4].mean(axis=(1, 2)), X[:, :, 4:].mean(axis=(1, 2))
axes = fanin.plots.preprocessing(np.stack([left, right], axis=1))

# %%
# A network keeps its preprocessing, in its file too. Here 64 pixels become 20 components:

net = fanin.MLP([20, 64, 10], seed=0)
net.fit(X, y, preprocess=[Normalize(), PCA(20)], epochs=20, batch_size=32, progress=False)
print(net.evaluate(X_test, y_test))

# %%
# What is wrong with data says a report of them:

print(fanin.diagnostics.data_report(X, y))
