"""Estimators for scikit-learn: they need it, ``pip install fanin[sklearn]``.

`MLPClassifier` and `MLPRegressor` are scikit-learn's number by number: the same parameters,
attributes, warnings and errors, and from one ``random_state`` the same weights, only faster.
`NetClassifier` and `NetRegressor` have this package's own defaults and all options of `fanin.MLP`
and of its `fit`; who begins should take these.
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError:
    raise ImportError("fanin.estimators needs scikit-learn: pip install fanin[sklearn]") from None

from fanin.estimators.mlp import MLPClassifier, MLPRegressor
from fanin.estimators.net import NetClassifier, NetRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "NetClassifier", "NetRegressor"]
