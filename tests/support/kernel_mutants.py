"""Small faults put into the kernels on purpose, and whether the tests find them.

    python tests/support/kernel_mutants.py FOLDER [--number 60] [--only N]

FOLDER keeps a build for AVX2. All mutants are compiled at once, into a copy: `mutation.hpp` makes
each change where FANIN_MUTANT has its number, so a mutant costs no more than the tests that run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import mutants

ROOT = Path(__file__).parents[2]
ISA = "avx2"

# Sources, and the tests that look at them.
FAMILIES = {
    "optimizer.inl.hpp": ["tests/optim/test_optim.py"],
    "optimizer.cpp": ["tests/optim/test_optim.py"],
    "gemm.inl.hpp": ["tests/layers/test_dense.py"],
    "pack.inl.hpp": ["tests/layers/test_dense.py"],
    "dense.inl.hpp": ["tests/layers/test_dense.py"],
    "dropout.inl.hpp": ["tests/layers/test_dropout.py"],
    "random.inl.hpp": ["tests/ground/test_random.py", "tests/layers/test_dropout.py"],
    "loss.inl.hpp": [
        "tests/ground/test_losses.py",
        "tests/ground/test_loss_kinds.py",
        "tests/estimators/test_estimator_losses.py",
    ],
    "image_layout.inl.hpp": [
        "tests/augment/test_augment_geometry.py",
        "tests/augment/test_augment_compose.py",
    ],
}
UNITS = (f"isa/{ISA}.cpp", f"isa/{ISA}_image.cpp", "kernels/optimizer.cpp")  # that include these

OPERATORS = {
    "+": "Plus", "-": "Minus", "*": "Times", "/": "Over", "%": "Modulo", "<": "Less",
    "<=": "LessOrEqual", ">": "Greater", ">=": "GreaterOrEqual", "==": "Equal", "!=": "Unequal",
    "^": "Xor", "<<": "ShiftLeft", ">>": "ShiftRight",
}  # fmt: skip
# Lines without a result of their own; what is prefetched is none either.
NOT_RUN = re.compile(
    r"\s*(#|//|template|static_assert|struct|using|case\b|explicit)|.*(constexpr|prefetch)"
)
STATEMENT = re.compile(r"\s+(?!return|const|if|for|else|while|auto)[\w.\[\]>*-]+( [+*-]?= |\().*;$")
TOKEN = re.compile(
    r"(?P<operator>(?<= )(?:<<|>>|[<>=!]=|[-+*/%<>^])(?= ))|(?P<joined>(?<= )(?:&&|\|\|)(?= ))"
    r"|(?P<call>(?<![\w:.])(?:fma|fnma|max|min)(?=\())|(?P<number>(?<![\w.<'-])\d+(?![\w.>']))"
)


@dataclass(frozen=True)
class Mutant:
    """A change of one line: at `at` stands `before`."""

    file: str
    line: int
    at: int
    before: str
    text: str  # of the line

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is called, wherever the line moves."""
        column = len(self.text[: self.at].lstrip())
        return self.file, self.text.strip(), f"{self.before} at {column}"

    def drawn(self) -> str:
        return hashlib.sha256(repr(self.key).encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text.strip()}  [{self.key[2]}]"


def mutants_of(file: str, source: str) -> Iterator[Mutant]:
    """Each operator, number and exchangeable call of the lines that run, and each statement."""
    for number, text in enumerate(source.splitlines(), 1):
        if NOT_RUN.match(text):
            continue
        code = text.partition("//")[0].rstrip()
        for token in TOKEN.finditer(code):
            yield Mutant(file, number, token.start(), token[0], text)
        if STATEMENT.match(code):
            yield Mutant(file, number, len(code) - len(code.lstrip()), code.strip(), text)


def _end_of_term(code: str, begin: int) -> int:
    """Where what is joined by && or || ends."""
    depth = 0
    for i in range(begin, len(code)):
        depth += (code[i] in "([{") - (code[i] in ")]}")
        joined = code[i : i + 4] in (" && ", " || ")
        if depth < 0 or (depth == 0 and (code[i] in ";,?:" or joined)):
            return i
    return len(code)


