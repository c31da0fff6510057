"""What optimizers have in common: dicts of arrays, saving, clipping, errors."""

from __future__ import annotations

import copy
import math
import pickle
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import fanin
from fanin import optim

Array = np.ndarray
NAMES = [
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "nadam",
    "amsgrad", "lion",
]  # fmt: skip
PLUS = pytest.mark.row("O+")


def gradients(n: int, steps: int) -> Array:
    return np.random.default_rng(0).normal(size=(steps, n))


def test_dicts_arrays_and_dtypes_in_one_step() -> None:
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"W": (3, 4), "b": (4,), "scalar": (), "none": (0, 3)}
    params = {k: rng.normal(size=s).astype("f4" if k == "b" else "f8") for k, s in shapes.items()}
    grads = {k: np.asarray(rng.normal(size=p.shape), p.dtype) for k, p in params.items()}
    alone = {k: p.copy() for k, p in params.items()}
    params = {k: np.asarray(p) for k, p in params.items()}
    opt, others = optim.Adam(), {k: optim.Adam() for k in params}
    for _ in range(3):
        opt.step(params, dict(reversed(grads.items())))
        for k, p in alone.items():
            others[k].step(p, grads[k])
    assert opt.t == 3
    for k, p in params.items():
        np.testing.assert_array_equal(p, alone[k])


@pytest.mark.parametrize("how", ["state_dict", "pickle", "deepcopy"])
@pytest.mark.parametrize("name", NAMES)
def test_a_saved_optimizer_goes_on_bit_for_bit(name: str, how: str) -> None:
    g = gradients(33, 20)
    opt, x = optim.get(name), np.ones(33)
    for row in g[:10]:
        opt.step(x, row)
    opt.lr *= 0.5
    if how == "state_dict":
        second: optim.Optimizer = optim.get(name)
        second.load_state_dict(opt.state_dict())
    else:
        second = copy.deepcopy(opt) if how == "deepcopy" else pickle.loads(pickle.dumps(opt))
    y = x.copy()
    for row in g[10:]:
        opt.step(x, row)
        second.step(y, row)
    np.testing.assert_array_equal(x, y)
    assert second.t == opt.t == 20
    assert repr(second) == repr(opt)


def test_a_state_dict_is_a_copy() -> None:
    opt, x = optim.Momentum(), np.zeros(3)
    opt.step(x, np.ones(3))
    saved = opt.state_dict()
    opt.step(x, np.ones(3))
    np.testing.assert_array_equal(saved["states"][""][0], np.ones(3))
    assert saved["clock"]["t"] == 1


def test_an_optimizer_that_trained_a_network_is_copied_too() -> None:
    """Without the network, which it knows."""
    adam = optim.Adam()
    X = np.zeros((8, 2), np.float32)
    fanin.MLP([2, 2]).fit(X, [0, 1] * 4, epochs=1, optimizer=adam, progress=False)
    for second in (copy.deepcopy(adam), pickle.loads(pickle.dumps(adam))):
        assert second.t == adam.t == 1
        assert vars(second).keys() == vars(optim.Adam()).keys()


