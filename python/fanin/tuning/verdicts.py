"""Verdicts on loss curves, which are defined in `fanin.tuning.curves`."""

from fanin.tuning.curves import Finding, Verdict, loss_curve

__all__ = ["Finding", "Verdict", "loss_curve"]
