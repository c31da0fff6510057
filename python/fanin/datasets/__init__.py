"""Data sets by name, or from the user's own files, as NumPy arrays.

Those that do not come with the package are looked for in ``$FANIN_DATA/<name>/``, in the system's
packages and in the user's cache (``$XDG_CACHE_HOME/fanin/<name>/``, else ``~/.cache``), as their
authors' files or as ``<name>.npz`` or ``<name>_*.npz`` beside that folder; else downloaded.
"""

from fanin.datasets.chunks import Chunks, parquet
from fanin.datasets.folds import folds
from fanin.datasets.load import NAMES, Info, Rows, features, load, rows, split

__all__ = [
    "NAMES",
    "Chunks",
    "Info",
    "Rows",
    "features",
    "folds",
    "load",
    "parquet",
    "rows",
    "split",
]
