"""What it takes to install fanin in a fresh environment and to train digits there.

``python -m benchmarks.studies.installation`` builds the checkout's wheel without a compiler cache,
installs it in new environments in another folder, with the newest NumPy and with the oldest that is
allowed, and prints a table. The bars: 20 s by the clock for the wheel and ``fanin train digits``
on a quiet machine; for the sources 120 s of CPU time for each of two cores, which other work does
not change much. Ends with exit code 1 where a bar is missed. ``--wheel`` measures a wheel that is
there already, ``--parts`` prints the longest parts of the build.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WHEEL_BAR, SOURCE_BAR, CORES = 20.0, 120.0, 2
# What would answer for the fresh machine: a cache, another NumPy's settings, other sources.
OURS = ("CCACHE", "CMAKE_CXX", "FANIN", "OPENBLAS", "OMP", "PYTHONPATH", "SKBUILD")


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, and of CPU time of all processes."""

    wall: float
    cpu: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu)


def run(command: Sequence[str | Path], folder: Path, **more: str) -> Cost:
    """The cost of a command; its output is shown where it fails."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=env | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, spent)


def fresh_environment(folder: Path) -> Path:
    """The folder of the commands of a new virtual environment."""
    venv.create(folder, with_pip=True)
    return folder / "bin"


def oldest_numpy() -> str:
    """The oldest NumPy that pyproject.toml allows and this Python runs on."""
    (bound,) = (
        match[1]
        for one in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
        if (match := re.fullmatch(r"numpy>=([\d.]+)", one))
    )
    first = {(3, 13): "2.1", (3, 14): "2.3.2"}.get(sys.version_info[:2], bound)
    return f"{first}.0" if first.count(".") == 0 else first


def build(folder: Path) -> tuple[Path, Cost]:
    """The wheel that pip builds of the checkout, as it does before it installs the sources."""
    commands = fresh_environment(folder / "build-env")
    command = [commands / "pip", "wheel", "--no-deps", "--wheel-dir", folder / "dist", ROOT]
    cost = run(command, folder, SKBUILD_BUILD_DIR=str(folder / "build"))
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel, cost


def install_and_train(wheel: Path, folder: Path, name: str, *more: str) -> tuple[str, Cost, Cost]:
    """The version of NumPy, and what installing and training cost in a new environment."""
    commands = fresh_environment(folder / f"{name}-env")
    elsewhere = folder / name
    elsewhere.mkdir()
    installed = run([commands / "pip", "install", wheel, *more], elsewhere)
    trained = run([commands / "fanin", "train", "digits", "--out", "run"], elsewhere)
    assert (elsewhere / "run/history.json").stat().st_size > 0
    version = [commands / "python", "-c", "import numpy; print(numpy.__version__)"]
    return subprocess.check_output(version, text=True).strip(), installed, trained


def parts(log: Path) -> Iterator[tuple[float, str]]:
    """(seconds by the clock, file) of what Ninja built, the longest first."""
    lines = [line.split("\t") for line in log.read_text().splitlines()[1:]]
    took = {name: (int(end) - int(begin)) / 1000 for begin, end, _, name, _ in lines}
    yield from sorted(((seconds, name) for name, seconds in took.items()), reverse=True)


def table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [rows[0], rule, *rows[1:]]
    ]
    return "\n".join(text)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--wheel", type=Path, help="a wheel to measure in place of a build")
    parser.add_argument("--parts", type=int, default=0, metavar="N", help="of the build, to list")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fanin-installation-"))
    rows = [["", "by the clock, s", "CPU, s", "bar, s"]]
    met = True
    try:
        wheel = arguments.wheel
        if wheel is None:
            wheel, cost = build(folder)
            share = cost.cpu / CORES
            met &= share <= SOURCE_BAR
            bar = f"{SOURCE_BAR:.0f} on {CORES} cores: {share:.0f}"
            rows.append(["wheel built of the sources", f"{cost.wall:.0f}", f"{cost.cpu:.0f}", bar])
            logs = (folder / "build").rglob(".ninja_log")
            for seconds, name in [one for log in logs for one in parts(log)][: arguments.parts]:
                print(f"{seconds:7.1f} s  {name}")
        wheel = wheel.resolve()
        for name, more in (("newest", ()), ("oldest", (f"numpy=={oldest_numpy()}",))):
            numpy, installed, trained = install_and_train(wheel, folder, name, *more)
            total = installed + trained
            met &= total.wall <= WHEEL_BAR
            for what, cost in (
                (f"pip install of the wheel, with NumPy {numpy}", installed),
                ("fanin train digits", trained),
                ("both", total),
            ):
                bar = f"{WHEEL_BAR:.0f}" if cost is total else ""
                rows.append([what, f"{cost.wall:.1f}", f"{cost.cpu:.1f}", bar])
    finally:
        shutil.rmtree(folder)
    print(table(rows))
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
