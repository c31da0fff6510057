"""Ctrl-C while compiled code is at work: by events, so that no machine is too fast or too slow."""

from __future__ import annotations

import json
import os
import textwrap
from typing import Any

from children import HANG, printed_by

# A thread that waits for the GIL sends the signal. With so long a switch interval it gets the GIL
# only where it is released, which the compiled function does and the code up to its call does not:
# the function has begun when the signal comes, and has not ended.
CHILD = """
    import json, os, signal, sys, threading
    from functools import partial
    from itertools import starmap
    import numpy as np
    import fanin
    from fanin import _core

    signal.signal(signal.SIGINT, signal.default_int_handler)

    def data(n, d, classes=10):
        rng = np.random.default_rng(0)
        return rng.standard_normal((n, d), dtype=np.float32), rng.integers(0, classes, n)

    {setup}

    result, calls = {{}}, 0
    begun = threading.Lock()
    begun.acquire()

    def send():
        begun.acquire()
        result["sent in"] = calls
        os.kill(os.getpid(), signal.SIGINT)

    *path, name = "{native}".split(".")
    owner = getattr(_core, *path) if path else _core
    native = getattr(owner, name)

    def counted(*arguments, **options):
        global calls
        calls += 1
        if calls == {call}:
            begun.release()
        returned = []  # extend looks for no signal before it has added what came back
        try:
            returned.extend(starmap(partial(native, **options), [arguments]))
        except KeyboardInterrupt:
            result["inside"] = not returned
            raise
        return returned[0]

    setattr(owner, name, counted)
    threading.Thread(target=send, daemon=True).start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval({hang})
    try:
        {work}
    except KeyboardInterrupt:
        result["calls"] = calls
    sys.setswitchinterval(interval)
    {after}
    print(json.dumps(result))
"""


def interrupted(
    setup: str, work: str, after: str = "", *, native: str, call: int = 1, inside: bool = False
) -> dict[str, Any]:
    """What a child found out that was sent SIGINT in a compiled function.

    Parameters
    ----------
    setup, work, after : str
        The child's code: before, what is interrupted, and what adds to `result`.
    native : str
        The function in `_core`, such as "Engine32.train".
    call : int
        Of the function, in which the signal comes. Where calls are too short for a thread to come
        in between, it comes later, in this or another compiled function.
    inside : bool
        Whether the call is so long that it must not come to its end.
    """
    parts = {"setup": setup, "work": work, "after": after}
    indents = {"setup": 4, "work": 8, "after": 4}
    blocks = {
        name: textwrap.indent(textwrap.dedent(text).strip(), " " * indents[name]).lstrip()
        for name, text in parts.items()
    }
    code = CHILD.format(**blocks, native=native, call=call, hang=HANG)
    # On a busy machine the threads of NumPy's LAPACK spend seconds waiting for each other.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    result: dict[str, Any] = json.loads(printed_by(code, env=environment))
    assert "calls" in result, "the work ended before the signal, or swallowed it"
    assert result["calls"] == result["sent in"] >= call, "another call began after the signal"
    if inside:
        assert result.get("inside"), "the call went on to its end"
    return result
