"""Fancier optimizers: saddle, Beale's function, and real data."""

from __future__ import annotations

from functools import partial

import numpy as np

from fanin import optim, plots
from fanin.chapters.story import Data, Rule, curve, final, number, percent, tell
from fanin.document.blocks import Block, Chapter, Heading, Lines, Listing, Picture, Remark, Table
from fanin.plots import surfaces
from fanin.plots.style import picture

RATES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
EPOCHS = 15
RULES: tuple[tuple[str, Rule], ...] = (
    ("SGD", optim.SGD),
    ("Momentum 0.9", optim.Momentum),
    ("Momentum 0.99", lambda lr: optim.Momentum(lr, rho=0.99)),
    ("AdaGrad", optim.AdaGrad),
    ("RMSProp", optim.RMSProp),
    ("AdaDelta", optim.AdaDelta),
    ("Adam", optim.Adam),
    ("Nadam", optim.Nadam),
)


# The lecture's listings
SGD = """while True:
    dx = compute_gradient(x)
    x -= learning_rate * dx"""
MOMENTUM = """vx = 0
while True:
    dx = compute_gradient(x)
    vx = rho * vx + dx
    x -= learning_rate * vx"""
ADAGRAD = """grad_squared = 0
while True:
    dx = compute_gradient(x)
    grad_squared += dx * dx
    x -= learning_rate * dx / (np.sqrt(grad_squared) + 1e-7)"""


def chapter(data: Data, seed: int) -> Chapter:
    """The rules, their paths, and their training curves."""
    return tell("Fancier optimizers", *_rules(), *_paths(), *_on_data(data, seed))


def _rules() -> list[Block]:
    return [
        """SGD follows the gradient, and where the gradient is 0 it stops: in a local minimum,
        or on a saddle, which is a minimum one way and a maximum another. Many optimizers were
        proposed to get past such places. This is SGD itself:""",
        Listing(SGD),
        Heading("SGD with momentum"),
        """Momentum keeps going in its direction: few things in nature change abruptly. The
        velocity `v` is a running sum of gradients, and ρ, 0.9 or 0.99 as a rule, says how much
        of it is kept.""",
        Lines("v ← ρ v + ∇f(x)\nx ← x − α v"),
        Listing(MOMENTUM),
        *_momentum(),
        Heading("AdaGrad"),
        """A rate too small takes too long, and one too large diverges. AdaGrad supposes that
        the optimum comes nearer with time, and lowers the rate as it goes: it adds up the
        squares of the gradients in `h`, and divides by the root, for each parameter by itself.""",
        Lines("h ← h + ∇f(x)²\nx ← x − α ∇f(x) / √h"),
        Listing(ADAGRAD),
        *_adagrad(),
        Heading("The others"),
        """Nesterov looks ahead along its momentum. RMSProp forgets old squares, so that the
        rate can recover, and AdaDelta does without a rate of its own. Adam joins momentum with
        RMSProp, and Nadam looks ahead as Nesterov does.""",
        picture(
            "optimizers-family.png",
            "A family tree: gradient descent, SGD; on one side Momentum, Nesterov and Lion, on the "
            "other AdaGrad, RMSProp and AdaDelta; Adam of both, then Nadam, AMSGrad and AdamW.",
            "Which rule comes of which, and what each adds. All but the first are in "
            "`fanin.optim`, by these names.",
            plots.optimizer_family,
        ),
        Remark("If in doubt, take Adam."),
    ]


def _momentum() -> list[Block]:
    """What keeping the direction brings in a flat valley, at one learning rate."""
    valley, rate, rows = surfaces.BEALE, surfaces.BEALE.rates["momentum"], []
    for rho in (0.0, 0.9, 0.99):
        path = valley.path(optim.Momentum(rate, rho=rho))
        steps = valley.arrival(path)
        end = f"leaves the picture after {len(path) - 1}"
        if len(path) > valley.steps:
            end = f"f is {valley.function(*path[-1]):.2g} after {valley.steps}"
        rows.append([f"{rho:g}", end if steps is None else f"arrives after {steps}"])
    return [
        picture(
            "optimizers-momentum.png",
            "Two paths in a bent valley: SGD's follows its floor and ends before the star, "
            "Momentum's runs past the bend, turns and reaches the star.",
            f"Beale's function, whose valley is flat: SGD and Momentum with ρ = 0.9, both at a "
            f"learning rate of {rate:g}; the star is the minimum.",
            lambda: plots.optimizer_paths({"sgd": rate, "momentum": rate}, surfaces=["beale"]),
        ),
        """Along the floor of the valley gradients point the same way and add up, so that Momentum
        gets there first, although it keeps going past the bend. They add up to steps that are up
        to 1 / (1 − ρ) times as long: a ρ of 0.99 needs a smaller rate.""",
        Table(
            f"Beale's function at a learning rate of {rate:g}, until f is below {valley.low:g}",
            ("ρ", "steps"),
            rows,
        ),
    ]


