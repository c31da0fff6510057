"""Two processes that write one checkpoint: at any time it is one of theirs, whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from children import HANG, printed_by

from reliability import count

pytestmark = [
    pytest.mark.row("B2"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
]

ROUNDS = count(1, 50)

# Both look for the file before either writes it, then both write it after each step. The reader
# reads it all the time, until both have ended.
SCRIPT = """
    import json, os, signal, sys, traceback
    from pathlib import Path
    from checkpoint_cases import X, Y
    import fanin
    from fanin import _files, checkpoint
    from fanin.training import fit as module
    from fanin.training.checkpoint import CheckpointFile

    path, seeds, fault = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
    module.CHUNK_SECONDS = 0.0

    def written_in_place(path):
        return open(path, "r+b" if os.path.exists(path) else "wb")

    if fault:
        checkpoint.atomic_write = written_in_place

    def fit(seed, **options):
        net = fanin.MLP([12, 9, 3], keep=0.8, seed=seed)
        net.fit(X, Y, epochs=9, batch_size=32, optimizer="adam", progress=False, n_threads=1,
                **options)
        return net.get_parameters().tobytes()

    kept = {"checkpoint": path, "resume": True, "every": "0s"}

    def racing(seed, ready, go):
        opened = CheckpointFile.open

        def together(file, description):
            opened(file, description)
            os.write(ready, b".")
            os.read(go, 1)

        CheckpointFile.open = together
        return fit(seed, **kept)

    def forked(*arguments):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                signal.alarm(int(sys.argv[4]))
                racing(*arguments)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        return pid

    said, ready = os.pipe()
    go, let = os.pipe()
    pids = [forked(seed, ready, go) for seed in seeds]
    os.read(said, 1), os.read(said, 1)
    os.write(let, b"..")
    codes, seen, torn = [], [], 0
    while len(codes) < 2:
        done, status = os.waitpid(-1, os.WNOHANG)
        if done:
            codes.append(os.waitstatus_to_exitcode(status))
        if path.exists():
            try:
                header, _ = checkpoint.load_archive(path, "checkpoint")
                seen.append(header["run"]["network's seed"])
            except ValueError:
                torn += 1
    ended = {}
    for seed in seeds:
        whole = fit(seed)
        try:
            ended[seed] = "same bits" if fit(seed, **kept) == whole else "other bits"
        except ValueError as error:
            ended[seed] = str(error)
    left = [p.name for p in path.parent.iterdir() if p != path]
    print(json.dumps([codes, sorted(set(seen)), torn, len(seen), ended, left]))
"""


def raced(path: Path, seeds: tuple[int, int], fault: str = "") -> Any:
    support = str(Path(__file__).parents[1] / "support")
    given = os.pathsep.join([os.environ.get("PYTHONPATH", ""), support])
    arguments = str(path), json.dumps(seeds), fault, str(HANG)
    return json.loads(printed_by(SCRIPT, *arguments, env={**os.environ, "PYTHONPATH": given}))


def test_one_run_twice_ends_as_one(tmp_path: Path, record: Any) -> None:
    reads = 0
    for _ in range(ROUNDS):
        codes, _, torn, n, ended, left = raced(tmp_path / "run", (1, 1))
        assert (codes, torn, left) == ([0, 0], 0, [])
        assert ended == {"1": "same bits"}
        (tmp_path / "run").unlink()
        reads += n
    record("one run in two processes on one checkpoint, reads meanwhile", reads, "0 torn")


def test_two_runs_leave_one_of_them_and_the_other_is_told(tmp_path: Path, record: Any) -> None:
    reads = 0
    for _ in range(ROUNDS):
        codes, seeds, torn, n, ended, left = raced(tmp_path / "run", (1, 2))
        assert (codes, torn, left) == ([0, 0], 0, [])
        assert set(seeds) <= {1, 2}
        same, told = sorted(ended.values(), key=len)
        assert same == "same bits"
        assert "holds another run: network's seed is" in told
        (tmp_path / "run").unlink()
        reads += n
    control = "a file written in place is torn: found"
    record("two runs in two processes on one checkpoint, reads meanwhile", reads, "0 torn", control)


def test_a_file_that_is_written_in_place_is_found_out(tmp_path: Path) -> None:
    _, _, torn, _, ended, _ = raced(tmp_path / "run", (1, 2), fault="in place")
    assert torn or "same bits" not in ended.values()
