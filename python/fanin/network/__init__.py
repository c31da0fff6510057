"""The multilayer perceptron: parameters in one arena, passes over data, saving and loading."""

from fanin._core import TrainingData
from fanin.network.mlp import MLP

__all__ = ["MLP", "TrainingData"]
