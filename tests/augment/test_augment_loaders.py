"""Batches for others' loops: the generator, PyTorch's DataLoader, the lecture's hook, processes."""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any

import numpy as np
import pytest
from augment_cases import noise

import fanin
from fanin import _core
from fanin.augment import (
    ColorJitter,
    Compose,
    FiveCrop,
    HorizontalFlip,
    Indexed,
    Mixup,
    Normalize,
    RandomCrop,
    RandomResizedCrop,
    batches,
    torch_collate,
)

STEPS = [RandomCrop(12, padding=2), HorizontalFlip(), ColorJitter(0.4)]


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17])
def test_batches_are_those_of_a_loop_by_hand(n: int) -> None:
    X, y = noise(n, 12, 12), np.arange(n)
    aug = Compose(STEPS, seed=1)
    for epoch in range(2):
        order = np.arange(n)
        _core.random_permutation(order, 7, _core.stream_of("shuffle", 0, epoch))
        got = list(batches(X, y, aug, 4, epoch, seed=7))
        assert len(got) == -(-n // 4)
        if n:
            images = np.concatenate([x for x, _ in got])
            np.testing.assert_array_equal(np.concatenate([labels for _, labels in got]), order)
            np.testing.assert_array_equal(images, aug(X[order], indices=order, epoch=epoch))


def test_batches_in_order_without_labels_of_full_size_of_lists() -> None:
    X = noise(10, 12, 12)
    aug = Compose([RandomResizedCrop(8)], seed=2)
    got = list(batches(list(X), None, aug, 4, 0, shuffle=False, drop_last=True, layout="NCHW"))
    assert len(got) == 2
    np.testing.assert_array_equal(np.concatenate(got), aug(X[:8], layout="NCHW"))


def test_a_run_of_fit_takes_the_same_order() -> None:
    """The labels come in the order in which `MLP.fit` with this seed takes its rows."""
    y = np.arange(20)
    (order,) = (labels for _, labels in batches(noise(20, 4, 4), y, Compose([]), 20, 3, seed=5))
    expected = np.arange(20)
    _core.random_permutation(expected, 5, _core.stream_of("shuffle", 0, 3))
    np.testing.assert_array_equal(order, expected)


# The lecture's hook


def test_the_trainer_takes_a_pipeline_as_augment_fn() -> None:
    """Each step's rows come with their numbers and the epoch: nothing is drawn twice."""
    X, y = (noise(60, 6, 6, 1) / 255).astype(np.float32), np.arange(60) % 3
    aug = Compose([RandomCrop(6, padding=1), HorizontalFlip()], seed=3)
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    class Recorded(Compose):
        def __call__(self, images: Any, *args: Any, **call: Any) -> Any:
            seen.append((call["indices"], call["epoch"]))
            result = super().__call__(images, *args, **call)
            np.testing.assert_array_equal(images, X[call["indices"]])
            return result

    results = []
    for hook in (Recorded(aug.transforms, aug.seed), aug):
        model = fanin.init_two_layer_model(36, 8, 3, std=0.1, seed=0)
        _, stats = fanin.ClassifierTrainer().train(
            X, y, X, y, model, fanin.two_layer_net, num_epochs=3, batch_size=20, seed=4,
            augment_fn=hook, learning_rate=0.1, sampling="epoch",
        )  # fmt: skip
        results.append(stats["loss_history"])
    np.testing.assert_allclose(*results, rtol=1e-6)  # of a float32 and a float64 sum
    assert [epoch for _, epoch in seen] == [0] * 3 + [1] * 3 + [2] * 3
    for epoch in range(3):
        rows = np.concatenate([rows for rows, e in seen if e == epoch])
        assert sorted(rows) == list(range(60))


@pytest.mark.parametrize(
    ("steps", "message"), [([Mixup()], "mixes labels"), ([FiveCrop(3)], "makes 5 images of one")]
)
def test_the_trainer_refuses_other_pipelines(steps: list[Any], message: str) -> None:
    X, y = noise(60, 6, 6, 1), np.arange(60) % 3
    model = fanin.init_two_layer_model(36, 8, 3)
    with pytest.raises(ValueError, match=f"augment_fn: .*{message}"):
        fanin.ClassifierTrainer().train(
            X, y, X, y, model, fanin.two_layer_net, augment_fn=Compose(steps)
        )


def test_flattened_rows_are_told_how_to_become_images() -> None:
    X, y = noise(60, 6, 6, 1).reshape(60, 36), np.arange(60) % 3
    model = fanin.init_two_layer_model(36, 8, 3)
    with pytest.raises(ValueError, match=r"images.reshape\(-1, H, W, C\) makes images of rows"):
        fanin.ClassifierTrainer().train(
            X, y, X, y, model, fanin.two_layer_net, augment_fn=Compose(STEPS)
        )


# Processes


def _in_a_process(pipeline: str, images: np.ndarray) -> tuple[np.ndarray, int]:
    from fanin.augment import compose

    return Compose.from_json(pipeline)(images), compose._threads(None)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_process_gives_the_same_with_one_thread(method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    images, aug = noise(40, 12, 12), Compose(STEPS, seed=5)
    expected = aug(images)  # threads have run before the fork
    with multiprocessing.get_context(method).Pool(1) as pool:
        result, n_threads = pool.apply(_in_a_process, (aug.to_json(), images))
    np.testing.assert_array_equal(result, expected)
    assert n_threads == 1


# PyTorch


class Pictures:
    def __init__(self, n: int, labels: bool = True) -> None:
        self.images, self.labels = noise(n, 14, 12), labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Any:
        return (self.images[i], i % 5) if self.labels else self.images[i]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader_repeats_nothing(workers: int) -> None:
    torch = pytest.importorskip("torch")
    data = pytest.importorskip("torch.utils.data")
    dataset = Pictures(20)
    aug = Compose([*STEPS, Normalize(0.5, 0.25)], seed=6)
    collate = torch_collate(aug)
    loader = data.DataLoader(
        Indexed(dataset), 6, num_workers=workers, persistent_workers=workers > 0, collate_fn=collate
    )
    for epoch in (0, 1, 7):
        collate.epoch = epoch  # type: ignore[attr-defined]
        expected = aug(dataset.images, epoch=epoch, layout="NCHW")
        got = list(loader)
        x = torch.cat([x for x, _ in got])
        assert x.dtype == torch.float32
        np.testing.assert_array_equal(x.numpy(), expected)
        np.testing.assert_array_equal(torch.cat([y for _, y in got]), np.arange(20) % 5)


def test_a_shuffled_loader_gives_each_sample_its_own_draws() -> None:
    data = pytest.importorskip("torch.utils.data")
    dataset = Pictures(20)
    aug = Compose(STEPS, seed=7)
    loader = data.DataLoader(
        Indexed(dataset), 6, shuffle=True, collate_fn=torch_collate(aug, 3, "NHWC")
    )
    expected = aug(dataset.images, epoch=3)
    for x, y in loader:
        for image, label in zip(x.numpy(), y, strict=True):
            same = [(image == e).all() for e in expected[int(label) :: 5]]
            assert any(same)


def test_collating_images_alone_tensors_and_mixed_labels() -> None:
    torch = pytest.importorskip("torch")
    dataset = Pictures(6, labels=False)
    items = [Indexed(dataset)[i] for i in range(6)]
    aug = Compose(STEPS, seed=8)
    x = torch_collate(aug, epoch=2, layout="NHWC", dtype="uint8")(items)
    np.testing.assert_array_equal(x.numpy(), aug(dataset.images, epoch=2))
    tensors = [(i, torch.from_numpy(image), torch.tensor(i)) for i, image in items]
    mix = Compose([*STEPS, Mixup(num_classes=6)], seed=8)
    x, y = torch_collate(mix, epoch=2, layout="NHWC")(tensors)
    expected = mix(dataset.images, np.arange(6), epoch=2)
    np.testing.assert_array_equal(x.numpy(), expected[0])
    np.testing.assert_array_equal(y.numpy(), expected[1])


def test_collating_what_has_no_index_is_refused() -> None:
    pytest.importorskip("torch")
    collate = torch_collate(Compose(STEPS))
    image = noise(1, 14, 12)[0]
    for samples in ([image], [(image, 3)], [(0, image, 1, 2)]):
        with pytest.raises(TypeError, match=r"Indexed\(dataset\) adds"):
            collate(samples)
    with pytest.raises(TypeError, match="dataset: expected len"):
        Indexed(iter([]))
    with pytest.raises(ValueError, match="epoch: expected between 0"):
        collate.epoch = -1  # type: ignore[attr-defined]


def test_without_torch_the_error_says_so(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="pip install torch"):
        torch_collate(Compose(STEPS))
