"""A graph of ONNX nodes in the making."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from fanin._typing import Array


class Graph:
    """Nodes and constants with names of their own, of which numbers are of one dtype.

    Parameters
    ----------
    onnx : module
    dtype : {float32, float64}
        Of numbers that are given to `op` as such.
    prefix : str
        Stands before each name.
    """

    onnx: Any
    dtype: np.dtype[Any]
    prefix: str

    def __init__(self, onnx: Any, dtype: np.dtype[Any], prefix: str = "") -> None:
        self.onnx, self.dtype, self.prefix = onnx, dtype, prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._counts: dict[str, int] = {}

    @property
    def single(self) -> bool:
        return self.dtype == np.float32

    @contextmanager
    def within(self, name: str, dtype: np.dtype[Any] | None = None) -> Iterator[None]:
        """Names in the block begin with ``name.``; numbers are of that dtype."""
        before = self.prefix, self.dtype
        self.prefix, self.dtype = f"{self.prefix}{name}.", dtype or self.dtype
        try:
            yield
        finally:
            self.prefix, self.dtype = before

    def _unique(self, name: str) -> str:
        full = self.prefix + name
        count = self._counts[full] = self._counts.get(full, 0) + 1
        return full if count == 1 else f"{full}_{count}"

    def constant(self, values: npt.ArrayLike, name: str = "constant") -> str:
        """The name of a constant; plain numbers get the graph's dtype."""
        array = np.asarray(values, None if isinstance(values, np.ndarray) else self.dtype)
        tensor = self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), self._unique(name))
        if array.ndim == 0:  # which ascontiguousarray makes a row of one
            del tensor.dims[:]
        self.constants.append(tensor)
        return str(tensor.name)

    def op(
        self,
        kind: str,
        *inputs: str | float | Array,
        output: str = "",
        more: Sequence[str] = (),
        **attributes: Any,
    ) -> str:
        """Adds a node, and returns the name of its output: ``output``, or one of its own.

        Inputs are names of values, or numbers and arrays; ``more`` are outputs that none reads.
        """
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        name = output or self._unique(kind)
        unread = [self._unique(other) for other in more]
        made = self.onnx.helper.make_node(kind, names, [name, *unread], name, **attributes)
        self.nodes.append(made)
        return name

    def cast(self, x: str, dtype: npt.DTypeLike) -> str:
        """The value x in that dtype."""
        return self.op("Cast", x, to=self.type_of(dtype))

    def type_of(self, dtype: npt.DTypeLike) -> int:
        """The number that ONNX has for a dtype."""
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
