"""compute="bf16": products in bfloat16, with one definition on every machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reference_bf16 import product, rounded

import fanin
from fanin import _core

pytestmark = pytest.mark.row("B6")
DATA = Path(__file__).parents[1] / "data"


def network(dims, scale=1.0, seed=0, **options):
    """A network in bf16 whose parameters are random, biases too."""
    net = fanin.MLP(dims, compute="bf16", **options)
    rng = np.random.default_rng(seed)
    for name, p in net.params.items():
        p[...] = rng.standard_normal(p.shape) * scale / (1 if name[0] == "b" else p.shape[0] ** 0.5)
    return net


def rows(n, d, seed=1, scale=1.0):
    return (np.random.default_rng(seed).standard_normal((n, d)) * scale).astype(np.float32)


def same(a, b):
    """Bit for bit, but for NaN."""
    return np.array_equal(a.view(np.int32)[~np.isnan(a)], b.view(np.int32)[~np.isnan(b)]) and (
        np.array_equal(np.isnan(a), np.isnan(b))
    )


def test_what_rounds_to_the_smallest_normal_number_is_not_flushed():
    """2^-126 less 1 or 2 times 2^-152 rounds to 2^-126, less 3 to what is subnormal."""
    net = network([3, 4])
    net.params["W1"][...] = [[2.0**-63] * 4, [0] * 4, [-(2.0**-76) * j for j in (1, 2, 3, 4)]]
    net.params["b1"][...] = 0
    X = np.array([[2.0**-63, 0, 2.0**-76]], np.float32)
    assert net.scores(X).tolist() == [[2.0**-126, 2.0**-126, 0, 0]]
    assert same(net.scores(X), product(X, net.params["W1"]))


SHAPES = [(1, 1, 1), (2, 31, 5), (16, 32, 16), (33, 33, 17), (37, 100, 65), (97, 70, 131)]


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("n", "d", "h"), SHAPES)
@pytest.mark.parametrize("scale", [1.0, 2.0**-63, 2.0**64])
def test_scores_are_by_the_definition(n, d, h, scale):
    net, X = network([d, h], scale), rows(n, d, scale=scale)
    expected = product(X, net.params["W1"], net.params["b1"])
    found = net.scores(X)
    assert same(found, expected)
    if scale == 1 and d > 1:
        plain = X @ net.params["W1"] + net.params["b1"]
        assert not np.array_equal(found, plain)
        assert np.abs(found - plain).max() < 0.05


@pytest.mark.parametrize("n", [1, 32, 64, 128])
@pytest.mark.parametrize("width", [16, 77])
def test_both_gradients_are_by_the_definition(n, width, threads):
    """Of the mean of squares over a power of two of rows, so that the rows' share is exact."""
    net, X = network([45, width, 19], loss="mse"), rows(n, 45)
    y = rows(n, 19, seed=2)
    data = net.prepare(X, y)
    (hidden, scores), (d_hidden, d_scores) = net.engine.trace(data, n_threads=threads)
    W1, b1, W2, b2 = (net.params[name] for name in ("W1", "b1", "W2", "b2"))
    z = product(X, W1, b1)
    assert same(hidden, np.maximum(z, 0))
    assert same(scores, product(hidden, W2, b2))
    assert same(d_hidden, product(d_scores, W2.T))
    _, grads = net.loss_and_grads(X, y, n_threads=threads)
    dz = np.where(hidden > 0, d_hidden, np.float32(0)) / np.float32(n)
    assert same(grads["W2"], product(hidden.T, d_scores / np.float32(n)))
    assert same(grads["W1"], product(X.T, dz))
    np.testing.assert_allclose(grads["b2"], d_scores.mean(axis=0), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("tiles", [1, 2])
def test_the_definition_is_that_of_the_instruction(tiles):
    """c + a b as a CPU computed it: normal deviates, numbers near 1, subnormal operands, products
    at the border of subnormal, overflow, cancellation and any finite numbers."""
    with np.load(DATA / "amx_blocks.npz") as blocks:
        a, b, c, out = (blocks[f"{name}{tiles}"] for name in ("a", "b", "c", "out"))
    for i in range(len(a)):
        left, right = ((x.astype(np.uint32) << 16).view(np.float32) for x in (a[i], b[i]))
        assert same(product(left, right, c[i]), out[i])


def test_a_number_is_rounded_to_the_nearest_with_ties_to_even():
    """Through a network of one weight, 1: what comes out is what went in, rounded."""
    net = network([1, 1])
    net.params["W1"][...], net.params["b1"][...] = 1, 0
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2**32, 20_000, dtype=np.uint32)
    bits[:10_000] = (bits[:10_000] & 0xFFFF0000) | rng.choice([0x7FFF, 0x8000, 0x8001], 10_000)
    X = bits.view(np.float32)[:, None]
    X = X[np.isfinite(X)][:, None]
    with np.errstate(over="ignore"):
        expected = rounded(X)
    finite = np.isfinite(expected)  # infinity times the zeros of k's padding is none of it
    assert same(net.scores(X)[finite], expected[finite] + np.float32(0))


def test_large_minibatches_go_through_in_parts_of_whole_tiles():
    """2,048 rows are two parts of the workspace; their gradient is that of one product."""
    net, X, y = network([20, 9], loss="mse"), rows(2048, 20), rows(2048, 9, seed=2)
    _, (dscores,) = net.engine.trace(net.prepare(X, y), n_threads=1)
    expected = product(X.T, dscores / np.float32(2048))
    for n in (1, 2, 3):
        assert same(net.loss_and_grads(X, y, n_threads=n)[1]["W1"], expected)


