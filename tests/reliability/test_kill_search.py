"""A search that is killed and resumed leaves the log of an uninterrupted one, on any executor."""

from __future__ import annotations

import json
import signal
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from children import HANG, run

from conftest import Record
from reliability import count

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")

SUPPORT = str(Path(__file__).parents[1] / "support")

# One process that forks a search for each kill.
SCRIPT = """
    import json, multiprocessing, os, sys, threading
    sys.path.insert(0, {support!r})
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
    from contextlib import nullcontext
    from pathlib import Path
    import numpy as np
    import fanin
    from fanin.tuning import loguniform, search
    from kills import run_once, run_with_kills

    def end_with_the_parent():
        parent = multiprocessing.parent_process()

        def wait():
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, daemon=True).start()

    def executor(kind):
        if kind == "threads":
            return ThreadPoolExecutor(3)
        if kind == "dask":
            from distributed import Client
            return Client(sys.argv[2])
        if kind == "processes":
            spawn = multiprocessing.get_context("spawn")
            return ProcessPoolExecutor(2, mp_context=spawn, initializer=end_with_the_parent)
        return nullcontext()

    # So wide that trials do not train in batches, of which the lines are written at once.
    def work(log, kind, prune, fault):
        def run(moments):
            if fault:
                fault()
            with executor(kind) as pool:
                search({{"lr": loguniform(1e-4, 1e3), "reg": loguniform(1e-5, 1)}}, (X, y), 12,
                       epochs=3, hidden=65, optimizer="momentum", batch_size=16, prune=prune,
                       validation_data=(X[:40], y[:40]), executor=pool, log=log, progress=False,
                       n_threads=1)
        return run

    def forget_scores():
        runner = sys.modules["fanin.tuning.search.runner"]
        known = runner.from_line
        runner.from_line = lambda line: known({{**line, "score": 0.0}})

    if __name__ == "__main__":
        root, fault, *plans = json.loads(sys.argv[1])
        root, fault = Path(root), forget_scores if fault else None
        X = fanin.random.Generator(0).standard_normal((160, 5), dtype="float32")
        y = (X[:, 0] > X[:, 1]).astype(np.int64)
        result = {{"kills": 0, "differ": 0}}
        whole = {{}}
        for kind, prune, kills, seed in plans:
            if (kind, prune) not in whole:
                code, moments = run_once(work(root / "whole.jsonl", kind, prune, fault))
                assert code == 0
                whole[kind, prune] = (root / "whole.jsonl").read_bytes(), moments
                (root / "whole.jsonl").unlink()
            text, moments = whole[kind, prune]
            log = root / "killed.jsonl"
            most = max(moments // (kills + 1), 2)
            result["kills"] += run_with_kills(work(log, kind, prune, fault), kills, most, seed)
            result["differ"] += log.read_bytes() != text
            log.unlink()
        print(json.dumps(result))
"""


def killed(
    tmp_path: Path, plans: list[tuple[str, str | None, int, int]], fault: bool, cluster: str = ""
) -> Any:
    """How many kills there were, and how many of the logs are others."""
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(SCRIPT).format(support=SUPPORT))
    arguments = json.dumps([str(tmp_path), fault, *plans])
    return json.loads(last_line(script, arguments, cluster))


