"""Data sets in .npz archives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fanin.datasets.reading import Dataset

KEYS = {
    "X": ("X", "x", "X_train", "x_train"),
    "y": ("y", "Y", "y_train"),
    "X_val": ("X_val", "x_val", "X_valid", "x_valid", "X_validation", "x_validation"),
    "y_val": ("y_val", "Y_val", "y_valid", "y_validation"),
    "X_test": ("X_test", "x_test"),
    "y_test": ("y_test", "Y_test"),
}


def read_npz(path: Path) -> Dataset:
    """X, perhaps y, and X_val and y_val, X_test and y_test where both are there."""
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array")
            found: dict[str, Any] = {
                name: next((archive[key] for key in keys if key in archive), None)
                for name, keys in KEYS.items()
            }
            names = ", ".join(archive.files) or "nothing"
    except (OSError, MemoryError):
        raise
    except Exception as error:  # NumPy raises a dozen kinds on damaged files
        raise ValueError(f"{path}: not a readable .npz archive of plain arrays ({error})") from None
    X = found.pop("X")
    if X is None:
        raise ValueError(f"{path}: expected arrays X and y, got {names}")
    for part in ("test", "val"):
        if (found[f"X_{part}"] is None) != (found[f"y_{part}"] is None):
            expected = f"both X_{part} and y_{part} or neither"
            raise ValueError(f"{path}: expected {expected}, got {names}")
    return Dataset(X, found.pop("y"), **found, source=str(path))
