"""An ensemble against its members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fanin._typing import Floats
from fanin.plots.style import BLUE, FAINT, INK, VERMILION, Panels, panels, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def ensemble(evaluation: Mapping[str, Any], ax: Any = None) -> Panels:
    """Draw the accuracy of an ensemble and of its members, and how often members disagree.

    Parameters
    ----------
    evaluation : dict
        As ``evaluate`` of a `fanin.ensemble.Ensemble` gives it: "accuracy", "members" (a list of
        dicts with "accuracy") and "disagreement" (M, M), the fraction of rows to which two members
        give different labels.
    ax : pair of matplotlib Axes, optional

    Returns
    -------
    axes : ndarray of two Axes

    Raises
    ------
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


def ensembles(evaluations: Mapping[str, Mapping[str, Any]], ax: Any = None) -> Axes:
    """Draw several ensembles, each against its members: a line for each.

    Parameters
    ----------
    evaluations : dict of str to dict
        By the name of each, as ``evaluate`` of a `fanin.ensemble.Ensemble` gives it: "accuracy" and
        "members", a list of dicts with "accuracy".
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
        Dots are members, the bar their mean, the diamond the ensemble.

    Examples
    --------
    >>> evaluation = {"accuracy": 0.95, "members": [{"accuracy": 0.93}, {"accuracy": 0.94}]}
    >>> panel = fanin.plots.ensembles({"seeds": evaluation, "folds": evaluation})
    >>> [label.get_text() for label in panel.get_yticklabels()]
    ['seeds', 'folds']
    """
    if not evaluations:
        raise ValueError("evaluations: expected at least one, got none")
    panel: Axes = panels(ax, 1, 1, 1.1 + 0.45 * len(evaluations))[0, 0]
    for row, evaluation in enumerate(evaluations.values()):
        members = np.array([100 * m["accuracy"] for m in evaluation["members"]])
        whole, named = 100 * float(evaluation["accuracy"]), row == 0
        look: dict[str, Any] = {"linestyle": "none", "clip_on": False}
        panel.plot(
            members, np.full(len(members), row), "o", color=BLUE, alpha=0.55, mec="none",
            markersize=7, label="a member" if named else None, **look,
        )  # fmt: skip
        panel.plot(
            [members.mean()], [row], "|", color=INK, markersize=17, mew=2,
            label="their mean" if named else None, **look,
        )  # fmt: skip
        panel.plot(
            [whole], [row], "D", color=VERMILION, markersize=8,
            label="the ensemble" if named else None, zorder=4, **look,
        )  # fmt: skip
    panel.set_yticks(range(len(evaluations)), list(evaluations))
    panel.set(ylim=(len(evaluations) - 0.5, -0.5), xlabel="accuracy, %")
    tidy(panel, grid="x", below=3 * (ax is None))
    return panel


def _accuracies(panel: Axes, members: Floats, whole: float) -> None:
    count = len(members)
    panel.axvline(members.mean(), color=FAINT, linestyle="--", linewidth=1.2, zorder=1)
    for x, y, marker, colour, label in (
        (members, range(count), "o", BLUE, "member"),
        ([whole], [count], "D", VERMILION, "ensemble"),
    ):
        panel.plot(
            x, y, marker, color=colour, markersize=8, linestyle="none", label=label, zorder=3
        )
    panel.set_yticks(range(count + 1), [*map(str, range(1, count + 1)), "ensemble"])
    panel.set(ylim=(-0.6, count + 0.6), xlabel="accuracy, %")
    panel.margins(x=0.12)
    panel.locator_params(axis="x", nbins=5)
    tidy(panel, f"{whole:.1f} %, mean member {members.mean():.1f} %", grid="x", legend=False)


def _disagreement(panel: Axes, differ: Floats) -> None:
    from matplotlib.ticker import MaxNLocator

    count = len(differ)
    image = panel.imshow(differ, cmap="cividis", vmin=0, vmax=max(differ.max(), 1e-9))
    if count <= 8:
        for (i, j), share in np.ndenumerate(differ):
            panel.text(
                j, i, "" if i == j else f"{share:.1f}", ha="center", va="center", fontsize=9.5,
                color="white" if share < 0.5 * differ.max() else "black",
            )  # fmt: skip
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_ticks(range(count), [str(i + 1) for i in range(count)])
    else:
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.figure.colorbar(image, ax=panel, shrink=0.8)
    panel.set(xlabel="member", ylabel="member")
    tidy(panel, "rows on which two differ, %", grid=None)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
