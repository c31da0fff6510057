"""The multilayer perceptron: parameters in one arena, passes over data, saving and loading."""

from fanin.network.mlp import MLP

__all__ = ["MLP"]
