"""Stochastic gradient descent: the step, its length, and how many rows it looks at."""

from __future__ import annotations

import numpy as np

from fanin import MLP, optim, plots
from fanin._typing import Array
from fanin.callbacks import LambdaCallback
from fanin.chapters.story import Data, curve, final, number, percent, tell
from fanin.document.blocks import Block, Chapter, Heading, Lines, Remark, Table
from fanin.plots.style import picture
from fanin.random import Generator

RATES = (("too small", 1e-4), ("right", 0.1), ("too large", 30.0))
EPOCHS = 15
BATCHES: tuple[int | None, ...] = (1, 32, 64, 128, None)
DRAWS = 200  # minibatches of each size, to see how near they come to all rows


def chapter(data: Data, seed: int) -> Chapter:
    """Learning rates, where SGD comes from, epochs and batches, the loop."""
    return tell(
        "Stochastic gradient descent",
        *_rates(data, seed),
        *_from_one_to_many(data, seed),
        *_epochs_and_batches(data, seed),
        *_paths(data, seed),
    )


def _rates(data: Data, seed: int) -> list[Block]:
    runs, rows = {}, []
    for name, rate in RATES:
        net = data.net(64, seed=seed)
        history = data.train(net, epochs=EPOCHS, batch_size=64, optimizer=optim.SGD(rate))
        runs[f"{rate:g}: {name}"] = history
        losses, test = curve(history, "loss"), percent(final(history, "val_accuracy"))
        ends = number(losses[0]), number(losses[-1])
        rows.append((f"{rate:g} ({name})", *ends, test, history.stop_reason or ""))

    return [
        Heading("Gradient steps"),
        "A network learns by going down its loss, one step against the gradient at a time:",
        Lines("x' = x − α ∇f(x)      α: learning rate, ∇: gradient"),
        """The best point of all is the *global optimum*; a point that is only the best around
        it is a *local* one. With a small rate each step is short, and the way to the optimum
        long. With a large one the steps are too coarse to find it, and with a larger one still
        they lead further away each time: the descent *diverges*.""",
        picture(
            "sgd-learning-rates.png",
            "Gradient descent on a parabola at three rates, and the losses of three real runs.",
            "Steps of `fanin.optim.SGD` on x²/2, from x = −2, at three rates; and the training "
            f"loss of a network of 64 hidden units on {data.name}, at three others.",
            lambda: plots.learning_rates(runs),
        ),
        Table(
            f"Three learning rates on {data.name}",
            ("learning rate", "loss, first epoch", "last epoch", "test accuracy", "ended"),
            rows,
        ),
    ]


def _from_one_to_many(data: Data, seed: int) -> list[Block]:
    whole, rows = _estimates(data, seed)
    return [
        Heading("Where SGD comes from"),
        """For a *single* training sample the step is `θ ← θ − α ∇L(θ, x, y)`. For *n* samples
        the cost is the mean of their losses, and its gradient the mean of their gradients: O(n)
        work for one step. With too many samples that is too much. But the mean over all samples
        is an expectation, and an expectation can be estimated from a few: from a random subset,
        the **minibatch**. That is stochastic gradient descent.""",
        Table(
            f"A network before training, whose loss over all {len(data.y)} rows of {data.name} is "
            f"{whole:.4f}: its loss and gradient estimated from minibatches, {DRAWS} of each size",
            ("minibatch size n", "loss, mean", "off by (RMS)", "expected",
             "angle to the whole gradient"),
            rows,
        ),
        """In the mean a minibatch says what all rows say, and one of four times as many rows comes
        about twice as near: by statistics n rows drawn from N are off by
        σ √((N − n) / (n (N − 1))). The direction of a step is less exact the fewer rows it looks
        at.""",
    ]  # fmt: skip


