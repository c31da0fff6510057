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
from typing import Any

import pytest
from children import run

from reliability import tier_2

pytestmark = [tier_2, pytest.mark.skipif(sys.platform != "linux", reason="tools of Linux")]

ROOT = Path(__file__).parents[2]
SMOKE = Path(__file__).with_name("smoke.py")
TESTS = ["tests/layers", "tests/optim", "tests/network/test_blocks.py", "tests/augment"]
ISA = "avx2"  # valgrind knows no AVX-512
PATIENCE = 7200  # seconds
RUNS = 1_000_000  # of libFuzzer
THREADS = [
    "tests/training/test_steps.py",
    "tests/training/test_readers_during_fit.py",
    "tests/reliability/test_fork.py",
    # It runs without the environment that the detector needs.
    "--deselect=tests/reliability/test_fork.py::test_import_needs_no_home_and_no_site",
]

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
class Build:
    """How the core is compiled, and what Python needs to load it."""

    flags: str
    compiler: str = "g++"
    preload: tuple[str, ...] = ()  # libraries of the compiler
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Detector:
    """What looks at a build, and what it must say of calls of the module `faults`."""

    build: str
    faults: dict[str, str]
    tests: list[str]
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


ARCHER = "/usr/lib/llvm-16/lib/libarcher.so"
# Where Debian has what may be missing.
PACKAGES = {
    "clang++-16": "clang-16",
    "libclang_rt.tsan-x86_64.so": "libclang-rt-16-dev",
    ARCHER: "libomp-16-dev",
    "libasan.so": "libasan8",
    "libubsan.so": "libubsan1",
}
BUILDS = {
    "address": Build(
        "-fsanitize=address,undefined -fno-sanitize-recover=undefined -g1",
        preload=("libasan.so", "libubsan.so"),
        environment={
            "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
            "PYTHONMALLOC": "malloc",
        },
    ),
    "assertions": Build("-D_GLIBCXX_ASSERTIONS -g1"),
    "threads": Build(
        "-fsanitize=thread -shared-libsan -g1",
        compiler="clang++-16",
        preload=("libclang_rt.tsan-x86_64.so",),
        environment={
            # Without the last one it ends a child that forked from several threads.
            "TSAN_OPTIONS": "ignore_noninstrumented_modules=1:exitcode=66:die_after_fork=0",
            "OMP_TOOL_LIBRARIES": ARCHER,
            "LD_LIBRARY_PATH": str(Path(ARCHER).parent),
            "OMP_NUM_THREADS": "4",
        },
    ),
}
DETECTORS = {
    "address, undefined": Detector(
        "address",
        {"overflow(4)": "heap-buffer-overflow", "wrap(1)": "signed integer overflow"},
        TESTS,
    ),
    "leaks": Detector(  # of the same build; CPython leaks too, and is not ours
        "address",
        {"leak(9)": "LeakSanitizer: detected memory leaks"},
        [],
        environment={
            "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1",
            "LSAN_OPTIONS": "exitcode=0",
        },
    ),
    "assertions": Detector("assertions", {"bounds(4)": "__n < this->size()"}, TESTS),
    "threads": Detector("threads", {"race(10000000)": "data race"}, THREADS),
    "valgrind": Detector(  # under which the tests would take hours
        "assertions",
        {"overflow(4)": "Invalid read"},
        [],
        command=("valgrind", "-q", "--leak-check=no", "--fullpath-after="),
        environment={"PYTHONMALLOC": "malloc"},
    ),
}


def needs(thing: str, of: str = "") -> None:
    package = f" (Debian: {PACKAGES[thing]})" if thing in PACKAGES else ""
    pytest.skip(f"needs {thing}{of}{package}")


