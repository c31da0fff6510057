"""Files that were damaged at random, read by everything that reads files.

    python tests/reliability/fuzz_loaders.py --inputs 10000
    python tests/reliability/fuzz_loaders.py --seconds 600 --loader network --seed 7
    python tests/reliability/fuzz_loaders.py --until 1000000 --log fuzz.jsonl
    python tests/reliability/fuzz_loaders.py --atheris 600

Each input is a valid file with some mutations: of bits and bytes, of parts of two files, and of
what the format means, under right checksums. It is right where the loader returns or raises
`fanin.FileError`. Input n of a loader depends on the seed and n alone. What fails is written to
corpus/<loader>/, which the tests read again; of what reached new code under atheris a few too.

A log gets a line for each part of the inputs, and later runs go on from there, so that any number
of short runs adds up to a long one; `--out docs/reliability.md` writes the sums into the table.
They are of the present fuzzer alone: where its inputs are other ones, by a hash of the first, or an
input that failed has come into the corpus, the sum begins anew.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import hashlib
import inspect
import io
import itertools
import json
import math
import mmap
import os
import random
import signal
import struct
import sys
import tarfile
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import fanin
from fanin import _json, callbacks, checkpoint, ensemble
from fanin.cli import predict
from fanin.datasets import folders, named
from fanin.ensemble import Ensemble
from fanin.ensemble.kept import Folder, KeptMembers
from fanin.training import StopOnRise
from fanin.tuning import Report
from fanin.tuning.guide.cross_validation import CrossValidation
from fanin.tuning.guide.state import FILE, State
from fanin.tuning.guide.trials import FoldRun, Trial
from fanin.tuning.search.log import TrialLog
from reliability import renew, rows_of

TRACED = ("fanin.", "zipfile", "json", "csv", "tarfile", "gzip", "numpy.lib")
CORPUS = Path(__file__).parent / "corpus"
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # no disk is that fast
PART = 20_000  # inputs to a line of the log
HANG = 10  # seconds of the processor that no input may take
SPACE = 1 << 29  # bytes of memory that no input may ask for: an image of 16 megapixels takes half
LEFT = 2  # times as much may a run of many inputs leave behind
KEPT, SMALL = 12, 4096  # of the inputs that reached new code: how many, of how many bytes
NUMBERS = (0, 1, -1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64, 10**400, 0.5, 1e308)
VALUES: tuple[Any, ...] = (
    *NUMBERS, None, True, "", "x", "\ud800", "\0", "../x", "9" * 5000, [], [[]], {}, {"a": 1},
    [1, 2, 3], [0, -1], "float64", "softmax", "relu",
)  # fmt: skip
WORDS = (
    b"NaN", b"Infinity", b"1e999", b"-0", b"[" * 5000, b'{"a":' * 500, b"\xff\xfe", b"\xef\xbb\xbf",
    b"\0", b'"', b"\n", b"\r", b",", b"=1+1", b"\x1b[2J", b"PK\x05\x06", b"<", b"\\ud800",
)  # fmt: skip


CELLS = (*WORDS, *(str(n).encode() for n in NUMBERS[:8]), b"1e400", b"\xe9", b"'", b"NA", b"")
HEADER = "header.npy"
SHAPES_AND_TYPES = (
    *((b"(", b"(9999999999, "), (b"(", b"(-1, "), (b"<f4", b"|O"), (b"<f4", b"<f8")),
    *((b"<f4", b"<U9"), (b"False", b"True"), (b"descr", b"desc"), (b"<i8", b"<M8")),
    *((b"|u1", b"<f2"), (b"<i8", b"<c16")),
)
TAR_FIELDS = (  # name, mode, size, time, kind, target, owner, prefix
    *(slice(0, 100), slice(100, 108), slice(124, 136), slice(136, 148), slice(156, 157)),
    *(slice(157, 257), slice(265, 297), slice(345, 500)),
)
TAR_VALUES = (
    *(b"1", b"2", b"5", b"6", b"L", b"K", b"x", b"g", b"S", b"V", b"\0", b"../x\0", b"/x\0"),
    *(b"00000000000\0", b"00000006002\0", b"77777777777\0", b"-0000000001\0", b"\xff" * 12),
    *(b"\x80" + b"\0" * 10 + b"\1", b"cifar-10-batches-bin/test_batch.bin\0", b"\xe9\0", b" " * 12),
)
PNG_KINDS = (
    *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"iCCP"),
    *(b"acTL", b"fcTL", b"fdAT", b"gAMA", b"pHYs", b"cHRM", b"sRGB", b"tIME", b"bKGD", b"xxxx"),
)


@dataclass(frozen=True)
class Loader:
    """What reads a kind of file, and files of that kind."""

    name: str
    file: str  # its name, by whose suffix it may be told
    load: Callable[[Path], Any]
    seeds: Callable[[Path], Sequence[bytes]]


class FoundError(Exception):
    """An input that a loader took wrongly."""

    def __init__(self, loader: str, number: int, data: bytes, error: BaseException) -> None:
        super().__init__(f"{loader}, input {number}: {type(error).__name__}: {error}"[:300])
        self.data, self.error = data, error


class HangError(BaseException):
    """No Exception, which a loader might take for one of the library that it reads with."""


# Files to begin with


def _saved(save: Callable[[Path], Any]) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        path = folder / "valid.json"
        save(path)
        return path.read_bytes()

    return make


def _networks(folder: Path) -> list[bytes]:
    X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    plain = fanin.MLP([4, 3, 2])
    blocks = fanin.MLP([4, 4, 3], activation="prelu", norm="batch", residual=True, dtype="float64")
    blocks.set_preprocess([fanin.preprocessing.PCA()], X)
    blocks.metadata = {"class_names": ["a", "b", "c"]}
    return [*(_saved(net.save)(folder) for net in (plain, blocks)), _trained(folder, "adam")]


def _trained(folder: Path, name: str) -> bytes:
    net, optimizer = fanin.MLP([3, 3, 3], keep=0.5, activation="tanh"), fanin.optim.get(name)
    net.fit(*_data(), epochs=1, optimizer=optimizer, progress=False)
    return _saved(functools.partial(net.save, optimizer=optimizer))(folder)


def _optimizers(folder: Path) -> list[bytes]:
    return [_trained(folder, name) for name in ("adam", "momentum")]


def _ensembles(folder: Path) -> list[bytes]:
    pair = Ensemble([fanin.MLP([4, 3, 2], seed=seed) for seed in range(2)])
    return [_saved(pair.save)(folder)]


def _history() -> fanin.callbacks.History:
    history = fanin.callbacks.History({"epochs": 2})
    history.append(0, {"loss": 1.5, "val_loss": float("nan")})
    history.append(1, {"loss": 0.5, "val_loss": 1.25})
    return history


def _histories(folder: Path) -> list[bytes]:
    return [_saved(_history().save)(folder)]


def _pipelines(_: Path) -> list[bytes]:
    from fanin.augment import ColorJitter, Compose, Cutout, HorizontalFlip, OneOf, RandomCrop

    steps = [RandomCrop(8, padding=1), OneOf([HorizontalFlip(), ColorJitter(0.4)]), Cutout(2)]
    return [Compose(steps, seed=3).to_json(indent=1).encode()]


def _report() -> Report:
    step = {"step": "look", "number": 1, "round": 0, "seconds": 0.1, "findings": []}
    return Report.from_dict(
        {"steps": [step], "history": _history().to_dict(), "settings": {"lr": 0.01}, "options": {},
         "stopped": "done", "seconds": 1.0, "test": None}
    )  # fmt: skip


def _report_json(folder: Path) -> list[bytes]:
    return [_saved(_report().save)(folder)]


def _report_html(_: Path) -> list[bytes]:
    data = _json.to_json(_report().to_dict(), in_html=True)
    script = b'<script type="application/json" id="fanin-report">' + data + b"</script>"
    return [b"<html><body><p>A report</p>" + script + b"</body></html>"]


def _configs(_: Path) -> list[bytes]:
    config = {"fanin": "1", "class_names": ["a", "b"], "feature_names": ["x", "y"], "options": {}}
    return [_json.to_json(config, indent=1), json.dumps(config).encode()]


@functools.cache
def _data(n: int = 9) -> tuple[Any, Any]:
    X = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    return X, np.arange(n) % 3


def _archives(_: Path) -> list[bytes]:
    X, y = _data()
    images, labels = (X[:, :, None] * 20 + 100).astype(np.uint8), np.array(list("abc"))[y]
    plain, packed = io.BytesIO(), io.BytesIO()
    np.savez(plain, X=X, y=y)
    np.savez_compressed(packed, X=images, y=labels, X_test=images, y_test=labels)
    return [plain.getvalue(), packed.getvalue()]


def _tables(_: Path) -> list[bytes]:
    X, y = _data()
    lines = [",".join([*(f"{v:.3f}" for v in row), "abc"[k]]) for row, k in zip(X, y, strict=True)]
    text = "a,b,c,label\n" + "\n".join(lines) + "\n"
    return [text.encode(), text.replace(",", ";").replace("\n", "\r\n").encode("utf-8-sig")]


def _idx(_: Path) -> list[bytes]:
    return [b"\0\0\x08\x03" + struct.pack(">3I", 2, 3, 4) + bytes(range(24))]


def _idx_gz(folder: Path) -> list[bytes]:
    return [gzip.compress(data, mtime=0) for data in _idx(folder)]


def _cifar(_: Path) -> list[bytes]:
    row = bytes([3, *(i % 251 for i in range(3072))])
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in named._CIFAR_BATCHES:
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(row)
            archive.addfile(info, io.BytesIO(row))
    return [gzip.compress(file.getvalue(), mtime=0)]


def _images(_: Path) -> list[bytes]:
    from PIL import Image

    made = []
    image = Image.fromarray((np.arange(8 * 6 * 3) % 251).astype(np.uint8).reshape(8, 6, 3))
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM"):
        file = io.BytesIO()
        image.save(file, kind)
        made.append(file.getvalue())
    return made


def _fit(path: Path, *others: Any, every: int = 9) -> Any:
    """A run of two epochs with a checkpoint, which is taken up where it is there."""
    X, y = _data(24)
    worst = callbacks.EarlyStopping(mode="max")  # whose parameters stay those of the first epoch
    given: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 8,
        "validation_data": _data(),
        "optimizer": "adam",
    }
    given |= {"schedule": "plateau", "callbacks": [worst, StopOnRise(), *others]}
    own = {"checkpoint": path, "resume": True, "every": every, "n_threads": 1, "progress": False}
    return fanin.MLP([3, 3], seed=0).fit(X, y, **given, **own)


class _Stop(callbacks.Callback):
    """Ends a run within its first epoch, or before its second."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_progress(self, step: int, logs: Any = None) -> None:  # noqa: ARG002
        if not self.epoch:
            raise KeyboardInterrupt

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if self.epoch and epoch:
            raise KeyboardInterrupt

    def state_dict(self) -> dict[str, Any]:
        return {}


