"""Norms, skips and learnt slopes: their definition, gradients, bits, files and refusals."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import ACTIVATIONS
from test_gradients import BOUND, check, normals, targets

import fanin
from fanin import _core

DIMS = [6, 6, 9, 9, 4]  # a skip round the first and the third hidden layer
CASES: dict[str, dict[str, Any]] = {
    "layer norm": {"norm": "layer"},
    "batch norm": {"norm": "batch"},
    "skips": {"residual": True},
    "learnt slopes": {"activation": "prelu"},
    "layer norm, skips, slopes": {"norm": "layer", "residual": True, "activation": "prelu"},
    "batch norm, skips, slopes": {"norm": "batch", "residual": True, "activation": "prelu"},
}
CASE = pytest.mark.parametrize("options", CASES.values(), ids=CASES)
ROWS = 13


def network(dims: list[int] | None = None, **options: Any) -> fanin.MLP:
    """In float64, every parameter away from where it begins."""
    usual = {"activation": "tanh", "output_init": None, "dtype": "float64", "seed": 3}
    net = fanin.MLP(dims or DIMS, **usual | options)
    for name, p in net.params.items():
        p += 0.2 * normals(*p.shape, seed=len(name))
    for name, p in net.statistics.items():
        p[:] = 0.5 + np.abs(normals(*p.shape, seed=len(name)))
    return net


def normalized(z: np.ndarray, net: fanin.MLP, layer: int, training: bool) -> np.ndarray:
    if net.norm is None:
        return z
    axis = 1 if net.norm == "layer" else 0
    mean, variance = z.mean(axis, keepdims=True), z.var(axis, keepdims=True)
    if net.norm == "batch" and not training:
        mean, variance = (
            net.statistics[f"running_mean{layer}"],
            net.statistics[f"running_var{layer}"],
        )
    h = (z - mean) / np.sqrt(variance + 1e-5)
    return net.params[f"gamma{layer}"] * h + net.params[f"beta{layer}"]


def scores(net: fanin.MLP, X: np.ndarray, training: bool = False) -> np.ndarray:
    """The definition in NumPy, without dropout."""
    h, p = X.astype(np.float64), net.params
    for layer, kind in enumerate(net.activation, 1):
        z = normalized(h @ p[f"W{layer}"] + p.get(f"b{layer}", 0), net, layer, training)
        y = np.where(z > 0, z, p[f"alpha{layer}"] * z) if kind == "prelu" else ACTIVATIONS[kind](z)
        h = h + y if net.residual and h.shape == y.shape else y
    last = len(net.activation) + 1
    return h @ p[f"W{last}"] + p[f"b{last}"]


@CASE
def test_scores_are_those_of_the_definition(options: dict[str, Any]) -> None:
    net, X = network(**options), normals(300, 6)
    np.testing.assert_allclose(net.scores(X), scores(net, X), rtol=0, atol=1e-12)


@CASE
def test_a_step_has_the_loss_of_the_definition(options: dict[str, Any]) -> None:
    """Of the minibatch's own statistics, more rows than go through at once among them."""
    net = network(loss="mse", **options)
    for n in (2, 97, 2500):
        X, y = normals(n, 6), normals(n, 4, seed=2)
        expected = ((scores(net, X, training=True) - y) ** 2).mean()
        assert net.loss_and_grads(X, y)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.row("B5")
@CASE
@pytest.mark.parametrize("extras", [False, True], ids=["plain", "weights, L2 and masks"])
def test_gradients(options: dict[str, Any], extras: bool) -> None:
    """Central differences along every parameter."""
    net = network(**options, keep=0.7, drop_connect=0.8)
    X, y = normals(ROWS, 6, seed=4), targets("softmax", "hard", ROWS)
    how: dict[str, Any] = {}
    if extras:
        weights = np.random.default_rng(1).uniform(0, 2, ROWS)
        how = {"reg": 0.03, "sample_weight": weights, "dropout_step": 4}
    _, grads = net.loss_and_grads(X, y, **how)
    assert grads.keys() == net.params.keys()
    for name, p in net.params.items():
        check(lambda: net.loss_and_grads(X, y, **how)[0], p, grads[name], BOUND)


