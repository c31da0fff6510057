"""The suite itself: in any order, by two workers, as nobody, read-only, without a network.

Tier 2; each of its five runs takes as long as the suite does, and has all of this at once, as far
as this machine allows it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from children import run

from reliability import tier_2

pytestmark = tier_2

ROOT = Path(__file__).parents[2]
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
LEFT_OUT = shutil.ignore_patterns(".git", "__pycache__", "build", "*.egg-info", ".venv")
LONG = 20_000  # seconds; what takes so long hangs
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
# A machine without a network still has itself.
LOOPBACK = (
    "import fcntl, socket; s = socket.socket(); "
    r"fcntl.ioctl(s, 0x8914, b'lo'.ljust(16, b'\0') + b'\x41' + bytes(23))"
)
OFFLINE = [
    *("unshare", "-n" if os.geteuid() == 0 else "-rn", "sh", "-c"),
    *('"$0" -c "$1" && shift && exec "$@"', sys.executable, LOOPBACK),
]


def conditions() -> dict[str, list[str]]:
    """What a command is to begin with for each of them that can be had here."""
    ways = {"no network": OFFLINE, "as nobody": NOBODY if os.geteuid() == 0 else []}
    return {name: way for name, way in ways.items() if works(way)}


def works(way: list[str]) -> bool:
    try:
        return run([*way, sys.executable, "-c", ""]).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy that its user cannot write."""
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444)
    for path in [tmp_path, *tmp_path.parents][:3]:
        path.chmod(0o755)
    return copy


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_suite_depends_on_nothing(seed: int, checkout: Path, record: Any) -> None:
    for package in ("xdist", "pytest_randomly"):
        pytest.importorskip(package)
    scratch = checkout.parent / "scratch"
    scratch.mkdir()
    scratch.chmod(0o777)
    environment = {**os.environ, "HOME": str(scratch), "TMPDIR": str(scratch)}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "FANIN_RELIABILITY_TIER": "1"}
    if list((ROOT / "python" / "fanin").glob("_core*.so")):  # else it is installed
        environment["PYTHONPATH"] = str(checkout / "python")
    held = conditions()
    before = [word for way in held.values() for word in way]
    command = [*before, sys.executable, *PYTEST, "-n", "2", f"--randomly-seed={seed}"]
    done = run(command, cwd=checkout, env=environment, timeout=LONG)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    line = done.stdout.strip().splitlines()[-1]
    (n,) = re.findall(r"(\d+) passed", line)
    what = ", ".join(["two workers", "read-only", *held, f"random order {seed}"])
    record(f"the suite: {what}", int(n), "0 failed", "two tests that share a list: found")


def test_an_order_that_matters_is_found_out(tmp_path: Path) -> None:
    pytest.importorskip("pytest_randomly")
    lines = ["seen = []"]
    for i in range(6):
        lines += [f"def test_{i}():", f"    assert len(seen) == {i}", f"    seen.append({i})"]
    (tmp_path / "test_order.py").write_text("\n".join(lines))
    codes = [
        run([sys.executable, *PYTEST, f"--randomly-seed={seed}", tmp_path]).returncode
        for seed in range(1, 4)
    ]
    assert any(codes)
