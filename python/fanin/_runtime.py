"""Loads the compiled core; its number of threads and configuration."""

from __future__ import annotations

import importlib
import inspect
import os
import platform
import warnings
from typing import SupportsIndex


def load_core() -> None:
    """Imports ``fanin._core``, whose runtime reads the environment then, and restores that."""
    # How long a worker of our OpenMP runtime spins before it sleeps: about 30 us, the gap between
    # two calls. The default of milliseconds would take the cores from NumPy's threads.
    spin = "GOMP_SPINCOUNT"
    ours = not {"OMP_WAIT_POLICY", spin} & os.environ.keys()
    if ours:
        os.environ[spin] = "2000"
    try:
        core = importlib.import_module("fanin._core")
    finally:
        if ours:
            del os.environ[spin]
    core.on_fewer_threads(warn_of_fewer_threads)


def warn_of_fewer_threads(asked: int, had: int) -> None:
    """Warns that the system gives fewer threads than were asked for."""
    warn_caller(
        f"threads: expected {asked}, the system gives {had} (a limit on processes or memory, or "
        "OMP_STACKSIZE); fanin works with these, and results are the same",
        RuntimeWarning,
    )


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warns at the line outside of this package that led here."""
    level, frame = 1, inspect.currentframe()
    package = __name__.partition(".")[0]
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def get_num_threads() -> int:
    """The default number of threads.

    Initially the smallest of the CPU affinity, the control group's quota, ``OMP_NUM_THREADS`` and
    ``FANIN_NUM_THREADS``. Results do not depend on it.

    Examples
    --------
    >>> fanin.set_num_threads(1)
    >>> fanin.get_num_threads()
    1
    """
    from fanin import _core

    return _core.get_num_threads()


def set_num_threads(n: SupportsIndex) -> None:
    """Sets the default number of threads.

    Parameters
    ----------
    n : int
        From 1 to 256.

    Examples
    --------
    >>> import fanin
    >>> fanin.set_num_threads(1)
    >>> fanin.get_num_threads()
    1
    """
    from fanin import _core
    from fanin._validate import whole

    _core.set_num_threads(whole("n", n, 1, 256))


def config(*, ask_for_tiles: bool = False) -> dict[str, object]:
    """Version, instruction set, threads and runtime, as a dictionary.

    Whether tiles (AMX) compute products in bf16, and if not why, is known once they have been asked
    for, as the first network with ``compute="bf16"`` does.
    """
    import numpy as np

    from fanin import _core

    return {
        "fanin": _core.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "isa": _core.isa(),
        "isas": _core.supported_isas(),
        "tiles": _core.tiles(ask_for_tiles),
        "threads": _core.get_num_threads(),
        "cpus": _core.cpu_limits()["affinity"],
        "cpu_quota": _core.cpu_limits()["quota"],
        "openmp": _core.openmp,
    }


def show_config() -> None:
    """Prints version, instruction set, threads and runtime.

    Examples
    --------
    >>> fanin.show_config()  # doctest: +ELLIPSIS
    fanin ...
    python ...
    numpy ...
    isa ...
    isas [...'scalar']
    tiles ...
    threads ...
    cpus ...
    cpu_quota ...
    openmp ...
    """
    for name, value in config().items():
        print(f"{name:10} {value}")
