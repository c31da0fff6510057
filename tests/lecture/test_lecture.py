"""The lecture's listing and model, and the same numbers from every way of training."""

from __future__ import annotations

import inspect
import random
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lecture_cases import (
    a_model,
    assert_same_bits,
    assert_same_stats,
    copy,
    in_python,
    problem,
    train,
)
from reference import central_difference

import fanin
from fanin import ClassifierTrainer, init_two_layer_model, layers, optim, two_layer_net

LISTING = """
max_count = 100
for count in xrange(max_count):
    reg = 10**uniform(-5,5)
    lr = 10**uniform(-3,-6)
    
    trainer = ClassifierTrainer()
    model = init_two_layer_model(32*32*3, 50, 10) # input size, hidden size, number of classes
    trainer = ClassifierTrainer()
    best_model_local, stats = trainer.train (X_train, y_train, X_val, y_val, model, two_layer_net, num_epochs=5, reg=reg, update='momentum', learning_rate_decay=0.9, sample_batchs=True, batch_size=100, learning_rate=lr, verbose=False)
"""  # noqa: E501, W293
PRINTED = """
    val_acc = stats["best_val_acc"]
    print('val_acc: %f, lr: %e, reg: %e, (%d / %d)' % (val_acc, lr, reg, count + 1, max_count))
"""


# The listing


@pytest.mark.row("T4")
def test_listing_runs_as_written(capsys):
    listing = LISTING.replace("xrange", "range").replace("100\n", "3\n", 1) + PRINTED
    rng = np.random.default_rng(0)
    y = np.arange(330) % 10
    X = (rng.standard_normal((10, 3072))[y] + rng.standard_normal((330, 3072))) * 60
    names: dict[str, Any] = {
        "ClassifierTrainer": fanin.ClassifierTrainer,
        "init_two_layer_model": fanin.init_two_layer_model,
        "two_layer_net": fanin.two_layer_net,
        "uniform": random.Random(0).uniform,
    }
    names |= {"X_train": X[:230], "y_train": y[:230], "X_val": X[230:], "y_val": y[230:]}
    exec(listing, names)
    number, power = r"\d\.\d{6}", r"\d\.\d{6}e[+-]\d\d"
    line = rf"val_acc: ({number}), lr: ({power}), reg: ({power}), \((\d) / 3\)"
    lines = [re.fullmatch(line, text) for text in capsys.readouterr().out.splitlines()]
    assert [int(m.group(4)) for m in lines] == [1, 2, 3]
    for m in lines:
        assert 0 <= float(m.group(1)) <= 1
        assert 1e-6 <= float(m.group(2)) <= 1e-3
        assert 1e-5 <= float(m.group(3)) <= 1e5
    assert names["stats"]["iterations_per_epoch"] == 2
    assert {k: v.shape for k, v in names["best_model_local"].items()} == {
        "W1": (3072, 50),
        "b1": (50,),
        "W2": (50, 10),
        "b2": (10,),
    }


@pytest.mark.row("T4")
def test_printed_lines(capsys):
    _, stats = train(a_model(), verbose=True, learning_rate=0.05, learning_rate_decay=0.5, reg=0.1)
    *lines, last = capsys.readouterr().out.splitlines()
    # The histories in the printed format: after the first iteration, then at each epoch's end.
    for epoch, (line, iteration) in enumerate(zip(lines, stats["acc_iterations"], strict=True)):
        assert line == "Finished epoch %d / %d: cost %f, train: %f, val %f, lr %e" % (  # noqa: UP031
            epoch,
            4,
            stats["loss_history"][iteration - 1],
            stats["train_acc_history"][epoch],
            stats["val_acc_history"][epoch],
            0.05 * 0.5**epoch,
        )
    best = max(stats["val_acc_history"])
    assert last == f"finished optimization. best validation accuracy: {best:f}"
    train(a_model(), num_epochs=1)
    assert capsys.readouterr().out == ""


def test_the_order_of_positional_options_is_a_contract():
    parameters = list(inspect.signature(ClassifierTrainer().train).parameters.values())
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional == [
        "X", "y", "X_val", "y_val", "model", "loss_function", "reg", "learning_rate", "momentum",
        "learning_rate_decay", "update", "sample_batches", "num_epochs", "batch_size",
        "acc_frequency", "augment_fn", "predict_fn", "verbose", "seed",
    ]  # fmt: skip
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    assert keywords == ["sampling", "stop_ratio", "sample_batchs", "n_threads"]
    with pytest.raises(TypeError, match=r"ClassifierTrainer.train\(\) got .* 'epochs'"):
        train(a_model(), epochs=1)


