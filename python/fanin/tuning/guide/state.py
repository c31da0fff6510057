"""The finished steps of a guide, in a folder that outlives the process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fanin._files import atomic_write
from fanin._typing import PathLike
from fanin.network import MLP

FORMAT = 2  # 1 had searches' logs in place of trials
FILE = "guide.json"


class State:
    """Facts of the finished steps, in order; with a folder on the disk after each of them.

    The key must be the same for a guide to resume: data, seed, starting point.
    """

    clock = staticmethod(time.monotonic)  # the clock of all times in a guide

    def __init__(self, folder: PathLike | None, key: Mapping[str, Any], resume: bool) -> None:
        self.folder = None if folder is None else Path(folder)
        self.key, self.spent_before = dict(key), 0.0
        self.steps: list[dict[str, Any]] = []
        self.plans: dict[str, Any] = {}
        self._began = self.clock()
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._read(self.folder / FILE, resume)

    def _read(self, path: Path, resume: bool) -> None:
        if not path.exists():
            return
        if not resume:
            raise ValueError(f"state: {path} holds a guide already; resume=True goes on with it")
        try:
            data = json.loads(path.read_bytes())
            known, steps, plans = data["key"], list(data["steps"]), dict(data["plans"])
            spent, written = float(data["seconds"]), int(data["format"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"state: {path} is no state of a guide ({error!r})") from error
        if written > FORMAT:
            raise ValueError(f"state: {path} was written by a later fanin, in format {written}")
        if written < FORMAT:
            raise ValueError(f"state: {path} was written by an earlier fanin, in format {written}")
        for name, value in self.key.items():
            if known.get(name) != value:
                raise ValueError(
                    f"state: {path} belongs to a guide with another {name}: "
                    f"{_short(known.get(name))} there, {_short(value)} here"
                )
        self.steps, self.plans, self.spent_before = steps, plans, spent

    @property
    def seconds(self) -> float:
        """Spent in all, those of earlier processes included."""
        return self.spent_before + self.clock() - self._began

    def find(self, number: int, round: int) -> dict[str, Any] | None:
        """The facts of a step that has been taken."""
        return next((s for s in self.steps if (s["number"], s["round"]) == (number, round)), None)

    def add(self, facts: dict[str, Any]) -> dict[str, Any]:
        """A step that has been taken: its facts as a later process will read them."""
        read = dict(json.loads(json.dumps(facts, allow_nan=False)))
        self.steps.append(read)
        self.write()
        return read

    def drop(self, number: int) -> None:
        """Forgets a step, since others come before it."""
        self.steps = [facts for facts in self.steps if facts["number"] != number]

    def plan(self, name: str, make: Callable[[], Any]) -> Any:
        """A decision that depends on the clock: taken once, unless it is None."""
        if self.plans.get(name) is None:
            self.plans[name] = make()
            self.write()
        return self.plans[name]

    def write(self) -> None:
        """Writes the state, atomically."""
        if self.folder is None:
            return
        names = "key", "steps", "plans", "seconds"
        data = {"format": FORMAT} | {name: getattr(self, name) for name in names}
        text = json.dumps(data, indent=1, allow_nan=False)
        with atomic_write(self.folder / FILE) as file:
            file.write(text.encode() + b"\n")

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


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 60 else text[:57] + "..."
