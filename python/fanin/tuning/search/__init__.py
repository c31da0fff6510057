"""Search for hyperparameters: random, grid or quasi-random, on threads, processes or a cluster."""

from fanin.tuning.search.search import search

__all__ = ["search"]
