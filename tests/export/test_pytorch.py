"""Networks as modules of PyTorch, and back."""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from export_cases import assert_near, network, rows

import fanin
from fanin.export import from_torch, to_state_dict, to_torch
from fanin.network.mlp import HIDDEN_ACTIVATIONS
from fanin.preprocessing import PCA, Normalize, Whiten, ZeroCenter

torch = pytest.importorskip("torch")
nn = torch.nn

pytestmark = pytest.mark.row("B8")


def outputs(module: Any, X: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(module(torch.from_numpy(X)).numpy())


def same_network(a: fanin.MLP, b: fanin.MLP) -> bool:
    own = ("init", "output_init", "seed", "drop_connect")
    first, second = ({k: v for k, v in net.config().items() if k not in own} for net in (a, b))
    return first == second and np.array_equal(a.arena, b.arena)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
def test_there_and_back(activation: str, dtype: str) -> None:
    X = rows(dtype=dtype)
    cases = [
        {"norm": norm, "keep": keep, "dropout_mode": mode}
        for norm in (None, *fanin._core.norms[1:])
        for keep, mode in ((1.0, "inverted"), (0.7, "vanilla"), (0.5, "inverted"))
    ]
    for i, how in enumerate(cases):
        residual = i % 2 == 0
        net = network(activation=activation, dtype=dtype, residual=residual, **how)
        module = to_torch(net)
        assert not module.training
        assert_near(outputs(module, X), net.scores(X))
        back = from_torch(module)
        assert same_network(net, back)
        assert np.array_equal(back.scores(X), net.scores(X))
        state = to_state_dict(net)
        back = from_torch(state, activation=activation, residual=residual)
        assert np.array_equal(back.arena, net.arena)
        assert np.array_equal(back.scores(X), net.scores(X))


@pytest.mark.parametrize("stored", [np.uint8, np.float32, np.float64])
def test_preprocessing(stored: Any) -> None:
    X = rows(200, dtype=np.float64)
    X = (40 * X).clip(0, 255).astype(stored)
    steps = [Normalize(), PCA(9), ZeroCenter(), Whiten(6, eps=0.1), Normalize()]
    for dtype in ("float32", "float64"):
        for width, how in ((13, "standardize"), (13, [Whiten(method="zca", eps=0.1)]), (6, steps)):
            net = fanin.MLP([width, 8, 3], dtype=dtype)
            net.set_preprocess(how, X)
            assert_near(outputs(to_torch(net), X), net.scores(X))
    images = X[:, :12].reshape(-1, 3, 4).copy()
    net = fanin.MLP([12, 3])
    net.set_preprocess(None, images)
    net.params["W1"][...] *= 0.01
    assert_near(outputs(to_torch(net), images), net.scores(images))


def test_columns_far_from_zero() -> None:
    for stored in (np.float32, np.float64):
        X = (rows(200, 4, np.float64) + np.array([0, 1e3, 1e6, 3e7])).astype(stored)
        net = fanin.MLP([4, 8, 3], output_init="kaiming")
        net.set_preprocess("standardize", X)
        assert_near(outputs(to_torch(net), X), net.scores(X))


def test_probabilities() -> None:
    net, X = network(), rows()
    module = to_torch(net, probabilities=True)
    assert_near(outputs(module, X), net.predict_proba(X))
    assert np.array_equal(from_torch(module).scores(X), net.scores(X))
    with pytest.raises(
        ValueError, match="probabilities: expected loss='softmax' or 'logistic', this is 'mse'"
    ):
        to_torch(network(loss="mse"), probabilities=True)


def test_a_module_can_be_saved_and_trained_on() -> None:
    net, X = network(norm="batch", keep=0.9, residual=True), rows()
    file = io.BytesIO()
    torch.save(to_torch(net), file)
    file.seek(0)
    module = torch.load(file, weights_only=False)
    assert_near(outputs(module, X), net.scores(X))
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    nn.functional.cross_entropy(module(torch.from_numpy(X)), torch.arange(len(X)) % 4).backward()
    optimizer.step()
    module.eval()
    assert_near(outputs(module, X), from_torch(module).scores(X))
    assert not np.array_equal(net.scores(X), from_torch(module).scores(X))


def test_parameters_are_copies() -> None:
    net = network()
    before = net.arena.copy()
    module = to_torch(net)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert np.array_equal(net.arena, before)
    back = from_torch(module)
    back.params["W1"][...] = 1
    assert not any(p.any() for p in module.parameters())


class Own(nn.Sequential):
    """A class of someone's own."""


def test_a_module_of_other_origin() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(12, 8, bias=False), nn.LayerNorm(8, bias=False), nn.GELU()),
        nn.Dropout(0.25),
        nn.Identity(),
        nn.Linear(8, 3),
        nn.LogSoftmax(dim=1),
    ).eval()
    X = np.random.default_rng(0).normal(size=(20, 3, 4)).astype(np.float32)
    net = from_torch(module)
    assert (net.norm, net.activation, net.keep) == ("layer", ["gelu"], [0.75])
    assert np.abs(np.log(net.predict_proba(X)) - outputs(module, X)).max() < 1e-6


