"""Detectors of faults of memory and threads over the core, each with a fault that it must find.

Each builds what it needs, the whole core within minutes, in FANIN_SANITIZER_BUILDS or a temporary
folder:  python -m tests.reliability --tier 2 --only sanitizers
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from children import run

from reliability import tier_2

pytestmark = [tier_2, pytest.mark.skipif(sys.platform != "linux", reason="tools of Linux")]

ROOT = Path(__file__).parents[2]
SMOKE = Path(__file__).with_name("smoke.py")
TESTS = ["tests/layers", "tests/optim", "tests/network/test_blocks.py", "tests/augment"]
THREADS = ["tests/training/test_steps.py", "tests/reliability/test_fork.py"]

# What the detectors must find, in a module of its own.
FAULTS = r"""
#include <pybind11/pybind11.h>
#include <thread>
#include <vector>
PYBIND11_MODULE(faults, m) {
  m.def("overflow", [](int n) { std::vector<int> a(4); volatile int* p = a.data(); return p[n]; });
  m.def("bounds", [](int n) { std::vector<int> a(4); return a[static_cast<unsigned>(n)]; });
  m.def("wrap", [](int n) { return n + 2147483647; });
  m.def("leak", [](int n) { auto* volatile p = new int[static_cast<unsigned>(n)]; p[0] = 1; });
  m.def("race", [](int n) {
    int shared = 0;
    const auto add = [&] { for (int i = 0; i < n; ++i) ++shared; };
    std::thread a(add), b(add);
    a.join(), b.join();
    return shared;
  });
}
"""


@dataclass(frozen=True)
class Detector:
    """A build with flags, and how Python is run with it."""

    flags: str
    fault: str  # a call of the module `faults` ...
    report: str  # ... and what is said of it
    compiler: str = "g++"
    command: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()  # libraries of the compiler
    environment: dict[str, str] = field(default_factory=dict)


ASAN = {"ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1", "PYTHONMALLOC": "malloc"}
TSAN = "ignore_noninstrumented_modules=1:exitcode=66"
DETECTORS = {
    "address": Detector(
        "-fsanitize=address,undefined -fno-sanitize-recover=undefined -g",
        "overflow(4)",
        "heap-buffer-overflow",
        preload=("libasan.so", "libubsan.so"),
        environment=ASAN,
    ),
    "undefined": Detector(
        "-fsanitize=address,undefined -fno-sanitize-recover=undefined -g",
        "wrap(1)",
        "signed integer overflow",
        preload=("libasan.so", "libubsan.so"),
        environment=ASAN,
    ),
    "assertions": Detector("-O2 -D_GLIBCXX_ASSERTIONS", "bounds(4)", "__n < this->size()"),
    "threads": Detector(
        "-fsanitize=thread -shared-libsan -g",
        "race(100000)",
        "data race",
        compiler="clang++-16",
        preload=("libclang_rt.tsan-x86_64.so",),
        environment={
            "TSAN_OPTIONS": TSAN,
            "OMP_TOOL_LIBRARIES": "/usr/lib/llvm-16/lib/libarcher.so",
            "LD_LIBRARY_PATH": "/usr/lib/llvm-16/lib",
            "OMP_NUM_THREADS": "4",
        },
    ),
    "valgrind": Detector(
        "-O1 -g",
        "overflow(4)",
        "Invalid read",
        command=("valgrind", "-q", "--leak-check=no", "--fullpath-after="),
        environment={"PYTHONMALLOC": "malloc"},
    ),
}


def folder_of(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = os.environ.get("FANIN_SANITIZER_BUILDS")
    folder = Path(kept) / name if kept else tmp_path_factory.mktemp(name)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Built:
    """The package with a core built for a detector, and the module of faults."""

    def __init__(self, name: str, folder: Path) -> None:
        self.detector, self.folder = DETECTORS[name], folder
        detector = self.detector
        for tool in {detector.compiler, "cmake", "ninja", *detector.command[:1]}:
            if not shutil.which(tool):
                pytest.skip(f"needs {tool}")
        self.pybind11 = pytest.importorskip("pybind11")
        self.preload = [self.library(name) for name in detector.preload]
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        package = folder / "python" / "fanin"
        shutil.rmtree(package, ignore_errors=True)
        ignored = shutil.ignore_patterns("_core.*.so", "__pycache__")
        shutil.copytree(ROOT / "python" / "fanin", package, ignore=ignored)
        shutil.copy(self.core(), package / f"_core{suffix}")
        self.compile_faults(folder / "python" / f"faults{suffix}")

    def library(self, name: str) -> str:
        detector = self.detector
        found = run([detector.compiler, f"-print-file-name={name}"], check=True).stdout.strip()
        if not Path(found).is_absolute():
            pytest.skip(f"needs {name} of {detector.compiler}")
        return found

    def core(self) -> Path:
        options = {
            "CMAKE_BUILD_TYPE": "None",
            "CMAKE_CXX_COMPILER": self.detector.compiler,
            "CMAKE_CXX_FLAGS": self.detector.flags,
            "FANIN_ISAS": "avx2;scalar",
            "pybind11_DIR": self.pybind11.get_cmake_dir(),
            "Python_EXECUTABLE": sys.executable,
        }
        given = [f"-D{key}={value}" for key, value in options.items()]
        build = self.folder / "build"
        subprocess.run(["cmake", "-G", "Ninja", "-S", ROOT, "-B", build, *given], check=True)
        subprocess.run(["cmake", "--build", build], check=True)
        (core,) = build.glob("_core.*.so")
        return core

    def compile_faults(self, to: Path) -> None:
        source = self.folder / "faults.cpp"
        source.write_text(FAULTS)
        includes = [f"-I{self.pybind11.get_include()}", f"-I{sysconfig.get_path('include')}"]
        flags = [*self.detector.flags.split(), "-O0", "-std=c++17", "-shared", "-fPIC"]
        command = [self.detector.compiler, *flags, *includes, source, "-o", to]
        run(command, check=True)

    def python(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        environment = os.environ | self.detector.environment
        environment["PYTHONPATH"] = str(self.folder / "python")
        environment["FANIN_ISA"] = "avx2"
        before = [f"LD_PRELOAD={' '.join(self.preload)}"] if self.preload else []
        command = ["env", *before, *self.detector.command, sys.executable, *map(str, arguments)]
        return run(command, env=environment, cwd=ROOT)


@pytest.fixture(scope="module", params=DETECTORS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(request.param, folder_of(request.param, tmp_path_factory))


def ours(report: str) -> list[str]:
    """What valgrind says of our code; of CPython's own it says much (reads of small integers)."""
    blocks = re.split(r"^==\d+== *$", report, flags=re.MULTILINE)
    return [block for block in blocks if re.search(r"/cpp/\w+/|_core\.|faults\.c", block)]


