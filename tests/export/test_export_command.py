"""``fanin export``: what it writes and says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fanin
from fanin.cli import main
from fanin.ensemble import Ensemble

pytest.importorskip("onnx")
reference = pytest.importorskip("onnx.reference")

pytestmark = pytest.mark.row("B8")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def failed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 1) -> str:
    before = sorted(Path().iterdir())
    assert main(["export", *arguments]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert sorted(Path().iterdir()) == before
    return line


def test_a_run_a_network_and_an_ensemble(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "digits", "--epochs", "1", "--hidden", "8", "--out", "run"]) == 0
    capsys.readouterr()
    net = fanin.MLP.load("run/network.fanin")
    assert main(["export", "run", "run.onnx"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{net!r}, opset 20"
    assert lines[1] == "takes X (N, 8, 8) uint8"
    assert lines[2] == "gives label (N) int64, probabilities (N, 10) float32, class_name (N) string"
    size = Path("run.onnx").stat().st_size
    assert lines[3] == f"saved in run.onnx: {size} bytes, checked by onnx"
    X = fanin.datasets.load("digits")[1][0]
    label, probabilities, names = reference.ReferenceEvaluator("run.onnx").run(None, {"X": X})
    assert np.array_equal(label, net.predict(X))
    assert np.abs(probabilities - net.predict_proba(X)).max() < 1e-6
    assert list(names) == [str(i) for i in label]
    assert main(["export", "run/network.fanin", "same.onnx"]) == 0
    assert Path("same.onnx").read_bytes() == Path("run.onnx").read_bytes()
    Ensemble([net, net]).save("both.fanin")
    capsys.readouterr()
    command = ["export", "both.fanin", "both.onnx", "--opset", "21", "--input-dtype", "float32"]
    assert main([*command, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["takes"] == [{"name": "X", "shape": ["N", 8, 8], "dtype": "float32"}]
    assert (facts["opset"], facts["classes"]) == (21, [str(i) for i in range(10)])


def test_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    fanin.MLP([3, 2]).save("net")
    Path("other").write_text("nothing")
    assert "other: expected a fanin network or ensemble file, got" in failed(capsys, "other", "o")
    assert "nowhere: No such file" in failed(capsys, "nowhere", "model.onnx")
    assert "opset: expected between 20" in failed(capsys, "net", "o", "--opset", "999")
    assert "argument --opset" in failed(capsys, "net", "o", "--opset", "19", code=2)
    assert "argument --input-dtype" in failed(capsys, "net", "o", "--input-dtype", "str", code=2)
    assert "no/o: No such file" in failed(capsys, "net", "no/o")
