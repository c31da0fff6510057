"""
What a search has found
=======================

Each line is a trial; the brighter it is, the better, and the best one is black.
"""

import fanin
from fanin.tuning import choice, loguniform, search, uniform

(X, y), _ = fanin.datasets.load("digits")
space = {
    "lr": loguniform(1e-4, 1e-1),
    "keep": uniform(0.5, 1),
    "hidden": choice([[32], [64], [64, 32]]),
}
result = search(space, (X, y), 30, epochs=5, batch_size=32, seed=0, progress=False)
axes = fanin.plots.parallel_coordinates(result)

# %%
# Printed, or shown in a notebook, it is a table of the best trials:

result
