"""Tuning: a learning rate, a search for hyperparameters, and what the curves of a run say."""

from fanin.tuning._edges import Edge
from fanin.tuning._result import SearchResult
from fanin.tuning._trials import Trial
from fanin.tuning.lr_finder import RateProbe, RateRange, RateTrial, lr_probe, lr_range
from fanin.tuning.search import search
from fanin.tuning.space import Parameter, choice, integers, loguniform, uniform
from fanin.tuning.verdicts import Finding, Verdict, loss_curve

__all__ = [
    "Edge",
    "Finding",
    "Parameter",
    "RateProbe",
    "RateRange",
    "RateTrial",
    "SearchResult",
    "Trial",
    "Verdict",
    "choice",
    "integers",
    "loguniform",
    "loss_curve",
    "lr_probe",
    "lr_range",
    "search",
    "uniform",
]
