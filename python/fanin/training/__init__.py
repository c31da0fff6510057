"""`MLP.fit`: epochs of the native loop, with what a person wants to see between them."""

from fanin.network import MLP
from fanin.training.fit import DivergenceWarning, Fit, train

__all__ = ["DivergenceWarning", "Fit"]

MLP.trainer = train  # a network does not know this room, which stands above it