def _checkpoints(folder: Path) -> list[bytes]:
    paths = [folder / f"{name}.fanin" for name in ("done", "begun", "between")]
    _fit(paths[0])
    for epoch, path in enumerate(paths[1:]):
        try:
            _fit(path, _Stop(epoch), every=1)
        except KeyboardInterrupt:
            header, arrays = checkpoint.load_archive(path, "checkpoint")
            header["run"]["callbacks"].pop(), header["state"]["callbacks"].pop()
            own = ("kind", "run", "state")
            checkpoint.save_archive(path, {name: header[name] for name in own}, arrays)
    return [path.read_bytes() for path in paths]


def _load_checkpoint(path: Path) -> Any:
    checkpoint.load_archive(path, "checkpoint")  # as a fit does, after much that takes its time
    with _another("checkpoint: "):
        return _fit(path)


def _members(folder: Path) -> list[bytes]:
    X, y = _data(8)
    options: dict[str, Any] = {"epochs": 1, "n_threads": 1, "progress": False}
    ensemble.from_initializations([3, 3], X, y, n_members=2, checkpoint=folder / "both", **options)
    return [(folder / "both" / f"member-{i}.fanin").read_bytes() for i in range(2)]


@functools.cache
def _member_zero() -> Any:
    """What the first of those says that it is."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "member"
        path.write_bytes(_members(path.parent)[0])
        return checkpoint.load_archive(path, "member")[0]["member"]


def _load_member(path: Path) -> Any:
    kept = KeptMembers(Folder(path.parent), [], {})
    kept.identities = [_member_zero()]
    with _another("checkpoint: "):
        return kept.read()


def _load_best(path: Path) -> Any:
    best = callbacks.ModelCheckpoint(path, monitor="loss")
    best.on_train_begin()
    return best.best


def _bests(folder: Path) -> list[bytes]:
    path, (X, y) = folder / "best.fanin", _data()
    best = callbacks.ModelCheckpoint(path, monitor="loss")
    fanin.MLP([3, 3]).fit(X, y, epochs=1, callbacks=[best], progress=False)
    return [path.read_bytes()]


def _epochs(_: Path) -> list[bytes]:
    text = "epoch,loss,accuracy\r\n0,1.5,0.25\r\n1,0.5,0.75\r\n"
    european = text.replace(",", ";").replace(".", ",").replace("\r", "")
    return [text.encode(), european.encode("utf-16")]


def _append(path: Path) -> Any:
    log = callbacks.CSVLogger(path, append=True)
    log.on_train_begin()
    log.on_epoch_end(0, {"loss": 1.0, "accuracy": 0.5})


def _log(path: Path) -> Any:
    log = TrialLog(path, {"seed": 0, "space": {"x": "uniform(0, 1)"}, "n_trials": 6})
    with _another("log: "):
        found = log.open(resume=True)
    log.append((0, 5), {"trial": 5, "params": {"x": 0.5}, "status": "done", "score": 0.5})
    log.close(complete=True)
    return found


def _logs(folder: Path) -> list[bytes]:
    path = folder / "trials.jsonl"
    log = TrialLog(path, {"seed": 0, "space": {"x": "uniform(0, 1)"}, "n_trials": 6})
    log.open(resume=True)
    for trial in range(4):
        line = {"trial": trial, "params": {"x": 0.1 * trial}, "status": "done", "score": 0.5}
        log.append((0, trial), line | {"curves": {"loss": [1.5, "nan"]}, "metrics": {"a": 1}})
    log.close(complete=True)
    return [path.read_bytes()]


def _state(path: Path) -> Any:
    with _another("state: "):
        state = State(path.parent, {"seed": 0, "until": 3}, resume=True)
    return state.find(1, 0), state.seconds, state.plan("x", lambda: 1)


def _states(folder: Path) -> list[bytes]:
    state = State(folder / "guide", {"seed": 0, "until": 3}, resume=True)
    settings = {"lr": 0.01, "hidden": [3]}
    state.add({"number": 1, "round": 0, "findings": ["a"], "settings": settings})
    state.plan("step 1: trials", lambda: [1, 2, 3])
    return [(folder / "guide" / FILE).read_bytes()]


def _trial(path: Path) -> tuple[CrossValidation, Trial]:
    """A trial of one fold, whose file is there or will be."""
    held = np.arange(9)
    problem: Any = SimpleNamespace(folds=[(held, held)], dims=(3, 3))
    state: Any = State(None, {"seed": 0}, resume=False)
    state.path = lambda _: path
    guide = CrossValidation(problem, state, 0, None, 1, progress=False)
    return guide, Trial(0, {"hidden": []}, 2, [0])


def _load_trial(path: Path) -> Any:
    guide, trial = _trial(path)
    return guide._read(trial), trial.runs


def _trials(folder: Path) -> list[bytes]:
    (X, y), net = _data(), fanin.MLP([3, 3])
    history = net.fit(X, y, epochs=2, validation_data=(X, y), progress=False)
    guide, trial = _trial(folder / "0.fanin")
    losses = history.history["val_loss"]
    trial.runs[0] = FoldRun(0, "done", 1, history, losses, net, net.scores(X), 0.5, 0.75)
    guide._write(trial)
    return [(folder / "0.fanin").read_bytes()]


@contextmanager
def _another(start: str) -> Iterator[None]:
    """What is whole, but of another run than this one, is refused with the difference."""
    try:
        yield
    except fanin.FileError:
        raise
    except ValueError as error:
        if not str(error).startswith(start):
            raise
        raise fanin.FileError("", str(error)) from error


def _load_with_optimizer(path: Path) -> Any:
    return fanin.MLP.load(path, optimizer=True)


def _load_config(path: Path) -> Any:
    return predict._older_facts(path.parent, 2)


def _load_cifar(path: Path) -> Any:
    return named._cifar_parts(path.parent)


LOADERS = [
    Loader("network", "net.fanin", fanin.MLP.load, _networks),
    Loader("optimizer", "net.fanin", _load_with_optimizer, _optimizers),
    Loader("ensemble", "net.fanin", Ensemble.load, _ensembles),
    Loader("history", "history.json", fanin.callbacks.History.load, _histories),
    Loader("pipeline", "aug.json", fanin.augment.Compose.load, _pipelines),
    Loader("report", "report.json", Report.load, _report_json),
    Loader("page", "report.html", Report.load, _report_html),
    Loader("config", "config.json", _load_config, _configs),
    Loader("npz", "d.npz", fanin.datasets.load, _archives),
    Loader("csv", "d.csv", fanin.datasets.load, _tables),
    Loader("idx", "d-idx", named.read_idx, _idx),
    Loader("idx-gz", "d.gz", named.read_idx, _idx_gz),
    Loader("cifar", named._CIFAR, _load_cifar, _cifar),
    Loader("image", "one.png", lambda path: folders.read_unlabelled(path), _images),
    Loader("rows", "d.csv", fanin.datasets.rows, _tables),
    Loader("checkpoint", "run.fanin", _load_checkpoint, _checkpoints),
    Loader("member", "member-0.fanin", _load_member, _members),
    Loader("best", "best.fanin", _load_best, _bests),
    Loader("csv-log", "log.csv", _append, _epochs),
    Loader("search-log", "trials.jsonl", _log, _logs),
    Loader("state", FILE, _state, _states),
    Loader("trial", "0.fanin", _load_trial, _trials),
]


# Mutations


def mutated(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """The data with one to four mutations: of what it means, of its bytes, or of both in turn."""
    n, how = rng.choice((1, 1, 1, 2, 4)), rng.random()
    if how < 0.7:
        data = _meaning(data, others, rng, n)
    if how > 0.6:
        data = _bytes(data, others, rng, n)
    return data


def _bytes(data: bytes, others: Sequence[bytes], rng: random.Random, n: int = 1) -> bytes:
    for _ in range(n):
        data = rng.choice(SIMPLE)(data, others, rng)
    return data


def _at(data: bytes, rng: random.Random) -> int:
    return rng.randrange(len(data) + 1)


def _flip(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8)) if data else 0):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _set(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    """Some bytes as a number that is at an edge."""
    size = rng.choice((1, 2, 4, 8))
    number = rng.choice((0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), 2 ** (8 * size - 1) - 1))
    at = _at(data, rng)
    return data[:at] + number.to_bytes(size, rng.choice(("little", "big"))) + data[at + size :]


def _cut(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    return data[: _at(data, rng)]


def _insert(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    at = _at(data, rng)
    return data[:at] + rng.choice((rng.choice(WORDS), rng.randbytes(rng.randrange(9)))) + data[at:]


def _remove(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    at = _at(data, rng)
    return data[:at] + data[at + rng.choice((1, 4, 30, 200)) :]


def _splice(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    other = rng.choice(others)
    return data[: _at(data, rng)] + other[_at(other, rng) :]


def _repeat(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    at, size = _at(data, rng), rng.choice((1, 8, 60, 400))
    return data[: at + size] + data[at : at + size] * rng.choice((1, 2, 9)) + data[at + size :]


SIMPLE = (_flip, _set, _cut, _insert, _remove, _splice, _repeat)


# Mutations of meaning: something else at some places of what the file says, its checksums right


def _meaning(data: bytes, others: Sequence[bytes], rng: random.Random, n: int) -> bytes:
    if data[:2] == b"PK":
        return _of_zip(data, others, rng, n)
    if data[:2] == b"\x1f\x8b":
        return _of_gzip(data, rng, n)
    for _ in range(n):
        if data[:4] == b"\x89PNG":
            data = _of_png(data, rng)
        elif b"\0" in data[:64]:  # no text, and no checksums
            data = _bytes(data, others, rng)
        else:
            data = _of_text(data, rng)
    return data


def _of_text(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    records = [i for i, line in enumerate(lines) if line[:1] == b"{" and line[-1:] == b"}"]
    if len(records) > 1:  # a log
        at = rng.choice(records)
        lines[at] = _of_json(lines[at], rng)
        return b"\n".join(lines)
    start, end = data.find(b"{"), data.rfind(b"}") + 1
    if 0 <= start < end:
        return data[:start] + _of_json(data[start:end], rng) + data[end:]
    return _of_lines(lines, rng)


def _of_lines(lines: list[bytes], rng: random.Random) -> bytes:
    """Another cell of a table, or another number of cells in a line."""
    at = rng.randrange(len(lines))
    delimiter = b";" if b";" in lines[at] else b","
    cells = lines[at].split(delimiter)
    place, what = rng.randrange(len(cells)), rng.random()
    if what < 0.1:
        del cells[place]
    elif what < 0.2:
        cells[place] = b'"' + cells[place] + b'"'
    elif what < 0.3:
        cells.insert(place, rng.choice(cells))
    else:
        cells[place] = rng.choice(CELLS)
    lines[at] = delimiter.join(cells)
    return b"\n".join(lines)


@functools.lru_cache(512)
def _record(text: bytes) -> Any:
    """What stands there in JSON, which nobody may change; else None."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _of_json(text: bytes, rng: random.Random) -> bytes:
    record = _record(text)
    if record is None:
        return _insert(text, (), rng)
    sealed = isinstance(record, dict) and "sha256" in record
    if sealed:
        record = {name: value for name, value in record.items() if name != "sha256"}
    record = _other(record, rng)
    try:
        if sealed and isinstance(record, dict):
            return _json.to_json(record)
        return json.dumps(record).encode()
    except (ValueError, RecursionError):
        return text


