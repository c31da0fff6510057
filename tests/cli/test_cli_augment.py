"""``fanin train --augment WORDS --mix WORD``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fanin
from fanin.callbacks.history import History
from fanin.cli import main


def images(path: Path) -> str:
    y = np.arange(60) % 3
    X = np.random.default_rng(0).integers(0, 100, (60, 8, 8), dtype=np.uint8)
    X[np.arange(60), :, 2 * y] += 150
    np.savez(path, X=X, y=y)
    return str(path)


def test_words_become_a_pipeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    words = ["--augment", "crop:1,rotate:10", "--mix", "mixup:.1"]
    options = ["--epochs", "2", "--seed", "3", "--hidden", "20", "--out", str(out), "--no-progress"]
    assert main(["train", images(tmp_path / "data.npz"), *words, *options]) == 0
    params = History.load(out / "history.json").params
    aug = fanin.augment.Compose.from_dict(params["augment"])
    assert aug == fanin.augment.Compose(fanin.augment.parse("crop:1,rotate:10", 8), seed=3)
    assert (params["mix"]["name"], params["mix"]["alpha"]) == ("Mixup", 0.1)
    assert "accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--augment", "blur"], "--augment: expected words among crop, "),
        (["--augment", "crop:x"], "--augment: cannot read 'crop:x'"),
        (["--mix", "flip"], "--mix: expected mixup:ALPHA or cutmix:ALPHA, got 'flip'"),
    ],
)
def test_unknown_words(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "digits", *options]) == 2
    assert message in capsys.readouterr().err


def test_rows_are_not_augmented(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "rows.npz", str(tmp_path / "run")
    np.savez(path, X=np.random.default_rng(0).random((60, 5), np.float32), y=np.arange(60) % 3)
    assert main(["train", str(path), "--augment", "flip", "--out", out]) == 1
    assert "X.reshape(-1, H, W, C)" in capsys.readouterr().err
    assert not Path(out).exists()
