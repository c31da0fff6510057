"""Training steps with one of the network's blocks: norms, a skip, activations.

They are no rows of the table: `benchmarks.studies.blocks` measures them.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.jobs.row import Bar, Row
from benchmarks.jobs.training import Train

ACTIVATIONS = ("leaky_relu", "elu", "gelu", "sigmoid", "tanh", "silu", "mish", "softplus", "selu",
               "prelu")  # fmt: skip


@dataclass(frozen=True)
class TrainBlocks(Train):
    """An epoch as `Train`'s, of a network with blocks in its hidden layers.

    gelu is the exact one, prelu has a slope for each unit, a layer under batch norm has no bias;
    a skip goes round each hidden layer, activation included, that is as wide as its input.
    """

    activation: str = "relu"
    norm: str | None = None  # or "layer", "batch"; before the activation
    residual: bool = False


def _row(name: str, title: str, activation: str = "relu", norm: str | None = None,
         residual: bool = False) -> Row:  # fmt: skip
    job = TrainBlocks(
        (784, 256, 256, 10), 128, 12_800, activation=activation, norm=norm, residual=residual
    )
    return Row(f"block-{name}", title, "us", job, per=job.steps, bars=(Bar("speedup", 2.0),))


NONE = _row("none", "784-256-256-10, batch 128, Adam, per step: relu, nothing else")
ROWS = (
    NONE,
    _row("layer-norm", "layer norm", norm="layer"),
    _row("batch-norm", "batch norm", norm="batch"),
    _row("residual", "a skip round the second hidden layer", residual=True),
    *(_row(name, f"{name} in place of relu", name) for name in ACTIVATIONS),
)
