"""
The range test of learning rates
================================

The rate rises from step to step, and the loss says where training begins, and where it ends.
"""

import fanin

(X, y), _ = fanin.datasets.load("digits")
net = fanin.MLP([64, 64, 10], seed=0)
found = fanin.tuning.lr_range(net, X, y)
axes = fanin.plots.rates(found)

# %%
print(found)
