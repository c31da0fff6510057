"""The parser of the command line, and the call of a command's `run`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from fanin._core import __version__
from fanin.cli.options import UsageError
from fanin.document.text import visible

# Each is a module beside this one, with `configure(parser)` and `run(args)`.
COMMANDS = {
    "train": "train a network on a data set",
    "predict": "labels and probabilities as CSV, by a trained network",
    "export": "a trained network as a model of ONNX",
    "guide": "the lecture's seven steps on a data set: a network and a report",
    "search": "search for hyperparameters, and keep the best network",
    "augment": "a picture of images beside their augmented variants",
    "lecture": "the lecture's ideas on real data: numbers, pictures, one page",
    "info": "version, instruction set, threads, extras",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line; argparse would print the usage first."""
        self.exit(2, f"fanin: error: {visible(message)} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Its arguments; by default those of the process.

    Returns
    -------
    int
        The exit code.

    Examples
    --------
    >>> fanin.cli.main(["train", "digits", "--epochs", "0"])
    2
    """
    argv = sys.argv[1:] if argv is None else argv
    try:
        args = _parser(argv).parse_args(argv)
        code = int(args.run(args))
        sys.stdout.flush()
        return code
    except SystemExit as stop:
        return int(stop.code or 0)
    except BrokenPipeError:  # the reader has closed the pipe, as in `fanin predict ... | head`
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  or Python complains at its exit
        return 1
    except (UsageError, ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        return _fail(error, 2 if isinstance(error, UsageError) else 1)
    except KeyboardInterrupt as stop:
        return _fail(str(stop) or "interrupted", 130)


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """All commands, of which only the given one is imported: that takes a while."""
    parser = _Parser(prog="fanin", description="Dense networks on the CPU, at hardware speed.")
    parser.add_argument("--version", action="version", version=f"fanin {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    given = next((word for word in argv if not word.startswith("-")), None)
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if name == given:
            module = importlib.import_module(f"fanin.cli.{name}")
            module.configure(command)
            command.set_defaults(run=module.run)
    return parser


def _fail(error: object, code: int) -> int:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        error = f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"fanin: error: {visible(text)}", file=sys.stderr)
    return code