DEFAULTS: dict[str, tuple[float, dict[str, float]]] = {  # PyTorch's, or of the rule's source
    "sgd": (0.01, {}),
    "momentum": (0.01, {"rho": 0.9}),
    "nesterov": (0.01, {"rho": 0.9}),
    "adagrad": (0.01, {"eps": 1e-7}),
    "rmsprop": (0.01, {"alpha": 0.99, "eps": 1e-8}),
    "adadelta": (1.0, {"rho": 0.9, "eps": 1e-6}),
    "adam": (0.001, {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}),
    "adamw": (0.001, {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01}),
    "nadam": (0.002, {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "momentum_decay": 0.004}),
    "amsgrad": (0.001, {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}),
    "lion": (0.0001, {"beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0}),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_defaults(name: str) -> None:
    made = optim.get(name)
    assert (made.lr, made.hyperparameters) == DEFAULTS[name]


def test_hyperparameters_are_fixed() -> None:
    adam = optim.Adam(beta1=0.5)
    with pytest.raises(AttributeError, match=r"beta1: fixed when .* Adam\(beta1=\.\.\.\)"):
        adam.beta1 = 0.7  # type: ignore[attr-defined]
    assert not hasattr(adam, "beta1")
    assert adam.hyperparameters["beta1"] == 0.5


def test_the_count_of_steps_in_a_state_has_bounds() -> None:
    adam = optim.Adam()
    state = adam.state_dict()
    for t in (0, 2**62):
        adam.load_state_dict({**state, "clock": {**state["clock"], "t": t}})
        assert adam.t == t
    for t in (-1, 2**62 + 1):
        with pytest.raises(ValueError, match=r"^t: expected"):
            adam.load_state_dict({**state, "clock": {**state["clock"], "t": t}})
    assert adam.t == 2**62


def test_state_dict_errors() -> None:
    adam = optim.Adam()
    with pytest.raises(ValueError, match="state: expected that of 'adam', got 'sgd'"):
        adam.load_state_dict(optim.SGD().state_dict())
    with pytest.raises(ValueError, match=r"state: expected the keys .*; clock is missing"):
        adam.load_state_dict({k: v for k, v in adam.state_dict().items() if k != "clock"})
    with pytest.raises(ValueError, match="state: expected 2 arrays for each key"):
        adam.load_state_dict({**adam.state_dict(), "states": {"": [np.zeros(3)]}})
    with pytest.raises(ValueError, match="state: expected the hyperparameters beta1, beta2, eps"):
        adam.load_state_dict({**adam.state_dict(), "hyperparameters": {"rho": 0.9}})


@pytest.mark.parametrize("key", ["t", "beta1_power"])
@pytest.mark.parametrize("bad", ["x", None, [1], -1, 10**400, float("nan"), float("inf")])
def test_a_clock_that_is_none_changes_nothing(key: str, bad: object) -> None:
    adam = optim.Adam(lr=0.5)
    before = adam.state_dict()
    with pytest.raises((ValueError, TypeError), match=f"{key}: expected"):
        adam.load_state_dict({**before, "lr": 0.1, "clock": before["clock"] | {key: bad}})
    assert adam.state_dict() == before


def test_the_keys_of_a_clock() -> None:
    adam = optim.Adam()
    with pytest.raises(ValueError, match=r"clock: expected the keys t, .*, got t"):
        adam.load_state_dict({**adam.state_dict(), "clock": {"t": 1}})


def test_states_of_an_arena_are_kept() -> None:
    opt = optim.Adam()
    states = opt.arena_states(100, np.dtype(np.float32))
    assert [s.shape for s in states] == [(100,), (100,)]
    assert not any(s.any() for s in states)
    again = opt.arena_states(100, np.dtype(np.float32))
    assert all(a is b for a, b in zip(states, again, strict=True))
    with pytest.raises(
        ValueError, match=r"optimizer: expected \(100,\) float32 as in earlier steps"
    ):
        opt.arena_states(101, np.dtype(np.float32))
    with pytest.raises(ValueError, match=r"optimizer: .* got \(100,\) float64"):
        opt.arena_states(100, np.dtype(np.float64))
    assert optim.SGD().arena_states(5, np.dtype(np.float64)) == []


READ_ONLY = np.zeros(3)
READ_ONLY.setflags(write=False)


@pytest.mark.parametrize(
    ("params", "grads", "message"),
    [
        (np.zeros(3), np.zeros(4), r"grads: expected shape \(3,\) float64, got \(4,\) float64"),
        (
            np.zeros(3),
            np.zeros(3, "f4"),
            r"grads: expected shape \(3,\) float64, got \(3,\) float32",
        ),
        (
            np.zeros(3, int),
            np.zeros(3, int),
            r"params: expected float32 or float64, got \(3,\) int64",
        ),
        (READ_ONLY, np.zeros(3), "params: expected a writable array"),
        (np.zeros((4, 4))[:, ::2], np.zeros((4, 2)), "params: .*C-contiguous"),
        (np.zeros(3).astype(">f8"), np.zeros(3), "params: expected native byte order"),
        (np.ma.zeros(3), np.zeros(3), "params: expected a plain array, got a masked array"),
        ([1.0], np.zeros(1), "params: expected a NumPy array, got list"),
        (
            {"W": np.zeros(3)},
            {"b": np.zeros(3)},
            r"grads: expected the keys of params \(W\), got b",
        ),
        (
            {"W": np.zeros(3)},
            np.zeros(3),
            r"grads: expected the keys of params \(W\), got a single",
        ),
        ({"W": np.zeros(3)}, {"W": np.zeros(2)}, r"grads\['W'\]: expected shape \(3,\)"),
        ({"W": np.zeros(3)}, {"W": None}, r"grads\['W'\]: expected a NumPy array, got NoneType"),
    ],
)
def test_errors_name_what_is_wrong(params: Any, grads: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        optim.Adam().step(params, grads)


def test_a_failed_step_changes_nothing() -> None:
    opt = optim.Adam()
    params = {"W": np.ones((2, 3)), "b": np.ones(3)}
    good = {"W": np.ones((2, 3)), "b": np.ones(3)}
    opt.step(params, good)
    before, clock = {k: p.copy() for k, p in params.items()}, opt.state_dict()["clock"]
    with pytest.raises(ValueError, match=r"grads\['b'\]"):
        opt.step(params, {"W": np.ones((2, 3)), "b": np.ones(4)})
    for k, p in params.items():
        np.testing.assert_array_equal(p, before[k])
    assert opt.state_dict()["clock"] == clock


def test_the_parameters_may_not_change_their_layout() -> None:
    opt = optim.Adam()
    opt.step({"W": np.zeros((2, 3))}, {"W": np.ones((2, 3))})
    for shape, dtype in (((3, 2), "f8"), ((2, 3), "f4")):
        p = np.zeros(shape, dtype)
        with pytest.raises(
            ValueError, match=r"params\['W'\]: expected \(2, 3\) float64 as in earlier"
        ):
            opt.step({"W": p}, {"W": p.copy()})
    with pytest.raises(
        ValueError, match=r"params: expected the keys of earlier steps \(W\), got W, b"
    ):
        opt.step({"W": np.zeros((2, 3)), "b": np.zeros(3)}, {"W": np.ones((2, 3)), "b": np.ones(3)})


def test_every_step_checks_its_arrays_anew() -> None:
    opt = optim.Adam()
    p = {"W": np.ones((2, 3)), "b": np.ones(3)}
    g = {k: np.ones_like(a) for k, a in p.items()}
    opt.step(p, g)
    before, clock = {k: a.copy() for k, a in p.items()}, opt.state_dict()["clock"]
    strided, masked = np.ones((3, 2)).T, np.ma.ones((2, 3))
    for wrong, error in ((strided, ValueError), (masked, TypeError), (p["W"], ValueError)):
        with pytest.raises(error, match=r"grads\['W'\]"):
            opt.step(p, {**g, "W": wrong})
    with pytest.raises(ValueError, match=r"grads: expected the keys of params \(W, b\), got b, c"):
        opt.step(p, {"b": g["b"], "c": g["W"]})
    p["b"].setflags(write=False)
    with pytest.raises(ValueError, match=r"params\['b'\]: expected a writable array"):
        opt.step(p, g)
    for k, a in p.items():
        np.testing.assert_array_equal(a, before[k])
    assert opt.state_dict()["clock"] == clock


def test_mappings_and_keys_of_other_types() -> None:
    p, q = np.ones((2, 33))
    for opt, params, grads in (
        (optim.Adam(), MappingProxyType({"x": p}), {"x": np.ones(33)}),
        (optim.Adam(), {0: q}, {0: np.ones(33)}),
    ):
        for _ in range(3):
            opt.step(params, grads)  # type: ignore[arg-type]
        assert opt.t == 3
    np.testing.assert_array_equal(p, q)


def test_states_that_do_not_fit_change_nothing() -> None:
    opt, x = optim.Adam(), np.zeros(3)
    opt.step(x, np.ones(3))
    state = opt.state_dict()
    state["states"][""][1] = np.zeros(4)
    opt.load_state_dict(state)
    before = x.copy()
    with pytest.raises(ValueError, match="state: expected arrays like those of params"):
        opt.step(x, np.ones(3))
    np.testing.assert_array_equal(x, before)


def test_gradients_may_not_share_memory_with_parameters() -> None:
    x = np.zeros(3)
    with pytest.raises(ValueError, match="params: expected an array apart from grads"):
        optim.SGD().step(x, x)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sgd", {"lr": -1.0}, "lr: expected at least 0"),
        ("sgd", {"lr": math.nan}, "lr: expected at least 0"),
        ("momentum", {"rho": 1.0}, r"rho: expected a number in \[0, 1\), got 1.0"),
        ("rmsprop", {"alpha": -0.1}, "alpha: expected at least 0"),
        ("adam", {"beta2": 1.5}, r"beta2: expected a number in \[0, 1\)"),
        ("adam", {"eps": 0.0}, "eps: expected above 0"),
        ("nadam", {"momentum_decay": -1.0}, "momentum_decay: expected at least 0"),
        ("adamw", {"weight_decay": math.inf}, "weight_decay: expected at least 0"),
    ],
)
def test_hyperparameters_out_of_range(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        type(optim.get(name))(**options)


def test_lr_may_be_set_and_is_checked() -> None:
    opt = optim.SGD(0.5)
    opt.lr = 0.25
    x = np.zeros(1)
    opt.step(x, np.ones(1))
    assert x[0] == -0.25
    with pytest.raises(ValueError, match="lr: expected at least 0, got -2"):
        opt.lr = -2
    with pytest.raises(TypeError, match="lr: expected a number, got 'high'"):
        opt.lr = "high"  # type: ignore[assignment]


def test_get() -> None:
    rules = {getattr(optim, n) for n in optim.__all__ if n[0].isupper() and n != "Optimizer"}
    assert {type(optim.get(name)) for name in NAMES} == rules
    for name in NAMES:
        assert type(optim.get(name)) is type(optim.get(name.upper()))
        assert optim.get(name).name == name
        assert optim.get(name, lr=0.125).lr == 0.125
    assert isinstance(optim.get("nag"), optim.Nesterov)
    mine = optim.Adam()
    assert optim.get(mine) is mine
    assert optim.get(mine, lr=0.5).lr == mine.lr == 0.5
    with pytest.raises(
        ValueError, match=r"optimizer: expected one of sgd, momentum, .*; got 'adm'"
    ):
        optim.get("adm")
    with pytest.raises(TypeError, match=r"optimizer: expected a name or an object.*got int"):
        optim.get(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected one of its subclasses"):
        optim.Optimizer(0.1)


@PLUS
@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_a_mapping_that_is_no_dict_keeps_its_states(name: str) -> None:
    one, other = ({"W": np.ones(3)} for _ in range(2))
    grads = {"W": np.array([1.0, -2.0, 0.5])}
    first, second = optim.get(name), optim.get(name)
    for _ in range(3):
        first.step(one, grads)
        second.step(MappingProxyType(other), grads)
    np.testing.assert_array_equal(one["W"], other["W"])


@PLUS
def test_clip_grad_norm() -> None:
    rng = np.random.default_rng(0)
    grads = {"W": rng.normal(size=(30, 7)), "b": rng.normal(size=7)}
    kept = {k: g.copy() for k, g in grads.items()}
    norm = math.sqrt(sum((g**2).sum() for g in grads.values()))
    for most in (100.0, 1.5 * norm):
        assert optim.clip_grad_norm(grads, most) == pytest.approx(norm, rel=1e-14)
        for k, g in grads.items():
            np.testing.assert_array_equal(g, kept[k])
    assert optim.clip_grad_norm(list(grads.values()), 0.5) == pytest.approx(norm, rel=1e-14)
    for k, g in grads.items():
        np.testing.assert_allclose(g, kept[k] * 0.5 / (norm + 1e-6), rtol=1e-14)


@PLUS
def test_clip_grad_norm_agrees_with_pytorch() -> None:
    torch = pytest.importorskip("torch")
    arrays = [np.random.default_rng(k).normal(size=(5, 3 + k)) for k in range(3)]
    theirs = [torch.zeros(a.shape, dtype=torch.float64, requires_grad=True) for a in arrays]
    for p, a in zip(theirs, arrays, strict=True):
        p.grad = torch.tensor(a)
    norm = torch.nn.utils.clip_grad_norm_(theirs, 1.5)
    assert optim.clip_grad_norm(arrays, 1.5) == pytest.approx(norm.item(), rel=1e-13)
    for p, a in zip(theirs, arrays, strict=True):
        np.testing.assert_allclose(a, p.grad.numpy(), rtol=1e-13)


@PLUS
@pytest.mark.parametrize("limit", [0.1, 10.0])
def test_clip_grad_norm_of_a_read_only_array_changes_nothing(limit: float) -> None:
    grads = {"a": np.ones(3), "b": np.ones(2)}
    grads["b"].setflags(write=False)
    with pytest.raises(ValueError, match=r"grads\['b'\]: expected a writable array"):
        optim.clip_grad_norm(grads, limit)
    np.testing.assert_array_equal(grads["a"], 1)


def test_clip_grad_norm_leaves_what_is_not_finite() -> None:
    g = np.array([1.0, np.inf], np.float32)
    assert optim.clip_grad_norm(g, 1.0) == np.inf
    np.testing.assert_array_equal(g, [1.0, np.inf])
    with pytest.raises(TypeError, match=r"grads\['1'\]: expected float32 or float64"):
        optim.clip_grad_norm([np.zeros(2), np.zeros(2, int)], 1.0)
    with pytest.raises(ValueError, match="max_norm: expected above 0"):
        optim.clip_grad_norm(np.zeros(2), 0.0)
