"""Pickling, copying and half-made objects: a copy with equal state or a TypeError by name.

No class of the core may end the process, by whatever way Python makes or takes apart an object.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import pickle
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from children import printed_by, run_python
from extensions import with_module

import fanin
from fanin import (
    _core,
    augment,
    callbacks,
    datasets,
    diagnostics,
    ensemble,
    optim,
    preprocessing,
    random,
    schedules,
    tuning,
)

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
BY_PICKLE = {
    f"protocol {n}": lambda x, n=n: pickle.loads(pickle.dumps(x, protocol=n)) for n in PROTOCOLS
}
WAYS: dict[str, Callable[[Any], Any]] = {**BY_PICKLE, "copy": copy.copy, "deepcopy": copy.deepcopy}

X = np.linspace(-1, 1, 60, dtype=np.float32).reshape(12, 5)
Y = np.arange(12) % 3


def trained_network() -> Any:
    net = fanin.MLP([5, 4, 3], norm="batch", keep=0.5, seed=1)
    net.fit(X, Y, epochs=2, progress=False)
    return net


def stepped(optimizer: Any) -> Any:
    p = np.ones(7, np.float32)
    for _ in range(3):
        optimizer.step(p, p.copy())
    return optimizer


def drawn(generator: Any) -> Any:
    generator.normal(size=9)
    return generator


# Objects with state of public classes, and the arguments of those that need some.
MADE: dict[str, Callable[[], Any]] = {
    "MLP": trained_network,
    "Generator": lambda: drawn(random.Generator(3)),
    "Normalize": lambda: augment.Normalize(0.5, 0.25),
    "Compose": lambda: augment.Compose([augment.HorizontalFlip(), augment.Cutout(3)], seed=5),
    "OneOf": lambda: augment.OneOf([augment.HorizontalFlip(), augment.VerticalFlip()]),
    "RandomApply": lambda: augment.RandomApply([augment.HorizontalFlip()]),
    "RandomAffine": lambda: augment.RandomAffine(20),
    "RandomRotation": lambda: augment.RandomRotation(20),
    "Indexed": lambda: augment.Indexed([1, 2, 3]),
    "CSVLogger": lambda: callbacks.CSVLogger("never written.csv"),
    "ModelCheckpoint": lambda: callbacks.ModelCheckpoint("never written.npz"),
    "Exponential": lambda: schedules.Exponential(decay=0.5),
    "Function": lambda: schedules.Function(float),
    "Chunks": lambda: datasets.Chunks([(X, Y), (X, Y)], window=2),
    "Info": lambda: datasets.Info("name", "source", ("a", "b")),
    "Finding": lambda: diagnostics.Finding("name", "evidence", "action"),
    "DataFinding": lambda: diagnostics.DataFinding("name", "evidence", "action"),
    "Verdict": lambda: tuning.Verdict(()),
    "DataReport": lambda: diagnostics.data_report(X, Y),
    "Failure": lambda: ensemble.Failure(1, "name", "reason"),
    "Ensemble": lambda: ensemble.Ensemble([trained_network(), trained_network()]),
    "Trial": lambda: tuning.Trial(1, {"lr": 0.1}, "done"),
    "TrainingData": lambda: trained_network().prepare(X, Y),
    "ZeroCenter": lambda: preprocessing.ZeroCenter().fit(X),
    "PCA": lambda: preprocessing.PCA(2).fit(X),
    "Whiten": lambda: preprocessing.Whiten(2).fit(X),
    **{
        name: lambda name=name: getattr(augment, name)(8)
        for name in ("CenterCrop", "FiveCrop", "TenCrop", "RandomCrop", "RandomResizedCrop")
    },
    "Resize": lambda: augment.Resize(8),
    "Cutout": lambda: augment.Cutout(3),
    **{
        name: lambda name=name: stepped(getattr(optim, name)())
        for name in optim.__all__
        if inspect.isclass(getattr(optim, name)) and name != "Optimizer"
    },
}
# Which are made by the package, of others or for one call.
NOT_MADE = {"Optimizer", "Parameter", "Edge", "Fit", "Initializer", "LayerStatistics", "Rows"} | {
    "Classification", "Multilabel", "Regression", "Task", "Words",  # of a guide
    "ActivationReport", "RateProbe", "RateRange", "RateTrial", "Report", "SearchResult", "Step"
}  # fmt: skip
# The states of these are somebody else's: an open file, a network in training.
REFUSED = {"TrainingData"}


def public_classes() -> dict[str, type]:
    classes: dict[str, type] = {}
    for module in pkgutil.walk_packages(fanin.__path__, "fanin."):
        parts = module.name.split(".")[1:]
        others = {"cli", "chapters", "export", "estimators"}  # the last: tests/estimators
        if any(p.startswith("_") for p in parts) or parts[0] in others:
            continue
        found = importlib.import_module(module.name)
        for name in getattr(found, "__all__", ()):
            value = getattr(found, name)
            if inspect.isclass(value) and value.__module__.startswith("fanin."):
                classes.setdefault(name, value)
    return classes


CLASSES = {
    name: value for name, value in public_classes().items() if not issubclass(value, BaseException)
}
OBJECTS = sorted(CLASSES.keys() - NOT_MADE)


def states(x: Any, seen: tuple[int, ...] = ()) -> Any:
    """What an object holds, all the way down, as what `==` compares."""
    if isinstance(x, np.ndarray):
        return x.dtype.str, x.shape, x.tobytes()
    if x is None or isinstance(x, (bool, int, float, complex, str, bytes, np.generic)):
        return type(x).__name__, repr(x)
    if id(x) in seen:
        return "again"
    seen = (*seen, id(x))
    if isinstance(x, dict):
        return [(states(k, seen), states(v, seen)) for k, v in x.items()]
    if isinstance(x, (list, tuple, set, frozenset)):
        return [states(v, seen) for v in (sorted(x) if isinstance(x, (set, frozenset)) else x)]
    if inspect.isclass(x) or inspect.isroutine(x):
        return x.__module__, x.__qualname__
    return type(x).__qualname__, states(list(x.__reduce_ex__(4)[1:3]), seen)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OBJECTS)
def test_a_copy_has_equal_state_or_is_refused_by_name(name: str, way: str) -> None:
    original = MADE.get(name, CLASSES[name])()
    if name in REFUSED:
        with pytest.raises(TypeError, match=type(original).__name__):
            WAYS[way](original)
        return
    before = states(original)
    made = WAYS[way](original)
    assert type(made) is type(original)
    assert states(made) == before == states(original)


def test_copies_of_optimizers_and_generators_go_on_alike() -> None:
    for copied in WAYS.values():
        for name in optim.__all__:
            if name not in OBJECTS:
                continue
            original = MADE[name]()
            other = copied(original) if copied is not copy.copy else copy.deepcopy(original)
            p, q = np.ones(7, np.float32), np.ones(7, np.float32)
            original.step(p, np.full_like(p, 0.3))
            other.step(q, np.full_like(q, 0.3))
            assert p.tobytes() == q.tobytes()
        one = MADE["Generator"]()
        assert (copied(one).normal(size=5) == one.normal(size=5)).all()


# The core's classes, in a child: what fails there may end the process.

CORE = """
    import copy, copyreg, gc, json, operator, pickle
    import numpy as np
    import fanin
    from fanin import _core

    x = np.zeros((4, 3), np.float32)
    layer = _core.Layer(3, 2, "relu")
    layers = [layer, _core.Layer(2, 2, "identity")]
    engine, wide = _core.Engine32(layers, "softmax"), _core.Engine64(layers, "softmax")
    rule = _core.Rule("adam")
    data = _core.TrainingData(x, labels=np.zeros(4, np.int32))
    order = np.arange(4)
    ones = [np.ones(2), np.ones(2), np.ones(2, np.int64)]
    made = [
        layer, engine, wide, rule, data, engine.layout[0],
        _core.TrainingJob(data=data, order=order, batch=2, seed=0, budget=1.0),
        _core.Learner(rule=rule, states=[], l2=0.0, lr=ones[0], losses=ones[1], correct=ones[2]),
        _core.Many32([engine], 2), _core.Many64([wide], 2),
        _core.Augmentation([], 0), _core.BatchAugmenter((2, 2, 1)),
        engine.state(), engine.reading(), _core.Position(0), _core.Loss("softmax"),
    ]
    classes = [c for c in vars(_core).values() if isinstance(c, type)]
    assert {type(x) for x in made} == set(classes), "a class without an instance"

    def attempt(f, *arguments):
        try:
            f(*arguments)
        except Exception as error:
            if isinstance(error, (MemoryError, SystemError)):
                raise
            return f"{type(error).__name__}: {error}"
        return "done"
