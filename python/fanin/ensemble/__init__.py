"""Ensembles: several networks whose predictions are combined.

Seven ways to obtain the members, in the lecture's order:

- `from_initializations`: one architecture, different initialisations;
- `from_objectives`: different losses, optimizers, activations or hyperparameters;
- `from_datasets`: different data, by bootstrap (bagging) or by leaving out folds;
- `from_search`: the top networks of a search;
- `from_cross_validation`: the top models discovered during cross-validation;
- `from_checkpoints`: snapshots of a single run with a cyclic learning rate;
- `ParameterAverage`: a running average of one run's parameters, which is a single network.

Members train at the same time on any `concurrent.futures.Executor`, with the same bits on each.
"""

from fanin.ensemble.averaging import ParameterAverage, average_parameters
from fanin.ensemble.builders import (
    from_checkpoints,
    from_datasets,
    from_initializations,
    from_objectives,
)
from fanin.ensemble.cross_validation import from_cross_validation
from fanin.ensemble.members import Failure
from fanin.ensemble.model import Ensemble
from fanin.ensemble.selection import from_search

__all__ = [
    "Ensemble",
    "Failure",
    "ParameterAverage",
    "average_parameters",
    "from_checkpoints",
    "from_cross_validation",
    "from_datasets",
    "from_initializations",
    "from_objectives",
    "from_search",
]
