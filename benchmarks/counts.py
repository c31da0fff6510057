"""A gate against slower kernels that needs no clock: instructions, counted.

Callgrind counts what each kernel executes on AVX2 and without SIMD; it knows no AVX-512, so for
that the instructions in the loop of each tile are counted in the object file. Counts are one
compiler's: the baseline, counts.json, names it, and with another one nothing is compared.

``python -m benchmarks.counts FOLDER`` compares the build of tests/kernels in FOLDER;
``--rewrite`` makes its counts the baseline.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.hot_loops import tile_loops

BASELINE = Path(__file__).with_suffix(".json")
TOLERANCE = 0.03
COUNTED = ("avx2", "scalar")
LEAST_ACCUMULATORS = 8  # of a tile whose loop is compared

Counts = dict[str, float]


def compiler_of(program: Path) -> str:
    """What compiled a program, by its own note."""
    comment = subprocess.run(
        ["readelf", "-p", ".comment", program], check=True, capture_output=True, text=True
    ).stdout
    versions = re.findall(r"\]\s+(.+)", comment)
    return " + ".join(sorted(set(versions)))


def callgrind(program: Path, isa: str) -> Counts:
    """Instructions of each case of ``run_kernels ISA few``."""
    with tempfile.TemporaryDirectory() as folder:
        output = f"--callgrind-out-file={folder}/counts"
        subprocess.run(
            ["valgrind", "--quiet", "--tool=callgrind", output, str(program), isa, "few"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        counts = {}
        for dump in Path(folder).iterdir():
            text = dump.read_text(encoding="utf-8")
            name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
            total = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
            if name and total:
                counts[f"{isa} {name[1]}"] = float(total[1])
    return counts


def loops(compiled: Path) -> Counts:
    """Instructions a step in the slowest loop of each tile."""
    counts: Counts = {}
    for loop in tile_loops(compiled):
        if loop.accumulators >= LEAST_ACCUMULATORS:
            name = f"{loop.isa} tile {loop.shape()} {loop.dtype}"
            counts[name] = max(counts.get(name, 0), round(loop.per_step(), 2))
    return counts


def differences(baseline: Counts, counts: Counts) -> list[str]:
    """A line for each count that is not within the tolerance of its baseline."""
    lines = []
    for name in sorted(baseline.keys() | counts.keys()):
        if name not in counts:
            lines.append(f"{name}: in the baseline only")
        elif name not in baseline:
            lines.append(f"{name}: not in the baseline")
        elif abs(counts[name] / baseline[name] - 1) > TOLERANCE:
            change = counts[name] / baseline[name] - 1
            lines.append(f"{name}: {baseline[name]:.9g} -> {counts[name]:.9g} ({change:+.1%})")
    return lines


def table(baseline: Counts, counts: Counts) -> str:
    """The counts that changed at all, beside their baseline."""
    changed = {k: n for k, n in sorted(counts.items()) if k in baseline and baseline[k] != n}
    width = max(map(len, changed), default=0)
    lines = [f"{len(counts)} counts, {len(changed)} of them changed"]
    for name, count in changed.items():
        before = baseline[name]
        lines.append(f"{name:{width}} {before:12.9g} {count:12.9g} {count / before - 1:+7.1%}")
    return "\n".join(lines)


def measure(folder: Path) -> Counts:
    program = folder / "run_kernels"
    (avx512,) = folder.rglob("avx512.cpp.o")
    counts = loops(avx512)
    for isa in COUNTED:
        counts |= callgrind(program, isa)
    return dict(sorted(counts.items()))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts", description=__doc__)
    parser.add_argument("folder", type=Path, help="a build of tests/kernels")
    parser.add_argument("--rewrite", action="store_true", help="make the counts the baseline")
    options = parser.parse_args(arguments)
    for tool in ("valgrind", "objdump", "readelf"):
        if not shutil.which(tool):
            print(f"counts: {tool} is missing", file=sys.stderr)
            return 1
    compiler = compiler_of(options.folder / "run_kernels")
    if options.rewrite:
        counts = measure(options.folder)
        text = json.dumps({"compiler": compiler, "counts": counts}, indent=1)
        BASELINE.write_text(text + "\n", encoding="utf-8")
        print(f"{BASELINE}: {len(counts)} counts of {compiler}")
        return 0
    saved = json.loads(BASELINE.read_text(encoding="utf-8"))
    if saved["compiler"] != compiler:
        print(f"counts: not compared: {compiler} here, {saved['compiler']} in the baseline")
        return 0
    counts = measure(options.folder)
    print(table(saved["counts"], counts))
    wrong = differences(saved["counts"], counts)
    if wrong:
        print(f"\n{len(wrong)} counts differ from {BASELINE.name} by more than {TOLERANCE:.0%}:")
        print("\n".join(wrong))
        print(f"If that is meant: python -m benchmarks.counts {options.folder} --rewrite")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
