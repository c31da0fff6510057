"""All that fanin writes, and what is there after a write that did not come to its end."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fanin
from fanin import ensemble, tuning
from fanin._files import current_file, write_text
from fanin.callbacks import Callback, CSVLogger, History
from fanin.checkpoint import load_archive
from fanin.cli import main
from fanin.tuning.guide.state import State

OLD, NEW, BETWEEN, LOST = "old", "new", "between", "lost"


@dataclass(frozen=True)
class Writer:
    """Something that writes into a folder.

    `write(folder, True)` writes what is new where `write(folder, False)` wrote what was old, and
    `read(folder)` gives what one has of it. A log may also be `between`: of what is new a part; one
    that `appends` goes on from there, where others begin again.
    """

    write: Callable[[Path, bool], object]
    read: Callable[[Path], Any]
    log: bool = False
    appends: bool = False


def _nets() -> list[fanin.MLP]:
    return [fanin.MLP([5, 4, 3], seed=seed) for seed in range(4)]


def _network(folder: Path, new: bool) -> None:
    _nets()[new].save(folder / "net.fanin")


def _read_network(folder: Path) -> Any:
    return fanin.MLP.load(folder / "net.fanin").get_parameters().tobytes()


def _ensemble(folder: Path, new: bool) -> None:
    ensemble.Ensemble(_nets()[2 * new :][:2]).save(folder / "both.fanin")


def _read_ensemble(folder: Path) -> Any:
    members = ensemble.Ensemble.load(folder / "both.fanin").members
    return [net.get_parameters().tobytes() for net in members]


def _history(folder: Path, new: bool) -> None:
    history = History()
    for epoch in range(50 + new):
        history.append(epoch, {"loss": 1 / (1 + epoch)})
    history.save(folder / "history.json")


def _read_history(folder: Path) -> Any:
    return History.load(folder / "history.json").to_dict()


X = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def _csv_log(folder: Path, new: bool) -> None:
    """Two epochs, then two more of them appended."""
    logger = CSVLogger(folder / "log.csv", append=new)
    logger.on_train_begin()
    for epoch in range(2):
        logger.on_epoch_end(epoch, {"loss": 1 / (1 + epoch)})


def _read_csv_log(folder: Path) -> Any:
    text = (folder / "log.csv").read_bytes().decode()
    whole, _, _ = text.rpartition("\n")  # the line that a kill cut short is no line
    return list(csv.reader(io.StringIO(whole)))


def _objective(params: Any) -> float:
    return float(params["a"])


def _search(folder: Path, new: bool) -> None:
    """Three trials, then six, on the same log."""
    log = folder / "trials.jsonl"
    space = {"a": tuning.uniform(0, 1)}
    # The log of six, of which three are there already.
    tuning.search(space, _objective, n_trials=6, seed=0, log=log, resume=True, progress=False)
    if not new:
        lines = log.read_bytes().splitlines(keepends=True)
        log.write_bytes(b"".join(lines[:4]))


def _read_search(folder: Path) -> Any:
    whole, _, _ = (folder / "trials.jsonl").read_bytes().rpartition(b"\n")
    return [json.loads(line) for line in whole.splitlines()]


STEP: dict[str, Any] = {"round": 0, "findings": [], "settings": {"rates": list(range(300))}}


def _state(folder: Path, new: bool) -> None:
    state = State(folder / "guide", {"seed": 0}, resume=True)
    if not state.steps:
        state.add({**STEP, "number": 1})
    if new and len(state.steps) == 1:
        state.add({**STEP, "number": 2})


def _read_state(folder: Path) -> Any:
    steps = State(folder / "guide", {"seed": 0}, resume=True).steps
    return [(facts["number"], facts["settings"]) for facts in steps]  # and no times


class _Killed(Callback):
    """Ends a run at the end of an epoch, as if it were killed: no file is written any more."""

    def __init__(self, last: int) -> None:
        self._last = last  # no part of what the run is described by

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if epoch == self._last:
            raise KeyboardInterrupt

    def state_dict(self) -> dict[str, Any]:
        return {}


def _checkpoint(folder: Path, new: bool) -> None:
    """A run that ends in its second epoch, then all of its four."""
    net, callbacks = fanin.MLP([5, 4, 2], seed=0), [_Killed(9 if new else 1)]
    options: dict[str, Any] = {"epochs": 4, "optimizer": "adam", "callbacks": callbacks}
    options |= {"checkpoint": folder / "run", "resume": True, "every": 1}
    with suppress(KeyboardInterrupt):
        net.fit(X, Y, **options, progress=False, n_threads=1)


def _read_checkpoint(folder: Path) -> Any:
    """The losses, and in the end the parameters."""
    header, arrays = load_archive(folder / "run", "checkpoint")
    state = header["state"]
    end = [{n: a.tobytes() for n, a in arrays.items()}] if state["finished"] else []
    return [*state["history"]["history"].get("loss", []), *end]


def _run_folder(folder: Path, new: bool) -> None:
    """A run on other classes in the folder of one that is there."""
    data = folder / "data.csv"
    names = ("no", "yes") if new else ("red", "green")
    if not data.exists() or new:
        rows = [[*row, names[label]] for row, label in zip(X.tolist(), Y, strict=True)]
        table = io.StringIO(newline="")
        csv.writer(table).writerows([[*"abcde", "target"], *rows])
        write_text(data, table.getvalue())
    run = folder / "run"
    words = ["train", data, "--out", run, "--epochs", 1, "--hidden", "none"]
    _command(*words, *(["--resume"] if (run / "checkpoint.fanin").exists() else []))


def _read_run_folder(folder: Path) -> Any:
    run = folder / "run"
    net = fanin.MLP.load(current_file(run / "network.fanin"))
    config = json.loads(current_file(run / "config.json").read_text())
    return net.get_parameters().tobytes(), net.metadata["class_names"], config["class_names"]


def _command(*words: object) -> str:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(word) for word in words])
    if code:
        raise OSError(err.getvalue().strip())
    return out.getvalue()


def _plain(folder: Path, new: bool) -> None:
    """What no one should write: over the file that is there."""
    with (folder / "plain").open("wb") as file:
        for _ in range(3):
            file.write(bytes([new]) * 10_000)


def _read_plain(folder: Path) -> Any:
    data = (folder / "plain").read_bytes()
    if len(data) != 30_000:
        raise ValueError("cut short")
    return data


WRITERS = {
    "a network": Writer(_network, _read_network),
    "an ensemble": Writer(_ensemble, _read_ensemble),
    "a history": Writer(_history, _read_history),
    "a CSV log": Writer(_csv_log, _read_csv_log, log=True, appends=True),
    "a search's log": Writer(_search, _read_search, log=True),
    "a guide's state": Writer(_state, _read_state, log=True),
    "a checkpoint": Writer(_checkpoint, _read_checkpoint, log=True),
    "a run's folder": Writer(_run_folder, _read_run_folder),
}
CONTROL = Writer(_plain, _read_plain)


def found(writer: Writer, folder: Path, old: Any, new: Any) -> str:
    """Whether the folder has the old, the new, or neither; `old` is None where no file was."""
    try:
        here = writer.read(folder)
    except (OSError, ValueError, KeyError) as error:
        return OLD if old is None and isinstance(error, FileNotFoundError) else LOST
    if here in (old, new):
        return OLD if here == old else NEW
    if writer.log and (old or []) == here[: len(old or [])] and here == new[: len(here)]:
        return BETWEEN
    return LOST


def strays(folder: Path) -> list[str]:
    """Files that no reader reads."""
    return [path.name for path in folder.rglob("*") if path.suffix == ".tmp" or ".tmp" in path.name]
