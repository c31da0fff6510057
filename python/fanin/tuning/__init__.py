"""Tuning: what the curves of a run say, and what to try next."""

from fanin.tuning.verdicts import Finding, Verdict, loss_curve

__all__ = ["Finding", "Verdict", "loss_curve"]