@pytest.mark.parametrize("options", [CASES["layer norm, skips, slopes"], CASES["skips"]])
def test_gradients_under_a_mask_for_each_row(options: dict[str, Any]) -> None:
    net = network(**options, drop_connect=0.8, drop_connect_mask="example")
    X, y = normals(ROWS, 6, seed=4), targets("softmax", "hard", ROWS)
    _, grads = net.loss_and_grads(X, y, dropout_step=2)
    for name, p in net.params.items():
        check(lambda: net.loss_and_grads(X, y, dropout_step=2)[0], p, grads[name], BOUND)


def test_parts_of_a_large_minibatch_give_the_sums_of_all() -> None:
    net = network(norm="layer", residual=True, activation="prelu", loss="mse")
    X, y = normals(3000, 6), normals(3000, 4, seed=2)
    _, whole = net.loss_and_grads(X, y)
    parts = [net.loss_and_grads(X[i : i + 1000], y[i : i + 1000])[1] for i in (0, 1000, 2000)]
    for name, gradient in whole.items():
        np.testing.assert_allclose(gradient, sum(p[name] for p in parts) / 3, atol=1e-13)


@pytest.mark.row("B5")
@CASE
@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
def test_twenty_steps_are_those_of_pytorch(options: dict[str, Any], optimizer: str) -> None:
    torch = pytest.importorskip("torch")
    net = network(**options)
    twin = TorchTwin(torch, net)
    X, y = normals(100, 6, seed=5), targets("softmax", "hard", 100)
    lr = 1e-2
    net.fit(
        X,
        y,
        epochs=10,
        batch_size=50,
        sampling="replacement",
        optimizer=rule_of(optimizer, lr),
        preprocess=None,
        progress=False,
    )
    rule = (
        torch.optim.SGD(twin.trained(), lr=lr, momentum=0.9)
        if optimizer == "momentum"
        else torch.optim.AdamW(twin.trained(), lr=lr, weight_decay=0.01)
    )
    for epoch in range(10):
        order = np.empty(100, np.int64)
        stream = _core.stream_of("replacement", 0, epoch)
        _core.random_integers(order, net.seed, stream, 0, 0, 100)
        for rows in (order[:50], order[50:]):
            rule.zero_grad()
            scores = twin(torch.tensor(X[rows]), training=True)
            torch.nn.functional.cross_entropy(scores, torch.tensor(y[rows])).backward()
            rule.step()
    for name, p in net.params.items():
        np.testing.assert_allclose(p, twin.p[name].detach().numpy(), rtol=0, atol=1e-12)
    for name, p in net.statistics.items():
        np.testing.assert_allclose(p, twin.statistics[name].numpy(), rtol=0, atol=1e-12)
    expected = twin(torch.tensor(X), training=False).detach().numpy()
    np.testing.assert_allclose(net.scores(X), expected, rtol=0, atol=1e-11)


def rule_of(name: str, lr: float) -> fanin.optim.Optimizer:
    if name == "momentum":
        return fanin.optim.Momentum(lr)
    return fanin.optim.AdamW(lr, weight_decay=0.01)


class TorchTwin:
    """The network in PyTorch, from the same start."""

    def __init__(self, torch: Any, net: fanin.MLP) -> None:
        self.torch, self.net = torch, net
        self.p = {n: torch.tensor(a, requires_grad=True) for n, a in net.params.items()}
        self.statistics = {n: torch.tensor(a) for n, a in net.statistics.items()}

    def trained(self) -> list[Any]:
        return list(self.p.values())

    def __call__(self, h: Any, training: bool) -> Any:
        f, p, net = self.torch.nn.functional, self.p, self.net
        for i, kind in enumerate(net.activation, 1):
            z = h @ p[f"W{i}"] + p.get(f"b{i}", 0)
            if net.norm == "layer":
                z = f.layer_norm(z, z.shape[1:], p[f"gamma{i}"], p[f"beta{i}"])
            elif net.norm == "batch":
                running = (self.statistics[f"running_mean{i}"], self.statistics[f"running_var{i}"])
                z = f.batch_norm(z, *running, p[f"gamma{i}"], p[f"beta{i}"], training)
            y = f.prelu(z, p[f"alpha{i}"]) if kind == "prelu" else self.torch.tanh(z)
            h = h + y if net.residual and h.shape == y.shape else y
        last = len(net.activation) + 1
        return h @ p[f"W{last}"] + p[f"b{last}"]


