"""Model ensembles: the lecture's six kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fanin import MLP, ensemble, optim, plots
from fanin.callbacks import LambdaCallback
from fanin.chapters.story import Data, percent, tell
from fanin.document.blocks import Block, Chapter, Heading, Remark, Table
from fanin.plots.style import picture

MEMBERS, EPOCHS = 5, 60
ROWS, WRONG, WIDTH = 600, 0.2, 128
WHERE_NOT = 10  # epochs on all rows
VARIANTS = ({"loss": "softmax"}, {"loss": "svm"}, {"optimizer": "momentum"},
            {"optimizer": "rmsprop"}, {"activation": "tanh"})  # fmt: skip
CANDIDATES: tuple[dict[str, Any], ...] = (
    {"keep": 0.5},
    {"keep": 0.8},
    {"reg": 1e-3},
    {"reg": 1e-2},
    {},
)


def chapter(data: Data, seed: int) -> Chapter:
    """What an ensemble is, six ways to make one, and where it gains nothing."""
    return tell(
        "Regularisation: model ensembles",
        """A **model ensemble** trains several independent models and averages their results at
        test time, against overfitting and for a better accuracy.""",
        Remark(
            "An ensemble needs computing power: a method for companies rather than "
            f"individuals. ({MEMBERS} members are {MEMBERS} times the work of one, in training and "
            f"in prediction; those below have {MLP(_dims(data)).n_params:,} parameters each.)"
        ),
        *_six(data, seed),
        *_where_not(data, seed),
    )


def _six(data: Data, seed: int) -> list[Block]:
    noisy = data.few_and_noisy(ROWS, WRONG, seed)
    found = {name: build(noisy, seed) for name, build in WAYS.items()}
    rows = [_row(name, evaluation) for name, evaluation in found.items()]
    first = next(iter(found.values()))
    gains = {name: _gain(evaluation) for name, evaluation in found.items()}
    most = max(gains, key=gains.__getitem__)
    return [
        Heading("Six kinds"),
        f"""The models can differ in many ways; `fanin.ensemble` has a builder for each. Here are
        all six on {len(noisy.y)} rows of {data.name}, of which {WRONG:.0%} have a label drawn at
        random: each network memorises wrong labels, but each memorises them in its own way,
        and their mean does not.""",
        picture(
            "ensembles-six.png",
            "Six kinds of ensembles, each with the accuracy of its members and of the ensemble.",
            f"Accuracy on the {len(data.y_test)} test rows, whose labels are right. Of the running "
            "average of parameters the dots are the networks at the ends of epochs that went into "
            "it.",
            lambda: plots.ensembles(found),
        ),
        Table(
            f"Accuracy on {len(data.y_test)} test rows",
            ("members differ by", "worst", "mean", "best", "ensemble", "two differ on"),
            rows,
        ),
        f"""The gain over the mean member is largest with {most[4:]},
        {100 * gains[most]:.1f} points, and {100 * min(gains.values()):.1f} points where it is
        least. Members that err on different rows can correct each other; how often two of them
        differ is the last column, and, pair by pair, this picture:""",
        picture(
            "ensembles.png",
            "Accuracy of the members and of the ensemble, and how often two members differ.",
            f"{MEMBERS} networks of {WIDTH} hidden units from different initialisations.",
            lambda: plots.ensemble(first),
        ),
    ]


def _where_not(data: Data, seed: int) -> list[Block]:
    whole = _initializations(data, seed, WHERE_NOT)
    gain, n = _gain(whole), len(data.y_test)
    error = (whole["accuracy"] * (1 - whole["accuracy"]) / n) ** 0.5
    told = "more" if gain > 2 * error else "no more"
    return [
        Heading("Where it gains little"),
        f"""On all {len(data.y)} rows of {data.name}, with right labels, {MEMBERS} networks from
        different initialisations have {percent(whole["accuracy"])} together, where the mean of them
        has {percent(_mean(whole))}: {100 * gain:.1f} points, {told} than twice the standard error
        of {n} test rows, {100 * error:.1f}. Where single networks hardly err, or err on the same
        rows, there is little to average away.""",
    ]


def _row(name: str, evaluation: dict[str, Any]) -> tuple[str, ...]:
    members = [member["accuracy"] for member in evaluation["members"]]
    pairs = evaluation["disagreement"][np.triu_indices(len(members), 1)]
    differ = float(pairs.mean()) if pairs.size else 0.0
    shares = (min(members), _mean(evaluation), max(members), evaluation["accuracy"], differ)
    return (name, *map(percent, shares))


def _mean(evaluation: dict[str, Any]) -> float:
    return float(np.mean([member["accuracy"] for member in evaluation["members"]]))


def _gain(evaluation: dict[str, Any]) -> float:
    return float(evaluation["accuracy"]) - _mean(evaluation)


# The six, each an evaluation on the test rows


def _common(data: Data) -> dict[str, Any]:
    batch = min(32, len(data.y))
    return {"batch_size": batch, "preprocess": data.preprocess, "progress": False}


def _judged(whole: ensemble.Ensemble, data: Data) -> dict[str, Any]:
    return dict(whole.evaluate(data.X_test, data.y_test))


def _dims(data: Data) -> list[int]:
    return [data.dim, WIDTH, data.n_classes]


def _initializations(data: Data, seed: int, epochs: int = EPOCHS) -> dict[str, Any]:
    whole = ensemble.from_initializations(
        _dims(data), data.X, data.y, n_members=MEMBERS, epochs=epochs, seed=seed, **_common(data)
    )
    return _judged(whole, data)


def _objectives(data: Data, seed: int) -> dict[str, Any]:
    whole = ensemble.from_objectives(
        _dims(data), data.X, data.y, VARIANTS, epochs=EPOCHS, seed=seed, **_common(data)
    )
    return _judged(whole, data)


def _datasets(data: Data, seed: int) -> dict[str, Any]:
    whole = ensemble.from_datasets(
        _dims(data), data.X, data.y, n_members=MEMBERS, epochs=EPOCHS, seed=seed, **_common(data)
    )
    return _judged(whole, data)


def _cross_validation(data: Data, seed: int) -> dict[str, Any]:
    whole = ensemble.from_cross_validation(
        _dims(data), data.X, data.y, CANDIDATES, n_folds=3, k=3, epochs=EPOCHS, seed=seed,
        **_common(data),
    )  # fmt: skip
    return _judged(whole, data)


def _checkpoints(data: Data, seed: int) -> dict[str, Any]:
    whole = ensemble.from_checkpoints(
        _dims(data), data.X, data.y, n_cycles=MEMBERS, epochs_per_cycle=EPOCHS // MEMBERS,
        seed=seed, **_common(data),
    )  # fmt: skip
    return _judged(whole, data)


def _average(data: Data, seed: int) -> dict[str, Any]:
    """One network, the average, against those at the ends of epochs that went into it."""
    net = MLP(_dims(data), seed=seed)
    average = ensemble.ParameterAverage()
    passed = list[MLP]()

    def keep(epoch: int, _: object) -> None:
        if epoch >= EPOCHS // 2 and (epoch - EPOCHS // 2) % (EPOCHS // 2 // MEMBERS) == 0:
            passed.append(net.copy())

    data.train(
        net, epochs=EPOCHS, batch_size=min(32, len(data.y)), optimizer=optim.Adam(),
        callbacks=[average, LambdaCallback(on_epoch_end=keep)],
    )  # fmt: skip
    test = data.X_test, data.y_test
    together = ensemble.Ensemble(passed).evaluate(*test)
    return {**together, "accuracy": average.network().evaluate(*test)["accuracy"]}


WAYS: dict[str, Callable[[Data, int], dict[str, Any]]] = {
    "(1) initialisations": _initializations,
    "(2) objectives and optimizers": _objectives,
    "(3) datasets (bootstrap)": _datasets,
    "(4) top models of cross-validation": _cross_validation,
    "(5) checkpoints of one model": _checkpoints,
    "(6) average of parameters": _average,
}
