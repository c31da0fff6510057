"""Small faults in kernels, optimizers, files and checkpoints: the tests find each that matters.

Those that no test finds are read, and stand below with the reason. Tests of these modules run again
for each fault, which takes an hour on two cores.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import kernel_mutants
import mutants
import pytest
from children import HANG, run

from fanin import _core
from reliability import tier_2

KERNEL_MUTANTS = 66

MODULES = {
    "fanin.optim.rules": ["tests/optim"],
    "fanin.optim.base": ["tests/optim"],
    "fanin.checkpoint": ["tests/ground/test_checkpoint.py"],
    "fanin._files": ["tests/ground", "tests/reliability/test_atomic_write.py"],
    "fanin._json": ["tests/ground/test_json.py"],
    "fanin.training.checkpoint": [
        "tests/training/test_resume.py",
        "tests/training/test_checkpoint_signals.py",
    ],
}
# Module, then the line and what is changed in it, and why no test can or need find it.
FLAT = "NumPy takes -2 for -1"
BLOCKS = "larger blocks, the same result"
READ: dict[str, dict[tuple[str, str], str]] = {
    "fanin.optim.rules": {
        ("if factor < 1 and math.isfinite(norm):", "factor < 1 -> (factor <= 1)"): "times 1"
    },
    "fanin._json": {
        ("BLOCK = 1 << 24  # bytes between which Ctrl-C is looked for", "1 -> (2)"): BLOCKS,
        ("BLOCK = 1 << 24  # bytes between which Ctrl-C is looked for", "24 -> (25)"): BLOCKS,
        ("data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data", "1 -> (2)"): FLAT,
    },
    "fanin.checkpoint": {
        ("_CHUNK = 1 << 20", "1 -> (2)"): BLOCKS,
        ("_CHUNK = 1 << 20", "20 -> (21)"): BLOCKS,
        ("rest = out.reshape(-1).view(np.uint8).data", "1 -> (2)"): FLAT,
        ("digest = hashlib.sha256(array.reshape(-1).view(np.uint8).data)", "1 -> (2)"): FLAT,
        ("values = array.reshape(-1).view(np.uint8).data", "1 -> (2)"): FLAT,
        (
            "if sum(info.file_size for info in infos) > size or len(members) != len(infos):",
            (
                "sum(info.file_size for info in infos) > size -> "
                "(sum((info.file_size for info in infos)) >= size)"
            ),
        ): "an archive is longer than its members",
        (
            'raise EOFError("it ends too early")',
            'raise EOFError("it ends too early") -> pass',
        ): "zipfile raises it first",
        ("self.file.read(1)  # nothing, but zipfile compares the CRC", "1 -> (2)"): "the end",
        (
            'with archive.open(info, "w", force_zip64=size > zipfile.ZIP64_LIMIT) as file:',
            "size > zipfile.ZIP64_LIMIT -> (size >= zipfile.ZIP64_LIMIT)",
        ): "a member may have the larger header",
    },
}


@tier_2
@pytest.mark.skipif(os.name != "posix", reason="forks")
@pytest.mark.parametrize("name", MODULES)
def test_faults_are_found(name: str, record: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    total, left = mutants.run(name, MODULES[name])
    unread = [str(m) for m in left if m.key not in READ.get(name, {})]
    assert not unread, "\n".join(unread)
    result = f"{total - len(left)} found, the {len(left)} others read"
    record(f"faults in {name}", total, result, "tests that assert nothing: none found")


# Of kernels: file, line and what is changed in it, and why the result is the same.
NOTHING = "an empty panel, of which nothing is packed"
ONE = "on AVX2 a panel is one Vec wide"
READ_KERNELS: dict[tuple[str, str, str], str] = {
    (
        "gemm.inl.hpp",
        "const Panel next = walk.done() ? Panel{at.k0, at.k0, at.j, 0, 0} : walk.panel();",
        "0 at 62",
    ): NOTHING,
    (
        "gemm.inl.hpp",
        "const Panel next = walk.done() ? Panel{at.k0, at.k0, at.j, 0, 0} : walk.panel();",
        "0 at 59",
    ): NOTHING,
    (
        "gemm.inl.hpp",
        "if (stride % L != 0) return 0;",
        "0 at 28",
    ): "rows may begin anywhere in a line of the cache",
    ("gemm.inl.hpp", "} else if (at.vecs == 2) {", "== at 19"): ONE,
    (
        "pack.inl.hpp",
        "const int width = vecs >= panel_vecs ? panel_vecs : vecs >= 2 ? 2 : 1;",
        ">= at 23",
    ): ONE,
    ("pack.inl.hpp", "const T* b = p.b + at.k0 + (at.j + v * L) * p.b_j;", "+ at 33"): ONE,
    (
        "gemm.inl.hpp",
        "const bool in_place = plain && (n <= 6 || (n <= unpacked_rows && !far) || p.b_k <= block_columns);",  # noqa: E501
        "|| at 39",
    ): "packed or not, the same sums",
    (
        "dense.inl.hpp",
        "sum_columns<T, 1>(d, j, static_cast<int>(cols.end - j < L ? cols.end - j : L));",
        "< at 54",
    ): "a whole Vec either way",
    (
        "gemm.inl.hpp",
        "Sharing(index tiles, index depth, const Panel& next) : copies(next.vecs % 2 == 0 ? 2 : 1) {",  # noqa: E501
        "% at 72",
    ): "how tiles share the copying",
    (
        "image_layout.inl.hpp",
        "if (run > 0) first += m.columns.from[m.columns.step > 0 ? begin : begin + run - 1] * C;",
        "> at 8",
    ): "no pixel of an empty run is read",
    (
        "loss.inl.hpp",
        "SoftmaxParts<T> parts{T(0), spread ? T(0) : s[target.label] - largest, T(1)};",
        "0 at 24",
    ): "written over",
}


@tier_2
@pytest.mark.skipif(sys.platform != "linux", reason="builds with GCC or clang, and forks")
def test_faults_in_kernels_are_found(
    record: Any, tmp_path_factory: pytest.TempPathFactory, sources: Path
) -> None:
    for tool in ("cmake", "ninja"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    pytest.importorskip("pybind11")
    if kernel_mutants.ISA not in _core.supported_isas():
        pytest.skip(f"needs {kernel_mutants.ISA}")
    kept = os.environ.get("FANIN_SANITIZER_BUILDS")
    folder = Path(kept) / "assertions" if kept else tmp_path_factory.mktemp("mutants")
    command = [sys.executable, kernel_mutants.__file__, folder, "--number", KERNEL_MUTANTS]
    done = run([str(word) for word in command], cwd=sources, timeout=10 * HANG)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    left = [kernel_mutants.Mutant(**one) for one in found["left"]]
    unread = [str(one) for one in left if one.key not in READ_KERNELS]
    assert not unread, "\n".join(unread)
    result = f"{found['total'] - len(left)} found, the {len(left)} others change no result"
    record("faults in kernels", found["total"], result, "mutant 0, no fault: not found")


def test_mutants_of_a_kernel() -> None:
    lines = [
        "#pragma once",
        "template <int n, class T>",
        "FANIN_INLINE Vec<T> f(const T* p, index n) {",
        "  total += fma(x, Vec<T>::set(T(2)), y) * a.scale;  // twice: 2",
        "  if (n < 16 && p) return -x + 0x1p-53f;",
    ]
    found = list(kernel_mutants.mutants_of("f.inl.hpp", "\n".join(lines)))
    changes = [(m.line, m.before) for m in found]
    assert changes == [
        (4, "fma"), (4, "2"), (4, "*"), (4, "total += fma(x, Vec<T>::set(T(2)), y) * a.scale;"),
        (5, "<"), (5, "16"), (5, "&&"), (5, "+"),
    ]  # fmt: skip
    made = kernel_mutants.with_mutants("\n".join(lines), {i + 1: m for i, m in enumerate(found)})
    assert made.splitlines() == [
        "#pragma once",
        '#include "mutation.hpp"',
        *lines[1:3],
        (
            "  if (!mutation::is<4>()) { total += mutation::fma_<1>(x, Vec<T>::set(T("
            "mutation::next<2>(2))), y) * mutation::Times<3>() * a.scale; }  // twice: 2"
        ),
        (
            "  if (n < mutation::Less<5>() < mutation::next<6>(16) && (mutation::is<7>() || ( p))) "
            "return -x + mutation::Plus<8>() + 0x1p-53f;"
        ),
    ]


SOURCE = """
def clipped(x: int = 3) -> int:
    \"\"\"Text.\"\"\"
    if x > 5 and not x == 7:
        raise ValueError(f"x: {x + 1}")
    return x - 1
