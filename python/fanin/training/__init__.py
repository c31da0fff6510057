"""`MLP.fit`: epochs of the native loop, with what a person wants to see between them."""

from fanin.training.fit import DivergenceWarning

__all__ = ["DivergenceWarning"]
