"""Search for hyperparameters: random, grid or quasi-random, on threads, processes or a cluster.

Trial i depends on the seed and on i alone, so that neither the number of workers, nor the order in
which trials end, nor an interruption changes what is tried and what comes of it. All trials begin
from the same seed: they differ by their parameters, not by their luck.
"""

from fanin.tuning.search.search import search

__all__ = ["search"]
