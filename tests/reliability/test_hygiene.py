"""The suite itself: in any order, by two workers, not as root, in a checkout that is read-only.

Tier 2, on the folders of `HALF`; the whole suite takes an hour and more of this on two cores.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from children import run

from reliability import tier_2

pytestmark = tier_2

ROOT = Path(__file__).parents[2]
HALF = "ground optim layers preprocessing callbacks diagnostics datasets document cli"
FOLDERS = [f"tests/{name}" for name in HALF.split()]
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
LONG = 6000  # seconds; what takes so long hangs


def pytest_of(*options: str, root: Path = ROOT, before: tuple[str, ...] = ()) -> Any:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "FANIN_RELIABILITY_TIER": "1"}
    given: dict[str, Any] = {"cwd": root, "env": environment, "timeout": LONG}
    folders = [name for name in FOLDERS if (root / name).is_dir()]
    return run([*before, sys.executable, *PYTEST, *options, *folders], **given)


def passed(done: Any) -> str:
    """The last line of pytest, which must tell of no failure."""
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return str(done.stdout.strip().splitlines()[-1])


@pytest.mark.parametrize("seed", range(1, 6))
def test_random_order(seed: int, record: Any) -> None:
    pytest.importorskip("pytest_randomly")
    line = passed(pytest_of(f"--randomly-seed={seed}"))
    record(f"half the suite in random order, seed {seed}", 1, line, "two tests that share a list")


def test_two_workers(record: Any) -> None:
    pytest.importorskip("xdist")
    record("half the suite by two workers", 1, passed(pytest_of("-n", "2")))


def test_without_network(record: Any) -> None:
    if run(["unshare", "-rn", "true"]).returncode:
        pytest.skip("unshare -n is not allowed here")
    line = passed(pytest_of(before=("unshare", "-rn")))
    record("half the suite without a network", 1, line)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy that its user cannot write."""
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", "__pycache__", "build"))
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444)
    for path in [tmp_path, *tmp_path.parents][:3]:
        path.chmod(0o755)
    return copy


def test_not_root_and_a_checkout_that_cannot_be_written(checkout: Path, record: Any) -> None:
    nobody: tuple[str, ...] = ()
    if os.geteuid() == 0:
        nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        if run([*nobody, sys.executable, "-c", ""]).returncode:
            pytest.skip("no setpriv, or an interpreter that only root may read")
    scratch = checkout.parent / "scratch"
    scratch.mkdir()
    scratch.chmod(0o777)
    home = ("env", f"HOME={scratch}", f"TMPDIR={scratch}", f"PYTHONPATH={checkout / 'python'}")
    line = passed(pytest_of(root=checkout, before=(*nobody, *home)))
    record("half the suite as nobody, in a checkout that cannot be written", 1, line)


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
