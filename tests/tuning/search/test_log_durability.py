"""Interruptions at any line of what writes logs and states, and disks that are full."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from children import run_python

from fanin.tuning import search, uniform
from fanin.tuning.guide.state import FILE, State
from fanin.tuning.search.log import TrialLog
from reliability import count

SPACE = {"x": uniform(0, 1)}


def score(params: Any) -> float:
    return float(params["x"])


class Interrupter:
    """Raises KeyboardInterrupt at the n-th line that is executed in a file."""

    def __init__(self, path: str, n: int) -> None:
        self.path, self.left = path, n

    def __call__(self, frame: Any, event: str, argument: Any) -> Any:
        del argument
        if frame.f_code.co_filename != self.path:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


@contextmanager
def interrupted(kind: type, n: int) -> Iterator[Interrupter]:
    """At the n-th line of the class's module, in the block."""
    tracer, before = Interrupter(sys.modules[kind.__module__].__file__ or "", n), sys.gettrace()
    sys.settrace(tracer)
    try:
        yield tracer
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)


@pytest.mark.row("B2")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of files left open
def test_a_search_interrupted_at_any_line_of_its_log_goes_on(tmp_path: Path) -> None:
    log, whole = tmp_path / "trials.jsonl", tmp_path / "whole.jsonl"
    search(SPACE, score, 3, log=whole, progress=False, n_threads=1)
    n = 0
    while True:
        n += count(4, 1)
        log.unlink(missing_ok=True)
        with interrupted(TrialLog, n) as tracer:
            search(SPACE, score, 3, log=log, progress=False, n_threads=1)
        gc.collect()  # what an interrupted `close` has left open
        again = search(SPACE, score, 3, log=log, progress=False, n_threads=1)
        assert len(again) == 3
        assert log.read_bytes() == whole.read_bytes(), n
        if tracer.left > 0:
            break
    assert n > 100


@pytest.mark.row("B2")
def test_a_state_interrupted_at_any_line_is_readable(tmp_path: Path) -> None:
    facts: list[dict[str, Any]] = [
        {"number": i, "round": 0, "findings": [], "settings": {}} for i in (1, 2)
    ]
    n = 0
    while True:
        n += 1
        (tmp_path / FILE).unlink(missing_ok=True)
        with interrupted(State, n) as tracer:
            state = State(tmp_path, {"seed": 0}, resume=True)
            state.add(facts[0])
            state.plan("epochs", lambda: 3)
            state.add(facts[1])
        numbers = [step["number"] for step in State(tmp_path, {"seed": 0}, resume=True).steps]
        assert numbers == [1, 2][: len(numbers)]
        assert not [path for path in tmp_path.iterdir() if path.name != FILE]
        if tracer.left > 0:
            assert numbers == [1, 2]
            break
    assert n > 30


@pytest.mark.skipif(os.name == "nt", reason="no such limits there")
@pytest.mark.parametrize("room", [0, 100, 2000])
def test_a_full_disk_names_the_log(tmp_path: Path, room: int) -> None:
    code = """
        import resource, sys
        from fanin.tuning import search, uniform
        space, log, room = {"x": uniform(0, 1)}, sys.argv[1], int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        try:
            search(space, abs, 100, log=log, progress=False)
        except OSError as error:
            assert error.filename == log, repr(error)
        else:
            raise AssertionError("no error")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        assert len(search(space, abs, 100, log=log, progress=False)) == 100
    """
    done = run_python(code, str(tmp_path / "trials.jsonl"), str(room))
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.name == "nt", reason="opens no folders")
def test_the_folder_of_a_new_log_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc")
    monkeypatch.setattr(os, "fsync", counted)
    log = tmp_path / "trials.jsonl"
    search(SPACE, score, 1, log=log, progress=False)
    assert synced[:2] == [str(log), str(tmp_path)]
    assert set(synced) == {str(log), str(tmp_path)}


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log"
    if kind == "folder":
        path.mkdir()
    elif hasattr(os, "mkfifo"):
        os.mkfifo(path)
    else:
        pytest.skip("no pipes here")
    with pytest.raises(ValueError, match="log: expected a file or none, got a folder, device or"):
        search(SPACE, score, 1, log=path, progress=False)
