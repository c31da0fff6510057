"""Hyperparameter tuning: grid against random search, from coarse to fine, and the seven steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from math import comb
from typing import Any

import numpy as np

from fanin import ClassifierTrainer, init_two_layer_model, plots, two_layer_net
from fanin._typing import Array
from fanin.chapters import guideline
from fanin.chapters.story import Data, number, percent, tell
from fanin.document.blocks import Block, Chapter, Heading, Lines, Listing, Remark, Table
from fanin.plots.style import picture
from fanin.tuning import Edge, SearchResult, Trial, loguniform, search
from fanin.tuning.search.result import trial_line

TRIALS, MANY = 9, 60  # of the two layouts; of random draws, to tell luck from method
SWEPT = 13  # values along the important axis, and half of them along the other
SPACE = {"lr": loguniform(1e-5, 10), "reg": loguniform(1e-6, 1e-2)}
MIDDLE = 1e-4  # of the second range
ROUNDS = 100  # trials of the coarse search and of each finer one
SHOWN = 8  # lines
HIDDEN, BATCH, EPOCHS = 50, 10, 5  # of the lecture's two-layer network


def chapter(data: Data, seed: int) -> Chapter:
    """What can be tuned, how to search, from coarse to fine, and the guideline."""
    return tell(
        "Hyperparameter tuning",
        *_kinds(),
        *_grid_and_random(data, seed),
        *_coarse_to_fine(data, seed),
        *guideline.blocks(data, seed),
    )


def _kinds() -> list[Block]:
    return [
        """A network learns its *parameters*; what a person sets before training are its
        *hyperparameters*. In fanin each is an argument, and any of them may be searched.""",
        Table(
            "The lecture's list, and where each is set",
            ("hyperparameter", "arguments of MLP and fit"),
            [
                ("network architecture", "dims, activation, norm, residual"),
                ("number of iterations", "epochs"),
                ("learning rate, and of the solver", "optimizer, schedule"),
                ("regularisation", "reg, keep, drop_connect, augment"),
                ("batch size", "batch_size"),
            ],
        ),
    ]


# Grid and random


def _grid_and_random(data: Data, seed: int) -> list[Block]:
    def run(space: Mapping[str, Any], n_trials: int, strategy: str, **fixed: Any) -> SearchResult:
        options = {"epochs": EPOCHS, "hidden": 32, "optimizer": "sgd", **fixed}
        return search(
            space, (data.X, data.y), n_trials, strategy=strategy, preprocess=data.preprocess,
            batch_size=min(32, len(data.y)), seed=seed, progress=False, **options,
        )  # fmt: skip

    grid, drawn = run(SPACE, TRIALS, "grid"), run(SPACE, TRIALS, "random")
    many = _scores(run(SPACE, MANY, "random").trials)
    along_rate = run({"lr": SPACE["lr"]}, SWEPT, "grid", reg=MIDDLE)
    best_rate = along_rate.best.params["lr"] if along_rate.best else 0.1
    along_reg = run({"reg": SPACE["reg"]}, SWEPT // 2 + 1, "grid", lr=best_rate)
    sweeps = {"lr": _sweep(along_rate, "lr"), "reg": _sweep(along_reg, "reg")}
    spread = {
        name: 100 * float(np.nanmax(values) - np.nanmin(values))
        for name, (_, values) in sweeps.items()
    }
    on_grid = float(np.max(_scores(grid.trials)))
    beaten = 1 - _none_of(int((many <= on_grid).sum()), len(many))
    rows = [
        (name, *_tried(result), percent(float(np.max(_scores(result.trials)))))
        for name, result in (("grid", grid), ("random, as drawn", drawn))
    ]
    rows.append((f"any {TRIALS} of {MANY} at random, mean", str(TRIALS), str(TRIALS),
                 percent(_expected_best(many))))  # fmt: skip
    return [
        Heading("Grid search against random search"),
        f"""Two hyperparameters, and time for {TRIALS} trials: a grid tries three values of each,
        random search {TRIALS}. One of the two matters and the other hardly does, as is often so.
        The curves along the edges are runs as well: over its whole range the learning rate moves
        the accuracy by {spread["lr"]:.0f} points, L2 by {spread["reg"]:.0f}. Where one axis is
        unimportant, all trials of a grid's column are the same trial again.""",
        picture(
            "tuning-grid-random.png",
            "Nine trials on a grid and nine at random over learning rate and L2, with the accuracy "
            "along each axis at the edges.",
            f"Each point is a network of 32 hidden units, trained for {EPOCHS} epochs of SGD on "
            f"{data.name}; its colour is the accuracy on rows kept back. The curve above each "
            "panel is the accuracy along the learning rate, the one at its right along L2; blue "
            "ticks are the values tried.",
            lambda: plots.grid_vs_random(grid, drawn, sweeps=sweeps),
        ),
        Table(
            "The best of each, and what luck has to do with it",
            ("trials", "learning rates", "values of L2", "best accuracy"),
            rows,
        ),
        f"""One drawing proves little, so {MANY} points were drawn: of all choices of {TRIALS} among
        them, {percent(beaten)} have a better network than the grid's best.""",
    ]