"""


def in_child(work: str) -> Any:
    return json.loads(printed_by(CORE + work))


def test_objects_of_the_core_are_copied_or_refused_by_name() -> None:
    work = """
    result = []
    ways = [copy.copy, copy.deepcopy, object.__reduce__]
    for n in range(pickle.HIGHEST_PROTOCOL + 1):
        ways.append(lambda x, n=n: pickle.loads(pickle.dumps(x, protocol=n)))
        ways.append(lambda x, n=n: object.__reduce_ex__(x, n))
        if n < 2:
            ways.append(lambda x, n=n: copyreg._reduce_ex(x, n))
    for thing in made:
        result += [[type(thing).__name__, attempt(way, thing)] for way in ways]
    print(json.dumps(result))
    """
    for name, result in in_child(work):
        assert (name == "Rule" and result == "done") or (
            result.startswith("TypeError: ") and name in result
        ), result


def test_a_rule_is_pickled_by_every_protocol() -> None:
    rule = _core.Rule("nadam", rho=0.1, beta1=0.2, eps=1e-300, momentum_decay=None)
    p = np.ones(3, np.float32)
    rule.step(p, p.copy(), {"": [np.zeros_like(p) for _ in range(rule.n_states)]}, 0.1, 0, 1, 1)
    for copied in WAYS.values():
        assert copied(rule).__reduce__() == rule.__reduce__()
        assert copied(rule).t == 1


def test_no_object_of_the_core_is_without_its_value() -> None:
    work = """
    base = classes[0].__base__
    result = []
    for c in classes:
        result.append([c.__name__, attempt(c.__new__, c)])
        result.append([c.__name__, attempt(c.__new__, c, 1, 2)])
        result.append([c.__name__, attempt(copyreg.__newobj__, c)])
        result.append([c.__name__, attempt(object.__new__, c)])
        result.append([c.__name__, attempt(base.__new__, c)])
        result.append([c.__name__, attempt(copyreg._reconstructor, c, base, None)])
        result.append([c.__name__, attempt(copyreg._reconstructor, c, object, None)])
        result.append([c.__name__, attempt(type(c), "Sub", (c,), {})])
    result.append([base.__name__, attempt(base)])
    result.append([base.__name__, attempt(type("Sub", (base,), {}))])
    print(json.dumps([result, len(classes)]))
    """
    result, n = in_child(work)
    assert n >= 12
    assert {text.split(":")[0] for _, text in result} == {"TypeError"}, result


def test_a_failed_or_repeated_init_leaves_a_whole_object() -> None:
    work = """
    result = [attempt(c) for c in classes]
    before = rule.state
    rule.__init__("sgd")
    engine.__init__(layers, "svm")
    result.append("done" if rule.name in ("adam", "sgd") and rule.state == before else "changed")
    print(json.dumps(result))
    """
    result = in_child(work)
    assert {text.split(":")[0] for text in result} == {"TypeError", "done"}


def test_functions_of_the_core_are_pickled_or_refused() -> None:
    work = """
    result = {}
    for name, value in vars(_core).items():
        if callable(value) and not isinstance(value, type):
            for n in range(pickle.HIGHEST_PROTOCOL + 1):
                f = lambda x: pickle.loads(pickle.dumps(x, protocol=n))
                result[f"{name} {n}"] = attempt(f, value)
    print(json.dumps(result))
    """
    outcomes = {text.split(":")[0] for text in in_child(work).values()}
    assert outcomes <= {"done", "TypeError", "PicklingError"}


# Negative control: an object that pybind11 makes by itself, without its value.

PLAIN = """
struct Plain { int n = 1; };
PYBIND11_MODULE(plain, m) {
  pybind11::class_<Plain>(m, "Plain").def(pybind11::init());
}
"""


def test_pybind11_alone_makes_and_aborts(tmp_path: Path) -> None:
    code = """
        import plain, pickle
        print(isinstance(plain.Plain.__new__(plain.Plain), plain.Plain), flush=True)
        pickle.dumps(plain.Plain(), protocol=0)
    """
    done = run_python(code, env=with_module(tmp_path, "plain", PLAIN))
    assert (done.returncode, done.stdout.strip()) == (-6, "True")
