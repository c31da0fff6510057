"""The command line: train, predict, guide, search, augment, lecture and info.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Errors are one line on stderr.
"""

from fanin.cli.main import main

__all__ = ["main"]