def test_initial_losses_of_the_lecture():
    X = np.random.default_rng(0).standard_normal((200, 3072))
    y = np.arange(200) % 10
    model = init_two_layer_model(32 * 32 * 3, 50, 10, seed=0)
    assert two_layer_net(X, model, y)[0] == pytest.approx(2.3026, abs=5e-4)
    # 3.06859716482 in the lecture, with other draws
    assert two_layer_net(X, model, y, 1e3)[0] == pytest.approx(3.0686, abs=0.01)


# The model and its loss


def test_model_is_a_pure_function_of_its_seed():
    assert_same_bits(a_model(seed=1), a_model(seed=1))
    assert not np.array_equal(a_model(seed=1)["W1"], a_model(seed=2)["W1"])
    one, other = (init_two_layer_model(12, 9, 4) for _ in range(2))
    assert not np.array_equal(one["W1"], other["W1"])
    net = fanin.MLP([12, 9, 4], init="small_random", output_init="small_random", seed=6)
    assert_same_bits(dict(net.params), init_two_layer_model(12, 9, 4, std=0.01, seed=6))
    large = init_two_layer_model(300, 200, 10, dtype="float64")
    assert large["W1"].std() == pytest.approx(1e-4, rel=0.05)
    assert not large["b1"].any()
    assert large["W1"].dtype == np.float64


@pytest.mark.parametrize("reg", [0.0, 0.3])
def test_gradient_is_the_losss(reg):
    model = init_two_layer_model(5, 4, 3, std=0.5, dtype="float64", seed=1)
    model["b1"] += 0.1
    X, y = problem(7, 5, 3, "float64")
    loss, grads = two_layer_net(X, model, y, reg)
    hidden = np.maximum(X @ model["W1"] + model["b1"], 0)
    scores = hidden @ model["W2"] + model["b2"]
    np.testing.assert_allclose(two_layer_net(X, model), scores, rtol=1e-12)
    expected = np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(7), y])
    expected += 0.5 * reg * sum(np.sum(model[n] ** 2) for n in ("W1", "W2"))
    assert loss == pytest.approx(expected, rel=1e-12)
    for name, p in model.items():
        numeric = central_difference(lambda _: two_layer_net(X, model, y, reg)[0], p)
        np.testing.assert_allclose(grads[name], numeric, rtol=1e-6, atol=1e-9)


def test_net_takes_what_an_mlp_takes():
    model = a_model()
    net = fanin.MLP([12, 9, 4])
    for name, p in net.params.items():
        p[...] = model[name]
    images = np.random.default_rng(0).integers(0, 256, (6, 2, 2, 3), dtype=np.uint8)
    doubles = problem(6, dtype="float64")[0]
    for X in (doubles, doubles.astype(np.float32), images):
        net.set_preprocess(None, X)
        np.testing.assert_array_equal(two_layer_net(X, model), net.scores(X))
    for p in model.values():
        p.flags.writeable = False  # as from a memory-mapped file
    assert two_layer_net(images, model).shape == (6, 4)


@pytest.mark.parametrize("native", [True, False])
def test_no_dtype_changes_the_answer(native):
    """The same numbers, as bytes, other whole numbers or floats, in the net and in training."""
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 17, (90, 12)), np.arange(90) % 4
    function = two_layer_net if native else lambda *a: two_layer_net(*a)
    dtypes = ["uint8", "int8", "uint16", "int64", "float16", "float32", "float64"]
    seen = set()
    for dtype, judged in zip(dtypes, reversed(dtypes), strict=True):
        x, model = X.astype(dtype), a_model()
        loss, grads = two_layer_net(x, model, y)
        scores = two_layer_net(x, model)
        best, stats = ClassifierTrainer().train(
            *(x, y, X.astype(judged), y, model, function), num_epochs=2, learning_rate=1e-3, seed=0
        )
        arrays = [scores, *grads.values(), *model.values(), *best.values()]
        seen.add((loss, str(stats), *(a.tobytes() for a in arrays)))
    assert len(seen) == 1
    flags = X > 8
    np.testing.assert_array_equal(
        two_layer_net(flags, a_model()), two_layer_net(flags * 1.0, a_model())
    )


# The same numbers three ways