def _other(value: Any, rng: random.Random) -> Any:
    """The value with another one somewhere in it."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.05:
        return _other_leaf(value, rng)
    copy: Any = value.copy()
    places = list(copy) if isinstance(copy, dict) else range(len(copy))
    place, what = rng.choice(places), rng.random()
    if what < 0.1:
        del copy[place]
    elif what < 0.15:
        copy[place] = copy[rng.choice(places)]
    elif what < 0.2 and isinstance(copy, dict):
        copy[rng.choice(("x", "", "sha256", str(place).upper()))] = copy.pop(place)
    elif what < 0.2:
        copy.insert(place, copy[place])
    else:
        copy[place] = _other(copy[place], rng)
    return copy


def _other_leaf(value: Any, rng: random.Random) -> Any:
    """One that is near, or any."""
    if rng.random() < 0.6:
        return rng.choice(VALUES)
    if isinstance(value, str):
        return rng.choice((value + "x", value[:-1], value.upper(), [value]))
    if isinstance(value, int | float) and abs(value) < 2**60:
        return rng.choice((value + 1, value - 1, -value, value / 2, str(value), [value]))
    return [value]


@functools.lru_cache(512)
def _unzipped(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {info.filename: archive.read(info) for info in archive.infolist()}
    except Exception:  # of a file that is damaged already
        return {}


def _of_zip(data: bytes, others: Sequence[bytes], rng: random.Random, n: int) -> bytes:
    members = dict(_unzipped(data))
    if not members:
        return _bytes(data, others, rng, n)
    header = members.get(HEADER, b"")
    record = _record(header[header.find(b"\n") + 1 :])
    for _ in range(n):
        if record is not None and rng.random() < 0.6:
            record = _other(record, rng)
        elif members:
            _other_member(members, others, rng)
    if record is not None and members.get(HEADER) == header:
        if rng.random() < 0.9:
            record = _described(record, members)
        members[HEADER] = _npy(json.dumps(record).encode())
    content = list(members.items())
    if content and rng.random() < 0.02:
        content.append(rng.choice(content))
    return _zipped(content, packed=rng.random() < 0.1)


def _other_member(members: dict[str, bytes], others: Sequence[bytes], rng: random.Random) -> None:
    name, what = rng.choice(list(members)), rng.random()
    if what < 0.05:
        members[rng.choice((f"{name}x", "../x.npy", "y.npy"))] = members.pop(name)
    elif what < 0.1:
        del members[name]
    elif what < 0.25:  # of this archive or of another one
        theirs = [*_unzipped(rng.choice(others)).values(), *members.values()]
        members[name] = rng.choice(theirs)
    elif what < 0.75 and name != HEADER:
        members[name] = _other_array(members[name], rng)
    elif what < 0.85:
        members[name] = members[name].replace(*rng.choice(SHAPES_AND_TYPES), 1)
    else:
        members[name] = _bytes(members[name], [members[name]], rng)


def _zipped(content: Iterable[tuple[str, bytes]], packed: bool) -> bytes:
    """An archive, as zipfile would write it in many times the time."""
    files, directory, n = bytearray(), bytearray(), 0
    for n, (name, data) in enumerate(content, 1):  # noqa: B007
        stored = zlib.compress(data, 1)[2:-4] if packed else data
        sizes = zlib.crc32(data), len(stored), len(data), len(name.encode()), 0
        facts = struct.pack("<5H3L2H", 20, 0, 8 if packed else 0, 0, 33, *sizes)
        directory += b"PK\1\2" + struct.pack("<H", 20) + facts
        directory += struct.pack("<3H2L", 0, 0, 0, 0, len(files)) + name.encode()
        files += b"PK\3\4" + facts + name.encode() + stored
    end = struct.pack("<4H2LH", 0, 0, n, n, len(directory), len(files), 0)
    return bytes(files + directory + b"PK\5\6" + end)


@functools.lru_cache(512)
def _array(data: bytes) -> Any:
    """An array, which nobody may change, and how a header describes it; else None."""
    try:
        array = np.load(io.BytesIO(data))
        return array, checkpoint._describe(array)
    except Exception:  # of NumPy, over bytes without sense
        return None


def _other_array(data: bytes, rng: random.Random) -> bytes:
    """An array of other numbers, of another shape or of another kind."""
    found = _array(data)
    if found is None:
        return data
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = _changed(found[0], rng)
    except Exception:  # of NumPy, over numbers without sense
        return data
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _changed(array: Any, rng: random.Random) -> Any:
    what = rng.randrange(4)
    if what == 0 and array.size:
        array = array.copy()
        array.reshape(-1)[rng.randrange(array.size)] = rng.choice((0, 1, -1, 3e38, math.nan))
        return array
    if what == 1:
        return array.astype(rng.choice(("<f4", "<f8", "<i8", "|u1", ">f4", "|b1", "<c16")))
    if what == 2:
        return array.reshape(-1)[: rng.randrange(array.size + 1)]
    return array.reshape(rng.choice(((-1,), (1, -1), (-1, 1), (1, *array.shape))))


def _described(record: Any, members: dict[str, bytes]) -> Any:
    """The header with the shapes, dtypes and checksums of what the archive has now."""
    if not isinstance(record, dict) or not isinstance(record.get("arrays"), dict):
        return record
    found = {name.removesuffix(".npy"): _array(data) for name, data in members.items()}
    arrays = {name: known[1] for name, known in found.items() if known and name != "header"}
    return {**record, "arrays": arrays}


def _npy(text: bytes) -> bytes:
    """The bytes of an array of bytes."""
    facts = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(text)},), }}".encode()
    facts += b" " * (-(len(facts) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(facts)) + facts + text


@functools.lru_cache(64)
def _gunzipped(data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except Exception:  # of a file that is damaged already
        return b""


def _of_gzip(data: bytes, rng: random.Random, n: int) -> bytes:
    plain = _gunzipped(data)
    if not plain:
        return _bytes(data, [data], rng, n)
    for _ in range(n):
        tar = plain[257:262] == b"ustar" and rng.random() < 0.8
        plain = _of_tar(plain, rng) if tar else _bytes(plain, [plain], rng)
    return gzip.compress(plain, 1, mtime=0)


def _of_tar(data: bytes, rng: random.Random) -> bytes:
    """A header with another field."""
    headers = [at for at in range(0, len(data), 512) if data[at + 257 : at + 262] == b"ustar"]
    if not headers:
        return data
    at = rng.choice(headers)
    header = bytearray(data[at : at + 512].ljust(512, b"\0"))
    field = rng.choice(TAR_FIELDS)
    value = rng.choice(TAR_VALUES)[: len(header[field])]
    header[field.start : field.start + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:at] + header + data[at + 512 :]


def _of_png(data: bytes, rng: random.Random) -> bytes:
    """A part with another content, or another one."""
    parts, at = [], 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        parts.append((data[at + 4 : at + 8], data[at + 8 : end]))
        at = end + 4
    if not parts:
        return data
    kind, content = parts.pop(i := rng.randrange(len(parts)))
    if rng.random() < 0.3:
        kind = rng.choice(PNG_KINDS)
    for _ in range(rng.choice((0, 1, 1, 2))):
        parts.insert(i, (kind, _bytes(content, [content], rng)))
    packed = (
        struct.pack(">L", len(value)) + name + value + struct.pack(">L", zlib.crc32(name + value))
        for name, value in parts
    )
    return data[:8] + b"".join(packed)


# The search


def check(loader: Loader, path: Path, data: bytes, number: int = -1) -> bool:
    """Whether the loader took it; raises `FoundError` where it failed otherwise than it may."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, data)
    os.close(descriptor)
    TRIED[0] += 1
    try:
        with warnings.catch_warnings(), little_memory():
            warnings.simplefilter("ignore")
            loader.load(path)
    except fanin.FileError as error:
        str(error).encode(errors="backslashreplace")
        for cause in _contexts(error):
            if isinstance(cause, MemoryError):  # it was refused when it was too late
                raise FoundError(loader.name, number, data, cause) from error
        return False
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise FoundError(loader.name, number, data, error) from error
    return True


