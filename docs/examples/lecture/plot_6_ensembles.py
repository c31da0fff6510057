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
# Other members: networks of other losses and optimizers, bootstrap samples of the data, the best
# networks of a cross-validation, and snapshots of a single run whose learning rate goes up and
# down. `fanin.ensemble.ParameterAverage` is the sixth kind, one network.

variants = [{}, {"loss": "svm"}, {"optimizer": "momentum"}, {"activation": "tanh"}]
ways = {
    "initialisations": five,
    "objectives": ensemble.from_objectives(dims, X, y, variants, epochs=10, **options),
    "bootstrap": ensemble.from_datasets(dims, X, y, n_members=5, epochs=10, **options),
    "cross-validation": ensemble.from_cross_validation(
        dims, X, y, [{"keep": 0.8}, {"reg": 1e-3}, {}], n_folds=3, k=2, epochs=10, **options
    ),
    "checkpoints": ensemble.from_checkpoints(
        dims, X, y, n_cycles=5, epochs_per_cycle=10, **options
    ),
}
results = {name: whole.evaluate(X_test, y_test) for name, whole in ways.items()}
axes = fanin.plots.ensembles(results)
