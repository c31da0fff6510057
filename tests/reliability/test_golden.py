"""Files that released versions wrote are read for ever, bit for bit.

    python tests/reliability/test_golden.py

writes those of this version into tests/reliability/golden/VERSION, once, at its release.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fanin
from fanin import augment, ensemble, preprocessing, tuning
from fanin.callbacks import History

GOLDEN = Path(__file__).with_name("golden")
VERSION = fanin.__version__ or "0.1.0"  # a core that is built by hand may have none
EXPECTED = "expected.json"

X = np.random.default_rng(0).standard_normal((40, 6), dtype=np.float32)
Y = np.arange(40) % 3
FIT: dict[str, Any] = {"epochs": 2, "batch_size": 16, "progress": False}


def plain() -> fanin.MLP:
    net = fanin.MLP([6, 5, 3], seed=1)
    net.metadata = {"class_names": ["a", "b", "ç"]}
    net.fit(X, Y, **FIT)
    return net


def rich() -> fanin.MLP:
    """With all that a file may hold: blocks, masks, transformers."""
    net = fanin.MLP(
        [4, 8, 8, 3], activation="prelu", norm="batch", residual=True, keep=0.9, drop_connect=0.9,
        dtype="float64", seed=2,
    )  # fmt: skip
    steps = [preprocessing.Normalize(), preprocessing.PCA(n_components=4)]
    net.fit(X.astype(float), Y, preprocess=steps, **FIT)
    return net


def of_network(net: fanin.MLP) -> dict[str, Any]:
    arrays = {"parameters": net.get_parameters(), "scores": net.scores(X.astype(net.dtype))}
    return {name: digest(a) for name, a in arrays.items()} | {"metadata": net.metadata}


def digest(a: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(a)).hexdigest()


def history() -> History:
    found = History()
    for epoch in range(3):
        found.append(epoch, {"loss": 0.1 * epoch, "val_accuracy": 1 / (1 + epoch)})
    found.append(3, {"loss": float("nan"), "val_accuracy": float("inf")})
    return found


def of_history(path: Path) -> Any:
    return json.loads(json.dumps(repr(History.load(path).to_dict())))


def objective(params: Any) -> float:
    return float(params["a"])


def search(path: Path) -> list[Any]:
    space = {"a": tuning.loguniform(1e-3, 1)}
    found = tuning.search(space, objective, n_trials=5, seed=0, log=path, progress=False)
    return [[t.number, t.params, t.status, t.score] for t in found]


def of_search(path: Path) -> Any:
    """What is in the log: it is complete, so that no trial runs."""
    before = path.read_bytes()
    found = search(path)
    assert path.read_bytes() == before, "the search has gone on"
    return found


def of_augmentation(path: Path) -> Any:
    images = np.arange(3 * 8 * 8 * 3, dtype=np.uint32).astype(np.uint8).reshape(3, 8, 8, 3)
    return digest(augment.Compose.from_json(path.read_text())(images, epoch=0))


STEPS = [augment.RandomCrop(8, padding=1), augment.HorizontalFlip(), augment.ColorJitter(0.2)]
Kind = tuple[Callable[[Path], object], Callable[[Path], Any]]
KINDS: dict[str, Kind] = {
    "network.fanin": (lambda p: plain().save(p), lambda p: of_network(fanin.MLP.load(p))),
    "rich.fanin": (lambda p: rich().save(p), lambda p: of_network(fanin.MLP.load(p))),
    "ensemble.fanin": (
        lambda p: ensemble.Ensemble([plain(), fanin.MLP([6, 3], seed=3)]).save(p),
        lambda p: digest(ensemble.Ensemble.load(p).predict_proba(X)),
    ),
    "history.json": (lambda p: history().save(p), of_history),
    "trials.jsonl": (search, of_search),
    "augmentation.json": (
        lambda p: p.write_text(augment.Compose(STEPS, seed=5).to_json(indent=1)),
        of_augmentation,
    ),
}


def write(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, (make, _) in KINDS.items():
        make(folder / name)
    found = {name: read(folder / name) for name, (_, read) in KINDS.items()}
    (folder / EXPECTED).write_text(json.dumps(found, indent=1) + "\n")


VERSIONS = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_of_a_released_version(version: str, name: str, tmp_path: Path, record: Any) -> None:
    expected = json.loads((GOLDEN / version / EXPECTED).read_text())
    if name not in expected:
        pytest.skip(f"fanin {version} wrote none")
    copy = tmp_path / name
    copy.write_bytes((GOLDEN / version / name).read_bytes())
    found = json.loads(json.dumps(KINDS[name][1](copy)))
    assert found == expected[name]
    record(f"{name} of fanin {version}", 1, "read bit for bit", "one digit of a digest: noticed")


def test_there_are_files_of_this_version() -> None:
    assert VERSION in VERSIONS


def test_another_value_is_noticed(tmp_path: Path) -> None:
    net = plain()
    net.save(tmp_path / "net.fanin")
    expected = of_network(fanin.MLP.load(tmp_path / "net.fanin"))
    assert expected == of_network(net)
    parameters = net.get_parameters()
    parameters[0] = np.nextafter(parameters[0], np.float32(2))
    net.set_parameters(parameters)
    assert of_network(net)["parameters"] != expected["parameters"]


if __name__ == "__main__":
    import test_golden  # so that the objective has the module's name, by which a log knows it

    test_golden.write(GOLDEN / VERSION)
