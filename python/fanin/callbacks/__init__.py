"""Callbacks: code that runs between the steps of `MLP.fit`, with Keras's method names.

Epochs and steps are counted from 0. A callback may set ``self.network.stop_training = True``.
"""

from fanin.callbacks.base import Callback, CallbackList
from fanin.callbacks.history import History
from fanin.callbacks.progress import ProgressBar
from fanin.callbacks.standard import CSVLogger, EarlyStopping, LambdaCallback, ModelCheckpoint

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "ModelCheckpoint",
    "ProgressBar",
]
