"""A log belongs to one question; targets, weights and callbacks that a search takes or refuses."""

from __future__ import annotations

import functools
import itertools
import json
import math
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from children import run
from search_cases import OPTIONS, TEST, X, y

import fanin
from fanin import FileError
from fanin.tuning import choice, loguniform, search, uniform
from fanin.tuning.search.identity import identity

SPACE = {"x": uniform(0, 1)}

# The code of the objective

SCRIPT = """
import sys
import numpy as np
from fanin.tuning import search, uniform
{before}
result = search({{"x": uniform(0, 1)}}, objective, 3, log=sys.argv[1], progress=False)
print(result.best.score)
"""
OBJECTIVES = {
    "the same with a comment": """
SCALE = 2
def helper(x):
    return x * SCALE
def objective(params):
    return helper(params["x"])  # as before
""",
    "another line": """
SCALE = 2
def helper(x):
    return x * SCALE
def objective(params):
    return -helper(params["x"])
""",
    "another global": """
SCALE = 3
def helper(x):
    return x * SCALE
def objective(params):
    return helper(params["x"])
""",
    "another helper": """
SCALE = 2
def helper(x):
    return x + SCALE
def objective(params):
    return helper(params["x"])
""",
}
FIRST = """
SCALE = 2
def helper(x):
    return x * SCALE
def objective(params):
    return helper(params["x"])
"""
DIFFERENCES = {
    "another line": """line 2 of objective is "    return helper(params['x'])" there, """
    """"    return -helper(params['x'])" here""",
    "another global": "objective.uses.helper.uses.SCALE is 2 there, 3 here",
    "another helper": "line 2 of objective.uses.helper is '    return x * SCALE' there, "
    "'    return x + SCALE' here",
}


def run_file(path: Path, before: str, log: Path) -> Any:
    path.write_text(SCRIPT.format(before=before))
    return run([sys.executable, path, log])


@pytest.mark.parametrize("change", OBJECTIVES)
def test_an_edited_function_is_refused_with_the_difference(change: str, tmp_path: Path) -> None:
    log, script = tmp_path / "log.jsonl", tmp_path / "script.py"
    assert run_file(script, FIRST, log).returncode == 0
    before = log.read_bytes()
    edited = run_file(script, OBJECTIVES[change], log)
    assert log.read_bytes() == before
    if change in DIFFERENCES:
        assert edited.returncode != 0
        assert DIFFERENCES[change] in edited.stderr
        assert "was written by another search" in edited.stderr
    else:
        assert edited.returncode == 0, edited.stderr


def made(scale: float, data: Any, calls: Any) -> Any:
    def objective(params: Any, bias: float = scale) -> float:
        calls.append(params)
        return params["x"] * bias + float(np.sum(data))

    return objective


class Callable:
    def __init__(self, scale: float) -> None:
        self.scale, self.calls, self.seen = scale, 0, []  # type: ignore[var-annotated]

    def __call__(self, params: Any) -> float:
        self.calls += 1
        self.seen.append(params)
        return self.scale * params["x"]

    def method(self, params: Any) -> float:
        return self(params)


