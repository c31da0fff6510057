"""What an installed fanin promises its host: nothing started, nothing changed, nothing leaked."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import sys
from pathlib import Path

import kernel_builds
import pytest
from children import HANG, run, run_python

import fanin
from fanin import _core

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_version_is_one():
    assert importlib.metadata.version("fanin") == fanin.__version__ == _core.__version__


@pytest.mark.parametrize("name", ["py.typed", "_core.pyi"])
def test_types_are_installed(name):
    assert (Path(fanin.__file__).parent / name).is_file()


def test_license_and_command_are_installed():
    distribution = importlib.metadata.distribution("fanin")
    assert distribution.metadata["License-Expression"] == "MIT"
    assert any(str(f).endswith("licenses/LICENSE") for f in distribution.files or [])
    (command,) = distribution.entry_points.select(group="console_scripts", name="fanin")
    assert command.value == "fanin.cli:main"


def test_run_time_needs_only_numpy_and_tqdm():
    needs = importlib.metadata.requires("fanin") or []
    names = {re.match(r"[\w.-]+", n).group() for n in needs if "extra ==" not in n}
    assert names == {"numpy", "tqdm"}


# Importing


@linux_only
def test_import_starts_no_thread(run_isa):
    code = """
        import os, threading
        import numpy  # its BLAS starts threads of its own
        before = len(os.listdir("/proc/self/task")), threading.active_count()
        import fanin
        print(before == (len(os.listdir("/proc/self/task")), threading.active_count()))
    """
    assert run_isa(code).split() == ["True"]


def test_import_leaves_the_process_as_it_was(run_isa):
    code = """
        import locale, os, random, signal, sys, warnings
        import numpy
        def state():
            handlers = [signal.getsignal(s) for s in signal.valid_signals()]
            return (dict(os.environ), handlers, os.getcwd(), sys.path[:], list(warnings.filters),
                    locale.setlocale(locale.LC_ALL), random.getstate(), numpy.geterr(),
                    repr(numpy.random.get_state()), sys.getrecursionlimit(), sys.excepthook)
        before = state()
        import fanin
        print([i for i, (a, b) in enumerate(zip(before, state())) if a != b])
    """
    assert run_isa(code).strip() == "[]"


@linux_only
def test_import_leaves_the_environment_of_c_code(run_isa):
    code = """
        import ctypes, numpy
        getenv = ctypes.CDLL(None).getenv
        getenv.restype = ctypes.c_char_p
        names = [b"GOMP_SPINCOUNT", b"OMP_NUM_THREADS", b"OMP_WAIT_POLICY", b"KMP_BLOCKTIME"]
        before = [getenv(n) for n in names]
        import fanin
        print(before == [getenv(n) for n in names])
    """
    assert run_isa(code).split() == ["True"]


def test_import_brings_in_no_extra(run_isa):
    code = """
        import sys, fanin
        heavy = {"matplotlib", "PIL", "sklearn", "torch", "scipy", "pandas", "tqdm", "jax"}
        print(sorted(heavy & set(sys.modules)))
    """
    assert run_isa(code).strip() == "[]"


def test_denormals_survive_import_and_kernels(run_isa):
    code = """
        import threading, numpy as np, fanin
        tiny, one = np.float32(1e-40), np.float32(1)
        def kept():
            return bool(tiny * one != 0) and bool(np.float64(1e-310) * np.float64(1) != 0)
        seen = [kept()]
        x = np.full((256, 256), 0.5, np.float32)
        fanin.layers.dense(x, x, None, activation="relu", n_threads=2)
        seen.append(kept())
        thread = threading.Thread(target=lambda: seen.append(kept()))
        thread.start()
        thread.join()
        print(all(seen), len(seen))
    """
    assert run_isa(code).split() == ["True", "3"]


def test_unknown_isa_fails_at_import_with_the_list(monkeypatch):
    monkeypatch.setenv("FANIN_ISA", "bogus")
    done = run_python("import fanin")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: FANIN_ISA: ")
    assert "'bogus'" in last
    assert all(name in last for name in _core.supported_isas())


def test_every_isa_can_be_had(isa, run_isa):
    assert run_isa("import fanin\nprint(fanin._core.isa())", isa).strip() == isa


# Processes


@linux_only
def test_child_of_a_fork_computes_the_same(run_isa):
    code = f"""
        import os, signal, warnings
        warnings.simplefilter("ignore")  # Python 3.12 warns of fork beside threads
        import numpy as np, fanin
        x = np.linspace(-1, 1, 512 * 512, dtype=np.float32).reshape(512, 512)
        def work():
            return fanin.layers.dense(x, x, None, activation="relu", n_threads=2).tobytes()
        expected = work()
        for _ in range(3):
            child = os.fork()
            if child == 0:
                signal.alarm({HANG // 6})  # which ends a child that hangs
                os._exit(0 if work() == expected else 1)
            _, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status), work() == expected)
    """
    assert run_isa(code).split() == ["0", "True"] * 3


# Sources


def test_one_omp_pragma(sources):
    found = [
        str(path.relative_to(sources / "cpp"))
        for path in sorted((sources / "cpp").rglob("*.[ch]pp"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s*#\s*pragma\s+omp\b", line) or "_Pragma(" in line
    ]
    assert found == ["core/parallel.cpp"]


def leaks(compiled: Path, isa: str) -> list[str]:
    """Symbols of the object that the linker may merge with those of other objects."""
    symbols = run(["nm", "-C", "--defined-only", str(compiled)], check=True).stdout
    mergeable = re.findall(r"^[0-9a-f]+ [WVu] (.*)$", symbols, re.MULTILINE)
    # A name with the ISA's namespace in it is its own; DW.ref.* is a pointer, no code, and clang's
    # way to std::terminate is two calls.
    harmless = (rf"fanin::{isa}::", r"^DW\.ref\.", r"^__clang_call_terminate$")
    return [name for name in mergeable if not any(re.search(h, name) for h in harmless)]


needs_gcc = pytest.mark.skipif(
    platform.machine() != "x86_64" or not (shutil.which("g++") and shutil.which("nm")),
    reason="needs g++ and nm on x86-64",
)


@needs_gcc
@pytest.mark.slow
@pytest.mark.parametrize("isa", ["avx2", "avx512", "amx"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_code_of_an_instruction_set_leaks(compiler, isa):
    assert leaks(kernel_builds.kernel_object(compiler, isa), isa) == []


@needs_gcc
def test_the_leak_detector_detects(tmp_path):
    source, compiled = tmp_path / "leaky.cpp", tmp_path / "leaky.o"
    source.write_text(
        "namespace fanin::avx2 { template <class T> T inner(T x) { return x + 1; }\n"
        "template int inner<int>(int); }\n"
        "inline int leaked(int x) { return x; }\n"
        "int (*use)(int) = &leaked;\n"
    )
    run(["g++", "-O1", "-c", source, "-o", compiled], check=True)
    assert leaks(compiled, "avx2") == ["leaked(int)"]
