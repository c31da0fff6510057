"""What a run of fit is, in JSON values: two runs that are described alike have the same bits."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from typing import Any

from fanin import schedules
from fanin._json import plain
from fanin.callbacks import Callback
from fanin.network import MLP, TrainingData
from fanin.network.options import CHECKPOINT_OPTIONS, FIT_OPTIONS, FitOptions
from fanin.preprocessing.base import Transformer

# Options that are described as data, by what was made of them, or that change no bit.
_OTHER = {"validation_data", "sample_weight", "class_weight", "callbacks", "epochs", "batch_size"}
_FREE = {"progress", "n_threads", *CHECKPOINT_OPTIONS}


def describe_run(
    net: MLP,
    options: FitOptions,
    callbacks: Iterable[Callback],
    data: Mapping[str, TrainingData | None],
    resolved: Mapping[str, Any],
) -> dict[str, Any]:
    """The run that these arguments make of the network.

    Parameters
    ----------
    net : MLP
    options : FitOptions
    callbacks : iterable of Callback
        Those whose state belongs to the run.
    data : dict of str to TrainingData
        As checked, before any preprocessing.
    resolved : dict
        What stands for options such as ``epochs="auto"``.
    """
    run: dict[str, Any] = {f"network's {name}": value for name, value in net.config().items()}
    for name, part in data.items():
        if part is not None:
            y = part.soft if part.labels is None else part.labels
            run |= {f"{name}X": part.X, f"{name}y": y, f"{name}weights of rows": part.weights}
    names = [name for name in FIT_OPTIONS if name not in _OTHER | _FREE]
    run |= {name: getattr(options, name) for name in names}
    run |= resolved
    run |= {"callbacks": [_callback(callback) for callback in callbacks]}
    described: dict[str, Any] = json.loads(json.dumps(plain(_open(run))))
    return described


def _open(value: Any) -> Any:
    """With what fitted transformers hold, and a schedule's function by its name."""
    if isinstance(value, Mapping):
        return {name: _open(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_open(item) for item in value]
    if isinstance(value, Transformer):
        fitted = value.state_arrays() if value.__sklearn_is_fitted__() else {}
        return [repr(value), fitted] if fitted else repr(value)
    if isinstance(value, schedules.Function):
        return f"Function({_name(value.function)})"
    return value


def _callback(callback: Callback) -> dict[str, Any]:
    """Its class, and those of its arguments that are plain values under their own names.

    A path is no part of the run: its folder may have moved.
    """
    names = [name for name in inspect.signature(type(callback)).parameters if name != "path"]
    given = {name: getattr(callback, name) for name in names if hasattr(callback, name)}
    told = {n: v for n, v in given.items() if v is None or isinstance(v, bool | int | float | str)}
    watched = getattr(callback, "watched", None)
    return {
        "name": type(callback).__name__,
        **told,
        **({} if watched is None else {"watched": repr(watched)}),
    }


def _name(function: Any) -> str:
    known = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', '?')}.{known}"
