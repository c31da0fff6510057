"""What may be on the disk after the power fails: a model of files, names, and what was synced.

A name may stand for each file that it has stood for since its folder was last synced, and a file
may hold what it held when it was last synced, or of what came later all, half, or nothing.
"""

from __future__ import annotations

import io
import itertools
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

Contents = Mapping[str, bytes | None]  # by name; None where there is no such file

# What changes names or brings bytes to the disk; a file's bytes are looked at around each.
CALLS = ("open", "fsync", "replace", "rename", "link", "unlink", "remove", "truncate", "ftruncate")
MOST = 300  # combinations of files in one state


class _File:
    """The bytes of a file: those synced, and those that it has had since."""

    def __init__(self, synced: bytes | None) -> None:
        self.synced = synced
        self.later: list[bytes] = []

    def possible(self) -> set[bytes]:
        safe = self.synced or b""
        found = {safe}
        for text in self.later:
            kept = len(safe) if text.startswith(safe) else 0
            found |= {text, text[: kept + (len(text) - kept) // 2]}
        return found


_FOLDER = _File(None)


class Disk:
    """A folder, watched while something writes into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[int, _File] = {}
        self._names: dict[str, list[int | None]] = {}
        self.states: list[list[Contents]] = []  # the possible ones after each call
        self._look(synced=True)

    def _look(self, synced: bool = False) -> None:
        self._looking = True  # its own calls are not watched
        try:
            self._see(synced)
        finally:
            self._looking = False

    def _see(self, synced: bool) -> None:
        here: dict[str, int] = {}
        for path in self.folder.rglob("*"):
            number = path.stat().st_ino
            here[str(path.relative_to(self.folder))] = number
            if path.is_dir():
                self._files[number] = _FOLDER
                continue
            text = path.read_bytes()
            if number not in self._known():
                self._files[number] = _File(text if synced else None)
            file = self._files[number]
            if text != (file.later or [file.synced])[-1]:
                file.later.append(text)
        for name in {*here, *self._names}:
            known = self._names.setdefault(name, [] if synced else [None])
            if known[-1:] != [here.get(name)]:
                known.append(here.get(name))

    def _known(self) -> set[int | None]:
        """Files that a name may stand for."""
        return set(itertools.chain(*self._names.values()))

    def _synced(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            file = self._files.get(status.st_ino)
            if file is not None and file is not _FOLDER and file.later:
                file.synced, file.later = file.later[-1], []
        else:
            for name, known in self._names.items():
                if (self.folder / name).parent.stat().st_ino == status.st_ino:
                    self._names[name] = known[-1:]

    def possible(self) -> list[Contents]:
        """What may be in the folder if the power fails now."""
        choices: dict[str, list[bytes | None]] = {}
        for name, known in self._names.items():
            texts: set[bytes | None] = set()
            for number in known:
                if number is None:
                    texts.add(None)
                elif self._files[number] is not _FOLDER:
                    texts |= self._files[number].possible()
            if any(None in self._names[str(folder)] for folder in list(Path(name).parents)[:-1]):
                texts.add(None)
            if texts - {None} and not name.endswith(".tmp"):  # which no reader reads
                choices[name] = sorted(texts, key=lambda text: (text is None, text))
        combined = itertools.islice(itertools.product(*choices.values()), MOST)
        return [dict(zip(choices, texts, strict=True)) for texts in combined]

    def watch(self, work: Callable[[], object], ignore: tuple[str, ...] = ()) -> list[Contents]:
        """Runs the work, notes the states after each call, and gives the possible ones at its end.

        `ignore` names calls that do nothing, as a seeded fault.
        """
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, self._watched(name, getattr(os, name), name in ignore))
            patch.setattr(io, "open", self._watched("io.open", io.open, False))
            patch.setattr("builtins.open", self._watched("open", open, False))
            work()
        self._look()
        return self.possible()

    def _watched(self, name: str, call: Callable[..., Any], ignored: bool) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            if self._looking:
                return call(*arguments, **options)
            self._look()
            result = None if ignored else call(*arguments, **options)
            self._look()
            if name == "fsync" and not ignored:
                self._synced(arguments[0])
            self.states.append(self.possible())
            return result

        return watched


def lay(contents: Contents, folder: Path) -> Path:
    """A folder of these files."""
    folder.mkdir(parents=True)
    for name, text in contents.items():
        if text is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(text)
    return folder


def different(states: list[list[Contents]]) -> Iterator[Contents]:
    """Each of them once."""
    seen = set()
    for state in itertools.chain(*states):
        key = frozenset(state.items())
        if key not in seen:
            seen.add(key)
            yield state