def folder_of(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = os.environ.get("FANIN_SANITIZER_BUILDS")
    folder = (Path(kept) if kept else tmp_path_factory.getbasetemp()) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Built:
    """The package with a core built for a detector, and the module of faults."""

    def __init__(self, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.name, self.detector = name, DETECTORS[name]
        self.how = BUILDS[self.detector.build]
        self.folder = folder_of(self.detector.build, tmp_path_factory)
        for tool in (self.how.compiler, "cmake", "ninja", *self.detector.command[:1]):
            if not shutil.which(tool):
                needs(tool)
        if self.detector.build == "threads" and not Path(ARCHER).exists():
            needs(ARCHER)
        self.pybind11 = pytest.importorskip("pybind11")
        self.preload = [self.library(name) for name in self.how.preload]
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        package = self.folder / "python" / "fanin"
        shutil.rmtree(package, ignore_errors=True)
        ignored = shutil.ignore_patterns("_core.*.so", "__pycache__")
        shutil.copytree(ROOT / "python" / "fanin", package, ignore=ignored)
        shutil.copy(self.core(), package / f"_core{suffix}")
        self.compile_faults(self.folder / "python" / f"faults{suffix}")

    def library(self, name: str) -> str:
        compiler = self.how.compiler
        found = run([compiler, f"-print-file-name={name}"], check=True).stdout.strip()
        if not Path(found).is_absolute():
            needs(name, f" of {compiler}")
        return found

    def core(self) -> Path:
        options = {
            "CMAKE_BUILD_TYPE": "None",
            "CMAKE_CXX_COMPILER": self.how.compiler,
            "CMAKE_CXX_FLAGS": self.how.flags,
            "FANIN_OPTIMIZE": "-O1",
            "FANIN_ISAS": ISA,
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
        flags = [*self.how.flags.split(), "-O0", "-std=c++17", "-shared", "-fPIC"]
        command = [self.how.compiler, *flags, *includes, source, "-o", to]
        run(command, check=True)

    def python(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        environment = os.environ | self.how.environment | self.detector.environment
        environment["PYTHONPATH"] = str(self.folder / "python")
        environment["FANIN_ISA"] = ISA
        before = [f"LD_PRELOAD={' '.join(self.preload)}"] if self.preload else []
        command = ["env", *before, *self.detector.command, sys.executable, *map(str, arguments)]
        return run(command, env=environment, cwd=ROOT, timeout=PATIENCE)


@pytest.fixture(scope="module", params=DETECTORS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(request.param, tmp_path_factory)


def ours(report: str) -> list[str]:
    """What is said of our code; of CPython's own there is much (reads of small integers, leaks)."""
    blocks = re.split(r"^(?:==\d+==)? *$", report, flags=re.MULTILINE)
    return [block for block in blocks if re.search(r"/cpp/\w+/|_core\.|faults\.c", block)]


def test_nothing_is_found_in_the_core(built: Built, record: Any) -> None:
    done = built.python(SMOKE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["done"]
    assert ours(done.stderr) == []
    control = f"{len(built.detector.faults)} seeded, found"
    record(f"{built.name}: {ISA} and the bindings, a smoke of all", 1, "0 found", control)


def test_nothing_is_found_by_the_tests(built: Built, record: Any) -> None:
    """The seeds and shapes of the suite."""
    if not built.detector.tests:
        pytest.skip("the smoke alone")
    options = ["-q", "-s", "-x", "-m", "not slow", "-p", "no:cacheprovider"]
    done = built.python("-m", "pytest", *options, *built.detector.tests)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    n = int(re.findall(r"(\d+) passed", done.stdout)[-1])
    control = f"{len(built.detector.faults)} seeded, found"
    record(f"{built.name}: {ISA} and the bindings, tests", n, "0 found", control)


def test_the_detector_finds_a_fault(built: Built) -> None:
    for fault, report in built.detector.faults.items():
        done = built.python("-c", f"import faults; faults.{fault}")
        assert report in done.stderr
        assert done.returncode != 0 or ours(done.stderr)


def test_what_is_read_as_text(tmp_path: Path, record: Any) -> None:
    """Sizes and quotas of the environment: all that C++ parses, no file is among it."""
    compiler = "clang++-16"
    if not shutil.which(compiler):
        needs(compiler)
    kinds = "-fsanitize=fuzzer,address,undefined,float-cast-overflow"
    flags = [kinds, "-fno-sanitize-recover=all", "-std=c++20", "-g1", "-O1", f"-I{ROOT / 'cpp'}"]
    source = Path(__file__).with_name("fuzz_environment.cpp")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name, text in {"size": "64 k", "quota": "150000 1e5"}.items():
        (corpus / name).write_text(text)

    def fuzzed(*more: str) -> subprocess.CompletedProcess[str]:
        program = tmp_path / "fuzz"
        done = run([compiler, *flags, *more, source, "-o", program])
        if "libclang_rt.fuzzer" in done.stderr:
            needs("libclang_rt.tsan-x86_64.so")
        assert done.returncode == 0, done.stderr
        return run([program, f"-runs={RUNS}", "-seed=1", "-max_len=64", corpus], cwd=tmp_path)

    done = fuzzed()
    assert done.returncode == 0, done.stderr[-3000:]
    assert "outside the range" in fuzzed("-DSEEDED_FAULT").stderr
    record("libFuzzer: sizes and quotas, all that C++ parses", RUNS, "0 found", "1 seeded, found")
