"""
Ensembles
=========

Five networks that differ in their initialisation only, and the mean of their probabilities.
"""

import fanin
from fanin import ensemble

(X, y), (X_test, y_test) = fanin.datasets.load("digits")
options = {"batch_size": 64, "progress": False, "seed": 0}
dims = [64, 64, 10]
five = ensemble.from_initializations(dims, X, y, n_members=5, epochs=10, **options)
axes = fanin.plots.ensemble(five.evaluate(X_test, y_test))

# %%
# Other members: bootstrap samples of the data, and snapshots of a single run whose learning rate
# goes up and down.

ways = {
    "initialisations": five,
    "bootstrap": ensemble.from_datasets(dims, X, y, n_members=5, epochs=10, **options),
    "checkpoints": ensemble.from_checkpoints(
        dims, X, y, n_cycles=5, epochs_per_cycle=10, **options
    ),
}
for name, whole in ways.items():
    result = whole.evaluate(X_test, y_test)
    members = [member["accuracy"] for member in result["members"]]
    print(f"{name:16} mean {sum(members) / 5:.4f}  ensemble {result['accuracy']:.4f}")