@pytest.mark.row("S3")
@pytest.mark.parametrize("sampling", ["replacement", "epoch"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reg", [0.0, 0.02])
def test_trainer_fit_and_loop_by_hand_agree(reg, dtype, sampling):
    X, y = problem(240, dtype=dtype)
    start = a_model(dtype=dtype)
    lr, batch, epochs = 0.03, 40, 3

    trained = copy(start)
    _, stats = ClassifierTrainer().train(
        *(X, y, X[:50], y[:50], trained, two_layer_net, reg, lr),
        learning_rate_decay=1,
        num_epochs=epochs,
        batch_size=batch,
        sampling=sampling,
        seed=8,
    )

    net = fanin.MLP([12, 9, 4], dtype=dtype, seed=8)
    for name, p in net.params.items():
        p[...] = start[name]
    options = {"epochs": epochs, "batch_size": batch, "sampling": sampling, "progress": False}
    history = net.fit(X, y, reg=reg, optimizer=optim.Momentum(lr), **options)

    by_hand, optimizer, costs = copy(start), optim.Momentum(lr), []
    for epoch in range(epochs):
        purpose = "shuffle" if sampling == "epoch" else "replacement"
        draws = fanin.random.package_generator(8, purpose, step=epoch)
        order = draws.permutation(240) if sampling == "epoch" else draws.integers(0, 240, size=240)
        for rows in order.reshape(-1, batch):
            # 1. a batch, 2. forward to the loss, 3. back to the gradients, 4. a step
            X_batch, y_batch = X[rows], y[rows]
            W1, W2 = by_hand["W1"], by_hand["W2"]
            z, cache1 = layers.affine_forward(X_batch, W1, by_hand["b1"])
            hidden, relu = layers.relu_forward(z)
            scores, cache2 = layers.affine_forward(hidden, W2, by_hand["b2"])
            loss, dscores = layers.softmax_loss(scores, y_batch)
            costs.append(loss + 0.5 * reg * (np.sum(W1 * W1) + np.sum(W2 * W2)))
            dhidden, dW2, db2 = layers.affine_backward(dscores, cache2)
            _, dW1, db1 = layers.affine_backward(layers.relu_backward(dhidden, relu), cache1)
            grads = {"W1": dW1 + W1 * W1.dtype.type(reg), "b1": db1, "b2": db2}
            grads["W2"] = dW2 + W2 * W2.dtype.type(reg)
            optimizer.step(by_hand, grads)

    assert_same_bits(trained, dict(net.params))
    if reg == 0:  # NumPy rounds dW + reg * W twice, the native loop once
        assert_same_bits(trained, by_hand)
        assert stats["loss_history"] == costs
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for name, p in by_hand.items():
        np.testing.assert_allclose(trained[name], p, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(stats["loss_history"], costs, rtol=tolerance)
    means = np.reshape(stats["loss_history"], (epochs, -1)).mean(axis=1)
    np.testing.assert_allclose(history.history["loss"], means, rtol=1e-12)


@pytest.mark.parametrize("update", ["sgd", "momentum", "rmsprop", "adam", "nag"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_native_loop_and_python_agree(dtype, update):
    native, python = a_model(dtype=dtype), a_model(dtype=dtype)
    options = {"update": update, "reg": 0.05, "acc_frequency": 3, "n": 1130}
    best, stats = train(native, **options)
    best_python, stats_python = train(python, in_python, **options)
    assert_same_bits(native, python)
    assert_same_bits(best, best_python)
    assert_same_stats(stats, stats_python)


@given(
    n=st.integers(1, 60),
    batch=st.none() | st.integers(1, 70),
    sizes=st.tuples(*[st.integers(1, 20)] * 2, st.integers(2, 6)),
    sampling=st.sampled_from(["replacement", "epoch"]),
    acc_frequency=st.none() | st.integers(1, 9),
)
def test_ragged_shapes_agree(n, batch, sizes, sampling, acc_frequency):
    d, h, c = sizes
    runs = []
    for loss_function in (two_layer_net, in_python):
        model = init_two_layer_model(d, h, c, std=0.1, seed=n)
        X, y = problem(n, d, c)
        best, stats = ClassifierTrainer().train(
            *(X, y, X, y, model, loss_function),
            reg=0.1,
            num_epochs=2,
            batch_size=batch,
            sampling=sampling,
            acc_frequency=acc_frequency,
            seed=n,
        )
        runs.append((model, best, stats))
    assert_same_bits(runs[0][0], runs[1][0])
    assert_same_bits(runs[0][1], runs[1][1])
    assert_same_stats(runs[0][2], runs[1][2])


def test_same_bits_for_every_thread_count_and_instruction_set(run_isa, isa):
    code = """
        import hashlib, numpy as np, fanin
        X = np.random.default_rng(0).standard_normal((700, 300)).astype(np.float32)
        y = np.arange(700) % 10
        model = fanin.init_two_layer_model(300, 80, 10, std=0.05, seed=2)
        best, stats = fanin.ClassifierTrainer().train(
            X, y, X[:99], y[:99], model, fanin.two_layer_net, 0.01, num_epochs=2, seed=4)
        parts = [p.tobytes() for m in (model, best) for p in m.values()] + [repr(stats).encode()]
        print(hashlib.sha256(b"".join(parts)).hexdigest())
    """
    expected = run_isa(code, "scalar", threads=1)
    assert run_isa(code, isa, threads=3) == expected