TRIED = [0]  # inputs: one timer looks after all of them


@contextmanager
def no_hang() -> Iterator[None]:
    """Within it an input that takes from HANG to twice as many seconds is an error."""
    seen = -1

    def look(*_: object) -> None:
        nonlocal seen
        if seen == TRIED[0]:
            raise HangError(f"no end after {HANG} seconds")
        seen = TRIED[0]

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, HANG, HANG)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _contexts(error: BaseException) -> Iterator[BaseException]:
    """What an error was raised in the handling of, and so on."""
    while error.__context__ is not None:
        error = error.__context__
        yield error


class little_memory:  # noqa: N801
    """Within it what asks for SPACE more than the process has now is an error, on Linux.

    No generator: what memory is short for would end it late, and put an old limit back.
    """

    def __init__(self, times: int = 1) -> None:
        self.times, self.before = times, (-1, -1)

    def __enter__(self) -> None:
        if sys.platform == "linux":
            import resource

            self.before = resource.getrlimit(resource.RLIMIT_AS)
            limits = [limit for limit in self.before if limit != resource.RLIM_INFINITY]
            most = min([_taken() + self.times * SPACE, *limits])
            resource.setrlimit(resource.RLIMIT_AS, (most, self.before[1]))

    def __exit__(self, *_: object) -> None:
        if sys.platform == "linux":
            import resource

            resource.setrlimit(resource.RLIMIT_AS, self.before)


