"""Tuning: a learning rate, what the curves of a run say, and what to try next."""

from fanin.tuning.lr_finder import RateProbe, RateRange, RateTrial, lr_probe, lr_range
from fanin.tuning.verdicts import Finding, Verdict, loss_curve

__all__ = [
    "Finding",
    "RateProbe",
    "RateRange",
    "RateTrial",
    "Verdict",
    "loss_curve",
    "lr_probe",
    "lr_range",
]