def _insertions(mutant: Mutant, number: int) -> list[tuple[int, int, str]]:
    """What to put into the line: the place, what is skipped there, the text."""
    begin, end, what = mutant.at, mutant.at + len(mutant.before), mutant.before
    if what in OPERATORS:
        return [(end, 0, f" mutation::{OPERATORS[what]}<{number}>() {what}")]
    if what in ("&&", "||"):
        left_out = (
            f"mutation::is<{number}>() ||" if what == "&&" else f"!mutation::is<{number}>() &&"
        )
        return [(end, 0, f" ({left_out} ("), (_end_of_term(mutant.text, end), 0, "))")]
    if what in ("fma", "fnma", "max", "min"):
        return [(begin, len(what), f"mutation::{what}_<{number}>")]
    if what.isdigit():
        return [(begin, len(what), f"mutation::next<{number}>({what})")]
    return [(begin, 0, f"if (!mutation::is<{number}>()) {{ "), (end, 0, " }")]


def with_mutants(source: str, chosen: dict[int, Mutant]) -> str:
    """The source with these mutants, by the numbers that choose them."""
    lines = source.splitlines()
    by_line: dict[int, list[tuple[int, int, str]]] = {}
    for number, mutant in chosen.items():
        by_line.setdefault(mutant.line, []).extend(_insertions(mutant, number))
    for line, insertions in by_line.items():
        text = lines[line - 1]
        for at, skipped, new in sorted(insertions, key=lambda i: i[0], reverse=True):
            text = text[:at] + new + text[at + skipped :]
        lines[line - 1] = text
    first = 1 if lines[0] == "#pragma once" else 0
    return "\n".join([*lines[:first], '#include "mutation.hpp"', *lines[first:], ""])


class Core:
    """A build of the core, and one like it with mutants."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.build = folder, folder / "build"
        self.mutated = folder / "mutated"
        self.package = folder / "mutated_python"

    def configure(self) -> None:
        import pybind11

        options = {
            "CMAKE_BUILD_TYPE": "None",
            "CMAKE_EXPORT_COMPILE_COMMANDS": "ON",
            "FANIN_OPTIMIZE": "-O1",
            "FANIN_ISAS": ISA,
            "pybind11_DIR": pybind11.get_cmake_dir(),
            "Python_EXECUTABLE": sys.executable,
        }
        given = [f"-D{key}={value}" for key, value in options.items()]
        if not (self.build / "build.ninja").exists():
            subprocess.run(
                ["cmake", "-G", "Ninja", "-S", ROOT, "-B", self.build, *given], check=True
            )
        subprocess.run(["cmake", "--build", self.build], check=True)

    def _unit_command(self, unit: str, *extra: str) -> list[str]:
        """How a source is compiled, the mutated headers before the others."""
        entries = json.loads((self.build / "compile_commands.json").read_text())
        (entry,) = (e for e in entries if e["file"].endswith(f"/cpp/{unit}"))
        words = shlex.split(entry["command"])
        out = words.index("-o")
        own = self.mutated / unit
        source = own if own.exists() else Path(entry["file"])
        command = [w for i, w in enumerate(words) if i not in (out, out + 1)][:-2]
        first = next(i for i, w in enumerate(command) if w.startswith("-"))
        command.insert(first, f"-I{self.mutated}")
        return [*command, *extra, "-c", str(source)]

    def write(self, chosen: dict[int, Mutant]) -> None:
        shutil.rmtree(self.mutated, ignore_errors=True)
        (self.mutated / "kernels").mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("mutation.hpp"), self.mutated)
        for file in FAMILIES:
            mine = {number: m for number, m in chosen.items() if m.file == file}
            source = (ROOT / "cpp" / "kernels" / file).read_text()
            (self.mutated / "kernels" / file).write_text(with_mutants(source, mine))

    def errors(self, chosen: dict[int, Mutant]) -> set[int]:
        """Numbers of mutants that do not compile."""
        bad: set[int] = set()
        for unit in UNITS:
            command = self._unit_command(unit, "-fsyntax-only", "-fmax-errors=0", "-Werror=vla")
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            bad |= _blamed(done.stderr, chosen)
            if done.returncode and not bad:
                raise RuntimeError(done.stderr[-3000:])
        return bad

    def compile(self) -> None:
        """The package with the core that has the mutants."""
        objects = {}
        for unit in UNITS:
            out = self.mutated / f"{unit.replace('/', '_')}.o"
            subprocess.run([*self._unit_command(unit), "-o", out], check=True)
            objects[unit] = str(out)
        tool = ["ninja", "-C", str(self.build), "-t", "commands"]
        commands = subprocess.run(tool, capture_output=True, text=True, check=True).stdout
        link = next(line for line in reversed(commands.splitlines()) if " -shared " in line)
        words = [w for w in shlex.split(link.split("&&")[1]) if w != ":"]
        for unit, out in objects.items():
            words = [out if w.endswith(f"cpp/{unit}.o") else w for w in words]
        package = self.package / "fanin"
        shutil.rmtree(package, ignore_errors=True)
        ignored = shutil.ignore_patterns("_core.*.so", "__pycache__")
        shutil.copytree(ROOT / "python" / "fanin", package, ignore=ignored)
        words[words.index("-o") + 1] = str(
            package / f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
        )
        subprocess.run(words, cwd=self.build, check=True)


def _blamed(errors: str, chosen: dict[int, Mutant]) -> set[int]:
    """Whom a compiler's errors are about: the mutants they name, or those of the line."""
    by_line: dict[tuple[str, int], set[int]] = {}
    for number, mutant in chosen.items():
        by_line.setdefault((mutant.file, mutant.line), set()).add(number)
    bad: set[int] = set()
    for block in re.split(r"(?m)^(?=.*(?:: error: ))", errors)[1:]:
        head = block.splitlines()[0]
        place = re.match(r".*/kernels/([\w.]+):(\d+):\d+: error:", head)
        if place and (place[1], int(place[2])) in by_line:
            bad |= by_line[place[1], int(place[2])]
        else:
            bad |= {int(n) for n in re.findall(r"\bN = (\d+)", block)}
            bad |= {int(n) for n in re.findall(r"mutation::\w+<(\d+)", block)}
    return bad & chosen.keys()