# Everything at once, with a ragged last minibatch; every step is worth three threads.
TRAINING = """
    import hashlib
    import numpy as np
    import fanin

    X = (np.arange(301 * 70) * 2654435761 % 251).astype(np.uint8).reshape(301, 70)
    y = np.arange(301) * 7 % 10
    dims = [70, 70, 75, 75, 75, 75, 10]
    kinds = ["prelu", "silu", "mish", "softplus", "selu"]
    net = fanin.MLP(dims, activation=kinds, norm={norm!r}, residual=True, keep=0.8,
                    drop_connect=0.9, dtype={dtype!r})
    history = net.fit(
        X, y, epochs=3, batch_size=128, reg=1e-3, preprocess=(127, 1 / 64),
        validation_data=(X, y), progress=False,
    )
    results = [v for name in sorted(history.history) for v in history.history[name]]
    print(hashlib.sha256(net.get_parameters().tobytes() + np.array(results).tobytes()).hexdigest())
"""
GOLDEN = {
    ("layer", "float32"): "aeb3e76be9c6ff1d2a6d83d5d05dbedafd25e5ba0ae09ceb9d134cc5bc754ebc",
    ("layer", "float64"): "39d7ffd5c0e08f7c07c197f3d41fe2a40fff4cebcdda1a565089c2bb1bd45ecd",
    ("batch", "float32"): "c81b52e99a50e28b39363b3f9ccc77d95f0a311b521e2ff7e3889de49fbde9ee",
    ("batch", "float64"): "85f41b1b2f9f78953a94815f6a8c2dfb67d9ed67a8e239994a22207b20205b49",
}


@pytest.mark.row("B5")
@pytest.mark.parametrize(("norm", "dtype"), GOLDEN)
def test_trained_parameters_have_one_hash(norm: str, dtype: str, run_isa: Any) -> None:
    code = TRAINING.replace("{norm!r}", repr(norm)).replace("{dtype!r}", repr(dtype))
    grid = [(isa, n) for isa in _core.supported_isas() for n in (1, 2, 3)]
    digests = {point: run_isa(code, point[0], threads=point[1]).strip() for point in grid}
    assert set(digests.values()) == {GOLDEN[norm, dtype]}, digests


@CASE
def test_few_rows_by_columns_and_many_by_rows_are_one(options: dict[str, Any]) -> None:
    """Few rows are split by columns where several threads work on them."""
    X, y = normals(8, 300).astype(np.float32), targets("softmax", "hard", 8)
    results = []
    for threads in (1, 3):
        net = fanin.MLP([300, 900, 900, 4], keep=0.9, **options)
        net.fit(X, y, epochs=3, batch_size=8, preprocess=None, progress=False, n_threads=threads)
        results.append(net.get_parameters())
    np.testing.assert_array_equal(*results)


@CASE
def test_files_and_copies_are_whole(options: dict[str, Any], tmp_path: Path) -> None:
    X, y = normals(50, 6), targets("softmax", "hard", 50)
    net = network(**options)
    net.fit(X, y, epochs=2, batch_size=10, preprocess=None, progress=False)
    net.save(tmp_path / "net.fanin")
    twins = [fanin.MLP.load(tmp_path / "net.fanin"), net.copy(), pickle.loads(pickle.dumps(net))]
    for twin in twins:
        assert twin.config() == net.config()
        assert twin.n_params == net.n_params
        np.testing.assert_array_equal(twin.scores(X), net.scores(X))
    for each in (net, *twins):  # they go on as one
        each.fit(X, y, epochs=1, batch_size=10, preprocess=None, progress=False)
        np.testing.assert_array_equal(each.get_parameters(), net.get_parameters())


