"""An ensemble against its members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fanin.plots.style import BLUE, FAINT, INK, VERMILION, Panels, panels, tidy, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ensemble"]


def ensemble(evaluation: Mapping[str, Any], ax: Any = None) -> Panels:
    """Draw the accuracy of an ensemble and of its members, and how often members disagree.

    Parameters
    ----------
    evaluation : dict
        As ``evaluate`` of a `fanin.ensemble.Ensemble` gives it: "accuracy", "members" (a list of
        dicts with "accuracy") and "disagreement" (M, M), the share of rows to which two members
        give different labels.
    ax : pair of matplotlib Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    axes : ndarray of two Axes

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        Where something is missing from the evaluation, or shapes do not fit.

    Examples
    --------
    >>> evaluation = {
    ...     "accuracy": 0.95,
    ...     "members": [{"accuracy": 0.93}, {"accuracy": 0.94}],
    ...     "disagreement": np.array([[0.0, 0.04], [0.04, 0.0]]),
    ... }
    >>> axes = fanin.plots.ensemble(evaluation)
    >>> [label.get_text() for label in axes[0].get_yticklabels()]
    ['1', '2', 'ensemble']
    """
    missing = {"accuracy", "members", "disagreement"} - set(evaluation)
    if missing:
        raise ValueError(
            f"evaluation: expected accuracy, members and disagreement; {min(missing)} is missing"
        )
    accuracies = np.array([member["accuracy"] for member in evaluation["members"]], float)
    differ = np.asarray(evaluation["disagreement"], dtype=float)
    count = len(accuracies)
    if count == 0 or differ.shape != (count, count):
        raise ValueError(
            f"evaluation: expected disagreement of shape ({count}, {count}), for {count} members, "
            f"got {differ.shape}"
        )
    axes: Panels = panels(ax, 1, 2, 3.4)[0]
    _accuracies(axes[0], 100 * accuracies, 100 * float(evaluation["accuracy"]))
    _disagreement(axes[1], 100 * differ)
    return axes


def _accuracies(panel: Axes, members: Any, whole: float) -> None:
    rows = np.arange(len(members))
    panel.axvline(members.mean(), color=FAINT, linestyle="--", linewidth=1.2, zorder=1)
    panel.plot(
        members, rows, "o", color=BLUE, markersize=8, linestyle="none", label="member", zorder=3
    )
    panel.plot(
        [whole], [len(members)], "D", color=VERMILION, markersize=8, linestyle="none",
        label="ensemble", zorder=3,
    )  # fmt: skip
    panel.set_yticks([*rows, len(members)], [*map(str, rows + 1), "ensemble"])
    panel.set_ylim(-0.6, len(members) + 0.6)
    panel.set_xlabel("accuracy, %")
    title(panel, f"{whole:.1f} %, mean member {members.mean():.1f} %")
    panel.margins(x=0.12)
    panel.locator_params(axis="x", nbins=5)
    tidy(panel, grid="x", legend=False)


def _disagreement(panel: Axes, differ: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    count = len(differ)
    image = panel.imshow(differ, cmap="cividis", vmin=0, vmax=max(differ.max(), 1e-9))
    if count <= 8:
        for i in range(count):
            for j in range(count):
                dark = differ[i, j] < 0.5 * differ.max()
                panel.text(
                    j, i, "" if i == j else f"{differ[i, j]:.1f}", ha="center", va="center",
                    fontsize=9.5, color="white" if dark else "black",
                )  # fmt: skip
        ticks = range(count)
        panel.set_xticks(ticks, [str(i + 1) for i in ticks])
        panel.set_yticks(ticks, [str(i + 1) for i in ticks])
    else:
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.figure.colorbar(image, ax=panel, shrink=0.8)
    title(panel, "rows on which two differ, %")
    panel.set_xlabel("member", color=INK, fontsize=11)
    panel.set_ylabel("member", color=INK, fontsize=11)
    panel.tick_params(colors=INK, labelsize=10, length=0)
    panel.spines[:].set_visible(False)
