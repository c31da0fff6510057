"""Loss curves: verdicts on a run, with advice."""

from fanin.diagnostics.findings import Finding
from fanin.tuning.curves.verdicts import Verdict, loss_curve

__all__ = ["Finding", "Verdict", "loss_curve"]
