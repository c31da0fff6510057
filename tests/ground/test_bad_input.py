"""Bad input gets an error that names the argument, what was expected and what came."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bad_arrays import D, H, N, floats, read_only, unaligned
from bad_calls import ACTIVATIONS, DENSE, LAYERS, MLP, W, b, x
from bad_fits import BAD_X, BAD_Y, FIT, MSE, NET, WITH_X, WITH_Y, y
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fanin
from fanin import _core, layers

CASES = {
    **{f"dense: {k}": v for k, v in DENSE.items()},
    **{f"layers: {k}": v for k, v in LAYERS.items()},
    **{f"MLP: {k}": v for k, v in MLP.items()},
    **{
        f"{name}: X: {k}": (lambda f=f, v=v: f(v[0]), v[1], v[2])
        for name, f in WITH_X.items()
        for k, v in BAD_X.items()
    },
    **{
        f"{name}: y: {k}": (lambda f=f, v=v: f(v[0]), v[1], v[2])
        for name, f in WITH_Y.items()
        for k, v in BAD_Y.items()
    },
    **{f"fit: {k}": v for k, v in FIT.items()},
}


def everything_about(net: fanin.MLP) -> tuple[Any, ...]:
    inputs = net.inputs
    data = [None if a is None else a.tobytes() for a in (inputs.mean, inputs.scale)]
    return net.get_parameters().tobytes(), *data, net.epochs_done, net.steps_done, net.history


@pytest.mark.parametrize("case", CASES)
def test_error_names_what_is_wrong_and_changes_nothing(case: str) -> None:
    call, kind, message = CASES[case]
    before = everything_about(NET), everything_about(MSE), fanin.get_num_threads()
    with pytest.raises(kind) as caught:
        call()
    assert re.search(message, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)
    assert (everything_about(NET), everything_about(MSE), fanin.get_num_threads()) == before


def test_a_failed_call_takes_no_draws() -> None:
    rng = fanin.random.Generator(seed=1)
    with pytest.raises(ValueError, match="x: expected"):
        layers.dense(floats(N, 5), W, keep=0.5, rng=rng)
    assert rng.position == 0


def test_out_is_untouched_after_an_error() -> None:
    out = np.full((N, H), 7, np.float32)
    with pytest.raises(TypeError, match="b: expected"):
        layers.dense(x, W, b.astype(np.float64), out=out)
    assert (out == 7).all()


def test_uint8_and_read_only_data_are_fine() -> None:
    data = read_only(np.arange(N * D, dtype=np.uint8).reshape(N, D))
    net = fanin.MLP([D, H])
    net.fit(data, read_only(y.copy()), batch_size=2, epochs=1, progress=False)
    assert net.predict(data).shape == (N,)


FLOATS = [np.float32, np.float64]
OTHERS = [np.float16, np.int64, np.uint8, bool, complex, object, "U3", ">f4"]


@st.composite
def odd_arrays(draw: st.DrawFn, like: tuple[int, ...]) -> np.ndarray:
    """An array of about that shape, of any dtype, laid out in any way."""
    shape = draw(
        st.one_of(st.just(like), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
    )
    dtype = np.dtype(draw(st.sampled_from(FLOATS * 4 + OTHERS)))
    steps = [draw(st.sampled_from([1, 1, 1, 2, -1])) for _ in shape]
    order = draw(st.sampled_from("CCCF"))
    memory = np.ones([n * abs(s) for n, s in zip(shape, steps, strict=True)], dtype, order)
    a = memory[(*(slice(None, None, s) for s in steps), ...)]
    kind = draw(st.sampled_from(["plain"] * 6 + ["masked", "unaligned", "spread", "read-only"]))
    if kind == "masked":
        return np.ma.array(a)
    if kind == "unaligned" and not dtype.hasobject:
        return unaligned(np.array(a))
    if kind == "spread" and a.ndim:
        return np.broadcast_to(a[:1], a.shape) if a.shape[0] else a
    if kind == "read-only":
        a.flags.writeable = False
    return a


def outcome(call: Callable[[], Any], arguments: str) -> Any:
    """What the call gives; None where it fails with an error that names one of the arguments."""
    try:
        return call()
    except (TypeError, ValueError) as error:
        message = str(error)
    assert re.match(f"({arguments}): expected", message), message
    return None


def contents(a: np.ndarray) -> Any:
    return a.tolist() if a.dtype.hasobject else a.tobytes()


@given(
    arrays=st.tuples(odd_arrays((5, 3)), odd_arrays((3, 4)), odd_arrays((4,)), odd_arrays((5, 4))),
    given_b=st.booleans(),
    given_out=st.booleans(),
    keep=st.sampled_from([1.0, 0.5]),
    activation=st.sampled_from(ACTIVATIONS.split(", ")),
)
def test_dense_of_any_arrays_is_a_value_or_a_named_error(
    arrays: tuple[np.ndarray, ...], given_b: bool, given_out: bool, keep: float, activation: str
) -> None:
    x, W, b, out = arrays
    options: dict[str, Any] = {"activation": activation, "keep": keep, "rng": 0}
    if given_out:
        options["out"] = out
    before = [contents(a) for a in (x, W, b)]
    y = outcome(lambda: layers.dense(x, W, b if given_b else None, **options), "x|W|b|out")
    assert [contents(a) for a in (x, W, b)] == before
    if y is None:
        return
    assert y.shape == (x.shape[0], W.shape[1])
    assert y.dtype == x.dtype == W.dtype
    assert given_out == (y is out)
    if activation in ("identity", "relu"):
        total = x.astype(float) @ W.astype(float) + (b.astype(float) if given_b else 0)
        assert np.isin(y, [0.0, *(np.unique(total) / keep)]).all()


@given(array=odd_arrays((5, 4)), dtype=st.sampled_from(["float32", "float64"]))
def test_network_of_any_array_is_a_value_or_a_named_error(array: np.ndarray, dtype: str) -> None:
    net = fanin.MLP([4, 3], dtype=dtype)
    scores = outcome(lambda: net.scores(array), "X")
    if scores is not None:
        assert scores.shape == (array.shape[0], 3)
        assert np.isfinite(scores).all()


@given(labels=odd_arrays((5,)))
def test_labels_of_any_kind_are_a_value_or_a_named_error(labels: np.ndarray) -> None:
    net = fanin.MLP([4, 3])
    result = outcome(lambda: net.evaluate(np.ones((5, 4), np.float32), labels), "y")
    assert result is None or np.isfinite(result["loss"])


NO_MASK = (1.0, 0, 0, 0)
ACTIVATION_CODES = {
    "dense": lambda code: _core.dense_forward(x, W, b, code, *NO_MASK, None, False, 1),
    "drop_connect": lambda code: _core.drop_connect_forward(x, W, b, code, *NO_MASK, False, 1),
    "activation": lambda code: _core.activation_forward(x, code, 1.0, *NO_MASK, None, False, 1),
    "gaussian": lambda code: _core.gaussian_activation(x, x, code, 1.0, 1),
    "random_dense": lambda code: _core.random_dense(x, H, True, 0, 0, 0, 0.0, 1.0, code, 1),
}


@pytest.mark.parametrize("code", [-1, 11])
@pytest.mark.parametrize("name", ACTIVATION_CODES)
def test_the_core_refuses_a_code_of_no_activation(name: str, code: int) -> None:
    ACTIVATION_CODES[name](10)
    expected = f"activation: expected a code in 0 .. 10 ({ACTIVATIONS}), got {code}"
    with pytest.raises(ValueError, match=re.escape(expected)):
        ACTIVATION_CODES[name](code)


@pytest.mark.parametrize("code", [-1, 11])
def test_the_core_refuses_a_code_of_no_loss(code: int) -> None:
    labels = np.zeros(N, np.int32)
    expected = f"loss: expected a code in 0 .. 10 ({', '.join(_core.losses)}), got {code}"
    with pytest.raises(ValueError, match=re.escape(expected)):
        _core.loss_rows(code, x, labels, None, None, 1.0, True, 1)