def _adagrad() -> list[Block]:
    """How the rate of each parameter falls."""
    valley, rate = surfaces.BEALE, surfaces.BEALE.rates["adagrad"]
    path = valley.path(optim.AdaGrad(rate))
    squares = np.cumsum(np.square([valley.gradient(*point) for point in path]), axis=0)
    rates = rate / np.sqrt(squares)
    rows = [[str(n), *(f"{one:.4f}" for one in rates[n - 1])] for n in (1, 10, 100, 400)]
    return [
        Table(
            f"AdaGrad's learning rate, α / √h with α = {rate:g}, on Beale's function",
            ("step", "of x", "of y"),
            rows,
        )
    ]


def _paths() -> list[Block]:
    rows = []
    past = []
    for rule in surfaces.SADDLE.rates:
        cells = [type(optim.get(rule)).__name__]
        for surface in (surfaces.SADDLE, surfaces.LOCAL, surfaces.BEALE):
            rate = surface.rates[rule]
            steps = surface.arrival(surface.path(optim.get(rule, rate)))
            cells += [f"{rate:g}", f"over {surface.steps}" if steps is None else str(steps)]
            if surface is surfaces.LOCAL and steps is not None:
                past.append(cells[0])
        rows.append(cells)
    alt = "Paths of eleven optimizers over the contours of a saddle and of Beale's function."
    return [
        Heading("A saddle, a local minimum and a bent valley"),
        """All begin at the same point (the ring). On the saddle that point lies a thousandth
        beside the ridge, where the slope is barely noticeable. SGD slides
        towards the saddle first and lingers; rules that divide by the size of the gradient go
        both ways at once. Beale's function has a flat, bent valley; the star is its minimum.""",
        picture(
            "optimizers-paths.png",
            alt,
            "Real steps of all rules of `fanin.optim`. A family has one colour.",
            plots.optimizer_paths,
        ),
        Picture(
            "optimizers.gif",
            f"{alt} They move.",
            "The same paths, animated: in each frame all have taken the same number of steps.",
            plots.animate_optimizers,
        ),
        """The other trap is a local minimum: a basin that is not the deepest. Here it lies between
        the start and the deeper one, and at its bottom the gradient vanishes.""",
        picture(
            "optimizers-local.png",
            "Paths of eleven optimizers on a surface with two basins: some stay in the nearer.",
            f"f = {surfaces.LOCAL.formula}: the nearer basin is the local minimum, the star the "
            "global one.",
            lambda: plots.optimizer_paths(surfaces=["local"]),
        ),
        f"""SGD stays in the local minimum, {_stuck()}. At the rates shown {", ".join(past)} come
        past it: what they remember of the way down carries them over the ridge. No rule does so
        always.""",
        Table(
            "Steps until the loss is below the saddle's, until the deeper basin is reached, and "
            f"until Beale's function is below {surfaces.BEALE.low:g}, each at the rate shown",
            ("rule", "saddle: rate", "steps", "basin: rate", "steps", "Beale: rate", "steps"),
            rows,
        ),
    ]


def _stuck() -> str:
    """At how many of some rates SGD does not leave the local minimum."""
    surface = surfaces.LOCAL
    rates = (0.001, 0.003, 0.01, 0.03, 0.1)
    stays = [rate for rate in rates if surface.arrival(surface.path(optim.SGD(rate))) is None]
    return f"at {len(stays)} of {len(rates)} rates from {rates[0]:g} to {rates[-1]:g}"


def _on_data(data: Data, seed: int) -> list[Block]:
    runs, rows = {}, []
    for name, rule in RULES:
        net = partial(data.net, 64, seed=seed)
        rate, history = data.train_at_best(RATES, rule, net, epochs=EPOCHS, batch_size=64)
        runs[name] = history
        first, last = number(curve(history, "loss")[0]), number(final(history, "loss"), 2)
        rows.append((name, f"{rate:g}", first, last, percent(final(history, "val_accuracy"))))

    return [
        Heading(f"Training on {data.name}"),
        f"""A network of 64 hidden units, {EPOCHS} epochs in steps of 64 rows; each rule at the
        best of the rates {", ".join(f"{rate:g}" for rate in RATES)}, by the loss on a fifth of the
        training rows that was kept back; then on all of them.""",
        picture(
            "optimizers-curves.png",
            "Training loss by epoch of eight optimizers.",
            f"Training loss on {data.name} of the lecture's rules.",
            lambda: plots.compare(runs),
        ),
        Table(
            f"Eight rules on {data.name}",
            ("rule", "learning rate", "loss, first epoch", "last epoch", "test accuracy"),
            rows,
        ),
    ]
