"""A network as data: for files, for pickling between processes, for copies."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fanin import _validate, checkpoint
from fanin.network.inputs import Entry

Array = npt.NDArray[Any]


class Saving(ABC):
    """What `MLP` has of it."""

    dims: list[int]
    epochs_done: int
    steps_done: int
    dtype: np.dtype[Any]
    _entry: Entry

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What makes a network of this shape: the arguments of the constructor."""

    @abstractmethod
    def _configure(self, *args: Any, **kwargs: Any) -> None:
        """All of the constructor but the values of the weights."""

    @abstractmethod
    def get_parameters(self) -> Array:
        """A copy of all parameters in one flat array."""

    @abstractmethod
    def set_parameters(self, parameters: Array) -> None:
        """Puts back what `get_parameters` gave."""

    def __getstate__(self) -> dict[str, Any]:
        steps, arrays = self._entry.stored()
        arrays |= {"parameters": self.get_parameters()}
        counters = {"epochs_done": self.epochs_done, "steps_done": self.steps_done}
        header = {"config": self.config(), "counters": counters, "preprocess": steps}
        return header | {"arrays": arrays}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        arrays = state["arrays"]
        d = state["config"]["dims"]
        parameters = _validate.plain_array("parameters", arrays["parameters"])
        if parameters.size < sum((d + 1) * h for d, h in pairwise(d)):
            raise ValueError(f"parameters: expected those of {d}, got {parameters.size} numbers")
        self._configure(**state["config"])
        self.set_parameters(parameters)
        steps = state.get("preprocess", [])  # files from before there were any lack it
        self._entry = Entry.restored(steps, arrays, self.dims[0], self.dtype)
        self.epochs_done = int(state["counters"]["epochs_done"])
        self.steps_done = int(state["counters"]["steps_done"])

    def copy(self) -> Self:
        """An independent network at the same point of its training."""
        twin = type(self).__new__(type(self))
        twin.__setstate__(self.__getstate__())
        return twin

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes configuration, preprocessing and parameters to one file, or leaves the old one.

        The file is an ``.npz`` archive, whatever its extension, with a JSON header and a checksum
        of each array. It is written beside the target, synced and then renamed.
        """
        state = self.__getstate__()
        arrays = state.pop("arrays")
        checkpoint.save_archive(path, state | {"kind": "network"}, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Reads what `save` wrote. It never runs code from the file.

        Raises
        ------
        ValueError
            For a file that is damaged, foreign or of a later format, with the path and the reason.
        """
        header, arrays = checkpoint.load_archive(path, kind="network")
        net = cls.__new__(cls)
        try:
            net.__setstate__(dict(header) | {"arrays": arrays})
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{os.fspath(path)}: not a usable network: {error}") from None
        return net
