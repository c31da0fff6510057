"""All tests of reliability, and a table of what they found.

    python -m tests.reliability                           # tier 1: what the suite runs anyway
    python -m tests.reliability --tier 2 --out docs/reliability.md
    python -m tests.reliability --tier 2 --only syscalls

Run from the checkout's root. Each file ``test_NAME.py`` is one test, with a negative control: a
fault put in on purpose, which the test must find. ``count(fast, full)`` of tests/support/
reliability.py gives the tier's sizes, the fixture `record` adds a row to the table. A test needs
neither root nor tools of the system: where strace or a compiler is missing, it skips and says so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
TRAINING = HERE.parent / "training"
ELSEWHERE = [TRAINING / "test_interrupt_sweep.py", TRAINING / "test_readers_during_fit.py"]
sys.path.insert(0, str(HERE.parent / "support"))

from reliability import FIGURES, HEAD, TIER, renew, rows_of  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(
        "tests.reliability", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--tier", type=int, choices=(1, 2), default=1)
    parser.add_argument("--only", metavar="NAME", action="append", help="test_NAME.py alone")
    parser.add_argument("--out", type=Path, help="a document whose table of figures to renew")
    options, others = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.jsonl"
        figures.touch()
        names = [f"test_{name}.py" for name in options.only or []]
        files = [next(HERE.parent.rglob(name)) for name in names] or [HERE, *ELSEWHERE]
        environment = {**os.environ, TIER: str(options.tier), FIGURES: str(figures)}
        command = [sys.executable, "-m", "pytest", "-q", "--durations=20", *others]
        done = subprocess.run([*command, *map(str, files)], env=environment, check=False)
        rows = rows_of([json.loads(line) for line in figures.read_text().splitlines()])
    print("\n".join([*HEAD, *rows.values()]))
    if options.out:
        renew(options.out, rows)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
