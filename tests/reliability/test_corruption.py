"""Files that are not as they were written: no changed bit goes unnoticed, each error is typed."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import fuzz_loaders
import numpy as np
import pytest
from fuzz_loaders import LOADERS, FoundError, Loader, check, corpus, fuzz

import fanin
from fanin import _json, checkpoint
from fanin._files import open_file
from fanin.ensemble import Ensemble
from fanin.tuning import Report
from reliability import count

# Damaged files of each kind: within seconds, or as many as the bar asks for.
INPUTS = count(400, 1_000_000)

# Kinds of files that fanin writes, and what was loaded as something to compare.
WRITTEN = ("network", "ensemble", "history", "pipeline", "report", "page", "config")
ARCHIVES = ("optimizer", "checkpoint", "member", "best", "trial")


def facts(loaded: Any) -> Any:
    """All that was loaded, to compare."""
    if isinstance(loaded, Ensemble):
        return [facts(net) for net in loaded.members], loaded.weights.tobytes(), loaded.combine
    if isinstance(loaded, fanin.MLP):
        state = loaded.__getstate__()
        arrays = {name: a.tobytes() for name, a in state.pop("arrays").items()}
        return json.dumps(state), arrays
    if isinstance(loaded, fanin.callbacks.History | Report | fanin.augment.Compose):
        return json.dumps(loaded.to_dict())
    return loaded


def by_name(name: str) -> Loader:
    return next(loader for loader in LOADERS if loader.name == name)


def read(loader: Loader, path: Path) -> Any:
    """What is in a file; of a run's all of it, which its loader compares only with the run."""
    if loader.name not in ARCHIVES:
        return facts(loader.load(path))
    header, arrays = checkpoint.load_archive(path, KINDS)
    return header, {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in arrays.items()}


KINDS = ("network", "checkpoint", "member", "trial")