def _scores(trials: Sequence[Trial]) -> Array:
    """Of each trial; one that diverged or failed has 0."""
    return np.array([trial.score if trial.ended_well else 0.0 for trial in trials])


def _sweep(result: SearchResult, name: str) -> tuple[Array, Array]:
    """Values of a parameter in order, and their scores, NaN where training diverged."""
    trials = sorted(result.trials, key=lambda trial: trial.params[name])
    scores = [trial.score if trial.ended_well else np.nan for trial in trials]
    return np.array([trial.params[name] for trial in trials]), np.array(scores)


def _tried(result: SearchResult) -> list[str]:
    return [str(len({trial.params[name] for trial in result.trials})) for name in SPACE]


def _none_of(worse: int, total: int) -> float:
    """Probability that so many trials out of all are among the worse ones."""
    return comb(worse, TRIALS) / comb(total, TRIALS)


def _expected_best(scores: Array) -> float:
    """The mean over all choices of so many trials of the best one's score."""
    ordered, total = np.sort(scores), len(scores)
    chances = [comb(i, TRIALS - 1) / comb(total, TRIALS) for i in range(total)]
    return float(ordered @ np.array(chances))


# From coarse to fine

COARSE = {"reg": loguniform(1e-5, 1e5), "lr": loguniform(1e-6, 1e-3)}
FINE = {"reg": loguniform(1e-4, 1), "lr": loguniform(1e-4, 1e-3)}
LISTING = """max_count = {rounds}
for count in range(max_count):
    reg = 10**uniform(-5, 5)
    lr = 10**uniform(-3, -6)

    trainer = ClassifierTrainer()
    model = init_two_layer_model({dim}, {hidden}, {classes})  # input size, hidden size, number of classes
    best_model_local, stats = trainer.train(X_train, y_train, X_val, y_val, model, two_layer_net,
                                            num_epochs={epochs}, reg=reg, update='momentum',
                                            learning_rate_decay=0.9, sample_batches=True,
                                            batch_size={batch}, learning_rate=lr, verbose=False)"""  # noqa: E501


def _coarse_to_fine(data: Data, seed: int) -> list[Block]:
    part = data.for_choices()
    trial = _lectures_trial(part, seed)

    def run(space: Mapping[str, Any], stage: int) -> SearchResult:
        return search(space, trial, ROUNDS, seed=seed + stage, progress=False)

    coarse, fine = run(COARSE, 2), run(FINE, 3)
    listing = LISTING.format(
        rounds=ROUNDS, dim=data.dim, hidden=HIDDEN, classes=data.n_classes, epochs=EPOCHS,
        batch=BATCH,
    )  # fmt: skip
    at_edge = next((edge for edge in fine.edges() if edge.name == "lr"), None)
    return [
        Heading("From coarse to fine"),
        f"""First a rough space and few epochs. This is the lecture's listing, run on {data.name}
        with {len(part.y)} rows to train on and {len(part.y_test)} to judge by; trials are scored by
        their best validation accuracy.""",
        Listing(listing),
        Lines(_printed(coarse)),
        f"""Of {ROUNDS} trials {_better_half(coarse)} reach half of the accuracy of the best,
        {percent(_best(coarse))}. The finer search takes the part of the space where they are:""",
        Listing(
            f"max_count = {ROUNDS}\nfor count in range(max_count):\n"
            "    reg = 10**uniform(-4, 0)\n    lr = 10**uniform(-3, -4)"
        ),
        Lines(_printed(fine)),
        f"""The best is {percent(_best(fine))} now. But look where it lies.""",
        picture(
            "tuning-fine.png",
            "Validation accuracy of the finer search against L2 and against the learning rate.",
            "The trials of the finer search, by each of the two hyperparameters.",
            lambda: plots.search(fine),
        ),
        *(_beyond(run, fine, at_edge) if at_edge else _inside(fine)),
    ]


