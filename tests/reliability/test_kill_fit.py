"""A fit that is killed at random moments and resumed ends with the bits of one that was not."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from children import printed_by, with_support

from reliability import count

pytestmark = [
    pytest.mark.row("B2"),
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here"),
]

KILLS = count(5, 100)

# One process, in which nothing has trained yet, forks a fit for each kill: that takes milliseconds.
# Each step of the child is a byte for the parent, which kills it after so many of them and a moment
# more, wherever it is then.
SCRIPT = """
    import json, os, random, select, shutil, signal, sys
    from pathlib import Path
    from checkpoint_cases import RUNS, fit, outcome
    from fanin.training import fit as module
    from fanin.training.checkpoint import CheckpointFile

    names, kills, fault, seed = json.loads(sys.argv[1])
    root, draw = Path(sys.argv[2]), random.Random(seed)
    module.CHUNK_SECONDS = 0.0  # a file after each step

    if fault == "the step of the epoch is dropped":
        restore = module.Fit._restore_epoch
        def from_its_first_step(self, epoch):
            restore(self, epoch)
            self.resumed_step = 0
        module.Fit._restore_epoch = from_its_first_step

    after_steps = CheckpointFile.after_steps

    def forked(name, folder, **options):
        folder.mkdir(exist_ok=True)
        reading, writing = os.pipe()
        stepped, step = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(stepped)

                def telling(file, run):
                    after_steps(file, run)
                    os.write(step, b".")

                CheckpointFile.after_steps = telling
                run = RUNS[name](folder)
                text = repr(outcome(run, fit(run, epochs=EPOCHS[name], n_threads=1, **options)))
                os.write(writing, (text + repr(files(folder))).encode())
                code = 0
            finally:
                os._exit(code)
        os.close(writing)
        os.close(step)
        return pid, reading, stepped

    def killed_after(child, steps, seconds):
        pid, reading, stepped = child
        while steps and os.read(stepped, 1):
            steps -= 1
        if not select.select([reading], [], [], seconds)[0]:  # it has not ended
            os.kill(pid, signal.SIGKILL)

    def files(folder):
        own = [p for p in sorted(folder.iterdir()) if p.name != "run.ckpt"]
        # A killed process leaves the temporary file that it was writing.
        return [hash_of(p) for p in own if not p.name.startswith(".fanin-")]

    def hash_of(path):
        import hashlib
        return path.name, hashlib.sha256(path.read_bytes()).hexdigest()

    def ended(child):
        pid, reading, stepped = child
        with os.fdopen(reading, "rb") as pipe:
            text = pipe.read()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(stepped)
        return status, text

    EPOCHS = dict.fromkeys(names, 12)
    result = dict(kills=0, amid=0, differ=0, runs=0)
    for name in names:
        folder = root / name
        status, expected = ended(forked(name, folder))
        assert status == 0
        shutil.rmtree(folder)
        left = kills // len(names) + (names.index(name) < kills % len(names))
        while left:
            options = dict(checkpoint=folder / "run.ckpt", resume=True, every="0s")
            text = b""
            while not text:
                child = forked(name, folder, **options)
                if left:
                    killed_after(child, draw.randint(0, 20), draw.uniform(0, 0.003))
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
    return json.loads(printed_by(SCRIPT, given, str(folder), env=with_support()))


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
