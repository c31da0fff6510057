"""Pictures. They need matplotlib, ``pip install fanin[plot]``, and never touch pyplot's state.

Every function draws on the axes given as ``ax``, by default on a new figure, and returns its axes;
``axes.flat[0].figure`` is the figure, which `save` writes. Without matplotlib it raises
ImportError; for a bad argument ValueError or TypeError, which name it.
"""

from fanin.plots.boundaries import decision_boundaries
from fanin.plots.data import preprocessing
from fanin.plots.descent import gd_vs_sgd, learning_rates, normalization_paths
from fanin.plots.family import optimizer_family
from fanin.plots.images import augmentations, image_grid
from fanin.plots.members import ensemble, ensembles
from fanin.plots.optimizers import animate_optimizers, optimizer_paths
from fanin.plots.rates import rates
from fanin.plots.runs import compare, history, learning_curves
from fanin.plots.search import grid_vs_random, parallel_coordinates, search
from fanin.plots.style import TRAIN, VALIDATION, save
from fanin.plots.units import activations, dropout_thinning, tanh_outputs

__all__ = [
    "TRAIN",
    "VALIDATION",
    "activations",
    "animate_optimizers",
    "augmentations",
    "compare",
    "decision_boundaries",
    "dropout_thinning",
    "ensemble",
    "ensembles",
    "gd_vs_sgd",
    "grid_vs_random",
    "history",
    "image_grid",
    "learning_curves",
    "learning_rates",
    "normalization_paths",
    "optimizer_family",
    "optimizer_paths",
    "parallel_coordinates",
    "preprocessing",
    "rates",
    "save",
    "search",
    "tanh_outputs",
]