ONE, OTHER = np.arange(3.0), np.arange(1.0, 4.0)
SAME: dict[str, tuple[Any, Any]] = {
    "a closure's calls": (made(1, ONE, []), made(1, ONE.copy(), [1, 2])),
    "an object's counter": (Callable(2), Callable(2)),
}
DIFFERENT: dict[str, tuple[Any, Any]] = {
    "data": (made(1, ONE, []), made(1, OTHER, [])),
    "a default": (made(1, ONE, []), made(2, ONE, [])),
    "an attribute": (Callable(2), Callable(3)),
    "a method's object": (Callable(2).method, Callable(3).method),
    "lambdas of a line": (lambda p: p["x"], lambda p: -p["x"]),
    "an argument of partial": (
        functools.partial(made, 1, ONE), functools.partial(made, 2, ONE),
    ),
    "lists": (made(1, [1, 2], []), made(1, [1, 3], [])),
    "long lists": (made(1, list(range(5000)), []), made(1, list(range(1, 5001)), [])),
    "tables": (made(1, {"a": ONE}, []), made(1, {"a": OTHER}, [])),
    "compiled without a source": (eval("lambda p: p['x']"), eval("lambda p: -p['x']")),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_what_is_the_same_question(name: str) -> None:
    one, other = SAME[name]
    if isinstance(one, Callable):
        other({"x": 1.0})
    assert identity(one) == identity(other)


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_is_another_question(name: str) -> None:
    one, other = map(identity, DIFFERENT[name])
    assert one != other
    json.dumps(one, allow_nan=False)
    assert len(json.dumps(one)) < 5000


def test_unknown_objects_have_no_part_in_it(tmp_path: Path) -> None:
    """Locks, counters, files and generators change from run to run."""
    lock, counter, rng = threading.Lock(), itertools.count(), np.random.default_rng()

    def objective(params: Any) -> float:
        with lock:
            return params["x"] + 0 * next(counter) + 0 * rng.random()

    first = search(SPACE, objective, 5, log=tmp_path / "log", progress=False)
    again = search(SPACE, objective, 5, log=tmp_path / "log", progress=False)
    assert [t.score for t in again] == [t.score for t in first]


def test_a_log_of_an_earlier_format_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"fanin": "search", "format": 1, "seed": 0}\n')
    with pytest.raises(FileError, match=r"log\.jsonl: .*format"):
        search(SPACE, lambda params: params["x"], 3, log=log, progress=False)


def test_the_header_of_a_log_has_all_that_the_results_depend_on(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    search({"lr": loguniform(1e-3, 1e-1)}, (X, y), 2, log=log, **OPTIONS)
    header = json.loads(log.read_text().splitlines()[0])
    assert list(header) == [
        "fanin", "format", "space", "seed", "strategy", "epochs", "monitor", "data", "options",
        "sha256",
    ]  # fmt: skip
    assert header["format"] == 2
    assert list(header["data"]) == ["X", "y", "validation_X", "validation_y"]
    assert header["space"] == {
        "lr": {"kind": "range", "low": 1e-3, "high": 0.1, "log": True, "natural": ""}
    }


# Weights and targets


@pytest.mark.parametrize("given", [True, False])
def test_sample_weights(given: bool, tmp_path: Path) -> None:
    weights = np.linspace(0.1, 2, len(y))
    options = {**OPTIONS, "validation_data": TEST if given else None}
    space = {"lr": choice([1e-3, 1e-2])}
    log = tmp_path / "log"
    result = search(space, (X, y), 2, strategy="grid", sample_weight=weights, log=log, **options)
    plain = search(space, (X, y), 2, strategy="grid", **options)
    assert [t.status for t in result] == ["done"] * 2
    assert result.trials[0].curves["loss"] != plain.trials[0].curves["loss"]
    if given:
        net = fanin.MLP([64, 16, 10], seed=0)
        history = net.fit(
            X, y, sample_weight=weights, preprocess="standardize", progress=False, epochs=2,
            optimizer=fanin.optim.Adam(1e-3),
        )  # fmt: skip
        assert history.history["loss"] == result.trials[0].curves["loss"]
    with pytest.raises(ValueError, match="sample_weight has other values"):
        search(space, (X, y), 2, strategy="grid", sample_weight=2 * weights, log=log, **options)
    for bad, text in ((weights[:-1], "expected shape"), (-weights, "at least 0")):
        with pytest.raises(ValueError, match=f"sample_weight: .*{text}"):
            search(space, (X, y), 2, sample_weight=bad, **options)


def values(n: int = 200) -> Any:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(n, 3)).astype(np.float32)
    return data, data[:, 0] - 2 * data[:, 1]