def test_nothing_is_found_in_the_core(built: Built) -> None:
    done = built.python(SMOKE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["done"]
    assert ours(done.stderr) == []


def test_nothing_is_found_by_the_tests(built: Built) -> None:
    """The seeds and shapes of the suite; under valgrind they would take hours."""
    if built.detector.command:
        pytest.skip("valgrind runs the smoke alone")
    tests = THREADS if "thread" in built.detector.flags else TESTS
    options = ["-q", "-s", "-x", "-m", "not slow", "-p", "no:cacheprovider"]
    done = built.python("-m", "pytest", *options, *tests)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]


def test_the_detector_finds_a_fault(built: Built) -> None:
    done = built.python("-c", f"import faults; faults.{built.detector.fault}")
    assert built.detector.report in done.stderr
    assert ours(done.stderr) if built.detector.command else done.returncode != 0


# Leaks, of the kernels' program, which is ours to its end.


def test_the_kernels_leak_nothing(tmp_path: Path) -> None:
    for tool in ("cmake", "ninja", "g++"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    flags = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -g"
    options = [f"-DCMAKE_CXX_FLAGS={flags}", "-DFANIN_ISAS=avx2;scalar", "-DCMAKE_BUILD_TYPE=None"]
    source = ROOT / "tests" / "kernels"
    subprocess.run(["cmake", "-G", "Ninja", "-S", source, "-B", tmp_path, *options], check=True)
    subprocess.run(["cmake", "--build", tmp_path], check=True)
    for isa in ("avx2", "scalar"):
        done = run([tmp_path / "run_kernels", isa])
        assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "leak.cpp").write_text("int main() { auto* volatile p = new int[9]; p = nullptr; }")
    run(["g++", *flags.split(), tmp_path / "leak.cpp", "-o", tmp_path / "leak"], check=True)
    assert "LeakSanitizer" in run([tmp_path / "leak"]).stderr
