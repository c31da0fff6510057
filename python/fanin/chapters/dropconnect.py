"""DropConnect, beside dropout."""

from __future__ import annotations

from typing import Any

from fanin import plots
from fanin.chapters.dropout import EPOCHS, KEEP, ROWS, WIDTH, WRONG
from fanin.chapters.story import Data, overfitting, tell
from fanin.document.blocks import Block, Chapter, Lines
from fanin.plots.style import picture


def chapter(data: Data, seed: int) -> Chapter:
    """What it drops, and what it does to overfitting."""
    return tell(
        "Regularisation: DropConnect",
        Lines(
            "Training: Drop connections between neurons (set weights to 0)\n"
            "Testing: Use all the connections"
        ),
        """**DropConnect** keeps all units, and drops *connections* between them at random, where
        dropout drops whole units with all of theirs.""",
        picture(
            "dropconnect-thinning.png",
            "A small network; the same with dropped units crossed out; the same with all units and "
            "dropped connections dotted.",
            "A network, what one mask of dropout leaves of it, and what one of DropConnect leaves: "
            "dotted connections count as 0 in this step. The masks are drawn by `fanin.layers`.",
            lambda: plots.dropout_thinning(keep=KEEP, drop_connect=KEEP, seed=seed),
        ),
        *_on_data(data, seed),
    )


def _on_data(data: Data, seed: int) -> list[Block]:
    noisy = data.few_and_noisy(ROWS, WRONG, seed)
    nets: dict[str, dict[str, Any]] = {
        "all units and connections": {},
        f"dropout, keep {KEEP:g}": {"keep": KEEP},
        f"DropConnect, keep {KEEP:g}": {"drop_connect": KEEP},
    }
    return [
        f"""The experiment of the chapter on dropout once more: {len(noisy.y)} rows of {data.name}
        with {WRONG:.0%} of wrong labels, two hidden layers of {WIDTH} units.""",
        *overfitting(
            noisy,
            "dropconnect-curves.png",
            "Accuracy on test rows by epoch: with all, with dropout and with DropConnect.",
            "Accuracy on test rows with right labels, epoch by epoch.",
            "network",
            {name: (data.net(WIDTH, WIDTH, seed=seed, **own), {}) for name, own in nets.items()},
            epochs=EPOCHS, batch_size=50, preprocess=data.preprocess,
        ),
    ]  # fmt: skip
