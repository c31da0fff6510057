"""The family of the optimizers, as a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fanin.plots.style import BLUE, GREEN, INK, ORANGE, PURPLE, VERMILION, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Each optimizer's place (column, row) and what it looks to; `fanin.optim` has all but the first.
PLACES: dict[str, tuple[float, float]] = {
    "gradient descent": (1.5, 6.0), "SGD": (1.5, 5.0),
    "Momentum": (0.45, 4.0), "Nesterov": (-0.05, 2.75), "Lion": (0.72, 1.75),
    "AdaGrad": (2.55, 4.0), "RMSProp": (2.0, 2.8), "AdaDelta": (3.22, 2.8),
    "Adam": (1.35, 2.0), "Nadam": (0.75, 0.0), "AMSGrad": (1.95, 0.0), "AdamW": (3.0, 1.0),
}  # fmt: skip
IDEAS = (
    ("gradient descent", "SGD", "a few rows a step"),
    ("SGD", "Momentum", "keep going"),
    ("SGD", "AdaGrad", "a rate for\neach parameter"),
    ("Momentum", "Nesterov", "look ahead"),
    ("AdaGrad", "RMSProp", "forget\nold squares"),
    ("AdaGrad", "AdaDelta", "no rate\nto set"),
    ("Momentum", "Adam", ""),
    ("RMSProp", "Adam", "both"),
    ("Momentum", "Lion", "only\nthe sign"),
    ("Adam", "Nadam", ""),
    ("Nesterov", "Nadam", "ahead too"),
    ("Adam", "AMSGrad", "never a smaller root"),
    ("Adam", "AdamW", "decay apart"),
)
COLOURS = {
    "Momentum": BLUE, "Nesterov": BLUE, "Lion": PURPLE, "AdaGrad": GREEN, "RMSProp": ORANGE,
    "AdaDelta": ORANGE, "Adam": VERMILION, "Nadam": VERMILION, "AMSGrad": VERMILION,
    "AdamW": VERMILION,
}  # fmt: skip


def optimizer_family(ax: Any = None) -> Axes:
    """Draw which optimizer of `fanin.optim` comes of which, and the idea that it adds.

    At the left the direction of a step is changed, at the right its length; Adam joins both.

    Parameters
    ----------
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> panel = fanin.plots.optimizer_family()
    >>> names = {text.get_text() for text in panel.texts}
    >>> names >= {"SGD", "Momentum", "AdaGrad", "Adam", "Nadam"}
    True
    """
    panel: Axes = panels(ax, 1, 1, 5.4)[0, 0]
    boxes = {}
    for name, (x, y) in PLACES.items():
        colour = COLOURS.get(name, INK)
        text = panel.text(
            x, y, name, fontsize=11, color=INK, ha="center", va="center", zorder=2,
            bbox={"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": colour,
                  "linewidth": 1.8},
        )  # fmt: skip
        boxes[name] = text.get_bbox_patch()
    for parent, child, idea in IDEAS:
        (x, y), (u, v) = PLACES[parent], PLACES[child]
        look = {"arrowstyle": "-|>", "color": "#777777", "linewidth": 1.2, "shrinkA": 0,
                "shrinkB": 1, "patchA": boxes[parent], "patchB": boxes[child]}  # fmt: skip
        panel.annotate("", (u, v), (x, y), arrowprops=look, zorder=3)  # after the boxes are placed
        if idea:
            share = 0.5 if v - y > -2 else 0.62
            panel.text(
                x + share * (u - x), y + share * (v - y), idea, fontsize=8.5, color=INK,
                ha="center", va="center", style="italic", zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            )  # fmt: skip
    panel.text(0.0, 4.75, "which way", fontsize=9.5, color=BLUE, ha="center")
    panel.text(3.05, 4.75, "how far", fontsize=9.5, color=GREEN, ha="center")
    panel.set(xlim=(-0.45, 3.7), ylim=(-0.45, 6.4))
    panel.set_axis_off()
    return panel
