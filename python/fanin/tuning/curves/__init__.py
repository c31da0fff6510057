"""Loss curves: what they say of a run, and what to do about it."""

from fanin.diagnostics.findings import Finding
from fanin.tuning.curves.verdicts import Verdict, loss_curve

__all__ = ["Finding", "Verdict", "loss_curve"]