def _lectures_trial(data: Data, seed: int) -> Callable[[Mapping[str, float]], float]:
    """The body of the lecture's loop, on the data minus their mean, bytes unscaled as there."""
    X, X_val = (A.reshape(len(A), -1).astype(np.float32) for A in (data.X, data.X_test))
    mean = X.mean(axis=0)
    scale = np.float32(1) if data.X.dtype == np.uint8 else X.std(axis=0)
    scale = np.where(scale > 0, scale, np.float32(1))
    X, X_val = (X - mean) / scale, (X_val - mean) / scale

    def trial(params: Mapping[str, float]) -> float:
        model = init_two_layer_model(data.dim, HIDDEN, data.n_classes, seed=seed)
        _, stats = ClassifierTrainer().train(
            X, data.y, X_val, data.y_test, model, two_layer_net, num_epochs=EPOCHS,
            reg=params["reg"], update="momentum", learning_rate_decay=0.9, batch_size=BATCH,
            learning_rate=params["lr"], seed=seed, n_threads=1,
        )  # fmt: skip
        return stats["best_val_acc"]

    return trial


def _printed(result: SearchResult) -> str:
    """The lecture's lines: the first ones, and the best."""
    best = result.best
    lines = []
    for trial, n in zip(result.trials, count(1), strict=False):
        if n <= SHOWN or trial is best:
            lines += ["..."] * (trial is best and n > SHOWN + 1)
            line = trial_line(trial, "val_accuracy", n, len(result.trials))
            lines.append(f"{line} <- best" if trial is best else line)
            lines += ["..."] * (trial is best and SHOWN < n < len(result.trials))
        elif n == SHOWN + 1 and (best is None or best.number < SHOWN):
            lines.append("...")
    return "\n".join(lines)


def _best(result: SearchResult) -> float:
    return result.best.score if result.best else float("nan")


def _better_half(result: SearchResult) -> int:
    """How many trials are at least half as accurate as the best."""
    return int((_scores(result.trials) >= _best(result) / 2).sum())


def _beyond(
    run: Callable[[Mapping[str, Any], int], SearchResult], fine: SearchResult, edge: Edge
) -> list[Block]:
    assert edge.suggestion is not None
    wider = run({**FINE, "lr": edge.suggestion}, 4)
    assert fine.best
    assert wider.best
    gained = wider.best.score - fine.best.score
    return [
        "`result.edges()` says it:",
        Lines(str(edge)),
        f"""Where the best value lies at the edge, better ones may lie outside. So the same search
        again, over {_range(edge.suggestion)}:""",
        Lines(_printed(wider)),
        f"""The best accuracy goes from {percent(fine.best.score)} to {percent(wider.best.score)},
        by {number(100 * gained, 3)} points, at a learning rate of
        {number(wider.best.params["lr"])}; both ranges before had ended at
        {number(FINE["lr"].high)}.""",
    ]


def _range(parameter: Any) -> str:
    return f"learning rates from {parameter.low:g} to {parameter.high:g}"


def _inside(fine: SearchResult) -> list[Block]:
    lr = fine.best.params["lr"] if fine.best else float("nan")
    return [
        f"""`result.edges()` finds no edge on these data: the best learning rate, {number(lr)}, is
        not at an end, or no better than those inside. Were it at one, the range would have to
        be moved.""",
        Remark("A best value at the edge of its range is a reason to look outside."),
    ]
