"""The inner loops of the matrix products in compiled code, read with objdump.

Symbols are not needed, so that a stripped module will do: a tile's loop is an innermost loop that
multiplies by numbers that it reads one at a time (broadcasts) into several accumulators, and does
no other arithmetic.
``python -m benchmarks.hot_loops [FILE ...]`` lists those of files, or of the installed module.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

LEAST_MULTIPLICATIONS = 4  # fused, in a loop; fewer are no tile
LEAST_SHARE = 1 / 8  # of the instructions; polynomials among other work have less
LONGEST_LOOP = 2000  # instructions

INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\t(\S+)[ \t]*(.*)", re.MULTILINE)
TARGET = re.compile(r"(?:^|[ ,])([0-9a-f]+)(?: <|$)")


class Instruction(NamedTuple):
    address: int
    name: str
    operands: str


class Loop(NamedTuple):
    isa: str
    dtype: str
    address: int
    multiplications: int  # fused multiply-adds of vector registers in one pass
    accumulators: int  # registers that they add to
    broadcasts: int
    instructions: int
    spills: tuple[str, ...]  # stores of accumulators to the stack
    calls: int

    def shape(self) -> str:
        """Rows and registers a row of the tile, as far as they are to be seen."""
        rows = self.broadcasts * self.accumulators // self.multiplications
        return f"{rows}x{self.accumulators // max(rows, 1)}"

    def per_step(self) -> float:
        """Instructions for one product of each accumulator."""
        return self.instructions * self.accumulators / self.multiplications


class X86:
    """AT&T syntax: the last operand is the destination."""

    jump = re.compile(r"j(?!mpq)\w+")
    end = re.compile(r"ret")
    call = re.compile(r"call")
    multiply_add = re.compile(r"vf(?:n?)m(?:add|sub)(?:132|213|231)p([sd])")
    other_arithmetic = re.compile(r"v(?:add|sub|mul|div|sqrt|max|min)[ps][sd]")
    register = re.compile(r"%([yz]mm)\d+")
    isas: ClassVar = {"zmm": "avx512", "ymm": "avx2"}
    dtypes: ClassVar = {"s": "float32", "d": "float64"}
    to_stack = re.compile(r"%[xyz]mm(\d+),[^,(]*\(%r[sb]p")

    def destination(self, i: Instruction) -> str:
        return i.operands.rsplit("mm", 1)[-1].split("{")[0]

    def is_broadcast(self, i: Instruction) -> bool:
        from_memory = "(" in i.operands and "%rip" not in i.operands
        return from_memory and ("{1to" in i.operands or i.name.startswith("vbroadcasts"))

    def stored_on_stack(self, i: Instruction) -> list[str]:
        stored = self.to_stack.match(i.operands) if i.name.startswith("vmov") else None
        return [stored[1]] if stored else []


class AArch64:
    """The first operand is the destination, but for stores."""

    jump = re.compile(r"b(\.\w+)?|cbn?z|tbn?z")
    end = re.compile(r"ret")
    call = re.compile(r"blr?$")
    multiply_add = re.compile(r"fml[as]")
    other_arithmetic = re.compile(r"f(?:add|sub|mul|div|sqrt|max|min)\w*")
    register = re.compile(r"v\d+\.(4s|2d)")
    isas: ClassVar = {"4s": "neon", "2d": "neon"}
    dtypes: ClassVar = {"4s": "float32", "2d": "float64"}

    def destination(self, i: Instruction) -> str:
        return i.operands.split(".", 1)[0][1:]

    def is_broadcast(self, i: Instruction) -> bool:
        by_element = i.name.startswith("fml") and i.operands.endswith("]")
        return by_element or i.name == "ld1r" or (i.name == "dup" and "[" in i.operands)

    def stored_on_stack(self, i: Instruction) -> list[str]:
        on_stack = "[sp" in i.operands or "[x29" in i.operands
        return re.findall(r"[vq](\d+)", i.operands) if on_stack and i.name[:2] == "st" else []


Machine = X86 | AArch64


def disassemble(file: Path, objdump: str = "objdump") -> str:
    command = [objdump, "--disassemble", "--no-show-raw-insn", str(file)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def innermost(code: list[Instruction], machine: Machine) -> Iterator[list[Instruction]]:
    """The bodies of the loops that have no loop in them."""
    at = {i.address: n for n, i in enumerate(code)}
    last_begin = -1  # of the loops that ended before
    for end, instruction in enumerate(code):
        if not machine.jump.fullmatch(instruction.name):
            continue
        target = TARGET.search(instruction.operands)
        begin = at.get(int(target[1], 16)) if target else None
        if begin is None or begin > end:
            continue
        if begin > last_begin and end - begin < LONGEST_LOOP:
            yield code[begin : end + 1]
        last_begin = max(last_begin, begin)


def tile_loop(body: list[Instruction], machine: Machine) -> Loop | None:
    """What there is to say about a loop, if it is a tile's."""
    fused = [i for i in body if machine.multiply_add.fullmatch(i.name)]
    vectors = [machine.register.search(i.operands) for i in fused]
    width = next((v[1] for v in vectors if v), None)
    broadcasts = sum(map(machine.is_broadcast, body))
    if width is None or len(fused) < LEAST_MULTIPLICATIONS or not broadcasts:
        return None
    if any(machine.other_arithmetic.fullmatch(i.name) for i in body):  # of a polynomial
        return None
    if len(fused) < LEAST_SHARE * len(body) or any(machine.end.match(i.name) for i in body):
        return None
    accumulators = {machine.destination(i) for i in fused}
    spills = [i for i in body if accumulators & set(machine.stored_on_stack(i))]
    kind = width if isinstance(machine, AArch64) else fused[0].name[-1]
    return Loop(
        isa=machine.isas[width],
        dtype=machine.dtypes[kind],
        address=body[0].address,
        multiplications=len(fused),
        accumulators=len(accumulators),
        broadcasts=broadcasts,
        instructions=len(body),
        spills=tuple(f"{i.name} {i.operands}" for i in spills),
        calls=sum(1 for i in body if machine.call.match(i.name)),
    )


def tile_loops(file: Path, objdump: str = "objdump") -> list[Loop]:
    """The loops of every tile in a compiled file."""
    text = disassemble(file, objdump)
    machine = AArch64() if "aarch64" in text[:500] else X86()
    loops: list[Loop | None] = []
    for section in text.split("Disassembly of section"):
        code = [Instruction(int(a, 16), b, c) for a, b, c in INSTRUCTION.findall(section)]
        loops += [tile_loop(body, machine) for body in innermost(code, machine)]
    return [loop for loop in loops if loop is not None]


def main(files: list[str]) -> None:
    if not files:
        from fanin import _core

        files = [_core.__file__]
    for file in files:
        print(file)
        for loop in sorted(set(tile_loops(Path(file)))):
            print(
                f"{loop.isa:7}{loop.dtype:8} {loop.shape():>6}  at {loop.address:x}:"
                f" {loop.accumulators:3} accumulators, {loop.per_step():5.1f} instructions a step",
                *loop.spills,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
