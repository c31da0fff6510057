"""What is measured: jobs that every peer does in its own best way, and the rows of the table.

A new kind of work is a dataclass with its `check` in the module of its family, a function for it in
the `JOBS` of each peer that can do it, and a row.
"""

from __future__ import annotations

from benchmarks.jobs import (
    augment,
    blocks,
    dense,
    diagnostics,
    optimizer,
    predict,
    preprocessing,
    random,
    training,
)
from benchmarks.jobs.augment import Augmented, Crop, Mix, ResizedCrop, TrainImages, Warp
from benchmarks.jobs.blocks import TrainBlocks
from benchmarks.jobs.dense import Backward, Dense
from benchmarks.jobs.diagnostics import Experiment
from benchmarks.jobs.optimizer import AdamStep
from benchmarks.jobs.predict import Predict
from benchmarks.jobs.preprocessing import Covariance, Projection, Whitening
from benchmarks.jobs.random import Draw, Dropout
from benchmarks.jobs.row import Array, Bar, Job, Prepared, Row
from benchmarks.jobs.training import Train

__all__ = [
    "BY_NAME",
    "ROWS",
    "AdamStep",
    "Array",
    "Augmented",
    "Backward",
    "Bar",
    "Covariance",
    "Crop",
    "Dense",
    "Draw",
    "Dropout",
    "Experiment",
    "Job",
    "Mix",
    "Predict",
    "Prepared",
    "Projection",
    "ResizedCrop",
    "Row",
    "Train",
    "TrainBlocks",
    "TrainImages",
    "Warp",
    "Whitening",
    "row_named",
]

ROWS = (
    *training.ROWS,
    *predict.ROWS,
    *dense.ROWS,
    *random.ROWS,
    *optimizer.ROWS,
    *diagnostics.ROWS,
    *preprocessing.ROWS,
    *augment.ROWS,
    Row("import", "import, over NumPy's", "ms", kind="import", bars=(Bar("limit", 60.0),)),
    Row(
        "memory",
        "peak memory of an epoch from uint8, over the interpreter with NumPy",
        "MB",
        training.EPOCH,
        kind="memory",
        bars=(Bar("limit", 200.0),),
    ),
)
BY_NAME = {row.name: row for row in ROWS}


def row_named(name: str) -> Row:
    """Of the table, or of a study."""
    return ({row.name: row for row in blocks.ROWS} | BY_NAME)[name]
