"""Estimators for scikit-learn: they need it, ``pip install fanin[sklearn]``.

`MLPClassifier` and `MLPRegressor` are scikit-learn's number by number: the same parameters,
attributes, warnings and errors, and from one ``random_state`` the same weights, only faster.
`NetClassifier` and `NetRegressor` have this package's own defaults and all options of `fanin.MLP`
and of its `fit`; who begins should take these. `EnsembleClassifier` trains several of these,
`SearchCV` searches their settings, and `ZeroCenter`, `Normalize`, `PCA`, `Whiten`, `TableEncoder`
and `Augmenter` are the transformers of `fanin.preprocessing` and `fanin.augment` for pipelines.
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError:
    raise ImportError("fanin.estimators needs scikit-learn: pip install fanin[sklearn]") from None

from fanin.estimators.ensemble import EnsembleClassifier
from fanin.estimators.mlp import MLPClassifier, MLPRegressor
from fanin.estimators.net import NetClassifier, NetRegressor
from fanin.estimators.search import SearchCV
from fanin.estimators.transformers import (
    PCA,
    Augmenter,
    Normalize,
    TableEncoder,
    Whiten,
    ZeroCenter,
)

__all__ = [
    "PCA",
    "Augmenter",
    "EnsembleClassifier",
    "MLPClassifier",
    "MLPRegressor",
    "NetClassifier",
    "NetRegressor",
    "Normalize",
    "SearchCV",
    "TableEncoder",
    "Whiten",
    "ZeroCenter",
]