ROWS, LABELS = rows(700, 50), np.arange(700) * 7 % 6
CASES = {
    "plain": {},
    "norms": {"norm": "layer", "residual": True, "activation": "gelu"},
    "batch norm": {"norm": "batch", "keep": 0.7, "activation": "prelu"},
    "drop connect": {"drop_connect": 0.8, "keep": 0.9, "loss": "svm"},
}


def fitted(options, compute="bf16", dims=(50, 40, 40, 6), **fit):
    net = fanin.MLP(dims, compute=compute, seed=2, **options)
    fit = {"epochs": 2, "batch_size": 150, "progress": False} | fit
    net.fit(ROWS, LABELS, preprocess=None, **fit)
    return net


@pytest.mark.parametrize("case", CASES)
def test_training_has_the_same_bits_on_any_number_of_threads(case):
    results = [fitted(CASES[case], n_threads=n).get_parameters() for n in (1, 2, 3)]
    assert same(results[0], results[1])
    assert same(results[0], results[2])


@pytest.mark.parametrize("case", CASES)
def test_training_learns_as_in_float32(case):
    fit = {"epochs": 20, "optimizer": "adam", "reg": 1e-3}
    bf16, plain = fitted(CASES[case], **fit), fitted(CASES[case], compute=None, **fit)
    assert not same(bf16.get_parameters(), plain.get_parameters())
    a, b = (net.history.history["loss"] for net in (bf16, plain))
    np.testing.assert_allclose(a, b, rtol=0.1)
    assert a[-1] < 0.96 * a[0]


@pytest.mark.parametrize("fit", [{"clip_norm": 0.1}, {"batch_size": 700}, {"batch_size": 37}])
def test_clipping_and_any_minibatch_have_the_same_bits_too(fit):
    results = [fitted({}, n_threads=n, **fit).get_parameters() for n in (1, 3)]
    assert same(results[0], results[1])


def test_few_rows_are_split_by_columns():
    """As predicted one by one."""
    net = network([300, 200, 6], keep=0.5)
    X, y = rows(5, 300), np.arange(5)
    results = [net.loss_and_grads(X, y, dropout_step=1, n_threads=n)[1] for n in (1, 2, 3)]
    for name, found in results[0].items():
        assert same(found, results[1][name])
        assert same(found, results[2][name])
    one_by_one = np.concatenate([net.scores(X[i : i + 1]) for i in range(5)])
    assert same(one_by_one, net.scores(X))


def test_a_run_is_not_resumed_in_another_way_of_computing(tmp_path):
    again = {"checkpoint": tmp_path / "run.fanin", "resume": True}
    whole = fitted({}, **again)
    assert same(fitted({}, **again).get_parameters(), whole.get_parameters())
    with pytest.raises(ValueError, match="compute"):
        fitted({}, compute=None, **again)


def test_files_and_copies_keep_it(tmp_path):
    net = fitted({})
    net.save(tmp_path / "net.fanin")
    loaded = fanin.MLP.load(tmp_path / "net.fanin")
    for twin in (loaded, net.copy()):
        assert twin.compute == "bf16"
        assert same(twin.scores(ROWS), net.scores(ROWS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compute": "bf17"}, "compute: expected one of bf16; got 'bf17'"),
        ({"compute": 16}, "compute: "),
        ({"compute": "bf16", "dtype": "float64"}, "compute: expected None with dtype='float64'"),
        (
            {"compute": "bf16", "drop_connect": 0.5, "drop_connect_mask": "example"},
            "drop_connect_mask: expected 'batch' with compute='bf16', got 'example'",
        ),
        (
            {"compute": "bf16", "drop_connect": 0.5, "drop_connect_inference": "moments"},
            "drop_connect_inference: expected 'mean' with compute='bf16', got 'moments'",
        ),
    ],
)
def test_what_it_does_not_go_with_is_refused(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fanin.MLP([5, 4, 3], **options)


def test_the_compiled_network_refuses_it_too():
    layer = _core.Layer(5, 4, "identity", keep_weights=0.5)
    with pytest.raises(ValueError, match="float64"):
        _core.Engine64([layer], "softmax", compute="bf16")
    with pytest.raises(ValueError, match="row_masks"):
        _core.Engine32([layer], "softmax", row_masks=True, compute="bf16")


def test_a_search_trains_networks_together_with_the_bits_of_each_alone():
    choice = fanin.tuning.choice
    space = {
        "lr": choice([1e-3, 1e-2]),
        "keep": choice([0.8, 1.0]),
        "compute": choice([None, "bf16"]),
    }
    fixed = {"hidden": [24, 12], "epochs": 3, "batch_size": 100, "progress": False}
    validation = (ROWS[:200], LABELS[:200])
    result = fanin.tuning.search(
        space, (ROWS, LABELS), validation_data=validation, strategy="grid", seed=3, **fixed
    )
    assert len(result.trials) == 8
    for trial in result.trials:
        own = {name: trial.params[name] for name in ("keep", "compute")}
        net = fanin.MLP([50, 24, 12, 6], seed=trial.network.seed, **own)
        adam = fanin.optim.Adam(lr=trial.params["lr"])
        alone = net.fit(ROWS, LABELS, epochs=3, batch_size=100, optimizer=adam,
                        validation_data=validation, progress=False)  # fmt: skip
        assert alone.history["val_loss"] == trial.curves["val_loss"]


def test_what_is_said_of_tiles():
    network([3, 2])
    said = _core.tiles()
    assert said == "in use" or said.startswith("none: ")
    assert said == _core.tiles(ask=True)
    assert (said == "in use") <= (_core.isa() == "amx")