REGRESSION: dict[str, Any] = {"epochs": 20, "hidden": 8, "batch_size": 20, "progress": False}
RATES = {"lr": loguniform(1e-3, 3e-2)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_float_targets_are_values(dtype: Any, shape: Any) -> None:
    data, target = values()
    loss = {"loss": "mse"} if len(shape) > 1 else {}
    result = search(RATES, (data, target.astype(dtype).reshape(shape)), 4, **REGRESSION, **loss)
    assert result.monitor == "val_loss"
    assert result.best.score == min(t.score for t in result) < 0.5 * float(np.var(target))
    assert result.best.network.dims[-1] == 1
    assert ("y has values, not labels: loss='mse'" in result.notes) == (not loss)


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int32])
def test_whole_numbers_are_values_with_mse(kind: Any) -> None:
    data, target = values()
    whole = np.clip(np.round(20 + 5 * target), 0, 100).astype(kind)
    result = search(RATES, (data, whole), 3, loss="mse", monitor="val_r2", **REGRESSION)
    assert result.best.network.dims[-1] == 1
    assert result.best.score == max(t.score for t in result)
    chosen = search({**RATES, "loss": choice(["mse"])}, (data, whole), 2, **REGRESSION)
    assert chosen.best.network.dims[-1] == 1
    both = search({"loss": choice(["softmax", "mse"])}, (data, whole % 4), 4, **REGRESSION)
    assert {t.status for t in both} == {"done"}
    assert both.monitor == "val_accuracy"


def test_float_targets_are_no_labels() -> None:
    data, target = values()
    with pytest.raises(ValueError, match="y: expected whole-number labels for loss='softmax'"):
        search(RATES, (data, target), 2, loss="softmax", **REGRESSION)
    with pytest.raises(ValueError, match="y: expected whole-number labels for loss='svm'"):
        search({"loss": choice(["mse", "svm"])}, (data, target), 2, **REGRESSION)


@pytest.mark.parametrize("labels", [(0, 100_000), (0, 5), (7, 8), (0, 2**40)])
def test_labels_that_are_numbers_of_something_are_refused(labels: tuple[int, int]) -> None:
    data, target = values()
    given = np.where(target > 0, *labels)
    with pytest.raises(ValueError, match=r"y: expected labels 0 \.\. C-1, got 2 different ones"):
        search(RATES, (data, given), 2, **REGRESSION)
    numbered = np.unique(given, return_inverse=True)[1]
    assert search(RATES, (data, numbered), 2, **REGRESSION).best.network.dims[-1] == 2


@pytest.mark.parametrize("labels", [(0, 1), (0, 2), (1, 2)])
def test_a_class_may_be_absent(labels: tuple[int, int]) -> None:
    data, target = values()
    result = search(RATES, (data, np.where(target > 0, *labels)), 2, **REGRESSION)
    assert result.best.network.dims[-1] == max(labels) + 1


# Callbacks


class KerasLike:
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None: ...


@pytest.mark.parametrize(
    "callback", [fanin.callbacks.EarlyStopping(), KerasLike(), 3, fanin.callbacks.LambdaCallback()]
)
def test_callbacks_of_epochs_are_refused(callback: Any) -> None:
    with pytest.raises(TypeError, match=r"callbacks\[1\]: expected a function of a finished Trial"):
        search(SPACE, lambda p: p["x"], 2, callbacks=[print, callback], progress=False)
    with pytest.raises(TypeError, match="callbacks: expected functions of a finished Trial"):
        search(SPACE, lambda p: p["x"], 2, callbacks=callback, progress=False)


# Without end


