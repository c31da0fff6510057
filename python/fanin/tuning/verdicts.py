"""Verdicts on loss curves, under their first import path."""

from fanin.tuning.curves import Finding, Verdict, loss_curve

__all__ = ["Finding", "Verdict", "loss_curve"]
