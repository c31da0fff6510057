"""A fit that is killed at random moments and resumed ends with the bits of one that was not."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from children import printed_by

from reliability import count

pytestmark = [
    pytest.mark.row("B2"),
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here"),
]

KILLS = count(5, 100)

# One process, in which nothing has trained yet, forks a fit for each kill: that takes milliseconds.
# The parent kills it after a random time, wherever it is then.
SCRIPT = """
    import json, os, random, select, shutil, signal, sys, time
    from pathlib import Path
    from checkpoint_cases import RUNS, fit, outcome
    from fanin.training import fit as module

    names, kills, fault, seed = json.loads(sys.argv[1])
    root, draw = Path(sys.argv[2]), random.Random(seed)
    module.CHUNK_SECONDS = 0.0  # a file after each step

    if fault == "the step of the epoch is dropped":
        restore = module.Fit._restore_epoch
        def from_its_first_step(self, epoch):
            restore(self, epoch)
            self.resumed_step = 0
        module.Fit._restore_epoch = from_its_first_step

    def forked(name, folder, **options):
        folder.mkdir(exist_ok=True)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                run = RUNS[name](folder)
                text = repr(outcome(run, fit(run, epochs=EPOCHS[name], n_threads=1, **options)))
                os.write(writing, (text + repr(files(folder))).encode())
                code = 0
            finally:
                os._exit(code)
        os.close(writing)
        return pid, reading

    def files(folder):
        own = [p for p in sorted(folder.iterdir()) if p.name != "run.ckpt"]
        # A killed process leaves the temporary file that it was writing.
        return [hash_of(p) for p in own if not p.name.startswith(".fanin-")]

    def hash_of(path):
        import hashlib
        return path.name, hashlib.sha256(path.read_bytes()).hexdigest()

    def ended(child):
        pid, reading = child
        with os.fdopen(reading, "rb") as pipe:
            text = pipe.read()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return status, text

    EPOCHS = dict.fromkeys(names, 12)
    result = dict(kills=0, amid=0, differ=0, runs=0)
    for name in names:
        folder = root / name
        began = time.monotonic()
        status, expected = ended(forked(name, folder))
        assert status == 0
        whole = time.monotonic() - began
        shutil.rmtree(folder)
        left = kills // len(names) + (names.index(name) < kills % len(names))
        while left:
            options = dict(checkpoint=folder / "run.ckpt", resume=True, every="0s")
            text = b""
            while not text:
                child = forked(name, folder, **options)
                if left and not select.select([child[1]], [], [], draw.uniform(0, 2 * whole))[0]:
                    os.kill(child[0], signal.SIGKILL)
                status, text = ended(child)
                assert fault or status in (0, -signal.SIGKILL), status
                if status == 1:
                    text = b"failed"
                elif status and left:
                    left -= 1
                    result["kills"] += 1
                    result["amid"] += (folder / "run.ckpt").exists()
            result["runs"] += 1
            result["differ"] += text != expected
            shutil.rmtree(folder)
            if fault and result["differ"]:
                left = 0
    print(json.dumps(result))
"""

NAMES = ["dropping", "watching", "mixup", "counting"]


def killed(folder: Path, kills: int, *, fault: str = "", names: list[str] = NAMES) -> Any:
    given = json.dumps([names, kills, fault, 1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([
        os.environ.get("PYTHONPATH", ""), str(Path(__file__).parents[1] / "support")])}  # fmt: skip
    return json.loads(printed_by(SCRIPT, given, str(folder), env=environment))


def test_killed_and_resumed(tmp_path: Path, record: Any) -> None:
    found = killed(tmp_path, KILLS)
    assert found["differ"] == 0
    assert found["kills"] == KILLS
    assert found["amid"] > 0
    record("a fit with checkpoints, killed and resumed", KILLS, "0 other bits",
           "the step of the epoch is lost: found")  # fmt: skip


def test_a_lost_position_in_the_epoch_is_found(tmp_path: Path) -> None:
    """The negative control."""
    found = killed(tmp_path, 8, fault="the step of the epoch is dropped", names=["dropping"])
    assert found["differ"] > 0
