"""`MLP.fit`: epochs of the native loop, validation and callbacks; data-parallel training."""

from fanin.network import MLP
from fanin.training.fit import DivergenceWarning, Fit, train
from fanin.training.parallel import fit_on_dask, fit_parallel
from fanin.training.steps import StopOnRise, auto_batch_size, auto_epochs

__all__ = [
    "DivergenceWarning",
    "Fit",
    "StopOnRise",
    "auto_batch_size",
    "auto_epochs",
    "fit_on_dask",
    "fit_parallel",
]

MLP.trainer = train  # `network` may not import this package, which builds on it