"""


def test_what_is_changed() -> None:
    changes = {(m.before, m.after) for m in mutants.mutants(SOURCE)}
    assert changes == {
        ("3", "(4)"),
        ("x > 5 and not x == 7", "(x > 5 or not x == 7)"),
        ("x > 5", "(x >= 5)"),
        ("5", "(6)"),
        ("not x == 7", "(x == 7)"),
        ("x == 7", "(x != 7)"),
        ("7", "(8)"),
        ('raise ValueError(f"x: {x + 1}")', "pass"),
        ("return x - 1", "return None"),
        ("x - 1", "(x + 1)"),
        ("1", "(2)"),
    }


def test_tests_that_assert_nothing_find_nothing(tmp_path: Path) -> None:
    blind, seeing = tmp_path / "test_blind.py", tmp_path / "test_seeing.py"
    blind.write_text("from fanin import schedules\ndef test():\n    schedules.Constant()\n")
    seeing.write_text("from fanin import schedules\ndef test():\n    assert schedules.ONE == 1\n")
    import fanin.schedules

    path = str(fanin.schedules.__file__)
    source = Path(path).read_text() + "\nONE = 2\n"
    options = ["-c", os.devnull, "--rootdir", str(tmp_path)]
    assert mutants.survives("fanin.schedules", path, source, [*options, str(blind)])
    assert not mutants.survives("fanin.schedules", path, source, [*options, str(seeing)])
