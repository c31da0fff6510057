"""Processes that tests start, and the only time that they wait for."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HANG = 600  # seconds; what takes so long hangs


def run(command: Sequence[Any], **options: Any) -> subprocess.CompletedProcess[str]:
    """A command's exit code and what it printed; `options` are those of `subprocess.run`."""
    given = {"capture_output": True, "text": True, "check": False, "timeout": HANG} | options
    return subprocess.run(command, **given)


def run_python(code: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The same of a snippet in a fresh interpreter."""
    return run([sys.executable, "-c", textwrap.dedent(code), *arguments], **options)


def printed_by(code: str, *arguments: str, **options: Any) -> str:
    """What a snippet prints, which must end well."""
    done = run_python(code, *arguments, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def with_support() -> dict[str, str]:
    """The environment of a child that imports modules of this folder."""
    paths = [os.environ.get("PYTHONPATH", ""), str(Path(__file__).parent)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