def test_running_statistics_move_by_a_tenth_a_step() -> None:
    net = fanin.MLP([6, 5, 4], norm="batch", dtype="float64")
    X, y = normals(20, 6), targets("softmax", "hard", 20)
    z = X @ net.params["W1"]
    net.fit(X, y, epochs=1, batch_size=20, preprocess=None, progress=False)
    np.testing.assert_allclose(net.statistics["running_mean1"], 0.1 * z.mean(0), atol=1e-14)
    expected = 0.9 + 0.1 * z.var(0, ddof=1)
    np.testing.assert_allclose(net.statistics["running_var1"], expected, rtol=1e-13)


def test_neither_evaluation_nor_a_gradient_moves_running_statistics() -> None:
    net = network(norm="batch")
    before = net.get_parameters()
    X, y = normals(20, 6), targets("softmax", "hard", 20)
    net.evaluate(X, y)
    net.loss_and_grads(X, y)
    net.activation_report(X, y)
    np.testing.assert_array_equal(net.get_parameters(), before)


def test_a_diverged_step_leaves_running_statistics() -> None:
    net = fanin.MLP([6, 5, 4], norm="batch")
    X, y = normals(20, 6).astype(np.float32), targets("softmax", "hard", 20)
    X[7] = 3e38
    before = net.get_parameters()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.fit(X, y, epochs=1, batch_size=20, preprocess=None, progress=False)
    assert net.history is not None
    assert net.history.stop_reason == "diverged"
    np.testing.assert_array_equal(net.get_parameters(), before)


def test_a_prediction_depends_on_its_row_alone() -> None:
    net, X = network(norm="batch"), normals(200, 6)
    np.testing.assert_array_equal(net.scores(X)[150:151], net.scores(X[150:151]))


def test_the_report_traces_what_the_next_layer_gets() -> None:
    net = network(norm="layer", residual=True)
    X, y = normals(60, 6), targets("softmax", "hard", 60)
    report = net.activation_report(X, y)
    h = X
    for layer, found in enumerate(report.layers[:-1], 1):
        z = h @ net.params[f"W{layer}"] + net.params[f"b{layer}"]
        own = np.tanh(normalized(z, net, layer, training=True))
        h = h + own if h.shape == own.shape else own
        assert found.mean == pytest.approx(h.mean(), abs=1e-12)
        assert found.std == pytest.approx(h.std(), rel=1e-12)
    _, grads = net.loss_and_grads(X, y)
    for layer, found in enumerate(report.layers, 1):
        assert found.weight_gradient == pytest.approx(grads[f"W{layer}"].std(), rel=1e-9)
    p = np.exp(net.scores(X))
    last = p / p.sum(1, keepdims=True) - np.eye(4)[y]
    assert report.layers[-1].gradient == pytest.approx(last.std(), rel=1e-9)
    below = (last @ net.params["W4"].T).std()
    assert report.layers[-2].gradient == pytest.approx(below, rel=1e-9)


def test_parameters_are_counted_and_named() -> None:
    net = fanin.MLP([3, 4, 4, 2], norm="batch", activation=["prelu", "relu"])
    names = ["W1", "gamma1", "beta1", "alpha1", "W2", "gamma2", "beta2", "W3", "b3"]
    assert list(net.params) == names
    assert list(net.statistics) == [
        "running_mean1",
        "running_var1",
        "running_mean2",
        "running_var2",
    ]
    assert net.n_params == 12 + 4 + 4 + 4 + 16 + 4 + 4 + 8 + 2
    assert (net.params["gamma1"] == 1).all()
    assert (net.params["alpha1"] == 0.25).all()
    assert (net.statistics["running_var2"] == 1).all()


