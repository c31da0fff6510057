"""The record of a training run, under its first import path."""

from fanin.callbacks.history import History

__all__ = ["History"]