def _taken() -> int:
    """Bytes of memory that the process has."""
    descriptor = os.open("/proc/self/statm", os.O_RDONLY)
    try:
        return int(os.read(descriptor, 32).split()[0]) * mmap.PAGESIZE
    finally:
        os.close(descriptor)


def inputs(loader: Loader, folder: Path, seed: int = 0) -> Iterator[bytes]:
    """Mutations of valid files, and fewer of the corpus, without end."""
    with _no_time():
        valid = loader.seeds(folder)
    reached = corpus(loader.name) or valid
    seeds = [*valid, *reached]
    for number in itertools.count():
        rng = random.Random(f"{loader.name} {seed} {number}")
        yield mutated(rng.choice(valid if rng.random() < 0.8 else reached), seeds, rng)


@contextmanager
def _no_time() -> Iterator[None]:
    """Within it no time passes, so that files tell of none."""
    with mock.patch.multiple(time, monotonic=lambda: 0.0, perf_counter=lambda: 0.0):
        yield


def fingerprint(loader: Loader) -> str:
    """Tells one fuzzer from another: a hash of its first inputs."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        first = itertools.islice(inputs(loader, Path(folder)), 500)
        return hashlib.sha256(b"\n".join(first)).hexdigest()[:12]


def corpus(name: str) -> list[bytes]:
    """Inputs that a loader failed on once, or that reached code which others do not."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


