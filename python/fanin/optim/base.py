"""The base class of optimizers: hyperparameters, states, checks, saving."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, ClassVar, TypeVar

import numpy as np

from fanin import _core
from fanin._typing import Array
from fanin._validate import describe, plain_array, real, threads, whole

Arrays = Array | Mapping[str, Array]
Layout = tuple[tuple[int, ...], np.dtype[Any]]
Engine = _core.Engine32 | _core.Engine64
Read = TypeVar("Read")

_AVERAGES = ("rho", "alpha", "beta1", "beta2")


class Optimizer:
    """Base class of optimizers.

    Attributes
    ----------
    lr : float
        The learning rate, at least 0. It may be set between steps.
    name : str
        As `get` knows it.
    t : int
        Steps taken.
    n_states : int
        Arrays of state kept for each array of parameters.
    hyperparameters : dict
        All but the learning rate, fixed when the object is made.
    rule : _core.Rule
        The update rule of the core, with its step count.

    Examples
    --------
    >>> adam = fanin.optim.Adam(lr=0.1)
    >>> x = np.array([1.0])
    >>> adam.step(x, np.array([2.0]))
    >>> adam.t, adam.n_states, isinstance(adam, fanin.optim.Optimizer)
    (1, 2, True)
    """

    name: ClassVar[str]
    _engine: weakref.ref[Engine] | None = None  # that of a network, which it trains

    def __init_subclass__(cls, name: str | None = None) -> None:
        if name is not None:
            cls.name = name

    def __init__(self, lr: float, **hyperparameters: float | None) -> None:
        if type(self) is Optimizer:
            raise TypeError("Optimizer: expected one of its subclasses, such as optim.Adam")
        self.lr = lr
        self._hyperparameters = {k: _checked(k, v) for k, v in hyperparameters.items()}
        self._states: dict[str, list[Array]] = {}
        self.rule: _core.Rule = self._new_rule()

    def __setattr__(self, name: str, value: object) -> None:
        if name in vars(self).get("_hyperparameters", ()):
            raise AttributeError(
                f"{name}: fixed when the optimizer is made, {type(self).__name__}({name}=...); "
                "only lr may be set"
            )
        object.__setattr__(self, name, value)

    def _new_rule(self) -> _core.Rule:
        values: dict[str, Any] = self._hyperparameters
        return _core.Rule(self.name, **{"rho" if k == "alpha" else k: values[k] for k in values})

    @property
    def lr(self) -> float:
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = real("lr", value, 0)

    @property
    def t(self) -> int:
        return self._whole(lambda: self.rule.t)

    @property
    def n_states(self) -> int:
        return self.rule.n_states

    @property
    def hyperparameters(self) -> dict[str, float | None]:
        return dict(self._hyperparameters)

    def __repr__(self) -> str:
        values = {"lr": self.lr, **self._hyperparameters}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in values.items())})"

    def step(self, params: Arrays, grads: Arrays, *, n_threads: int | None = None) -> None:
        """Takes one step: changes `params` in place, to the same bits with any number of threads.

        Parameters
        ----------
        params : ndarray or dict of str to ndarray
            float32 or float64, C-contiguous, writable; keys, shapes and dtypes the same in all
            calls, since the states belong to them.
        grads : ndarray or dict of str to ndarray
            With the same keys, shapes and dtypes. They are not changed.
        n_threads : int, optional

        Raises
        ------
        ValueError, TypeError
            If they do not match each other or earlier steps. Nothing is changed then.
        """
        numbers = self._lr, 0.0, 1.0, threads(n_threads)
        if self.rule.step(params, grads, self._states, *numbers):
            return
        # The first step, another mapping than a dict, or something wrong.
        p, g = named_arrays("params", params), named_arrays("grads", grads)
        if p.keys() != g.keys():
            raise ValueError(f"grads: expected the keys of params ({_keys(p)}), got {_keys(g)}")
        states = self._states_for({k: (a.shape, a.dtype) for k, a in p.items()}, "params")
        if not self.rule.step(p, g, states, *numbers):
            raise ValueError("state: expected arrays like those of params; load one that fits")
        self._states = states

    def _states_for(self, layouts: Mapping[str, Layout], name: str) -> dict[str, list[Array]]:
        """The states of arrays of these layouts: those held, or zeros where none are held yet."""
        if not self._states or self.n_states == 0:
            n = self.n_states
            return {k: [np.zeros(*one) for _ in range(n)] for k, one in layouts.items()}
        hint = "another model needs an optimizer of its own"
        if layouts.keys() != self._states.keys():
            expected = f"the keys of earlier steps ({_keys(self._states)})"
            raise ValueError(f"{name}: expected {expected}, got {_keys(layouts)}; {hint}")
        for k, (shape, dtype) in layouts.items():
            held = self._states[k][0]
            if held.shape != shape or held.dtype != dtype:
                expected = f"{describe(held)} as in earlier steps, got {shape} {dtype}"
                raise ValueError(f"{name}{label(k)}: expected {expected}; {hint}")
        return self._states

    def arena_states(
        self, size: int, dtype: np.dtype[Any], engine: Engine | None = None
    ) -> list[Array]:
        """The states of a network whose parameters are one flat array; `engine` will step them."""
        self._states = self._states_for({"": ((size,), np.dtype(dtype))}, "optimizer")
        if engine is not None:
            self._engine = weakref.ref(engine)
        return self._states[""]

    def _whole(self, read: Callable[[], Read]) -> Read:
        """What is read of it as after a whole step, also while another thread trains with it."""
        while True:
            held = self._engine
            engine = None if held is None else held()
            with nullcontext() if engine is None else engine.reading():
                found = read()
            if self._engine is held:  # or a run has begun meanwhile
                return found

    def _copied_states(self) -> dict[str, list[Array]]:
        return {k: [s.copy() for s in held] for k, held in self._states.items()}

    def __getstate__(self) -> dict[str, Any]:
        """For copy and pickle: as after a whole step."""
        state = self._whole(
            lambda: vars(self) | {"rule": copy.copy(self.rule), "_states": self._copied_states()}
        )
        state.pop("_engine", None)
        return state

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything that the next step depends on, for `load_state_dict`.

        Keys: name, lr, hyperparameters, clock (the count of steps and running products, a dict of
        numbers), states (a list of arrays for each key of params; the key "" for a single array).
        """
        return self._whole(
            lambda: {
                "name": self.name,
                "lr": self.lr,
                "hyperparameters": self.hyperparameters,
                "clock": self.rule.state,
                "states": self._copied_states(),
            }
        )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what `state_dict` returned: all later steps are the same, bit for bit."""
        keys = ("name", "lr", "hyperparameters", "clock", "states")
        if missing := [k for k in keys if k not in state]:
            raise ValueError(f"state: expected the keys {', '.join(keys)}; {missing[0]} is missing")
        if state["name"] != self.name:
            raise ValueError(f"state: expected that of {self.name!r}, got {state['name']!r}")
        new, own = state["hyperparameters"], self._hyperparameters
        if new.keys() != own.keys():
            raise ValueError(f"state: expected the hyperparameters {_keys(own)}, got {_keys(new)}")
        states = {
            k: [np.array(plain_array(f"state{label(k)}", s), order="C") for s in held]
            for k, held in state["states"].items()
        }
        if any(len(held) != self.n_states for held in states.values()):
            raise ValueError(f"state: expected {self.n_states} arrays for each key of states")
        checked, clock = {k: _checked(k, v) for k, v in new.items()}, checked_clock(state["clock"])
        self.lr = state["lr"]  # nothing fails after this
        self._hyperparameters = checked
        self.rule = self._new_rule()
        self.rule.state = clock
        self._states = states


def checked_clock(clock: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers that a rule carries from step to step, as the core takes them."""
    known = _core.Rule("sgd").state
    if clock.keys() != known.keys():
        raise ValueError(f"clock: expected the keys {_keys(known)}, got {_keys(clock)}")
    numbers: dict[str, Any] = {k: real(k, v, 0) for k, v in clock.items()}
    return numbers | {"t": whole("t", clock["t"], 0, 2**62)}


def _checked(name: str, value: float | None) -> float | None:
    if name == "momentum_decay" and value is None:
        return None
    number = real(name, value, 0, above=name == "eps")  # type: ignore[arg-type]
    if name in _AVERAGES and number >= 1:
        raise ValueError(f"{name}: expected a number in [0, 1), got {value!r}")
    return number


def named_arrays(name: str, arrays: object) -> dict[str, Array]:
    """The arrays by key; the key of a single array is ""."""
    if isinstance(arrays, Mapping):
        return {str(k): plain_array(f"{name}{label(str(k))}", a) for k, a in arrays.items()}
    return {"": plain_array(name, arrays)}


def label(key: str) -> str:
    return f"[{key!r}]" if key else ""


def _keys(arrays: Mapping[str, Any]) -> str:
    return ", ".join(arrays) or "a single array"
