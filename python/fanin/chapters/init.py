"""Weight initialisation: the lecture's five cases, and what norms and skips change about them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fanin import initializers, optim, plots
from fanin.callbacks.history import History
from fanin.chapters.story import Data, curve, final, number, percent, tell
from fanin.diagnostics import ActivationReport, activation_statistics
from fanin.document.blocks import Block, Chapter, Heading, Lines, Listing, Table
from fanin.plots.style import Panels, panels, picture, tidy
from fanin.plots.units import mean_slope

WIDTH, DEPTH, ROWS = 4096, 6, 16
SMALL_WIDTH, EPOCHS = 256, 10
NAMES = [f"layer {i}" for i in range(1, DEPTH + 1)]

WAYS: dict[str, dict[str, Any]] = {
    "alone": {},
    "layer norm": {"norm": "layer"},
    "batch norm": {"norm": "batch"},
    "residual": {"residual": True},
}
NORMS = {name: options["norm"] for name, options in WAYS.items() if "norm" in options}


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
        "*saturated*. There the slope of tanh is nearly 0, and the local gradient with it: "
        "nothing is learned through a saturated unit.",
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
    """The five cases, what they mean for training on real data, and both with norms and skips."""
    reports = [_report(case, seed) for case in CASES]
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
            Listing(_listing(case)),
            Lines(f"{report}\nverdict: {report.verdict} ({report.reason})"),
            picture(
                f"init-{case.slug}.png",
                f"{case.title}: histograms of the activations of {DEPTH} layers, {report.verdict}.",
                f"{case.title}: the activations of each layer.",
                functools.partial(plots.activations, report),
            ),
            case.text,
            *_on_the_curve(case, report),
        ]
    blocks += [
        Heading("The five cases side by side"),
        Table(
            "Standard deviation of each layer's activations in this run; in the last column the "
            "largest difference from what the lecture printed. A batch of 16 rows moves each "
            "number by a few hundredths.",
            ("case", *NAMES, "verdict", "from the lecture"),
            [_row(case, report) for case, report in zip(CASES, reports, strict=True)],
        ),
        Table(
            "What the lecture argues but does not print: the standard deviation of the gradient "
            "that reaches each layer's output, of a random one of 1 at the last.",
            ("case", *NAMES),
            [
                (case.title, *_gradients(report))
                for case, report in zip(CASES, reports, strict=True)
            ],
        ),
        f"""Where outputs go to 0, the gradient goes with them. The second case is less simple:
        up to {max(layer.saturated for layer in reports[1].layers):.0%} of a layer's outputs are
        saturated and let hardly anything pass, but the rest pass it on through weights five
        times as large as the first case's, and the gradient *grows* on its way down.""",
    ]
    alone = dict(zip([case.slug for case in CASES], reports, strict=True))
    return tell(
        "Weight initialisation", *blocks, *_on_data(data, seed), *_normed(alone, seed),
        *_ways_on_data(data, seed),
    )  # fmt: skip


LISTING = """dims = [{width}] * {layers}
hs = []
x = np.random.randn({rows}, dims[0])

for Din, Dout in zip(dims[:-1], dims[1:]):
    W = {weights}
    x = {activation}
    hs.append(x)"""
RULES = {
    "xavier": "np.random.randn(Din, Dout) / np.sqrt(Din)",
    "kaiming": "np.random.randn(Din, Dout) / np.sqrt(Din/2)",
}


def _listing(case: Case) -> str:
    """The lecture's code for a case."""
    drawn = RULES[case.init] if case.std is None else f"{case.std:g} * np.random.randn(Din, Dout)"
    activation = "np.tanh(x.dot(W))" if case.activation == "tanh" else "np.maximum(0, x.dot(W))"
    return LISTING.format(
        width=WIDTH, layers=DEPTH + 1, rows=ROWS, weights=drawn, activation=activation
    )


def _on_the_curve(case: Case, report: ActivationReport) -> list[Block]:
    """Where on tanh's curve the outputs fall, and how steep it is there."""
    if case.activation != "tanh":
        return []
    first, last = (mean_slope(report.layers[i]) for i in (0, -1))
    size = report.layers[-1].std
    return [
        picture(
            f"init-{case.slug}-curve.png",
            f"{case.title}: tanh's curve, and where on it each of {DEPTH} layers' outputs fall.",
            f"{case.title}: the outputs on tanh's curve; a dot is as large as the share of outputs "
            "there.",
            functools.partial(plots.tanh_outputs, report),
        ),
        f"""The two factors of the chain rule, from this picture: the slope of tanh at the outputs
        is {first:.2f} in the mean in the first layer and {last:.2f} in the last; the last layer's
        outputs, which multiply the gradient of the next one's weights, have a standard deviation of
        {size:.2f}.""",
    ]


def _report(case: Case, seed: int, norm: str | None = None) -> ActivationReport:
    return activation_statistics(
        [WIDTH] * (DEPTH + 1), n=ROWS, init=case.init, std=case.std, activation=case.activation,
        norm=norm, seed=seed, gradients=True,
    )  # fmt: skip


