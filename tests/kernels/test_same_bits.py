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


@pytest.mark.parametrize("dtype", GOLDEN)
def test_trained_parameters_have_one_hash(dtype: str, run_isa: Any) -> None:
    code = TRAINING.replace("{dtype!r}", repr(dtype))
    grid = [(isa, n) for isa in _core.supported_isas() for n in (1, 2, 3)]
    digests = {point: tuple(run_isa(code, point[0], threads=point[1]).split()) for point in grid}
    assert len(set(digests.values())) == 1, digests
    assert digests[grid[0]] == GOLDEN[dtype]


def test_every_instruction_set_is_the_one_asked_for(isa: str, run_isa: Any) -> None:
    assert run_isa("from fanin import _core; print(_core.isa())", isa).strip() == isa
