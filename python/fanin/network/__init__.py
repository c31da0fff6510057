"""The multilayer perceptron: its parameters, forward and backward passes, saving and loading."""

from fanin._core import TrainingData
from fanin.network.inputs import UnitsWarning
from fanin.network.mlp import MLP

__all__ = ["MLP", "TrainingData", "UnitsWarning"]