def test_a_batch_norm_behind_a_bias() -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(5, 7), nn.BatchNorm1d(7), nn.PReLU(), nn.Linear(7, 2)]
    module = nn.Sequential(*layers).double()
    X = rows(60, 5, np.float64)
    module(torch.from_numpy(X))  # moves the statistics
    module.eval()
    net = from_torch(module, loss="mse")
    assert (net.norm, net.activation, net.dtype) == ("batch", ["prelu"], np.float64)
    assert_near(net.predict(X), outputs(module, X))
    assert np.array_equal(from_torch(module.state_dict(), loss="mse").arena, net.arena)


def test_a_state_dict_of_arrays() -> None:
    net = network(norm="batch")
    state = OrderedDict((k, v.numpy()) for k, v in to_state_dict(net).items())
    assert np.array_equal(from_torch(state, activation="relu").scores(rows()), net.scores(rows()))


def between(*modules: Any) -> Any:
    """Modules between two linear layers."""
    return nn.Sequential(nn.Linear(2, 3), *modules, nn.Linear(3, 2))


REFUSED: dict[str, tuple[Any, str]] = {
    "a convolution": (lambda: between(nn.Conv1d(1, 2, 3)), "got Conv1d as 'model.1'"),
    "a class of one's own": (lambda: between(Own()), "Own as 'model.1'"),
    "an order": (lambda: between(nn.ReLU(), nn.LayerNorm(3)), "got norm 'model.2' after act"),
    "no layer before": (lambda: nn.Sequential(nn.ReLU()), "activation 'model.0' after nothing"),
    "two": (lambda: between(nn.ReLU(), nn.Tanh()), "got activation 'model.2' after activation"),
    "a slope": (lambda: between(nn.LeakyReLU(0.2)), "negative_slope=0.01 of LeakyReLU, got 0.2"),
    "an approximation": (lambda: between(nn.GELU("tanh")), "approximate='none' of GELU"),
    "a threshold": (lambda: between(nn.Softplus(1, 2)), "threshold=40.0 of Softplus, got 2"),
    "an eps": (lambda: between(nn.LayerNorm(3, eps=1e-3)), "eps=1e-05 of a norm, got 0.001"),
    "no statistics": (
        lambda: between(nn.BatchNorm1d(3, track_running_stats=False)),
        "running statistics",
    ),
    "some norms": (
        lambda: between(nn.LayerNorm(3), nn.Linear(3, 3)),
        "one norm in all hidden layers",
    ),
    "an activation at the end": (
        lambda: nn.Sequential(nn.Linear(2, 3), nn.Sigmoid()),
        "a last linear layer alone",
    ),
    "widths": (lambda: between(nn.Linear(4, 3)), "3 inputs after a layer"),
    "no layer": (nn.Sequential, "a Linear layer at least"),
    "a dtype": (lambda: nn.Linear(2, 2).bfloat16(), "got torch.bfloat16 in 'model.weight'"),
    "two dtypes": (lambda: between(nn.Linear(3, 3).double()), "float32 or float64"),
    "NaN": (lambda: {"weight": np.full((2, 2), np.nan)}, "finite W1"),
    "a recurrent layer": (lambda: nn.LSTM(2, 2).state_dict(), "arrays of linear layers"),
    "whitening": (lambda: to_state_dict(whitened()), "got matrix, mean"),
    "whitening, a module": (lambda: to_torch(whitened()), "LinearMap as 'model.inputs.pca0'"),
}


def whitened() -> fanin.MLP:
    net = fanin.MLP([4, 2])
    net.set_preprocess([PCA(4)], rows(50, 6))
    return net


@pytest.mark.parametrize("case", REFUSED)
def test_what_mlp_does_not_know_is_refused_by_name(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(ValueError, match=f"model: .*{message}"):
        from_torch(make())


def test_arguments() -> None:
    state = to_state_dict(network())
    with pytest.raises(ValueError, match="activation: expected that of the hidden layers"):
        from_torch(state)
    with pytest.raises(ValueError, match="activation: expected what the state dict has"):
        from_torch(state, activation="prelu")
    with pytest.raises(ValueError, match="activation: expected one of"):
        from_torch(state, activation="softsign")
    with pytest.raises(ValueError, match="activation, residual: expected none beside a module"):
        from_torch(to_torch(network()), activation="relu")
    with pytest.raises(ValueError, match="loss: expected one of"):
        from_torch(to_torch(network()), loss="hinge")
    for wrong in (3, "net.pt", network()):
        with pytest.raises(TypeError, match=r"model: expected a torch\.nn\.Module or a state dict"):
            from_torch(wrong)
    with pytest.raises(TypeError, match="model: expected tensors or arrays, got list"):
        from_torch({"weight": [[1.0]]})
    for call in (to_torch, to_state_dict):
        with pytest.raises(TypeError, match="net: expected an MLP, got list"):
            call([network()])
    with pytest.raises(ValueError, match="net: expected drop_connect_inference='mean'"):
        to_torch(network(drop_connect=0.5, drop_connect_inference="moments"))
