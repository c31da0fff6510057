"""Weight initialisation: the lecture's five cases."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from fanin import initializers, optim, plots
from fanin.chapters.story import Data, curve, final, number, percent, tell
from fanin.diagnostics import ActivationReport, activation_statistics
from fanin.document.blocks import Block, Chapter, Heading, Lines, Table
from fanin.plots.style import picture

WIDTH, DEPTH, ROWS = 4096, 6, 16
SMALL_WIDTH, EPOCHS = 256, 10


@dataclass(frozen=True)
class Case:
    """One of the lecture's listings, what it printed, and what it says."""

    slug: str
    title: str
    activation: str
    printed: tuple[float, ...]
    text: str
    init: str = "xavier"
    std: float | None = None


CASES = (
    Case(
        "small", "Small random numbers (std 0.01) with tanh", "tanh",
        (0.49, 0.29, 0.18, 0.11, 0.07, 0.05),
        "A normal distribution of mean 0 and standard deviation 0.01 does well in small networks. "
        "In a deep one each layer gives out less than the one before, until nearly all outputs are "
        "0. By the chain rule the gradient of a weight is the gradient from above times the "
        "layer's *input*; where the input is nearly 0, so is the gradient, and the weights do not "
        "learn.",
        std=0.01,
    ),
    Case(
        "large", "Larger random numbers (std 0.05) with tanh", "tanh",
        (0.87, 0.85, 0.85, 0.85, 0.85, 0.85),
        "With five times the standard deviation most outputs are near −1 or 1: the units are "
        "*saturated*. There the slope of tanh is nearly 0, and the local gradient with it, so that "
        "again nothing is learned.",
        std=0.05,
    ),
    Case(
        "xavier-tanh", "Xavier with tanh", "tanh",
        (0.63, 0.49, 0.41, 0.36, 0.32, 0.29),
        "Xavier's rule divides by the square root of the number of inputs, so that a layer's "
        "sums vary as much as its inputs do: outputs spread well between −1 and 1 in every layer.",
    ),
    Case(
        "xavier-relu", "Xavier with ReLU", "relu",
        (0.58, 0.41, 0.29, 0.20, 0.14, 0.10),
        "ReLU gives 0 for every negative sum, and half of them are: the same rule loses half of "
        "the mean square in each layer, and outputs go to 0 again.",
    ),
    Case(
        "kaiming-relu", "Kaiming (MSRA) with ReLU", "relu",
        (0.83, 0.83, 0.83, 0.83, 0.80, 0.80),
        "Kaiming's rule divides by the square root of *half* the number of inputs, which makes up "
        "for the half that ReLU takes away. The spread stays.",
        init="kaiming",
    ),
)  # fmt: skip


def chapter(data: Data, seed: int) -> Chapter:
    """The five cases, then what they mean for training on real data."""
    reports = [
        activation_statistics(
            [WIDTH] * (DEPTH + 1), n=ROWS, init=case.init, std=case.std,
            activation=case.activation, seed=seed, gradients=True,
        )
        for case in CASES
    ]  # fmt: skip
    names = [f"layer {i}" for i in range(1, DEPTH + 1)]
    blocks: list[Block] = [
        f"""Training goes round: feed forward, loss, backpropagation, update. Where should the
        parameters *begin*? The answer depends on the activation function, and the deeper the
        network, the more it matters. A network of {DEPTH} layers of {WIDTH} units shows it,
        with {ROWS} rows of standard normal input. Each layer is `x = tanh(x.dot(W))` or `x =
        maximum(0, x.dot(W))`; only `W` differs from case to case."""
    ]
    for case, report in zip(CASES, reports, strict=True):
        blocks += [
            Heading(case.title),
            Lines(f"{report}\nverdict: {report.verdict} ({report.reason})"),
            picture(
                f"init-{case.slug}.png",
                f"Histograms of the activations of {DEPTH} layers: {report.verdict}.",
                f"{case.title}: the activations of each layer.",
                functools.partial(plots.activations, report),
            ),
            case.text,
        ]
    blocks += [
        Heading("The five cases side by side"),
        Table(
            "Standard deviation of each layer's activations in this run; in the last column the "
            "largest difference from what the lecture printed. A batch of 16 rows moves each "
            "number by a few hundredths.",
            ("case", *names, "verdict", "from the lecture"),
            [_row(case, report) for case, report in zip(CASES, reports, strict=True)],
        ),
        Table(
            "What the lecture argues but does not print: the standard deviation of the gradient "
            "that reaches each layer's output, of a random one of 1 at the last.",
            ("case", *names),
            [
                (case.title, *(f"{layer.gradient:.1e}" for layer in report.layers))
                for case, report in zip(CASES, reports, strict=True)
            ],
        ),
        f"""Where outputs go to 0, the gradient goes with them. The second case is less simple:
        up to {max(layer.saturated for layer in reports[1].layers):.0%} of a layer's outputs are
        saturated and let hardly anything pass, but the rest pass it on through weights five
        times as large as the first case's, and the gradient *grows* on its way down.""",
    ]
    return tell("Weight initialisation", *blocks, *_on_data(data, seed))


def _row(case: Case, report: ActivationReport) -> tuple[str, ...]:
    stds = [layer.std for layer in report.layers]
    difference = np.abs(np.subtract(stds, case.printed)).max()
    return case.title, *(f"{std:.2f}" for std in stds), report.verdict, f"{difference:.3f}"


def _on_data(data: Data, seed: int) -> list[Block]:
    """The same five beginnings, trained."""
    rows = []
    for case in CASES:
        std = None if case.std is None else case.std * (WIDTH / SMALL_WIDTH) ** 0.5
        init: Any = case.init
        if std is not None:
            init = functools.partial(initializers.small_random, std=std)
        net = data.net(
            *[SMALL_WIDTH] * DEPTH, activation=case.activation, init=init, output_init="xavier",
            seed=seed,
        )  # fmt: skip
        history = data.train(net, epochs=EPOCHS, batch_size=32, optimizer=optim.SGD(0.01))
        losses = number(curve(history, "loss")[0]), number(final(history, "loss"))
        seen, test = (percent(final(history, name)) for name in ("accuracy", "val_accuracy"))
        rows.append((case.title, *losses, seen, test))
    return [
        Heading(f"What it means for training on {data.name}"),
        f"""The same five beginnings for {DEPTH} layers of {SMALL_WIDTH} units, trained for
        {EPOCHS} epochs on {len(data.y)} rows of {data.name} by plain SGD at a rate of 0.01.
        (The fixed standard deviations are multiplied by {(WIDTH / SMALL_WIDTH) ** 0.5:g}, since
        what counts is their product with the square root of the width.)""",
        Table(
            f"Five beginnings, {EPOCHS} epochs",
            ("case", "loss, first epoch", "last epoch", "training accuracy", "test accuracy"),
            rows,
        ),
        """Six layers are few enough for a bad beginning to be overcome in the end: compare how
        far each has come in the same number of epochs.""",
    ]