def _row(case: Case, report: ActivationReport) -> tuple[str, ...]:
    difference = np.abs(np.subtract([layer.std for layer in report.layers], case.printed)).max()
    return case.title, *_spreads(report), report.verdict, f"{difference:.3f}"


def _spreads(report: ActivationReport) -> list[str]:
    return [f"{layer.std:.2f}" for layer in report.layers]


def _gradients(report: ActivationReport) -> list[str]:
    return [f"{layer.gradient:.1e}" for layer in report.layers]


def _on_data(data: Data, seed: int) -> list[Block]:
    """The same five initialisations, trained."""
    rows = []
    for case in CASES:
        history = _trained(data, seed, case.init, case.std, activation=case.activation)
        rows.append((case.title, *_outcome(history)))
    shallow = {
        case.slug: final(
            _trained(data, seed, case.init, case.std, layers=1, activation=case.activation),
            "val_accuracy",
        )
        for case in CASES
        if case.slug in ("small", "xavier-tanh")
    }
    return [
        Heading(f"What it means for training on {data.name}"),
        f"""The same five initialisations for {DEPTH} layers of {SMALL_WIDTH} units, trained for
        {EPOCHS} epochs on {len(data.y)} rows of {data.name} by plain SGD at a rate of 0.01.
        (The fixed standard deviations are multiplied by {(WIDTH / SMALL_WIDTH) ** 0.5:g}, since
        what counts is their product with the square root of the width.)""",
        Table(f"Five initialisations, {EPOCHS} epochs", ("case", *OUTCOME), rows),
        f"""With only six layers training overcomes a bad initialisation in the end: compare how far
        each has come in the same number of epochs. In a small network it matters less: with one
        hidden layer {percent(shallow["small"])} of the test rows are right from small random
        numbers, and {percent(shallow["xavier-tanh"])} from Xavier's.""",
    ]


def _trained(
    data: Data, seed: int, init: Any, std: float | None, *, layers: int = DEPTH, **options: Any
) -> History:
    """Plain SGD from that initialisation; the standard deviation is that of the lecture's width."""
    if std is not None:
        std *= (WIDTH / SMALL_WIDTH) ** 0.5
        init = functools.partial(initializers.small_random, std=std)
    net = data.net(
        *[SMALL_WIDTH] * layers, init=init, output_init="xavier", seed=seed, **options
    )  # fmt: skip
    return data.train(net, epochs=EPOCHS, batch_size=32, optimizer=optim.SGD(0.01))


OUTCOME = "loss, first epoch", "last epoch", "training accuracy", "test accuracy"


def _outcome(history: History) -> tuple[str, ...]:
    losses = number(curve(history, "loss")[0]), number(final(history, "loss"))
    return *losses, *(percent(final(history, name)) for name in ("accuracy", "val_accuracy"))


# Norms and skips


def _normed(alone: Mapping[str, ActivationReport], seed: int) -> list[Block]:
    """The initialisations that failed, with a norm in each layer."""
    failed = [case for case in CASES if case.slug in ("small", "large", "xavier-relu")]
    reports = {
        (case.slug, name): _report(case, seed, norm) if norm else alone[case.slug]
        for case in failed
        for name, norm in {"alone": None, **NORMS}.items()
    }
    rows = [
        (case.title, name, reports[case.slug, name])
        for case in failed
        for name in ("alone", *NORMS)
    ]
    return [
        Heading("A norm makes up for a bad initialisation"),
        """A *norm* stands between `x.dot(W)` and the activation and takes the scale of the sums
        out: it subtracts their mean and divides by their standard deviation. Layer norm (Ba et al.
        2016) does so for each row over its units, batch norm (Ioffe and Szegedy 2015) for each
        unit over the rows of the minibatch. Here are the three cases that failed, with the same
        weights as above and a norm in each layer.""",
        Table(
            "Standard deviation of each layer's activations",
            ("case", "with", *NAMES, "verdict"),
            [(title, name, *_spreads(report), report.verdict) for title, name, report in rows],
        ),
        *(
            picture(
                f"init-{slug}-{NORMS[name]}-norm.png",
                f"Histograms of the activations of {DEPTH} layers with a {name}: {what}.",
                f"{what}, with a {name}: the activations of each layer.",
                functools.partial(plots.activations, reports[slug, name]),
            )
            for slug, name, what in (
                ("small", "layer norm", "Small random numbers with tanh"),
                ("xavier-relu", "batch norm", "Xavier with ReLU"),
            )
        ),
        Table(
            "Standard deviation of the gradient that reaches each layer's output",
            ("case", "with", *NAMES),
            [(title, name, *_gradients(report)) for title, name, report in rows],
        ),
        *_said_of_norms(reports),
    ]


