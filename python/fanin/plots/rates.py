"""The loss at different learning rates: probes and range tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from fanin import _validate
from fanin._typing import Floats
from fanin.plots.style import BLUE, FAINT, INK, LINES, VERMILION, panels, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WINDOW = 0.06  # share of the steps that a line is smoothed over


class RateTrialLike(Protocol):
    """The part of a `fanin.tuning.RateTrial` that is drawn."""

    @property
    def rate(self) -> float: ...
    @property
    def losses(self) -> Sequence[float]: ...
    @property
    def initial_loss(self) -> float: ...
    @property
    def verdict(self) -> str: ...
    @property
    def drop(self) -> float: ...


@runtime_checkable
class RateProbeLike(Protocol):
    """The part of a `fanin.tuning.RateProbe` that is drawn."""

    @property
    def trials(self) -> Sequence[RateTrialLike]: ...
    @property
    def iterations(self) -> int: ...


class RateRangeLike(Protocol):
    """The part of a `fanin.tuning.RateRange` that is drawn."""

    @property
    def rates(self) -> Floats: ...
    @property
    def losses(self) -> Floats: ...
    @property
    def smoothed(self) -> Floats: ...
    @property
    def reason(self) -> str: ...
    @property
    def suggestion(self) -> float:
        """ValueError where there is none."""


def rates(found: RateProbeLike | RateRangeLike, ax: Any = None) -> Axes:
    """Draw what `fanin.tuning.lr_probe` or `fanin.tuning.lr_range` found.

    Parameters
    ----------
    found : RateProbe or RateRange
        Of a probe, the loss of each step, a line for each learning rate (bold: its moving average);
        of a range test, the loss against the learning rate, and the suggestion.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> (X, y), _ = fanin.datasets.load("digits")
    >>> probe = fanin.tuning.lr_probe(fanin.MLP([64, 10]), X, y, rates=[1e-2, 1e-3])
    >>> axes = fanin.plots.rates(probe)
    >>> [label.split(":")[0] for label in axes.get_legend_handles_labels()[1]]
    ['0.01', '0.001']
    """
    probed = isinstance(found, RateProbeLike)
    if not (probed or hasattr(found, "smoothed")):
        raise TypeError(
            f"found: expected what lr_probe or lr_range returns, got {_validate.describe(found)}"
        )
    panel: Axes = panels(ax, 1, 1, 3.9)[0, 0]
    if isinstance(found, RateProbeLike):
        _probe(panel, found)
    else:
        _range(panel, found)
    panel.set_ylabel("loss of the minibatch")
    tidy(panel, below=2 * (probed and ax is None))  # no space among so many lines
    return panel


def _probe(panel: Axes, probe: RateProbeLike) -> None:
    # beyond it the rate is lost anyway
    top = 1.4 * max((trial.initial_loss for trial in probe.trials), default=1.0)
    for trial, (colour, style) in zip(probe.trials, LINES * len(probe.trials), strict=False):
        losses = np.array(trial.losses)
        losses = losses[np.isfinite(losses)]
        steps = np.arange(1, len(losses) + 1)
        width = max(int(WINDOW * probe.iterations), 1)
        window = np.ones(min(width, max(len(losses), 1)))
        means = np.convolve(losses, window / window.sum(), "valid") if len(losses) else losses
        panel.plot(steps, losses, color=colour, linewidth=0.8, alpha=0.25)
        note = ""
        if trial.verdict == "goes down":  # of the loss without L2, which the minibatch's has
            digits = 0 if trial.drop >= 0.01 else 1
            note = f" by {trial.drop:.{digits}%}" + (
                ", above the picture" if means.min() > top else ""
            )
        panel.plot(
            steps[len(steps) - len(means) :], means, color=colour, linestyle=style, linewidth=1.8,
            label=f"{trial.rate:g}: {trial.verdict}{note}",
        )  # fmt: skip
    panel.set(ylim=(0, top), xlabel="step")


def _range(panel: Axes, found: RateRangeLike) -> None:
    panel.plot(found.rates, found.losses, ".", color=FAINT, markersize=4, label="each step")
    panel.plot(found.rates, found.smoothed, color=BLUE, linewidth=2, label="smoothed")
    try:
        suggestion = found.suggestion
    except ValueError:
        panel.text(0.02, 0.03, found.reason, transform=panel.transAxes, color=INK, fontsize=9)
    else:
        label = f"steepest: {suggestion:.1e}"
        panel.axvline(suggestion, color=VERMILION, linestyle="--", linewidth=1.5, label=label)
    if len(found.losses):
        panel.set_ylim(0, 1.6 * float(found.losses[: max(len(found.losses) // 10, 1)].max()))
    panel.set(xscale="log", xlabel="learning rate")
