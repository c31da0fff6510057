"""A network as a notebook shows it."""

from __future__ import annotations

from typing import Any

from fanin.document.blocks import Block, Table
from fanin.document.html import fragment

MOST_ROWS = 20  # of layers


def describe(net: Any) -> str:
    """Layers and parameters of an `MLP`, as HTML."""
    rows = []
    widths = list(zip(net.dims[:-1], net.dims[1:], strict=True))
    for i, (inputs, outputs) in enumerate(widths):
        hidden = i < len(widths) - 1
        own = [p for p in net.engine.layout if p.layer == i and p.trained]
        size = sum(p.rows * p.cols for p in own)
        activation = net.activation[i] if hidden else "scores"
        rows.append((str(i + 1), f"{inputs} → {outputs}", activation, *_kept(net, i), f"{size:,}"))
    if len(rows) > MOST_ROWS:
        rows = [*rows[: MOST_ROWS - 1], ("…", "", "", "", "", ""), rows[-1]]
    header = ("layer", "width", "activation", "keep", "keep weights", "parameters")
    trained = f"{net.epochs_done} epochs, {net.steps_done} steps" if net.steps_done else "not yet"
    extras = [f"norm {net.norm}"] * (net.norm is not None) + ["residual"] * net.residual
    extras += [f"products in {net.compute}"] * (net.compute is not None)
    facts = [f"loss {net.loss_name}", *extras, net.dtype.name, f"seed {net.seed}"]
    caption = f"{net.n_params:,} parameters; {', '.join(facts)}; trained: {trained}"
    blocks: list[Block] = [Table(caption, header, rows)]
    return fragment(f"MLP {'-'.join(map(str, net.dims))}", blocks)


def _kept(net: Any, i: int) -> tuple[str, str]:
    """The probabilities of keeping a unit and a weight of a hidden layer."""
    if i >= len(net.keep):
        return "", ""
    return f"{net.keep[i]:g}", f"{net.drop_connect[i]:g}"
