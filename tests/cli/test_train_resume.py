"""``fanin train --resume``: a run that was killed goes on; a finished one stays as it is."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from children import run_python

import fanin
from fanin.cli import main

pytestmark = pytest.mark.row("B2")

TRAIN = ["train", "digits", "--hidden", "16", "--keep", "0.8", "--epochs", "6", "--threads", "1"]
FILES = {"network.fanin", "history.json", "config.json", "curves.png"}

# Killed in the fourth epoch, after a checkpoint of the third.
KILLED = """
    import os, signal, sys
    from fanin.cli import main
    from fanin.training import fit

    end_epoch = fit.Fit.end_epoch
    def killed(self, epoch, result):
        end_epoch(self, epoch, result)
        if epoch == 2:
            self.file._seconds = 0
        if epoch == 3:
            os.kill(os.getpid(), signal.SIGKILL)
    fit.Fit.end_epoch = killed
    main(sys.argv[1:])
"""


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def names(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()} - {"curves.png"}


def results(folder: str) -> tuple[bytes, Any, Any]:
    history = json.loads(Path(folder, "history.json").read_text())
    config = json.loads(Path(folder, "config.json").read_text())
    for record in (history, config):
        record.pop("sha256", None)
    history.pop("seconds")
    return Path(folder, "network.fanin").read_bytes(), history, config


@pytest.mark.skipif(os.name != "posix", reason="no SIGKILL here")
def test_a_killed_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TRAIN, "--out", "whole"]) == 0
    assert names("whole") == FILES - {"curves.png"}
    assert run_python(KILLED, *TRAIN, "--out", "run").returncode == -signal.SIGKILL
    assert names("run") == {"checkpoint.fanin"}
    capsys.readouterr()
    assert main([*TRAIN, "--out", "run"]) == 2
    assert (
        "--out: run holds a run that did not come to its end: --resume" in capsys.readouterr().err
    )
    assert main([*TRAIN, "--out", "run", "--resume", "--reg", "0.5"]) != 0
    assert (
        "run/checkpoint.fanin holds another run: reg is 0 there, 0.5 here"
        in capsys.readouterr().err
    )
    assert names("run") == {"checkpoint.fanin"}
    assert main([*TRAIN, "--out", "run", "--resume"]) == 0
    assert results("run") == results("whole")
    assert names("run") == names("whole")
    before = results("run")
    capsys.readouterr()
    assert main([*TRAIN, "--out", "run", "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"out": "run", "finished": True}
    assert results("run") == before


def test_a_run_that_ctrl_c_ended_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stop(fanin.callbacks.Callback):
        def on_progress(self, step: int, logs: Any = None) -> None:  # noqa: ARG002
            if step > 30 and not self.params.get("resumed"):
                raise KeyboardInterrupt

    fit = fanin.MLP.fit
    monkeypatch.setattr(fanin.MLP, "fit", lambda *a, **k: fit(*a, **k, callbacks=[Stop()]))
    assert main([*TRAIN, "--out", "whole", "--resume"]) == 130
    assert "--out whole --resume goes on" in capsys.readouterr().out
    assert {"checkpoint.fanin", "network.fanin"} <= names("whole")
    assert main([*TRAIN, "--out", "whole", "--resume"]) == 0
    assert "checkpoint.fanin" not in names("whole")
    assert len(json.loads(Path("whole/history.json").read_text())["epoch"]) == 6


def test_resume_needs_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TRAIN, "--resume"]) == 2
    assert "--resume: expected --out too" in capsys.readouterr().err