def last_line(script: Path, *arguments: str) -> str:
    """What the script prints last, in a process group of its own."""
    done = run([sys.executable, script, *arguments], start_new_session=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.row("B2")
@pytest.mark.parametrize("kind", ["serial", "threads", "processes"])
def test_a_killed_search_ends_with_the_same_bytes(
    tmp_path: Path, kind: str, record: Record
) -> None:
    slow = kind == "processes"  # each of which imports everything
    ways = [None, "median", "halving"][: count(1, 3) if slow else 3]
    plans = [(kind, prune, count(1, 3), seed) for seed in range(count(1, 12)) for prune in ways]
    result = killed(tmp_path, plans, fault=False)
    assert result["kills"] >= count(1, 60)  # a run may end before its moment
    assert result["differ"] == 0
    control = "caught: scores of logged trials are forgotten"
    record(f"search, {kind}, killed at writes", result["kills"], "0 other logs", control)


@pytest.mark.row("B2")
def test_a_search_that_is_killed_beside_its_dask_cluster_ends_with_the_same_bytes(
    tmp_path: Path, client: Any, record: Record
) -> None:
    """The cluster lives on, and drops what the killed search has asked for."""
    ways = [None, "median", "halving"][: count(1, 3)]
    plans = [("dask", prune, count(2, 3), seed) for seed in range(count(1, 12)) for prune in ways]
    result = killed(tmp_path, plans, False, client.scheduler.address)
    assert result["kills"] >= count(1, 60)
    assert result["differ"] == 0
    control = "caught: scores of logged trials are forgotten"
    record("search, Dask cluster, killed at writes", result["kills"], "0 other logs", control)


def test_a_search_that_forgets_scores_is_caught(tmp_path: Path) -> None:
    plans = [("serial", "halving", 1, seed) for seed in range(3)]
    assert killed(tmp_path, plans, fault=True)["differ"] > 0


# Ctrl-C in workers, and workers that end

# A gate in the searching process tells the workers which of them sends the signal, and when.
INTERRUPTED = """
    import json, multiprocessing, os, select, signal, sys, threading
    from collections import Counter
    from concurrent.futures import ProcessPoolExecutor
    from contextlib import suppress
    from multiprocessing.connection import Client as Caller, Listener
    from pathlib import Path
    from fanin.tuning import search, uniform

    FOLDER = Path(sys.argv[1])

    def call_the_gate():
        caller = Caller(tuple(json.loads((FOLDER / "gate").read_text())))
        caller.send(os.getpid())
        return caller

    def objective(params):
        with call_the_gate() as gate:
            sends = gate.recv()
        if sends:
            {send}
            threading.Event().wait({hang})  # for the signal
        return params["x"]

    class Gate:
        # All in one thread: the main one may be interrupted at any line.
        def __init__(self):
            self.listener = Listener(("127.0.0.1", 0))
            (FOLDER / "gate").write_text(json.dumps(self.listener.address))
            self.calls, self.ends, self.waiting, self.sent = Counter(), {{}}, [], False
            threading.Thread(target=self.serve, daemon=True).start()

        def serve(self):
            while True:
                with suppress(EOFError, OSError):  # of a worker that has ended
                    caller = self.listener.accept()
                    pid = caller.recv()
                    if pid != os.getpid():
                        self.waiting.append((pid, caller))
                        self.ends.setdefault(pid, os.pidfd_open(pid))
                    self.calls[pid] += 1
                    self.answer()

        def answer(self):
            # Once both workers and the search, with a trial that is logged, have called, the next
            # one sends; until then each leaves trials to the other.
            ready, waiting, self.waiting = len(self.calls) > 2, self.waiting, []
            for pid, caller in waiting:
                if ready or self.calls[pid] <= 3:
                    sends, self.sent = ready and not self.sent, ready
                    with suppress(OSError):
                        caller.send(sends)
                else:
                    self.waiting.append((pid, caller))

        def alive(self):
            return [pid for pid, end in self.ends.items()
                    if not select.select([end], [], [], {hang})[0]]

    if __name__ == "__main__":
        signal.signal(signal.SIGINT, signal.default_int_handler)
        told = {{}}
        gate = Gate()
        for attempt in ("first", "again"):
            {begin}
            try:
                result = search({{"x": uniform(0, 1)}}, objective, 30, executor=pool,
                                log=FOLDER / "trials.jsonl", progress=False,
                                callbacks=[lambda trial: call_the_gate().close()])
                told[attempt] = [result.interrupted, len(result)]
            except KeyboardInterrupt:
                told[attempt] = "KeyboardInterrupt"
            {end}
        told["alive"] = gate.alive()
        told["statuses"] = sorted({{t.status for t in result}})
        print(json.dumps(told))
"""
POOL = {
    "begin": "pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context('spawn'))",
    "end": "pool.shutdown(cancel_futures=True)",
}
CLUSTER = {
    "begin": "from distributed import Client, LocalCluster; pool = Client(LocalCluster("
    "n_workers=2, threads_per_worker=1, dashboard_address='127.0.0.1:0', host='127.0.0.1'))",
    "end": "pool.cluster.close(); pool.close()",
}
SEND = {
    "the worker": "os.kill(os.getpid(), signal.SIGINT)",
    "all": "os.killpg(os.getpgid(0), signal.SIGINT)",
}


def interrupted(tmp_path: Path, pool: dict[str, str], send: str) -> dict[str, Any]:
    script = tmp_path / "child.py"
    code = textwrap.dedent(INTERRUPTED).format(**pool, send=send, hang=HANG // 2)
    script.write_text(code)
    told: dict[str, Any] = json.loads(last_line(script, str(tmp_path)))
    return told


def check_interrupted(told: dict[str, Any], record: Record, what: str) -> None:
    stopped, n_done = told["first"]
    assert stopped
    assert 0 < n_done < 30
    assert told["again"] == [False, 30]
    assert told["statuses"] == ["done"]
    assert told["alive"] == []
    record(what, 1, "ended, resumed, 0 processes left")


@pytest.mark.row("B2")
@pytest.mark.parametrize("send", SEND)
def test_ctrl_c_in_a_process_ends_the_search(tmp_path: Path, send: str, record: Record) -> None:
    told = interrupted(tmp_path, POOL, SEND[send])
    check_interrupted(told, record, f"search, processes, SIGINT to {send}")


@pytest.mark.row("B2")
@pytest.mark.filterwarnings("default")
def test_ctrl_c_in_a_dask_cluster_ends_the_search(tmp_path: Path, record: Record) -> None:
    pytest.importorskip("distributed")
    told = interrupted(tmp_path, CLUSTER, SEND["all"])
    check_interrupted(told, record, "search, Dask cluster, SIGINT to all")


@pytest.mark.row("B2")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_a_dask_worker_that_is_lost_loses_no_trial(
    tmp_path: Path, name: str, record: Record
) -> None:
    """Dask starts another one."""
    pytest.importorskip("distributed")
    told = interrupted(tmp_path, CLUSTER, f"os.kill(os.getpid(), signal.{name})")
    assert told == {"first": [False, 30], "again": [False, 30], "alive": [], "statuses": ["done"]}
    record(f"search, Dask cluster, {name} to a worker", 1, "all trials done, 0 processes left")