def _estimates(data: Data, seed: int) -> tuple[float, list[tuple[str, ...]]]:
    """The loss over all rows, and a table's rows of how near minibatches come to it."""
    net = data.net(64, seed=seed)
    net.set_preprocess(data.preprocess, data.X)
    n, rng = len(data.y), Generator(seed, 11)
    whole, direction = _loss_and_gradient(net, data, np.arange(n))
    each = -np.log(net.predict_proba(data.X)[np.arange(n), data.y].astype(np.float64))
    rows = list[tuple[str, ...]]()
    for size in BATCHES:
        m = min(size or n, n)
        drawn = [_loss_and_gradient(net, data, rng.permutation(n)[:m]) for _ in range(DRAWS)]
        losses = np.array([loss for loss, _ in drawn])
        angles = [np.arccos(np.clip(gradient @ direction, -1, 1)) for _, gradient in drawn]
        expected = each.std() * ((n - m) / (m * max(n - 1, 1))) ** 0.5
        rows.append((
            f"{m} (all)" if size is None else str(m), f"{losses.mean():.4f}",
            f"{np.sqrt(np.mean((losses - whole) ** 2)):.4f}", f"{expected:.4f}",
            f"{np.degrees(np.mean(angles)):.0f}°",
        ))  # fmt: skip
    return whole, rows


def _loss_and_gradient(net: MLP, data: Data, rows: Array) -> tuple[float, Array]:
    """The mean loss of these rows, and its gradient as one vector of length 1."""
    loss, grads = net.loss_and_grads(data.X[rows], data.y[rows], n_threads=1)
    vector = np.concatenate([part.ravel() for part in grads.values()]).astype(np.float64)
    return loss, vector / (np.linalg.norm(vector) or 1.0)


def _epochs_and_batches(data: Data, seed: int) -> list[Block]:
    n = len(data.y)
    rows, after, steps = [], list[float](), list[int]()
    counter = LambdaCallback(on_train_batch_end=lambda step, _: steps.append(step))
    for size in BATCHES:
        steps.clear()
        net = data.net(64, seed=seed)
        history = data.train(
            net, epochs=1, batch_size=size, optimizer=optim.SGD(0.01),
            callbacks=[counter],
        )  # fmt: skip
        batch = history.params["batch_size"]
        name = f"{batch} (all)" if size is None else str(batch)
        ratio = f"{n / batch:g}" if n % batch == 0 else f"{n / batch:.2f}"
        after.append(net.evaluate(data.X, data.y)["loss"])
        mean = curve(history, "loss")[-1]
        cells = f"{n}/{batch} = {ratio}", str(len(steps)), f"{mean:.3f}", f"{after[-1]:.3f}"
        rows.append((name, *cells))
    return [
        Heading("Epoch, batch, iteration"),
        """An **epoch** is one pass over the whole data set, forward and backward. A **batch**
        (or minibatch) is the part of it that one step looks at: 32, 64 or 128 rows as a rule.
        An **iteration** is one such step. With N rows and batches of n, an epoch takes N/n of
        them (rounded up: the last batch has what is left).""",
        Table(
            f"One epoch over the N = {n} rows of {data.name} at a rate of 0.01",
            ("batch size n", "N/n", "iterations counted", "mean loss in the epoch", "after it"),
            rows,
        ),
        f"""All five have looked at each row once. The one step of all rows together leaves the loss
        at {after[-1]:.3f}; the many steps of single rows, none of them exact, bring it to
        {after[0]:.3f}.""",
    ]


def _paths(data: Data, seed: int) -> list[Block]:
    points, names = data.two_features()
    x, y = ((column - column.mean()) / (column.std() or 1.0) for column in points.T)
    x, y = 2 * np.ascontiguousarray(x), np.ascontiguousarray(y)
    return [
        Heading("The loop"),
        Lines(
            "Loop:\n"
            "  1. Sample a batch of data\n"
            "  2. Forward prop it through the graph (network), get loss\n"
            "  3. Backprop to calculate the gradients\n"
            "  4. Update the parameters using the gradient"
        ),
        """Gradient descent takes each step in exactly the right direction. A stochastic step is
        less exact, and yet it wins on large data, because it is cheap: in the time that
        gradient descent takes to work out its one best step, SGD has taken many.""",
        picture(
            "sgd-paths.png",
            "Paths of gradient descent, minibatch SGD and single-sample SGD on contours of a loss, "
            "and the loss against the number of rows looked at.",
            f"A line fitted to two features of {data.name} ({names}) by `MLP([1, 1])`: two "
            "parameters, three sizes of the batch, 30 steps each. First the paths; the star is the "
            "best. Then the loss over all rows, against the rows that the steps looked at.",
            lambda: plots.gd_vs_sgd(
                x, y, batch_sizes=(None, min(32, len(x)), 1), lr=0.05, seed=seed
            ),
        ),
        Remark(
            "Gradient descent is a perfectionist, SGD a doer. Better to get going, even if not "
            "quite right, than to wait for perfection."
        ),
    ]