def sample(number: int) -> list[Mutant]:
    """So many mutants of all families, the same ones until their lines change."""
    drawn = []
    for file in FAMILIES:
        found = sorted(
            mutants_of(file, (ROOT / "cpp" / "kernels" / file).read_text()), key=Mutant.drawn
        )
        drawn += [(i / len(found) ** 0.5, m) for i, m in enumerate(found)]
    return [m for _, m in sorted(drawn, key=lambda d: (d[0], d[1].file))[:number]]


def survives(number: int, tests: Sequence[str]) -> bool:
    os.environ["FANIN_MUTANT"] = str(number)
    os.environ["FANIN_ISA"] = ISA
    return mutants.passes(tests)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--number", type=int, default=60)
    parser.add_argument("--only", type=int, action="append", help="mutants by their numbers")
    options = parser.parse_args()
    core = Core(options.folder.resolve())
    core.configure()
    chosen = dict(enumerate(sample(options.number), 1))
    core.write(chosen)
    while bad := core.errors(chosen):
        chosen = {n: m for n, m in chosen.items() if n not in bad}
        core.write(chosen)
    core.compile()
    sys.path.insert(0, str(core.package))
    os.environ["PYTHONPATH"] = str(core.package)
    os.chdir(ROOT)
    for tests in {tuple(FAMILIES[m.file]) for m in chosen.values()}:
        if not survives(0, tests):
            raise SystemExit(f"{tests} fail without a mutant")
    left = []
    for number, mutant in chosen.items():
        if options.only and number not in options.only:
            continue
        if survives(number, FAMILIES[mutant.file]):
            left.append(mutant)
            print(number, mutant, file=sys.stderr, flush=True)
    print(json.dumps({"total": len(chosen), "left": [asdict(m) for m in left]}))


if __name__ == "__main__":
    main()
