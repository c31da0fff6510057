"""The lecture's seven steps on the user's data, in one call."""

from fanin.tuning.guide.guide import guide
from fanin.tuning.guide.report import Report, Step

__all__ = ["Report", "Step", "guide"]