@pytest.mark.parametrize("strategy", ["random", "grid", "sobol", "optuna"])
@pytest.mark.parametrize("kind", ["function", "data", "halving"])
def test_a_billion_trials_start_at_once(strategy: str, kind: str) -> None:
    how: Any = strategy
    if strategy == "sobol":
        pytest.importorskip("scipy")
    elif strategy == "optuna":
        how = pytest.importorskip("optuna").samplers.RandomSampler(seed=0)
    if kind == "halving" and strategy == "optuna":
        pytest.skip("an Optuna sampler takes no halving")
    prune = "halving" if kind == "halving" else None
    seen: list[int] = []

    def stop(trial: Any) -> bool:
        seen.append(trial.number)
        return len(seen) == 10

    began = time.process_time()
    space: Any = {"lr": loguniform(1e-4, 1e-1), "reg": loguniform(1e-6, 1)}
    data: Any = (X[:64], y[:64]) if kind == "data" else lambda p: p["lr"]
    options = dict(OPTIONS) if kind == "data" else {"progress": False, "epochs": 9}
    result = search(
        space, data, 10**9, strategy=how, prune=prune, callbacks=[stop], n_threads=2, **options
    )
    assert time.process_time() - began < 100  # a billion take longer, ten a second or two
    assert result.interrupted
    assert 10 <= len(result) < 1000
    short = search(space, lambda p: p["lr"], 10, progress=False)
    if strategy == "random":
        assert [t.params for t in result if t.number < 10] == [
            t.params for t in short if t.number in {r.number for r in result}
        ]


def test_long_searches_are_drawn_as_they_go() -> None:
    """More trials than a window of batches, to the same results."""
    space = {"lr": loguniform(1e-4, 1e-1)}
    options = {**OPTIONS, "epochs": 1, "hidden": 2}
    small = X[:40], y[:40]
    long = search(space, small, 1100, **options)
    assert [t.number for t in long] == list(range(1100))
    some = search(space, small, 8, **options)
    assert [t.curves for t in some] == [t.curves for t in long.trials[:8]]


# Trials without a score


def region(params: Any) -> float:
    """Fine below 0.3, where the best is; diverges above."""
    return math.nan if params["x"] > 0.3 else params["x"]


@pytest.mark.parametrize("kind", ["TPESampler", "NSGAIISampler", "GPSampler", "CmaEsSampler"])
def test_samplers_hear_of_trials_without_a_score_as_the_worst(kind: str) -> None:
    optuna = pytest.importorskip("optuna")
    if kind == "GPSampler":
        pytest.importorskip("torch")
    if kind == "CmaEsSampler":
        pytest.importorskip("cmaes")
    space = {"x": uniform(0, 1), "z": uniform(0, 1)}
    diverged = []
    for seed in range(3):
        sampler = getattr(optuna.samplers, kind)(seed=seed)
        result = search(space, region, 40, strategy=sampler, n_threads=1, progress=False)
        diverged.append(result.count("diverged"))
    most = {"NSGAIISampler": 31, "CmaEsSampler": 27}.get(kind, 22)  # at random 28
    assert np.mean(diverged) < most


def test_a_diverged_trial_with_a_good_first_epoch_counts_as_the_worst() -> None:
    optuna = pytest.importorskip("optuna")
    from fanin.tuning.search import strategies

    told: list[float] = []

    class Told(strategies.Optuna):
        def tell(self, trial: int, merit: float) -> None:
            told.append(merit)
            super().tell(trial, merit)

    space = {"lr": loguniform(1e-3, 1e6)}
    original, strategies.Optuna = strategies.Optuna, Told  # type: ignore[misc]
    try:
        sampler = optuna.samplers.TPESampler(seed=0)
        result = search(
            space, (X, y), 8, strategy=sampler, **{**OPTIONS, "optimizer": "sgd", "epochs": 3}
        )
    finally:
        strategies.Optuna = original  # type: ignore[misc]
    assert result.count("diverged")
    for trial, merit in zip(result, told, strict=True):
        assert math.isnan(merit) == (trial.status != "done")


def test_a_score_that_is_never_a_number_is_a_diverged_trial() -> None:
    """ROC AUC of validation rows of one class."""
    held = TEST[0][TEST[1] == 3], TEST[1][TEST[1] == 3]
    result = search(
        {"lr": choice([1e-3])}, (X, y), 1, monitor="val_roc_auc",
        **{**OPTIONS, "validation_data": held},
    )  # fmt: skip
    assert result.trials[0].status == "diverged"
    assert "val_roc_auc is nan in every epoch" in result.trials[0].error
    assert result.best is None