def fuzz(
    loader: Loader, n: int | None = None, seconds: float | None = None, seed: int = 0
) -> tuple[int, int]:
    """Tries so many inputs, or for so long; returns how many, and how many were refused."""
    begin, refused, done = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory(dir=MEMORY) as text, no_hang(), little_memory(LEFT):
        folder = Path(text)
        (folder / "in").mkdir()
        path = folder / "in" / loader.file
        for done, data in enumerate(inputs(loader, folder, seed), 1):
            refused += not check(loader, path, data, done)
            if done == n or (seconds and time.monotonic() - begin > seconds):
                break
    return done, refused


def go_on(loader: Loader, until: int, log: Path) -> None:
    """Tries inputs of seeds that no run before had, until there are so many in the log."""
    own = {"loader": loader.name, "fuzzer": fingerprint(loader)}
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    mine = [line for line in lines if own.items() <= line.items()]
    done = sum(line["inputs"] for line in mine)
    for number in itertools.count(1 + max([0, *(line["seed"] for line in mine)])):
        if done >= until:
            break
        n, refused = fuzz(loader, min(PART, until - done), seed=number)
        line = own | {"seed": number, "inputs": n, "refused": refused}
        with log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        done += n


def sums(log: Path) -> dict[str, int]:
    """How many inputs of each loader a log tells of, those of this fuzzer alone."""
    counts: dict[str, int] = {}
    own = {one.name: fingerprint(one) for one in LOADERS}
    for line in map(json.loads, log.read_text().splitlines()):
        if line["fuzzer"] == own[line["loader"]]:
            counts[line["loader"]] = counts.get(line["loader"], 0) + line["inputs"]
    return counts


