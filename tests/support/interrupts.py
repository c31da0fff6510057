"""A child process that is interrupted while it works."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from typing import Any

PROMISED, SLACK = 0.2, 0.3  # seconds; the slack is for a loaded machine

# The child works, is interrupted, and prints when it noticed. time.monotonic is one clock for all
# processes of a machine.
CHILD = """
    import json, signal, sys, time
    import numpy as np
    import fanin

    signal.signal(signal.SIGINT, signal.default_int_handler)

    def data(n, d, classes=10):
        rng = np.random.default_rng(0)
        return rng.standard_normal((n, d), dtype=np.float32), rng.integers(0, classes, n)

    {setup}

    print("ready", flush=True)
    result = {{}}
    try:
        {work}
    except KeyboardInterrupt:
        result["at"] = time.monotonic()
    {after}
    print(json.dumps(result))
"""


def interrupted(setup: str, work: str, after: str = "", delay: float = 0.5) -> dict[str, Any]:
    """Runs the child, interrupts it `delay` seconds after it began to work; seconds in "late"."""
    parts = {"setup": setup, "work": work, "after": after}
    indents = {"setup": 4, "work": 8, "after": 4}
    blocks = {
        name: textwrap.indent(textwrap.dedent(text).strip(), " " * indents[name]).lstrip()
        for name, text in parts.items()
    }
    code = textwrap.dedent(CHILD.format(**blocks))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        ready = child.stdout.readline()
        time.sleep(delay)
        sent = time.monotonic()
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
        output, errors = child.communicate(timeout=120)
    assert ready == "ready\n", errors
    assert child.returncode == 0, errors
    result: dict[str, Any] = json.loads(output)
    assert "at" in result, "the work ended before the signal, or swallowed it"
    result["late"] = result["at"] - sent
    print(f"KeyboardInterrupt {1000 * result['late']:.0f} ms after the signal")
    assert 0 <= result["late"] < PROMISED + SLACK
    return result
