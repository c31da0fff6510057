"""MLP.fit on augmented and mixed minibatches: the bits of a loop by hand, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fanin
from fanin import _core, augment, optim
from fanin.augment import (
    ColorJitter,
    Compose,
    CutMix,
    Cutout,
    FiveCrop,
    HorizontalFlip,
    Mixup,
    Normalize,
    RandomCrop,
    RandomRotation,
)
from fanin.preprocessing import PCA

Network = Callable[..., fanin.MLP]
EPOCHS = 2


def images(n: int = 70, size: int = 12, channels: int = 3, dtype: str = "uint8") -> np.ndarray:
    rng = np.random.default_rng([n, size, channels])
    shape = (n, size, size) if channels == 0 else (n, size, size, channels)
    drawn = rng.integers(0, 256, shape, dtype=np.uint8)
    return drawn if dtype == "uint8" else (drawn / np.float32(255)).astype(np.float32)


def labels(n: int = 70, classes: int = 4) -> np.ndarray:
    return np.arange(n) * 7 % classes


def pipeline(*more: augment.Transform, size: int = 12) -> Compose:
    return Compose([RandomCrop(size, padding=2), HorizontalFlip(), *more], seed=5)


def network(width: int, **options: Any) -> fanin.MLP:
    return fanin.MLP([width, 21, 4], **{"seed": 3, "output_init": None} | options)


def units(X: np.ndarray) -> tuple[float, float] | None:
    """Pixels enter from 0 to 1."""
    return (0.0, 1 / 255) if X.dtype == np.uint8 else None


def order_of(net: fanin.MLP, n: int, epoch: int) -> np.ndarray:
    order = np.empty(n, np.int64)
    _core.random_permutation(order, net.seed, _core.stream_of("shuffle", 0, epoch))
    return order


def by_hand(net: fanin.MLP, X: np.ndarray, y: np.ndarray, aug: Compose, batch: int) -> None:
    """What fit does, one call of the pipeline for each minibatch."""
    rule, step = optim.SGD(0.1), 0
    if net.preprocess is None:
        net.set_preprocess(units(X), X)
    for epoch in range(EPOCHS):
        order = order_of(net, len(X), epoch)
        for begin in range(0, len(X), batch):
            rows = order[begin : begin + batch]
            x, targets = aug(X[rows], y[rows], indices=rows, epoch=epoch)
            _, grads = net.loss_and_grads(x, targets, reg=0.01, dropout_step=step)
            rule.step(net.params, grads)
            step += 1


def fit(net: fanin.MLP, X: np.ndarray, y: np.ndarray, **options: Any) -> fanin.callbacks.History:
    defaults = {"epochs": EPOCHS, "batch_size": 16, "optimizer": optim.SGD(0.1), "reg": 0.01}
    return net.fit(X, y, progress=False, **defaults | {"preprocess": units(X)} | options)


def assert_same_bits(a: fanin.MLP, b: fanin.MLP) -> None:
    np.testing.assert_array_equal(a.get_parameters(), b.get_parameters())


@pytest.mark.row("A+")
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("channels", [0, 1, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("batch", [1, 16, 63, 70])
def test_equals_a_loop_by_hand(channels: int, dtype: str, batch: int) -> None:
    X, y = images(channels=channels, dtype=dtype), labels()
    aug = pipeline(Cutout(4), *([ColorJitter(0.4, 0.4, 0.4, 0.1)] if channels == 3 else []))
    native, hand = (network(X[0].size, keep=0.8) for _ in range(2))
    history = fit(native, X, y, augment=aug, batch_size=batch)
    by_hand(hand, X, y, aug, batch)
    assert_same_bits(native, hand)
    plain = network(X[0].size, keep=0.8)
    fit(plain, X, y, batch_size=batch)
    assert (plain.get_parameters() != native.get_parameters()).any()
    assert history.params["augment"] == aug.to_dict()


MIXES = [Mixup(0.4), Mixup(0.4, mode="sample", p=0.7), CutMix(), CutMix(1.0, mode="sample", p=0.7)]


@pytest.mark.row("A+")
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("mix", MIXES, ids=repr)
@pytest.mark.parametrize("loss", ["softmax", "svm", "mse"])
def test_mixing_equals_a_loop_by_hand(mix: Any, loss: str) -> None:
    X, y = images(65), labels(65)
    full = pipeline(type(mix)(mix.alpha, mix.p, mix.mode, num_classes=4))
    nets = [network(X[0].size, loss=loss) for _ in range(3)]
    fit(nets[0], X, y, augment=pipeline(), mix=mix)
    fit(nets[1], X, y, augment=full)
    by_hand(nets[2], X, y, full, 16)
    assert_same_bits(nets[0], nets[2])
    assert_same_bits(nets[1], nets[2])


def test_mixing_soft_labels_and_values() -> None:
    X = images(33)
    y = np.random.default_rng(0).dirichlet(np.ones(4), 33).astype(np.float32)
    for loss in ("softmax", "svm", "mse"):
        native, hand = (network(X[0].size, loss=loss) for _ in range(2))
        history = fit(native, X, y, augment=pipeline(), mix=Mixup(), standardize_targets=False)
        by_hand(hand, X, y, pipeline(Mixup()), 16)
        assert_same_bits(native, hand)
        assert "accuracy" not in history.history


def test_minibatches_beyond_the_workspace_are_mixed_whole() -> None:
    X, y = images(1100, size=4), labels(1100)
    aug = pipeline(Mixup(mode="sample", num_classes=4), size=4)
    native, hand = (network(X[0].size) for _ in range(2))
    fit(native, X, y, augment=aug, batch_size=None)
    for epoch in range(EPOCHS):
        rows = order_of(hand, len(X), epoch)
        x, targets = aug(X[rows], y[rows], indices=rows, epoch=epoch)
        fit(hand, x, targets, epochs=1, batch_size=None)
    np.testing.assert_allclose(native.get_parameters(), hand.get_parameters(), rtol=0, atol=2e-6)


def test_mixup_alone_takes_rows_of_any_shape() -> None:
    X, y = images(48, dtype="float32"), labels(48)
    shaped, flat = (network(X[0].size) for _ in range(2))
    fit(shaped, X, y, mix=Mixup(0.3))
    fit(flat, X.reshape(48, -1), y, mix=Mixup(0.3))
    assert_same_bits(shaped, flat)
    hand = network(X[0].size)
    by_hand(hand, X, y, Compose([Mixup(0.3, num_classes=4)], seed=hand.seed), 16)
    assert_same_bits(flat, hand)


def test_accuracy_counts_the_label_with_the_greater_share() -> None:
    """A network that tells black from white, trained at rate 0 on mixtures of these."""
    y = np.arange(64) % 2
    X = np.where(y, 255, 0).astype(np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    net = fanin.MLP([16, 2])  # of values from 0 to 1
    net.params["W1"][:] = [[-1, 1]]
    net.params["b1"][:] = [8, -8]
    history = fit(net, X, y, mix=Mixup(1.0, mode="sample"), optimizer=optim.SGD(0.0))
    assert history.history["accuracy"] == [1.0, 1.0]


def test_float64_networks_keep_the_shares_in_float64() -> None:
    X, y = images(40), labels(40)
    net = network(X[0].size, dtype="float64")
    hand = network(X[0].size, dtype="float64")
    aug = pipeline(Mixup(num_classes=4))
    fit(net, X, y, augment=aug)
    by_hand(hand, X, y, aug, 16)
    np.testing.assert_allclose(net.get_parameters(), hand.get_parameters(), rtol=0, atol=1e-7)


@pytest.mark.row("A+")
def test_preprocessing_applies_to_augmented_images() -> None:
    X, y = images(), labels()
    native, hand = (network(X[0].size) for _ in range(2))
    fit(native, X, y, augment=pipeline(), preprocess="standardize")
    hand.set_preprocess("standardize", X)
    by_hand(hand, X, y, pipeline(), 16)
    assert_same_bits(native, hand)


def test_weights_and_replacement_and_clipping_go_with_it() -> None:
    X, y = images(), labels()
    weights = np.linspace(0, 1, len(X))
    options = {"sample_weight": weights, "sampling": "replacement", "clip_norm": 0.5}
    nothing = Compose([RandomCrop(12), HorizontalFlip(p=0)])
    augmented, plain = (network(X[0].size) for _ in range(2))
    histories = [
        fit(augmented, X, y, augment=nothing, **options).history,
        fit(plain, X, y, **options).history,
    ]
    assert histories[0] == histories[1]
    assert_same_bits(augmented, plain)


def test_epochs_go_on_where_fit_goes_on() -> None:
    X, y = images(), labels()
    once, twice = (network(X[0].size) for _ in range(2))
    aug = pipeline()
    fit(once, X, y, augment=aug, mix=Mixup(), epochs=4)
    for _ in range(2):
        fit(twice, X, y, augment=aug, mix=Mixup(), epochs=2)
    assert_same_bits(once, twice)


def test_callbacks_of_batches_change_nothing() -> None:
    X, y = images(), labels()
    chunks, single = (network(X[0].size) for _ in range(2))
    fit(chunks, X, y, augment=pipeline(), mix=CutMix())
    seen: list[int] = []
    watch = fanin.callbacks.LambdaCallback(on_train_batch_end=lambda i, _: seen.append(i))
    fit(single, X, y, augment=pipeline(), mix=CutMix(), callbacks=[watch])
    assert len(seen) == EPOCHS * 5
    assert_same_bits(chunks, single)


TRAINING = """
    import hashlib
    import numpy as np
    import fanin
    from fanin.augment import *

    X = (np.arange(200 * 16 * 16 * 3) * 2654435761 % 251).astype(np.uint8).reshape(200, 16, 16, 3)
    y = np.arange(200) * 7 % 10
    net = fanin.MLP([432, 75, 10], keep=0.8)
    aug = Compose([RandomRotation(20), RandomCrop(12), HorizontalFlip(), ColorJitter(.4, .4, .4),
                   GaussianNoise(), RandomErasing(p=0.5)], seed=2)
    net.fit(X, y, epochs=2, batch_size=64, augment=aug, mix=Mixup(0.2, mode="sample"),
            progress=False)
    print(hashlib.sha256(net.get_parameters().tobytes()).hexdigest())