def test_layers_may_learn_at_rates_of_their_own() -> None:
    """The engine's factor on the learning rate is that of a lower rate."""

    def trained(rate: float, lr: float) -> np.ndarray:
        layers = [_core.Layer(4, 3, "tanh", rate=rate), _core.Layer(3, 2, "identity", rate=rate)]
        engine = _core.Engine64(layers, "softmax")
        engine.parameters[:] = np.linspace(-1, 1, engine.parameters.size)
        data = _core.TrainingData(normals(6, 4), labels=np.arange(6, dtype=np.int32) % 2)
        job = _core.TrainingJob(data=data, order=np.arange(6), batch=3, seed=0, budget=1.0)
        rule = fanin.optim.AdamW(weight_decay=0.1)
        states = rule.arena_states(engine.parameters.size, np.dtype("float64"))
        learner = _core.Learner(
            rule=rule.rule,
            states=states,
            l2=0.0,
            lr=np.full(2, lr),
            losses=np.empty(2),
            correct=np.empty(2, np.int64),
        )
        engine.train(job, learner, 0, 2)
        return engine.parameters.copy()

    np.testing.assert_allclose(trained(0.25, 0.4), trained(1.0, 0.1), rtol=1e-14)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"norm": "instance"}, ValueError, "norm: expected one of layer, batch; got 'instance'"),
        ({"norm": True}, (TypeError, ValueError), "norm: expected"),
        ({"residual": 1}, TypeError, "residual: expected True or False, got 1"),
        ({"residual": "yes"}, TypeError, "residual: expected True or False, got 'yes'"),
        ({"activation": "prely"}, ValueError, "activation: expected one of"),
        (
            {"norm": "batch", "drop_connect": 0.5, "drop_connect_mask": "example"},
            ValueError,
            "drop_connect_mask: expected 'batch' with norm='batch', got 'example'",
        ),
        (
            {"norm": "layer", "drop_connect": 0.5, "drop_connect_inference": "moments"},
            ValueError,
            "drop_connect_inference: expected 'mean' with norm='layer', got 'moments'",
        ),
        (
            {"activation": "prelu", "drop_connect": 0.5, "drop_connect_inference": "moments"},
            ValueError,
            "drop_connect_inference: expected 'mean' with activation='prelu', got 'moments'",
        ),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        fanin.MLP(DIMS, **options)


@pytest.mark.parametrize(("rows", "batch"), [(21, 10), (20, 1), (3, 2)])
def test_a_minibatch_of_one_row_is_refused_before_anything_happens(rows: int, batch: int) -> None:
    net = fanin.MLP([6, 5, 4], norm="batch")
    before = net.get_parameters()
    X, y = normals(rows, 6), targets("softmax", "hard", rows)
    with pytest.raises(ValueError, match="batch_size: expected at least 2 rows in every minibatch"):
        net.fit(X, y, batch_size=batch, progress=False)
    np.testing.assert_array_equal(net.get_parameters(), before)
    for alone in (net.loss_and_grads, net.activation_report):
        with pytest.raises(
            ValueError, match="X: expected at least 2 rows with norm='batch', got 1"
        ):
            alone(X[:1], y[:1])
    assert fanin.MLP([6, 5, 4], norm="layer").fit(X, y, batch_size=batch, epochs=1, progress=False)


@pytest.mark.parametrize("rows", [2, 9, 17, 129, 257, 273, 1025])
def test_an_automatic_minibatch_has_two_rows_at_least(rows: int) -> None:
    X, y = normals(rows, 6), targets("softmax", "hard", rows)
    y[:2] = 0, 1
    net = fanin.MLP([6, 5, 4], norm="batch")
    history = net.fit(X, y, epochs=1, preprocess=None, progress=False)
    assert rows % history.params["batch_size"] != 1


def test_states_from_before_there_were_blocks_load() -> None:
    net = fanin.MLP(DIMS)
    state = net.__getstate__()
    del state["config"]["norm"], state["config"]["residual"]
    twin = fanin.MLP.__new__(fanin.MLP)
    twin.__setstate__(state)
    np.testing.assert_array_equal(twin.get_parameters(), net.get_parameters())
    assert (twin.norm, twin.residual) == (None, False)
