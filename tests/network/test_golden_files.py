"""Files of earlier versions are read bit for bit; networks take their optimizer along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_cases import DATA, FACTS, GOLDEN, LABELS, ROWS, facts

import fanin
from fanin import optim

VERSIONS = sorted(path for path in DATA.iterdir() if path.is_dir())
FILES = [file for version in VERSIONS for file in sorted(version.glob("*.fanin"))]
OPTIMIZERS = [name for name in GOLDEN if name in optim.rules._CLASSES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_file_of_every_version(path: Path) -> None:
    expected = json.loads((path.parent / FACTS).read_text())[path.stem]
    net, optimizer = fanin.MLP.load(path), None
    if "optimizer" in expected:
        net, optimizer = fanin.MLP.load(path, optimizer=True)
    assert facts(net, optimizer) == expected


def test_each_version_has_its_files() -> None:
    for version in VERSIONS:
        known = json.loads((version / FACTS).read_text())
        assert {file.stem for file in version.glob("*.fanin")} == known.keys()
    assert set(GOLDEN) <= json.loads((VERSIONS[-1] / FACTS).read_text()).keys()


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_goes_on_from_a_file(name: str, dtype: str, tmp_path: Path) -> None:
    """As if the network and the optimizer had stayed in memory."""
    net, optimizer = fanin.MLP([6, 5, 3], dtype=dtype, keep=0.8), optim.get(name, lr=0.003)
    options: dict[str, Any] = {"epochs": 2, "batch_size": 16, "progress": False}
    net.fit(ROWS, LABELS, optimizer=optimizer, **options)
    net.save(tmp_path / "net", optimizer=optimizer)
    again, loaded = fanin.MLP.load(tmp_path / "net", optimizer=True)
    assert repr(loaded) == repr(optimizer)
    for one, own in ((net, optimizer), (again, loaded)):
        one.fit(ROWS, LABELS, optimizer=own, **options)
    assert np.array_equal(net.get_parameters(), again.get_parameters())
    assert loaded.state_dict()["clock"] == optimizer.state_dict()["clock"]


def test_optimizers_that_do_not_belong_to_the_network(tmp_path: Path) -> None:
    net, other, own = fanin.MLP([6, 5, 3]), optim.Adam(), optim.Momentum()
    own.step({"W": np.ones(3)}, {"W": np.ones(3)})
    fanin.MLP([6, 9, 3]).fit(ROWS, LABELS, optimizer=other, progress=False, epochs=1)
    for optimizer in (other, own):
        with pytest.raises(ValueError, match="optimizer: expected the one that has trained this"):
            net.save(tmp_path / "net", optimizer=optimizer)
    with pytest.raises(TypeError, match=r"optimizer: expected one of fanin\.optim, got str"):
        net.save(tmp_path / "net", optimizer="adam")  # type: ignore[arg-type]
    assert not (tmp_path / "net").exists()
    net.save(tmp_path / "net")
    with pytest.raises(fanin.FileError, match="saved with its optimizer, got none"):
        fanin.MLP.load(tmp_path / "net", optimizer=True)
    net.save(tmp_path / "net", optimizer=optim.Adam(lr=0.5))  # which has not begun
    assert fanin.MLP.load(tmp_path / "net").steps_done == 0
    assert fanin.MLP.load(tmp_path / "net", optimizer=True)[1].lr == 0.5


def test_a_spoilt_optimizer_is_an_error_of_the_file(tmp_path: Path) -> None:
    net, adam = fanin.MLP([6, 5, 3]), optim.Adam()
    net.fit(ROWS, LABELS, optimizer=adam, progress=False, epochs=1)
    net.save(tmp_path / "net", optimizer=adam)
    header, arrays = fanin.checkpoint.load_archive(tmp_path / "net", "network")
    for name in ("format", "format_version", "version"):
        del header[name]
    good = header["optimizer"]
    for bad in ({**good, "name": "new"}, {**good, "lr": -1}, {**good, "clock": {}}, {}, 3):
        fanin.checkpoint.save_archive(tmp_path / "net", header | {"optimizer": bad}, arrays)
        with pytest.raises(fanin.FileError, match="not a usable network"):
            fanin.MLP.load(tmp_path / "net", optimizer=True)
    for array in (arrays["optimizer.0"][:3], arrays["optimizer.0"].astype(float)):
        fanin.checkpoint.save_archive(tmp_path / "net", header, {**arrays, "optimizer.0": array})
        with pytest.raises(fanin.FileError, match="not a usable network: optimizer: expected"):
            fanin.MLP.load(tmp_path / "net", optimizer=True)
