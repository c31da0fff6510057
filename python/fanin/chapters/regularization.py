"""Regularisation: what L2 does to the weights and to the boundary."""

from __future__ import annotations

from typing import Any

import numpy as np

from fanin import MLP, optim, plots
from fanin._typing import Array
from fanin.chapters.story import Data, final, number, percent, tell
from fanin.document.blocks import Block, Chapter, Heading, Table
from fanin.plots.style import picture
from fanin.random import Generator

STRENGTHS = (0.0, 1e-3, 1e-2)
MOONS, FRESH, NOISE = 80, 2000, 0.3  # points to learn, points to test on, and their spread
WIDTH, EPOCHS = 64, 400
ROWS, WRONG, DATA_EPOCHS = 600, 0.2, 60
DATA_STRENGTHS = (0.0, 1e-3, 1e-2, 1e-1)


def chapter(data: Data, seed: int) -> Chapter:
    """Why, and L2 on two features and on the data."""
    return tell(
        "Regularisation: L2",
        """The parameters that make the loss smallest are not unique, and some fit the training data
        too well: they *overfit*, and do worse on rows they have not seen. **Regularisation** is
        what is added against that.""",
        *_not_unique(data, seed),
        *_on_moons(seed),
        *_on_data(data, seed),
    )


def _not_unique(data: Data, seed: int) -> list[Block]:
    """The same loss from other weights, which a term of the weights tells apart."""
    net = data.net(WIDTH, seed=seed)
    data.train(net, epochs=20, batch_size=32, optimizer=optim.Adam())
    turned, scaled = net.copy(), net.copy()
    order = Generator(seed, 33).permutation(WIDTH)
    for name, new in (("W1", net.params["W1"][:, order]), ("b1", net.params["b1"][order]),
                      ("W2", net.params["W2"][order])):  # fmt: skip
        turned.params[name][...] = new
    for name, factor in (("W1", 4), ("b1", 4), ("W2", 1 / 4)):
        scaled.params[name] *= np.float32(factor)
    networks = {
        "as trained": net,
        "hidden units in another order": turned,
        "W1 and b1 times 4, W2 divided by 4": scaled,
    }
    rows = []
    for name, one in networks.items():
        loss, with_l2 = (one.loss(data.X, data.y, reg=reg) for reg in (0.0, 1e-3))
        apart = float(np.linalg.norm(one.get_parameters() - net.get_parameters()))
        rows.append((name, number(apart), f"{loss:.6f}", f"{with_l2:.6f}"))
    return [
        Heading("The parameters of the least loss are not unique"),
        f"""A network of {WIDTH} ReLU units, trained on {data.name}. Another order of the units is
        the same function; so are weights of four times the size, if the next layer's are a quarter.
        The loss cannot tell such networks apart. A term that grows with the weights can:""",
        Table(
            "Three networks of the same loss",
            ("network", "distance from the first", "loss", "loss with L2 of 0.001"),
            rows,
        ),
    ]


def moons(n: int, rng: Generator) -> tuple[Array, Array]:
    """Two interleaved half circles with noise: (n, 2) float32, and labels 0 and 1."""
    turn = np.pi * rng.random(n, dtype="float64")
    y = np.arange(n) % 2
    side = np.where(y == 0, 1.0, -1.0)
    X = np.stack([side * np.cos(turn) + y, side * np.sin(turn) + 0.5 * y], axis=1)
    return (X + NOISE * rng.standard_normal((n, 2), dtype="float64")).astype(np.float32), y


def _on_moons(seed: int) -> list[Block]:
    X, y = moons(MOONS, Generator(seed, 31))
    fresh = moons(FRESH, Generator(seed, 32))
    nets, rows = {}, []
    for reg in STRENGTHS:
        net = MLP([2, WIDTH, WIDTH, 2], seed=seed)
        net.fit(X, y, epochs=EPOCHS, batch_size=16, optimizer=optim.Adam(0.01), reg=reg,
                schedule="cosine", progress=False)  # fmt: skip
        nets[f"reg = {reg:g}"] = net
        weights = np.concatenate([net.params[f"W{i}"].ravel() for i in (1, 2, 3)])
        seen, test = (net.evaluate(*rows_of)["accuracy"] for rows_of in ((X, y), fresh))
        rows.append((f"{reg:g}", number(weights.std()), percent(seen), percent(test)))
    return [
        Heading("L2: small weights, smooth boundaries"),
        """The oldest way is that term, of which `reg` is the strength: `loss + reg / 2 · Σ W²`,
        over all weights; biases are left alone.""",
        picture(
            "regularization-l2.png",
            "Decision boundaries of three networks on two interleaved half circles, and histograms "
            "of their weights: with more L2 the weights are smaller and the boundary is smoother.",
            f"{MOONS} points of two classes, learned by two hidden layers of {WIDTH} units with "
            "three strengths of L2: what is told to be of which class, and the weights, "
            "on a logarithmic scale of how many.",
            lambda: plots.decision_boundaries(nets, X, y),
        ),
        Table(
            f"The same networks on {FRESH} fresh points",
            ("reg", "std of the weights", "accuracy on its training points", "on fresh points"),
            rows,
        ),
        """Without L2 the boundary bends round single points; the weights that do so are large. The
        best that any classifier could do here is less than 100 %, since the classes overlap.""",
    ]


def _on_data(data: Data, seed: int) -> list[Block]:
    noisy = data.few_and_noisy(ROWS, WRONG, seed)
    rows, tests = [], dict[float, float]()
    for reg in DATA_STRENGTHS:
        net = noisy.net(256, seed=seed)
        options: dict[str, Any] = {"optimizer": optim.Adam(), "reg": reg, "batch_size": 50}
        history = noisy.train(net, epochs=DATA_EPOCHS, **options)
        seen = net.evaluate(noisy.X, noisy.y)["accuracy"]
        tests[reg] = final(history, "val_accuracy")
        norm = float(np.sqrt(sum(np.square(net.params[w]).sum() for w in ("W1", "W2"))))
        rows.append((f"{reg:g}", number(norm), percent(seen), percent(tests[reg])))
    best = max(tests, key=lambda reg: np.nan_to_num(tests[reg]))
    return [
        Heading(f"L2 on {data.name}"),
        f"""{len(noisy.y)} rows, of which {WRONG:.0%} have a label drawn at random, and 256 hidden
        units: a network that gets all of them right has learned the wrong labels too.""",
        Table(
            f"After {DATA_EPOCHS} epochs; the last column on {len(data.y_test)} test rows with "
            "right labels",
            ("reg", "length of all weights", "accuracy on its training rows", "on test rows"),
            rows,
        ),
        f"""Without L2 {percent(tests[0.0])} of the test rows are right, with the best of these
        strengths, {best:g}, {percent(tests[best])}. Too much of it and the network underfits: the
        strength is a hyperparameter.""",
    ]
