"""Types of the options, for argparse, and the error of those that do not go together."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any


class UsageError(Exception):
    """Options that do not make sense: exit code 2."""


def whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(
                f"expected a whole number of at least {least}, got {text!r}"
            )
        return number

    return parse


def real(low: float, high: float = math.inf, *, above: bool = False) -> Callable[[str], float]:
    """From `low`, or above it, to `high`."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (low < number if above else low <= number) or number > high or math.isinf(number):
            bounds = f"{'above' if above else 'at least'} {low:g}"
            if high < math.inf:
                bounds += f" and at most {high:g}"
            raise argparse.ArgumentTypeError(f"expected a number {bounds}, got {text!r}")
        return number

    return parse


def list_of(parse: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """Items between commas; none for "none"."""
    return lambda text: [] if text == "none" else [parse(item) for item in text.split(",")]
