"""A network's options of dropout and DropConnect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fanin._validate import keep_probability, one_of, per_layer

MODES = ("inverted", "vanilla")
MASKS = ("batch", "example")
INFERENCES = ("mean", "moments")


class DropoutOptions(NamedTuple):
    """What a network drops in training: units (dropout) and weights (DropConnect).

    ``keep`` and ``drop_connect`` are the probabilities of keeping them, one for each hidden layer.
    """

    keep: list[float]
    dropout_mode: str
    drop_connect: list[float]
    drop_connect_mask: str
    drop_connect_inference: str

    @classmethod
    def checked(
        cls,
        n_hidden: int,
        keep: float | Sequence[float],
        dropout_mode: str,
        drop_connect: float | Sequence[float],
        drop_connect_mask: str,
        drop_connect_inference: str,
    ) -> DropoutOptions:
        """The options as `MLP` takes them, checked."""
        return cls(
            per_layer("keep", keep, n_hidden, keep_probability),
            one_of("dropout_mode", dropout_mode, MODES),
            per_layer("drop_connect", drop_connect, n_hidden, keep_probability),
            one_of("drop_connect_mask", drop_connect_mask, MASKS),
            one_of("drop_connect_inference", drop_connect_inference, INFERENCES),
        )

    def config(self) -> dict[str, Any]:
        """As arguments of the constructor."""
        return {name: list(v) if isinstance(v, list) else v for name, v in self._asdict().items()}

    def flags(self) -> tuple[bool, bool, bool]:
        """As the core takes them: vanilla, a mask for each row, moments."""
        return (
            self.dropout_mode == "vanilla",
            self.drop_connect_mask == "example",
            self.drop_connect_inference == "moments",
        )
