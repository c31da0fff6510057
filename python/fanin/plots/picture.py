"""Figures as pictures of a document."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fanin.document.blocks import Picture
from fanin.plots.style import save


def picture(file: str, alt: str, caption: str, draw: Callable[[], Any]) -> Picture:
    """A picture of the axes that `draw` returns, drawn when it is written."""

    def write(path: Path) -> None:
        save(np.asarray(draw(), dtype=object).flat[0].figure, path)

    return Picture(file, alt, caption, write)
