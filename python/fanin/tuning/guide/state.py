"""The finished steps of a guide, in a folder that outlives the process."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fanin._files import FileError, atomic_write, make_folder, read_file
from fanin._json import from_json, loggable, parse_json, to_json
from fanin._typing import PathLike
from fanin.network import MLP

FORMAT = 3  # 1 had searches' logs in place of trials, 2 had no checksum
FILE = "guide.json"
TRIALS = "trials"  # the folder of the trials' networks


class State:
    """Facts of the finished steps, in order; with a folder on the disk after each of them.

    The key must be the same for a guide to resume: data, seed, starting point. All that a later
    step depends on is replayed: facts, the decisions that the clock made, and the time itself. It
    goes on from the end of the last step, or of the last trial that is read (`catch_up`), since
    what was lost is done again, and takes its time again.
    """

    spent_before: float
    ended: float

    @staticmethod
    def clock() -> float:
        """The clock of all times in a guide."""
        return time.monotonic()

    def __init__(self, folder: PathLike | None, key: Mapping[str, Any], resume: bool) -> None:
        self.folder: Path | None = None if folder is None else Path(folder)
        self.key: dict[str, Any] = {name: loggable(name, value) for name, value in key.items()}
        self.name: str = hashlib.sha256(json.dumps(self.key).encode()).hexdigest()[:16]
        self.spent_before = self.ended = 0.0  # seconds; and those at the end of the last step
        self.steps: list[dict[str, Any]] = []
        self.plans: dict[str, Any] = {}
        self.trials_removed: bool = False
        self._began = self.clock()
        if self.folder is not None:
            make_folder(self.folder)
            self._read(self.folder / FILE, resume)

    def _read(self, path: Path, resume: bool) -> None:
        if not path.exists():
            return
        text = read_file(path)
        if not resume:
            raise ValueError(f"state: {path} holds a guide already; resume=True goes on with it")
        data = _checked(path, text)
        known = data["key"]
        for name, value in self.key.items():
            if known.get(name) != value:
                raise ValueError(
                    f"state: {path} belongs to a guide with another {name}: "
                    f"{_short(known.get(name))} there, {_short(value)} here"
                )
        self.steps, self.plans = data["steps"], data["plans"]
        self.spent_before = self.ended = float(data["seconds"])
        self.trials_removed = data["trials_removed"]

    @property
    def seconds(self) -> float:
        """Spent in all, those of earlier processes included."""
        return self.spent_before + self.clock() - self._began

    def catch_up(self, seconds: float) -> None:
        """What is read now was kept when so much time had been spent."""
        self.spent_before += max(seconds - self.seconds, 0.0)

    def find(self, number: int, round: int) -> dict[str, Any] | None:
        """The facts of a step that has been taken."""
        return next((s for s in self.steps if (s["number"], s["round"]) == (number, round)), None)

    def add(self, facts: dict[str, Any]) -> dict[str, Any]:
        """A step that has been taken: its facts as a later process will read them."""
        now = float(self.seconds)
        read = dict(json.loads(json.dumps({**facts, "seconds": now - self.ended}, allow_nan=False)))
        self.steps, self.ended = [*self.steps, read], now
        self.write()
        return read

    def drop(self, number: int) -> None:
        """Forgets a step and its plans, since others come before it."""
        self.steps = [facts for facts in self.steps if facts["number"] != number]
        start = f"step {number}: "
        self.plans = {k: plan for k, plan in self.plans.items() if not k.startswith(start)}

    def plan(self, name: str, make: Callable[[], Any]) -> Any:
        """A decision that depends on the clock: taken once, unless it is None."""
        if name not in self.plans and (made := make()) is not None:
            self.plans[name] = made
            self.write()
        return self.plans.get(name)

    def write(self) -> None:
        """Writes the state, atomically."""
        if self.folder is None:
            return
        data = {"fanin": "guide", "format": FORMAT, "key": self.key, "steps": self.steps}
        data |= {"plans": self.plans, "seconds": self.ended}
        _write(self.folder / FILE, data | {"trials_removed": self.trials_removed})

    def path(self, name: str) -> Path | None:
        """A file of the folder."""
        return None if self.folder is None else self.folder / name

    def save_network(self, name: str, net: MLP) -> None:
        if (path := self.path(name)) is not None:
            net.save(path)

    def load_network(self, name: str) -> MLP | None:
        """A network that was saved; None where it was not."""
        path = self.path(name)
        return None if path is None or not path.exists() else MLP.load(path)


def remove_trials(folder: PathLike) -> None:
    """Removes the trials' networks of a guide that has come to its end.

    It returns its report as before; for further steps it trains the trials again, to the same bits
    where no deadline had cut them.
    """
    path = Path(folder) / FILE
    _write(path, _checked(path, read_file(path)) | {"trials_removed": True})
    shutil.rmtree(path.with_name(TRIALS), ignore_errors=True)


def _write(path: Path, data: Mapping[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write(to_json(data, indent=1) + b"\n")


def _checked(path: Path, text: bytes) -> dict[str, Any]:
    """The contents of a state's file; a FileError for any other."""
    data = parse_json(text, path)
    written = data.get("format")
    if "sha256" not in data and written in (1, 2) and "steps" in data:
        raise FileError(
            path,
            f"written by an earlier fanin, in format {written}, which has no checksum; "
            "another folder begins anew",
        )
    data = from_json(text, path)
    if data.get("fanin") != "guide":
        raise FileError(path, "expected the state of a guide, got another file")
    if written != FORMAT:
        raise FileError(path, f"written by another fanin, in format {written!r}")
    kinds = {"key": dict, "steps": list, "plans": dict, "seconds": float, "trials_removed": bool}
    for name, kind in kinds.items():
        if not isinstance(data.get(name), kind):
            raise FileError(path, f"expected {name} of a guide, got {data.get(name)!r:.60}")
    if data["seconds"] < 0:
        raise FileError(path, f"expected seconds from 0 on, got {data['seconds']}")
    for facts in data["steps"]:
        if not isinstance(facts, dict) or {"number", "round", "findings", "settings"} - set(facts):
            raise FileError(path, "expected the facts of steps in the state of a guide")
    return data


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 60 else text[:57] + "..."