def _said_of_norms(reports: Mapping[tuple[str, str], ActivationReport]) -> list[Block]:
    """What they make up for and what not, in the numbers of the run."""
    small, large = (reports[slug, "layer norm"].layers for slug in ("small", "large"))
    apart = max(abs(a.std - b.std) for a, b in zip(small, large, strict=True))
    weights = [layers[0].weight_gradient or 0.0 for layers in (small, large)]
    growth = {}
    for name in NORMS:
        below, *_, top = (layer.gradient or 0.0 for layer in reports["xavier-relu", name].layers)
        growth[name] = (below / top) ** (1 / (DEPTH - 1))
    return [
        f"""The spread stays in every layer. With small and with large numbers it is even the same
        (with layer norm the two differ by at most {apart:.0e} in any layer): five times the
        weights are five times the sums, and the norm divides by that. What is left of the scale
        is in the gradient with respect to the weights: in the first layer its standard deviation
        is {weights[0]:.2g} with the small ones and {weights[1]:.2g} with the large ones. The
        smaller the weights, the larger the steps they take.""",
        f"""A norm does not solve everything. With ReLU the gradient changes by
        {round(100 * (growth["layer norm"] - 1)):+d} % a layer on its way down through layer norm,
        but by {round(100 * (growth["batch norm"] - 1)):+d} % through batch norm, whatever the scale
        of the weights (Yang et al. 2019). From the last of {DEPTH} layers to the first that is a
        factor of {growth["batch norm"] ** (DEPTH - 1):.1f}; in fifty layers it would be one of
        about {float(number(growth["batch norm"] ** 49, 1)):,.0f}.""",
    ]


def _ways_on_data(data: Data, seed: int) -> list[Block]:
    """A good and a bad initialisation trained, each alone, with a norm, and with skips."""
    starts: dict[str, tuple[str, float | None]] = {
        "Kaiming": ("kaiming", None),
        "small (std 0.01)": ("small_random", 0.01),
    }
    runs = {
        start: {name: _trained(data, seed, *begin, **options) for name, options in WAYS.items()}
        for start, begin in starts.items()
    }
    good, bad = (
        {name: final(run, "val_accuracy") for name, run in of.items()} for of in runs.values()
    )
    n, best = len(data.y_test), max(good, key=lambda name: np.nan_to_num(good[name]))
    noise = (good["alone"] * (1 - good["alone"]) / n) ** 0.5
    first = [curve(runs["Kaiming"][name], "loss")[0] for name in ("alone", "residual")]
    return [
        Heading(f"Norms and skips in training on {data.name}"),
        f"""The same {DEPTH} layers of {SMALL_WIDTH} units with ReLU, initialised by Kaiming's rule
        and with small numbers: alone, with each norm, and *residual* (He et al. 2016), which is a
        skip around every hidden layer that is as wide as its input, `x + maximum(0, x.dot(W))`. All
        else is as in the runs above. One learning rate serves all eight, though each has a best
        one of its own.""",
        picture(
            "init-ways.png",
            "Training losses with Kaiming's and with small random initial weights: alone, with "
            "layer norm, batch norm and residual.",
            "Training loss of each epoch, from two initialisations.",
            functools.partial(draw_ways, runs),
        ),
        Table(
            f"Two initialisations, {EPOCHS} epochs",
            ("initialisation", "with", *OUTCOME),
            [
                (start, name, *_outcome(run))
                for start, of in runs.items()
                for name, run in of.items()
            ],
        ),
        f"""From small numbers the network alone gets {percent(bad["alone"])} of the test rows right
        in {EPOCHS} epochs, with layer norm to {percent(bad["layer norm"])}, with batch norm to
        {percent(bad["batch norm"])} and with skips to {percent(bad["residual"])}: a norm
        restores the scale, and a skip leads signal and gradient around layers that block them.""",
        f"""With Kaiming's rule there is less to gain. Alone the network reaches
        {percent(good["alone"])}, and the best of the four ({best}) to {percent(good[best])}; on
        {n} test rows such an accuracy has a standard error of {number(100 * noise, 2)} points.
        With skips the mean loss of the first epoch is {number(first[1])}, where the network alone
        has {number(first[0])}: Kaiming's rule makes each layer keep the spread by itself, and the
        sum of a layer and its input has more.""",
    ]


def draw_ways(runs: Mapping[str, Mapping[str, History]]) -> Panels:
    """A panel of loss curves for each initialisation, with the same axes and one legend."""
    axes: Panels = panels(None, 1, len(runs), 3.9, width=9.0)[0]
    for panel, (start, of) in zip(axes, runs.items(), strict=True):
        plots.compare(of, "loss", panel)
        if legend := panel.get_legend():
            legend.remove()
        tidy(panel, start, legend=panel is axes[-1], below=len(of))
    from matplotlib.ticker import LogLocator

    if "log" in [panel.get_yscale() for panel in axes]:
        for panel in axes:
            panel.set_yscale("log")
            panel.autoscale(axis="y")
            panel.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
            panel.yaxis.set_major_formatter("{x:g}")
            panel.yaxis.set_minor_formatter("{x:g}")
    lows, highs = zip(*(panel.get_ylim() for panel in axes), strict=True)
    for panel in axes:
        panel.set_ylim(min(lows), max(highs))
    return axes
