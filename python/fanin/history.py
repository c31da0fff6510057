"""`History`, which is defined in `fanin.callbacks`."""

from fanin.callbacks.history import History

__all__ = ["History"]
