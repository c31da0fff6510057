"""The interpreter's end while daemon threads are in compiled code: quiet, and with its status."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

import pytest
from children import HANG, run_python
from extensions import with_module

# Work without end, in a daemon thread, which tells of each call that is done. Where calls are
# short, many end while the interpreter does.
WORK = {
    "fit": "net.fit(X, y, epochs=10**6, batch_size=64, progress=False, callbacks=[told])",
    "long calls": "while True: net.scores(wide), done.release()",
    "short calls": "while True: net.scores(X[:64]), done.release()",
    "kernels": "while True: fanin.layers.dense(X, X.T.copy(), None), done.release()",
    "draws": "while True: fanin.random.Generator(0).normal(size=50_000), done.release()",
    "augmentation": "while True: pipeline(images), done.release()",
    "optimizer": "while True: adam.step(big, slope), done.release()",
}
END = {"the end": "", "sys.exit": "sys.exit({status})", "an error": "raise SystemExit({status})"}

CODE = """
    import sys, threading
    import numpy as np
    import fanin

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((512, 128), dtype=np.float32), np.arange(512) % 10
    wide = np.broadcast_to(X[:1], (100_000, 128)).copy() if {long} else X
    images = rng.integers(0, 256, (64, 32, 32, 3), dtype=np.uint8)
    pipeline = fanin.augment.Compose([fanin.augment.RandomRotation(30)], seed=0)
    adam, big, slope = fanin.optim.Adam(), np.ones(10**5, np.float32), np.ones(10**5, np.float32)
    done = threading.Semaphore(0)
    told = fanin.callbacks.LambdaCallback(on_epoch_end=lambda *_: done.release())

    def work():
        net = fanin.MLP([128, 512, 10])
        done.release()
        {work}

    for _ in range({threads}):
        threading.Thread(target=work, daemon=True).start()
    for _ in range({calls}):
        done.acquire()
    sys.stdout.write("ends")
    {end}
"""


@pytest.mark.parametrize("name", WORK)
@pytest.mark.parametrize("threads", [1, 3])
def test_the_interpreter_ends_quietly_beside_compiled_code(name: str, threads: int) -> None:
    for seed, end in enumerate(END.values()):
        status, long = 0 if not end else 7, name == "long calls"
        calls = 1 + seed if long else 1 + random.Random(f"{name} {seed}").randrange(30)
        code = CODE.format(
            work=WORK[name], threads=threads, calls=calls, end=end.format(status=status), long=long
        )
        done = run_python(code)
        assert (done.returncode, done.stderr, done.stdout) == (status, "", "ends")


def test_one_place_takes_the_gil() -> None:
    """pybind11's own guards end in an abort, which only luck shows: none is used."""
    bind = Path(__file__).parents[2] / "cpp" / "bind"
    if not bind.is_dir():
        pytest.skip("needs the sources")
    own = re.compile(r"gil_scoped_(release|acquire)|PyEval_(Save|Restore)Thread|PyGILState_Ensure")
    users = {p.name for p in bind.rglob("*.[ch]pp") if own.search(p.read_text(encoding="utf-8"))}
    assert users == {"gil.hpp"}


# Negative control: a module that takes the GIL back as pybind11 does is ended by an abort.

MODULE = """
#include <unistd.h>
#if PY_VERSION_HEX < 0x030d0000
#define Py_IsFinalizing _Py_IsFinalizing
#endif
PYBIND11_MODULE(unguarded, m) {
  m.def("rest", [] {
    pybind11::gil_scoped_release release;
    while (!Py_IsFinalizing()) usleep(1000);
  });
}
"""


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="CPython parks such threads itself")
def test_pybind11_alone_aborts(tmp_path: Path) -> None:
    code = """
        import threading, unguarded
        forever = threading.Event()
        for _ in range(3):
            threading.Thread(target=unguarded.rest, daemon=True).start()
        class Late:
            def __del__(self):
                forever.wait({hang})  # the interpreter's end takes until the abort
        late = Late()
    """.replace("{hang}", str(HANG))
    done = run_python(code, env=with_module(tmp_path, "unguarded", MODULE))
    assert done.returncode == -6
