"""Tuning: the lecture's seven steps, learning-rate finders, search, verdicts on curves."""

from fanin.tuning.curves.verdicts import Finding, Verdict, loss_curve
from fanin.tuning.guide import Report, Step, guide
from fanin.tuning.lr_finder import RateProbe, RateRange, RateTrial, lr_probe, lr_range
from fanin.tuning.search import search
from fanin.tuning.search.edges import Edge
from fanin.tuning.search.result import SearchResult
from fanin.tuning.search.trial import Trial
from fanin.tuning.space import Parameter, choice, integers, loguniform, uniform

__all__ = [
    "Edge",
    "Finding",
    "Parameter",
    "RateProbe",
    "RateRange",
    "RateTrial",
    "Report",
    "SearchResult",
    "Step",
    "Trial",
    "Verdict",
    "choice",
    "guide",
    "integers",
    "loguniform",
    "loss_curve",
    "lr_probe",
    "lr_range",
    "search",
    "uniform",
]
