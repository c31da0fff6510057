"""The second promise: one seed, one result, on every instruction set and any number of threads."""

from __future__ import annotations

from typing import Any

import pytest

from fanin import _core

# Dropout, L2, Adam, a partial last batch; widths that are no multiple of any vector's. Every step
# is worth three threads (over 2 MFLOP), and the data are whole numbers, the same everywhere.
TRAINING = """
    import hashlib
    import numpy as np
    import fanin

    X = (np.arange(300 * 70) * 2654435761 % 251).astype(np.uint8).reshape(300, 70)
    y = np.arange(300) * 7 % 10
    net = fanin.MLP([70, 75, 33, 10], activation=["relu", "gelu"], keep=[0.8, 0.5], dtype={dtype!r})
    history = net.fit(
        X, y, epochs=3, batch_size=128, optimizer="adam", reg=1e-3, schedule="cosine",
        preprocess=(0, 1 / 255), validation_data=(X, y), progress=False,
    )
    digest = hashlib.sha256()
    for name in sorted(net.params):
        digest.update(net.params[name].tobytes())
    results = [v for name in sorted(history.history) for v in history.history[name]]
    print(digest.hexdigest(), hashlib.sha256(np.array(results).tobytes()).hexdigest())
"""

# Of the parameters and of the history. A change of these breaks a promise: it is for a new version.
GOLDEN = {
    "float32": (
        "d1151203a44ad099be608c8beb158cf27a497af3ec428afec27d5b7712f2dff8",
        "559706c39692a83dc376700520cf27bfa6ae39649edbf64db60d7626742195f1",
    ),
    "float64": (
        "3e506881f4a2b0ea31d37fab7379df6d2e10b64763c3f201c733c6ba04d579c9",
        "470622189c0ba62bfc9c0e8d2992509b20b5a6e3156bbc58a5e6abdc6faf7c6b",
    ),
}


# Everything on, in bf16: a norm and skips, dropout and DropConnect, images augmented and mixed to
# soft labels, clipping; then a minibatch that goes through in two parts.
BF16 = """
    import hashlib
    import numpy as np
    import fanin
    from fanin import augment

    X = (np.arange(1200 * 81) * 2654435761 % 251).astype(np.uint8).reshape(1200, 9, 9)
    y = np.arange(1200) * 7 % 10
    net = fanin.MLP([81, 75, 75, 10], activation=["gelu", "prelu"], norm="layer", residual=True,
                    keep=[0.8, 0.5], drop_connect=0.9, compute="bf16")
    options = {"preprocess": (0, 1 / 255), "validation_data": (X[:300], y[:300])}
    options |= {"optimizer": "adam", "reg": 1e-3, "progress": False}
    histories = [
        net.fit(X[:500], y[:500], epochs=2, batch_size=130, clip_norm=0.5, mix=augment.Mixup(0.4),
                augment=augment.Compose([augment.RandomCrop(9, padding=1)], seed=1), **options),
        net.fit(X, y, epochs=1, batch_size=1100, sampling="replacement", **options),
    ]
    digest = hashlib.sha256(net.get_parameters().tobytes())
    for history in histories:
        results = [v for name in sorted(history.history) for v in history.history[name]]
        digest.update(np.array(results).tobytes())
    print(digest.hexdigest())
"""
# Made without tiles; machines that have them must give the same.
GOLDEN_BF16 = "e0f8bdc597e2e9ef2df497e518bab751b5db3978e6248240625aeab188549758"


def test_everything_in_bf16_has_one_hash(run_isa: Any) -> None:
    grid = [(isa, n) for isa in _core.supported_isas() for n in (1, 2, 3)]
    digests = {point: run_isa(BF16, point[0], threads=point[1]).strip() for point in grid}
    assert set(digests.values()) == {GOLDEN_BF16}, digests


@pytest.mark.parametrize("dtype", GOLDEN)
def test_trained_parameters_have_one_hash(dtype: str, run_isa: Any) -> None:
    code = TRAINING.replace("{dtype!r}", repr(dtype))
    grid = [(isa, n) for isa in _core.supported_isas() for n in (1, 2, 3)]
    digests = {point: tuple(run_isa(code, point[0], threads=point[1]).split()) for point in grid}
    assert len(set(digests.values())) == 1, digests
    assert digests[grid[0]] == GOLDEN[dtype]


def test_every_instruction_set_is_the_one_asked_for(isa: str, run_isa: Any) -> None:
    assert run_isa("from fanin import _core; print(_core.isa())", isa).strip() == isa