def figure(loader: str, n: int) -> dict[str, Any]:
    """For the table of reliability."""
    control = "loaders with a KeyError, a division by 0, too much memory, no end: found"
    what = f"{loader}: damaged files read"
    result = "0 untyped errors"
    return {"test": "corruption", "what": what, "n": n, "result": result, "control": control}


def keep(found: FoundError, loader: str) -> Path:
    """Adds an input to the corpus that a loader took wrongly."""
    return _add(loader, type(found.error).__name__, found.data)


def _add(loader: str, what: str, data: bytes) -> Path:
    path = CORPUS / loader / f"{what}-{hashlib.sha256(data).hexdigest()[:8]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def led_by_coverage(loader: Loader, seconds: int) -> bool:
    """The same under a search that is led by the code that inputs reach; whether all went well.

    It ends its process, and so has one of its own. What it found of new code is put into the
    corpus.
    """
    with tempfile.TemporaryDirectory(dir=MEMORY) as text:
        folder = Path(text)
        (folder / "in").mkdir()
        (folder / "corpus").mkdir()
        known = [*loader.seeds(folder), *corpus(loader.name)]
        for i, data in enumerate(known):
            (folder / "corpus" / f"known-{i}").write_bytes(data)
        child = os.fork()
        if child == 0:
            try:
                _atheris(loader, seconds, folder, known)
            finally:
                os._exit(1)
        good = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        new = [p.read_bytes() for p in (folder / "corpus").iterdir() if "known" not in p.name]
        for data in sorted(new, key=len)[:KEPT]:
            if len(data) <= SMALL:
                _add(loader.name, "reached", data)
    return good


