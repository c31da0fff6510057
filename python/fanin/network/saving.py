"""The preprocessing and the optimizer of a network in a file: JSON values, and arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fanin import optim
from fanin._typing import Array
from fanin._validate import describe, known_dtype, one_of, whole
from fanin.network.inputs import KINDS, Inputs
from fanin.network.targets import Targets
from fanin.optim import Optimizer
from fanin.preprocessing import TableEncoder
from fanin.preprocessing.base import Transformer, stored_array


def checked_metadata(metadata: object) -> dict[str, Any]:
    """A copy, as a file gives it back; raises where it would give back something else."""
    import json  # where it is used: it would take as long as this module

    expected = "metadata: expected a dict of JSON values (text, finite numbers, lists, dicts)"
    if not isinstance(metadata, dict):
        raise TypeError(f"{expected}, got {type(metadata).__name__}")
    try:
        again: dict[str, Any] = json.loads(json.dumps(metadata, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{expected}: {error}") from None
    for name, value in metadata.items():
        if again.get(name, ...) != value:
            raise TypeError(f"{expected}, got {value!r} as {name!r}")
    return again


def inputs_to_state(inputs: Inputs) -> tuple[list[dict[str, Any]], dict[str, Array]]:
    """For a file."""
    arrays: dict[str, Array] = {}
    if inputs.range is not None and all(map(math.isfinite, inputs.range)):
        arrays["range"] = np.array(inputs.range)
    if inputs.shape is not None:
        arrays["shape"] = np.array(inputs.shape, np.int64)
    if inputs.stored is not None:
        arrays["stored"] = np.empty(0, inputs.stored)
    if inputs.names is not None:
        arrays["names"] = np.frombuffer("\0".join(inputs.names).encode(), np.uint8)
    steps: list[Transformer] = [] if inputs.table is None else [inputs.table]
    steps += inputs.steps
    if not inputs.steps:
        given = {"mean": inputs.mean, "scale": inputs.scale}
        arrays |= {name: value for name, value in given.items() if value is not None}
    header: list[dict[str, Any]] = []
    for i, step in enumerate(steps):
        params = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in step.get_params().items()
        }
        facts: dict[str, Any] = {"rows": step.n_samples_seen_, "columns": step.n_features_in_}
        if learned := step.state_facts():
            facts |= {"facts": learned}
        header.append({"name": type(step).__name__, "params": params, **facts})
        arrays |= {f"step{i}.{name}": array for name, array in step.state_arrays().items()}
    return header, arrays


def inputs_from_state(
    header: Sequence[Mapping[str, Any]],
    arrays: Mapping[str, Array],
    width: int,
    dtype: np.dtype[Any],
    trained: bool,
) -> Inputs:
    """What `inputs_to_state` gave, checked, for a network of that width and dtype.

    An older file of a trained network has no range: no value is then outside of it.
    """
    found = _steps_from_state(header, arrays, width, dtype)
    held = None
    if "range" in arrays:
        low, high = stored_array("range", arrays["range"], (2,)).tolist()
        held = (low, high)
    elif trained or found.mean is not None or found.steps:
        held = (-math.inf, math.inf)
    shape = None
    if "shape" in arrays:
        shape = tuple(whole("shape", n, 1) for n in arrays["shape"].tolist())
        if math.prod(shape) != found.columns:
            raise ValueError(f"shape: expected {found.columns} values, got {shape}")
    stored = None
    if "stored" in arrays:
        stored = known_dtype("stored", arrays["stored"].dtype, "uint8", "float32", "float64")
    names = None
    if "names" in arrays:
        names = tuple(arrays["names"].tobytes().decode().split("\0"))
        if len(names) != found.columns:
            raise ValueError(f"names: expected {found.columns}, got {len(names)}")
    return replace(found, range=held, shape=shape, stored=stored, names=names)


def _steps_from_state(
    header: Sequence[Mapping[str, Any]],
    arrays: Mapping[str, Array],
    width: int,
    dtype: np.dtype[Any],
) -> Inputs:
    steps: list[Transformer] = []
    for i, item in enumerate(header):
        step = KINDS[one_of("step", item["name"], KINDS)](**item["params"])
        prefix = f"step{i}."
        own = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
        rows, columns = whole("rows", item["rows"], 1), whole("columns", item["columns"], 1)
        step.load_state_arrays(own, rows, columns)
        step.load_state_facts(item.get("facts", {}))
        if steps and steps[-1].n_features_out_ != step.n_features_in_:
            raise ValueError(f"{prefix}columns: expected {steps[-1].n_features_out_}")
        steps.append(step)
    if steps and steps[-1].n_features_out_ != width:
        raise ValueError(f"steps: expected {width} columns after the last")
    if steps and isinstance(steps[0], TableEncoder):
        found = Inputs.of(steps[1:], width, dtype) if steps[1:] else _plain(arrays, width, dtype)
        return replace(found, table=steps[0])
    return Inputs.of(steps, width, dtype) if steps else _plain(arrays, width, dtype)


def _plain(arrays: Mapping[str, Array], width: int, dtype: np.dtype[Any]) -> Inputs:
    """Without steps but (mean, scale)."""
    if ("mean" in arrays) != ("scale" in arrays):
        raise ValueError("mean, scale: expected both or neither")
    if "mean" not in arrays:
        return Inputs.plain(width, dtype)
    shape = arrays["mean"].shape
    if shape not in ((1,), (width,)):
        raise ValueError(f"mean: expected 1 or {width} values, got {shape}")
    mean, scale = (stored_array(name, arrays[name], shape) for name in ("mean", "scale"))
    return Inputs.plain(width, dtype)._with(mean, scale)


def targets_to_arrays(targets: Targets) -> dict[str, Array]:
    """What a fit has recorded of its targets, for a file."""
    if targets.mean is None or targets.scale is None:
        return {}
    return {"target_mean": targets.mean, "target_scale": targets.scale}


def targets_from_arrays(targets: Targets, arrays: Mapping[str, Array]) -> Targets:
    """The targets with what `targets_to_arrays` gave, checked; older files have none."""
    if ("target_mean" in arrays) != ("target_scale" in arrays):
        raise ValueError("target_mean, target_scale: expected both or neither")
    if "target_mean" not in arrays:
        return targets
    if not targets.loss.takes_values:
        raise ValueError(f"target_mean: expected none with loss={targets.loss.name!r}")
    shape = (targets.n_values,)
    mean, scale = (stored_array(n, arrays[n], shape) for n in ("target_mean", "target_scale"))
    if not (scale > 0).all():
        raise ValueError("target_scale: expected numbers above 0")
    return targets.with_units(mean, scale)


def optimizer_to_state(
    optimizer: Optimizer, arena: Array
) -> tuple[dict[str, Any], dict[str, Array]]:
    """For a file: an optimizer that has trained the network of that arena, or none yet."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer: expected one of fanin.optim, got {describe(optimizer)}")
    state = optimizer.state_dict()
    held = state.pop("states")
    if type(optimizer) is not type(optim.get(optimizer.name)):
        raise TypeError(f"optimizer: expected one of fanin.optim's classes, got {optimizer!r}")
    states = held.get("", [])
    if set(held) - {""} or any(s.shape != arena.shape or s.dtype != arena.dtype for s in states):
        raise ValueError(
            f"optimizer: expected the one that has trained this network, got {optimizer!r}, which "
            "has trained other parameters"
        )
    return state, {f"optimizer.{i}": array for i, array in enumerate(states)}


def optimizer_from_state(
    header: Mapping[str, Any], arrays: Mapping[str, Array], arena: Array
) -> Optimizer:
    """What `optimizer_to_state` gave, checked, for a network of that arena."""
    optimizer = optim.get(str(header["name"]))
    held = [array for name, array in arrays.items() if name.startswith("optimizer.")]
    for array in held:
        if array.shape != arena.shape or array.dtype != arena.dtype:
            raise ValueError(f"optimizer: expected states of {describe(arena)}, got "
                             f"{describe(array)}")  # fmt: skip
    optimizer.load_state_dict({**header, "states": {"": held} if held else {}})
    return optimizer