def silent(loader: Loader, path: Path, data: bytes, stride: int = 1) -> tuple[int, int]:
    """Of all files with one bit flipped: how many load as something else; how many there are."""
    path.write_bytes(data)
    right, wrong = read(loader, path), 0
    changed = bytearray(data)
    bits = range(0, 8 * len(data), stride)
    for at in bits:
        changed[at // 8] ^= 1 << at % 8
        path.write_bytes(changed)
        changed[at // 8] ^= 1 << at % 8
        with suppress(fanin.FileError):
            wrong += read(loader, path) != right
    return wrong, len(bits)


@pytest.mark.parametrize("name", [*WRITTEN, *ARCHIVES])
def test_no_flipped_bit_is_silent(tmp_path: Path, name: str, record: Any) -> None:
    loader, n = by_name(name), 0
    stride = count(1009 if name in (*ARCHIVES, "network", "ensemble") else 11, 1)
    for data in loader.seeds(tmp_path):
        wrong, tried = silent(loader, tmp_path / loader.file, data, stride)
        if b"sha256" in data:
            assert wrong == 0
            n += tried
    assert n > 1000 // stride
    which = "every bit" if stride == 1 else f"a bit in {stride}"
    record(f"{name}: {which} flipped", n, "0 silent", "a file without a checksum: found")


def test_a_file_without_a_checksum_would_be_seen(tmp_path: Path) -> None:
    """The negative control: a history as it was written once."""
    loader = by_name("history")
    record = _json.from_json(loader.seeds(tmp_path)[0].rstrip(), "")
    wrong, _ = silent(loader, tmp_path / loader.file, json.dumps(record).encode())
    assert wrong > 50


@pytest.mark.parametrize("name", WRITTEN)
def test_every_truncation_is_refused(tmp_path: Path, name: str) -> None:
    loader = by_name(name)
    path = tmp_path / loader.file
    data = loader.seeds(tmp_path)[0]
    right = facts(loader.load(write(path, data)))
    for length in {*range(0, len(data), max(1, len(data) // 300)), len(data) - 1}:
        try:
            assert facts(loader.load(write(path, data[:length]))) == right, length
        except fanin.FileError:
            continue
        assert data[length:].strip(b"\n</bodyhtml>") == b""


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# Damaged at random


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.name)
def test_damaged_files_are_refused(loader: Loader, record: Any) -> None:
    if loader.name == "image":
        pytest.importorskip("PIL")
    done, refused = fuzz(loader, INPUTS)
    assert done == INPUTS
    assert refused > INPUTS / 4  # most cells of a log of epochs may be anything
    told = fuzz_loaders.figure(loader.name, done)
    record(told["what"], told["n"], told["result"], told["control"])


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.name)
def test_what_failed_once_is_refused_now(tmp_path: Path, loader: Loader) -> None:
    for data in corpus(loader.name):
        check(loader, tmp_path / loader.file, data)


def carelessly(path: Path) -> Any:
    record = json.loads(path.read_bytes())
    return [float(record["epoch"][0]), record["history"].items()]


def forgetful(path: Path) -> Any:
    data = path.read_bytes()
    return fanin.callbacks.History.load(path) if b"stop_reason" in data else 1 / 0


def greedy(path: Path) -> Any:
    try:
        raise MemoryError
    except MemoryError:
        raise fanin.FileError(path, "damaged") from None


def endless(path: Path) -> Any:
    try:
        while True:
            pass
    except Exception as error:
        raise fanin.FileError(path, "damaged") from error


def large(path: Path) -> Any:
    return fanin.callbacks.History.load(path), bytearray(fuzz_loaders.SPACE)


def forgotten(path: Path, kept: list[bytearray] = []) -> Any:  # noqa: B006
    kept.append(bytearray(fuzz_loaders.SPACE // 8))
    return fanin.callbacks.History.load(path)


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory")


@pytest.mark.parametrize(
    "load",
    [
        *(carelessly, forgetful, greedy, endless),
        *(pytest.param(load, marks=on_linux) for load in (large, forgotten)),
    ],
)
def test_a_loader_with_a_fault_is_found(
    monkeypatch: pytest.MonkeyPatch, load: Callable[[Path], Any]
) -> None:
    """The negative control. It leaves the process its memory."""
    monkeypatch.setattr(fuzz_loaders, "HANG", 0.1)
    faulty = Loader("faulty", "history.json", load, fuzz_loaders._histories)
    with pytest.raises(FoundError):
        fuzz(faulty, 400)
    gc.collect()
    bytearray(4 * fuzz_loaders.SPACE)


def test_inputs_depend_on_the_seed_alone(tmp_path: Path) -> None:
    def first(seed: int) -> list[bytes]:
        made = fuzz_loaders.inputs(by_name("csv"), tmp_path, seed)
        return [next(made) for _ in range(50)]

    assert first(0) == first(0)
    assert first(0) != first(1)


# One by one

HISTORY = {
    "history": {"loss": [1.0]}, "epoch": [0], "initial_loss": None, "expected_initial_loss": None,
    "stop_reason": None, "seconds": 1.0, "params": {},
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(HISTORY | {"seconds": 10**400}),
        json.dumps(HISTORY).replace("1.0", "1e999"),
        json.dumps(HISTORY).replace("1.0", "NaN"),
        json.dumps(HISTORY).replace('"epoch"', '"epoch": [1], "epoch"'),
        json.dumps(HISTORY | {"params": None}),
        json.dumps(HISTORY | {"sha256": "0"}),
        json.dumps(HISTORY | {"other": 0}),
        "[" * 100_000,
        '{"a":' * 100_000,
        "\xff",
        "9" * 5000,
    ],
    ids=range(11),
)
@pytest.mark.parametrize(
    "load", [fanin.callbacks.History.load, fanin.augment.Compose.load, Report.load]
)
def test_other_json_is_a_file_error(tmp_path: Path, text: str, load: Callable[[Path], Any]) -> None:
    path = write(tmp_path / "f.json", text.encode("latin-1"))
    with pytest.raises(fanin.FileError) as caught:
        load(path)
    assert caught.value.path == str(path)
    assert caught.value.reason


def test_a_file_is_read_in_as_much_memory_as_it_has_bytes(tmp_path: Path) -> None:
    """Whatever length it says that one of its parts has."""
    path = write(tmp_path / "f", bytes(range(256)) * 9000)
    with fuzz_loaders.little_memory(), open_file(path) as file:
        assert file.read(1 << 40) == path.read_bytes()
        file.seek(5)
        assert file.read(2**62) == path.read_bytes()[5:]
        assert file.read(2**62) == file.read(None) == b""
        file.seek(-3, 2)
        assert file.read(2) == b"\xfd\xfe"
        assert file.read() == b"\xff"


def test_an_image_that_does_not_fit_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not said to be damaged."""
    image = pytest.importorskip("PIL.Image")
    image.new("L", (4, 4)).save(tmp_path / "a.png")

    def convert(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(image.Image, "convert", convert)
    with pytest.raises(MemoryError):
        by_name("image").load(tmp_path / "a.png")


def test_histories_of_earlier_versions_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "h.json", json.dumps(HISTORY).encode())
    assert fanin.callbacks.History.load(path).epoch == [0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_not_finite(tmp_path: Path, value: float) -> None:
    net = fanin.MLP([4, 3, 2], norm="batch")
    net.save(tmp_path / "net")
    net.params["W1"][1, 2] = value
    with pytest.raises(ValueError, match=r"params: expected finite numbers, got .* in W1"):
        net.save(tmp_path / "net")
    assert np.isfinite(fanin.MLP.load(tmp_path / "net").arena).all()
    state = net.__getstate__()
    arrays = state.pop("arrays")
    fanin.checkpoint.save_archive(tmp_path / "net", state | {"kind": "network"}, arrays)
    with pytest.raises(fanin.FileError, match=r"not a usable network: params: .* in W1"):
        fanin.MLP.load(tmp_path / "net")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("status", "x"), ("status", []), ("epoch", "x"), ("epoch", 2), ("epoch", -2)],
        *[("took", "1"), ("ended", -1.0), ("ended", None), ("losses", ["x"]), ("losses", [1.0])],
        *[("fold", 1), ("fold", "0"), ("fold", None), ("history", {}), ("network", {})],
    ],
)
def test_a_trial_of_a_guide_with_other_facts(tmp_path: Path, name: str, value: Any) -> None:
    path = write(tmp_path / "0.fanin", fuzz_loaders._trials(tmp_path)[0])
    header, arrays = fanin.checkpoint.load_archive(path, "trial")
    header["runs"][0][name] = value
    own = {key: header[key] for key in ("kind", "runs", "guide", "epochs", "settings")}
    fanin.checkpoint.save_archive(path, own, arrays)
    if name == "fold":  # one that is not asked for
        assert fuzz_loaders._load_trial(path) == (False, {})
        return
    with pytest.raises(fanin.FileError, match="expected a trial of a guide"):
        fuzz_loaders._load_trial(path)


def test_a_trial_of_a_guide_with_other_networks(tmp_path: Path) -> None:
    path = write(tmp_path / "0.fanin", fuzz_loaders._trials(tmp_path)[0])
    header, arrays = fanin.checkpoint.load_archive(path, "trial")
    own = {key: header[key] for key in ("kind", "runs", "guide", "epochs", "settings")}
    arrays["0.scores"] = arrays["0.scores"][1:]
    fanin.checkpoint.save_archive(path, own, arrays)
    with pytest.raises(fanin.FileError, match=r"scores: expected shape \(9, 3\)"):
        fuzz_loaders._load_trial(path)


def test_padding_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    """What lies between the parameters in memory is in the file too."""
    net = fanin.MLP([4, 3, 2])
    net.arena[:] = np.nan
    for parameter in net.params.values():
        parameter[...] = 0
    assert np.isnan(net.arena).any()
    with pytest.raises(ValueError, match="got NaN or infinity in what lies between them"):
        net.save(tmp_path / "net")


def test_names_twice_in_a_header_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net"
    fanin.MLP([4, 3, 2]).save(path)
    data = path.read_bytes()
    header = data[data.index(b'{"format"') : data.index(b"}}PK") + 2]
    twice = header.replace(b'"residual": false', b'"dims": [4, 3, 2]')
    twice += b" " * (len(header) - len(twice))
    import zlib

    crc = [
        zlib.crc32(data[data.index(b"\x93NUMPY") : data.index(header)] + h) for h in (header, twice)
    ]
    was, now = (value.to_bytes(4, "little") for value in crc)
    assert data.count(was) == 2
    path.write_bytes(data.replace(header, twice).replace(was, now))
    with pytest.raises(fanin.FileError, match="'dims' stands twice"):
        fanin.MLP.load(path)


def test_a_network_that_was_loaded_without_a_range_is_saved_again(tmp_path: Path) -> None:
    """A trained network of a version that recorded none."""
    net = fanin.MLP([4, 3, 2])
    net.epochs_done = 1
    net.save(tmp_path / "old")
    for _ in range(2):
        net = fanin.MLP.load(tmp_path / "old")
        net.save(tmp_path / "old")
