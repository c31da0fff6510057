"""Data sets by name, or from the user's own files, as NumPy arrays.

``load`` knows four names. "digits" comes with the package. "fashion-mnist", "mnist" and "cifar10"
are looked for in ``$FANIN_DATA/<name>/``, in the system's packages and in the user's cache
(``$XDG_CACHE_HOME/fanin/<name>/``, else ``~/.cache/fanin/<name>/``), each time as their authors'
files, or as ``<name>.npz`` or ``<name>_*.npz`` beside that folder; else they are downloaded into
the cache, and their SHA-256 is checked.
"""

from fanin.datasets.load import NAMES, Info, features, load, split

__all__ = ["NAMES", "Info", "features", "load", "split"]