def _atheris(loader: Loader, seconds: int, folder: Path, known: Sequence[bytes]) -> None:
    import atheris as engine  # type: ignore[import-not-found,unused-ignore]

    def one(data: bytes) -> None:
        try:
            check(loader, folder / "in" / loader.file, data)
        except FoundError as found:
            print(f"{found}\n  kept as {keep(found, loader.name)}")
            raise

    def changed(data: bytes, size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return bytes(engine.Mutate(data, size))
        return mutated(data, known, rng)[:size]

    for function in _functions():
        engine.instrument_func(function)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={folder}/", "-print_final_stats=1"]
    arguments = [sys.argv[0], *options, "-max_len=8192", str(folder / "corpus")]
    engine.Setup(arguments, one, custom_mutator=changed)
    with no_hang(), little_memory(LEFT):
        engine.Fuzz()


def _functions() -> set[Any]:
    """The functions and methods of what reads files."""
    modules = [module for name, module in sys.modules.items() if name.startswith(TRACED)]
    values = [value for module in modules for value in vars(module).values()]
    classes = {v for v in values if inspect.isclass(v) and v.__module__.startswith(TRACED)}
    values += [inspect.unwrap(v) for v in values if callable(v) and hasattr(v, "__wrapped__")]
    values += [getattr(v, "__func__", v) for one in classes for v in vars(one).values()]
    return {v for v in values if inspect.isfunction(v) and v.__module__.startswith(TRACED)}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--inputs", type=int, help="of each loader")
    parser.add_argument("--seconds", type=float, help="of each loader")
    parser.add_argument("--loader", action="append", choices=[one.name for one in LOADERS])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, help="of how many inputs there were, over all runs")
    parser.add_argument("--until", type=int, help="so many of each loader are in the log")
    parser.add_argument("--out", type=Path, help="a document whose table gets the log's sums")
    parser.add_argument("--atheris", type=int, metavar="SECONDS", help="of all loaders together")
    options = parser.parse_args()
    code = 0
    for loader in LOADERS:
        if options.loader and loader.name not in options.loader:
            continue
        if options.atheris:
            code |= not led_by_coverage(loader, options.atheris // len(options.loader or LOADERS))
            continue
        begin, done, refused = time.monotonic(), 0, 0
        try:
            if options.until:
                go_on(loader, options.until, options.log)
                continue
            done, refused = fuzz(loader, options.inputs, options.seconds, options.seed)
        except FoundError as found:
            print(f"{found}\n  kept as {keep(found, loader.name)}")
            code = 1
            continue
        rate = done / (time.monotonic() - begin)
        print(f"{loader.name:10} {done:9,} inputs, {refused:9,} refused, {rate:6.0f}/s", flush=True)
    if options.log:
        told = {name: figure(name, n) for name, n in sums(options.log).items()}
        print("\n".join(f"{name:10} {one['n']:9,} inputs" for name, one in told.items()))
        if options.out:
            renew(options.out, rows_of(told.values()), others=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
