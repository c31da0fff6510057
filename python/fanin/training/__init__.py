"""`MLP.fit`: epochs of the native loop, validation and callbacks."""

from fanin.network import MLP
from fanin.training.fit import DivergenceWarning, Fit, train

__all__ = ["DivergenceWarning", "Fit"]

MLP.trainer = train  # `network` may not import this package, which builds on it
