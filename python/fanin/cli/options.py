"""Types of the options, for argparse, and the error for combinations that make no sense."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any, TypeVar

Number = TypeVar("Number", int, float)


class UsageError(Exception):
    """Options that make no sense: exit code 2."""


def number(
    convert: Callable[[str], Number], good: Callable[[Number], bool], expected: str
) -> Callable[[str], Number]:
    """A checked number, or an error that says what was expected."""

    def parse(text: str) -> Number:
        try:
            if good(value := convert(text)):
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")

    return parse


def whole(least: int) -> Callable[[str], int]:
    return number(int, lambda value: value >= least, f"a whole number of at least {least}")


def real(low: float, high: float = math.inf, *, above: bool = False) -> Callable[[str], float]:
    """From `low`, or above it, to `high`."""

    def good(value: float) -> bool:
        return (low < value if above else low <= value) and value <= high and value < math.inf

    most = f" and at most {high:g}" if high < math.inf else ""
    return number(float, good, f"a number {'above' if above else 'at least'} {low:g}{most}")


def or_auto(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """What `parse` takes, or "auto"."""
    return lambda text: text if text == "auto" else parse(text)


def pixels(text: str) -> tuple[int, int]:
    """Height and width, of "64x48", or "64" for both."""
    height, by, width = text.partition("x")
    edge = whole(1)
    return edge(height), edge(width if by else height)


def delimiter(text: str) -> str:
    """A character; a tab and a space have names too."""
    return {"tab": "\t", "\\t": "\t", "space": " "}.get(text, text)


def list_of(parse: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """Items between commas; none for "none"."""
    return lambda text: [] if text == "none" else [parse(item) for item in text.split(",")]