"""


def test_one_hash_for_every_instruction_set_and_thread_count(run_isa: Any) -> None:
    grid = [(isa, n) for isa in _core.supported_isas() for n in (1, 2, 3)]
    hashes = {point: run_isa(TRAINING, point[0], threads=point[1]) for point in grid}
    assert len(set(hashes.values())) == 1, hashes


@pytest.mark.row("A+")
def test_it_learns_what_augmentation_teaches() -> None:
    """A bar at one side of the image, in the test at the other: only flips show that."""
    n = 200
    rng = np.random.default_rng(0)
    X = rng.integers(0, 60, (n, 8, 8), dtype=np.uint8)
    y = rng.integers(0, 2, n)
    X[y == 1, 2:6, 0] += 150
    X[y == 0, :2, 0] += 150
    accuracies = []
    for aug in (None, Compose([HorizontalFlip()])):
        net = fanin.MLP([64, 32, 2], seed=1)
        net.fit(X, y, epochs=20, batch_size=20, augment=aug, progress=False)
        mirrored = np.ascontiguousarray(X[:, :, ::-1])
        accuracies.append(net.evaluate(mirrored, y)["accuracy"])
    assert accuracies[1] > 0.95
    assert accuracies[1] > accuracies[0] + 0.2


def test_a_crop_makes_the_networks_size() -> None:
    X, y = images(size=14), labels()
    small = Compose([augment.CenterCrop(12)])(X)
    native, hand = (network(small[0].size) for _ in range(2))
    aug = Compose([RandomCrop(12)], seed=1)
    mean = (np.full(small[0].size, 100.0), 0.01)
    history = fit(native, X, y, augment=aug, preprocess=mean, validation_data=(small, y))
    hand.set_preprocess(mean, small)
    by_hand(hand, X, y, aug, 16)
    assert_same_bits(native, hand)
    assert history.history["val_loss"][-1] == native.evaluate(small, y)["loss"]


U8, NET = images(20), (432, 16, 4)
REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"augment": [HorizontalFlip()]}, TypeError, r"augment: expected a fanin.augment.Compose, got"),
    ({"augment": HorizontalFlip()}, TypeError, r"augment: .*Compose\(\[\.\.\.\], seed=0\) makes"),
    ({"augment": Compose([FiveCrop(12)])}, ValueError, r"augment: .* makes 5; .* the tta of"),
    ({"augment": Compose([Normalize(0.5, 0.5)])}, ValueError, r"augment: expected no Normalize"),
    ({"augment": Compose([RandomCrop(8)])}, ValueError,
     r"augment: expected images of 432 values, the network's dims\[0\], got 8 x 8 x 3 = 192"),
    ({"augment": Compose([RandomCrop(20)])}, ValueError, r"pass padding=4 or more"),
    ({"augment": Compose([HorizontalFlip()]), "X": U8.reshape(20, -1)}, ValueError,
     r"X: expected shape .*X.reshape\(-1, H, W, C\) makes images of rows"),
    ({"augment": Compose([HorizontalFlip()]), "X": U8 / 255}, TypeError,
     r"X: expected .* uint8 or float32, got \(20, 12, 12, 3\) float64"),
    ({"augment": Compose([Cutout(4, value=(1.0, 2.0, 3.0, 4.0))])}, ValueError, "channels"),
    ({"augment": Compose([RandomRotation(5)]), "preprocess": PCA(432)}, ValueError,
     r"preprocess: expected none that mixes columns .* got PCA"),
    ({"mix": 0.2}, TypeError, r"mix: expected Mixup, CutMix or None, got float"),
    ({"mix": Mixup(), "augment": Compose([Mixup()])}, ValueError, "mix: expected None beside"),
    ({"mix": Mixup(num_classes=7)}, ValueError, r"mix: expected num_classes=4"),
    ({"mix": Mixup(), "sample_weight": np.ones(20)}, ValueError, "sample_weight: expected None"),
    ({"mix": CutMix(), "X": U8.reshape(20, -1)}, ValueError, r"X: expected shape \(N, H, W\)"),
    ({"mix": Mixup(), "X": U8 / 255}, TypeError, r"X: expected uint8 or float32 for Mixup"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "error", "message"), REFUSED)
def test_what_cannot_be_is_refused_before_anything_changes(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    net = fanin.MLP(NET)
    before = net.get_parameters()
    X = options.pop("X", U8) if "X" in options else U8
    with pytest.raises(error, match=message):
        fit(net, X, labels(20), **{k: v for k, v in options.items() if k != "X"})
    np.testing.assert_array_equal(net.get_parameters(), before)
    assert net.epochs_done == 0
    assert net.preprocess is None


def test_sizes_that_differ_are_refused_with_a_way_out() -> None:
    X, y = images(20, size=14), labels(20)
    net, aug = fanin.MLP(NET), Compose([RandomCrop(12)])
    with pytest.raises(ValueError, match=r"validation X: .* 12 x 12 x 3.*CenterCrop\(\(12, 12\)\)"):
        fit(net, X, y, augment=aug, validation_data=(X, y))
    with pytest.raises(ValueError, match=r"preprocess: expected \(mean, scale\).* 432 .* 588"):
        fit(net, X, y, augment=aug, preprocess="standardize")
    with pytest.raises(ValueError, match=r"svm"):
        fit(fanin.MLP([432, 5000], loss="svm"), U8, labels(20), mix=Mixup())
    assert net.epochs_done == 0


@pytest.mark.row("A+")
def test_the_lectures_hook_runs_a_pipeline_natively() -> None:
    X, y = images(60), labels(60)
    aug = pipeline(ColorJitter(0.3))
    results = []
    for loss_function in (fanin.two_layer_net, lambda *a: fanin.two_layer_net(*a)):
        model = fanin.init_two_layer_model(432, 20, 4, std=0.05, seed=1)
        best, stats = fanin.ClassifierTrainer().train(
            *(X, y, X, y, model, loss_function), num_epochs=3, batch_size=20, learning_rate=0.01,
            reg=1e-3, seed=0, augment_fn=aug,
        )  # fmt: skip
        results.append((model, best, stats))
    (native, best, stats), (python, best_python, stats_python) = results
    costs = [run.pop("loss_history") for run in (stats, stats_python)]
    np.testing.assert_allclose(*costs, rtol=1e-8)  # of a float32 and a float64 sum
    assert stats == stats_python
    for name in native:
        np.testing.assert_array_equal(native[name], python[name])
        np.testing.assert_array_equal(best[name], best_python[name])


def test_the_lectures_hook_refuses_what_is_no_image_and_what_mixes_labels() -> None:
    X, y = images(60), labels(60)
    model = fanin.init_two_layer_model(432, 20, 4, seed=1)
    arguments = (y, X, y, model, fanin.two_layer_net)
    with pytest.raises(ValueError, match="reshape"):
        fanin.ClassifierTrainer().train(X.reshape(60, -1), *arguments, augment_fn=pipeline())
    with pytest.raises(ValueError, match=r"augment_fn: .* which mixes labels"):
        fanin.ClassifierTrainer().train(X, *arguments, augment_fn=Compose([Mixup()]))
