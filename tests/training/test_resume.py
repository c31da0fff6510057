"""A run that is resumed from a checkpoint is the uninterrupted one, bit for bit."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_cases import JUDGE, RUNS, Counting, X, Y, fit, outcome

import fanin
from fanin import callbacks, checkpoint, optim
from fanin.training import DivergenceWarning, StopOnRise
from fanin.training import fit as fit_module

pytestmark = pytest.mark.row("B2")


@pytest.fixture
def a_step_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each native call does one step, after which a checkpoint may be due."""
    monkeypatch.setattr(fit_module, "CHUNK_SECONDS", 0.0)


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Copies of all checkpoints, as they are written."""
    kept: list[Path] = []
    save = checkpoint.save_archive

    def saved(path: Any, header: Any, arrays: Any) -> None:
        save(path, header, arrays)
        if header["kind"] == "checkpoint":
            kept.append(tmp_path / f"version{len(kept)}")
            shutil.copyfile(path, kept[-1])

    monkeypatch.setattr(checkpoint, "save_archive", saved)
    return kept


@pytest.fixture(autouse=True)
def divergence_is_no_error() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)
        yield


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.mark.usefixtures("a_step_at_a_time")
@pytest.mark.parametrize("name", RUNS)
def test_from_every_kind_of_moment(name: str, tmp_path: Path, versions: list[Path]) -> None:
    """From the first file, from files amid an epoch and between two, and from the last."""
    folders = [tmp_path / which for which in ("whole", "kept", "resumed")]
    for folder in folders:
        folder.mkdir()
    whole = RUNS[name](folders[0])
    expected = outcome(whole, fit(whole))
    run = RUNS[name](folders[1])
    assert outcome(run, fit(run, checkpoint=tmp_path / "run", every="0s")) == expected
    assert files(folders[0]) == files(folders[1])
    kept = list(versions)
    assert len(kept) > 8 or name == "regression"
    for version in [*kept[:7], *kept[7 : -2 : max(len(kept) // 6, 1)], *kept[-2:]]:
        shutil.copyfile(version, tmp_path / "run")
        shutil.copytree(folders[1], folders[2], dirs_exist_ok=True)  # written up to the end
        again = RUNS[name](folders[2])
        history = fit(again, checkpoint=tmp_path / "run", resume=True)
        assert outcome(again, history) == expected, version.name
        assert files(folders[0]) == files(folders[2]), version.name


def test_in_the_same_process_after_ctrl_c(tmp_path: Path) -> None:
    """The cell of a notebook is run again, with the very objects of the first time."""

    class Interrupt(callbacks.Callback):
        def on_progress(self, step: int, logs: Any = None) -> None:  # noqa: ARG002
            if step >= 12 and not self.params.get("resumed"):
                raise KeyboardInterrupt

    whole, run = RUNS["dropping"](tmp_path), RUNS["dropping"](tmp_path)
    expected = outcome(whole, fit(whole))
    options = {"checkpoint": tmp_path / "run", "resume": True, "every": 100}
    with pytest.raises(KeyboardInterrupt):
        fit(run, callbacks=[Interrupt()], **options)
    assert 12 <= run[0].steps_done < expected["counts"][1]
    header, _ = checkpoint.load_archive(tmp_path / "run", "checkpoint")
    assert header["state"]["network"]["counters"]["steps_done"] == run[0].steps_done
    history = fit(run, callbacks=[Interrupt()], **options)
    assert outcome(run, history) == expected


def test_a_finished_run_returns_its_history(tmp_path: Path) -> None:
    run, again = RUNS["watching"](tmp_path), RUNS["watching"](tmp_path)
    options = {"checkpoint": tmp_path / "run", "resume": True}
    first = fit(run, **options)
    second = fit(again, **options)
    assert second.to_dict() == first.to_dict()
    assert again[0].history is second
    assert outcome(again, second) == outcome(run, first)


def test_the_first_file_is_there_before_the_first_step(tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("amid the first epoch")

    run = RUNS["dropping"](tmp_path)
    with pytest.raises(RuntimeError):
        fit(run, checkpoint=tmp_path / "run", callbacks=[callbacks.LambdaCallback(
            on_epoch_begin=fail)])  # fmt: skip
    header, _ = checkpoint.load_archive(tmp_path / "run", "checkpoint")
    assert header["state"]["network"]["counters"] == {"epochs_done": 0, "steps_done": 0}
    run = RUNS["dropping"](tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        fit(run, checkpoint=tmp_path / "nowhere" / "run")
    assert run[0].steps_done == 0


@pytest.mark.parametrize(
    ("every", "expected"), [(1, [0, 5, 10, 15, 20, 20]), (3, [0, 15, 20]), ("1h", [0, 20])]
)
def test_every(every: int | str, expected: list[int], tmp_path: Path, versions: list[Path]) -> None:
    fit(RUNS["dropping"](tmp_path), checkpoint=tmp_path / "run", every=every)
    counts = [checkpoint.load_archive(v, "checkpoint")[0]["state"]["network"] for v in versions]
    assert [c["counters"]["steps_done"] for c in counts] == expected


@pytest.mark.parametrize("bad", ["30", "s", "-1s", "1 day", 0, 1.5, None, True])
def test_bad_intervals(bad: Any, tmp_path: Path) -> None:
    with pytest.raises((ValueError, TypeError), match="every: expected"):
        fit(RUNS["dropping"](tmp_path), checkpoint=tmp_path / "run", every=bad)


def other_runs() -> dict[str, tuple[dict[str, Any], str]]:
    shifted = X.copy()
    shifted[7, 3] += 1
    return {
        "batch_size": ({"batch_size": 16}, "batch_size is 32 there, 16 here"),
        "epochs": ({"epochs": 9}, "epochs is 4 there, 9 here"),
        "optimizer": ({"optimizer": optim.Adam(lr=0.02)}, r"optimizer is 'Adam\(lr=0.01.*, 'Adam"),
        "schedule": ({"schedule": "cosine"}, r"schedule is 'Constant\(\)' there, 'Cosine"),
        "reg": ({"reg": 0.5}, "reg is 0.001 there, 0.5 here"),
        "X": ({"X": shifted}, "X has other values"),
        "y": ({"y": Y[::-1].copy()}, "y has other values"),
        "validation": ({"validation_data": JUDGE}, r"validation X is .* there, .*40, 12.* here"),
        "weights": ({"class_weight": "balanced"}, r"weights of rows is None there, .*150.* here"),
        "callbacks": (
            {"callbacks": [callbacks.EarlyStopping("loss", patience=3)]},
            r"callbacks is \[\] there, .*EarlyStopping.*patience",
        ),
        "network": ({"net": fanin.MLP([12, 9, 8, 3], seed=2)}, "network's keep .*network's seed"),
        "layers": ({"net": fanin.MLP([12, 9, 3], seed=1)}, r"network's dims is \[12, 9, 8, 3\]"),
        "preprocess": ({"preprocess": "standardize"}, "preprocess is 'auto' there, 'standardize'"),
    }


@pytest.mark.parametrize("name", other_runs())
def test_other_runs_are_refused_with_the_difference(name: str, tmp_path: Path) -> None:
    run = RUNS["dropping"](tmp_path)
    fit(run, checkpoint=tmp_path / "run")
    before = (tmp_path / "run").read_bytes()
    changed, message = other_runs()[name]
    net, x, y, options = RUNS["dropping"](tmp_path)
    net, x, y = (changed.pop(n, v) for n, v in (("net", net), ("X", x), ("y", y)))
    parameters = net.get_parameters()
    options = {**options, **changed, "checkpoint": tmp_path / "run", "resume": True}
    with pytest.raises(ValueError, match=f"checkpoint: .*run holds another run: .*{message}"):
        fit((net, x, y, options))
    assert np.array_equal(net.get_parameters(), parameters)
    assert (net.steps_done, net.history) == (0, None)
    assert (tmp_path / "run").read_bytes() == before


def test_threads_and_progress_may_differ(tmp_path: Path) -> None:
    run, again = RUNS["dropping"](tmp_path), RUNS["dropping"](tmp_path)
    first = fit(run, checkpoint=tmp_path / "run", n_threads=1)
    options = {"n_threads": 2, "progress": True, "every": 2, "checkpoint_on_signal": True}
    second = fit(again, checkpoint=tmp_path / "run", resume=True, **options)
    assert outcome(again, second) == outcome(run, first)


@pytest.mark.parametrize("finished", [True, False])
def test_a_run_is_not_overwritten(finished: bool, tmp_path: Path) -> None:
    run, path = RUNS["counting"](tmp_path), tmp_path / "run"
    if finished:
        fit(run, checkpoint=path)
    else:
        fail = callbacks.LambdaCallback(on_train_batch_end=lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fit(run, checkpoint=path, callbacks=[fail])
    before = path.read_bytes()
    told = "a finished run" if finished else "a run after 0 steps"
    with pytest.raises(ValueError, match=f"checkpoint: expected a new file, got .*{told}; resume="):
        fit(RUNS["counting"](tmp_path), checkpoint=path)
    assert path.read_bytes() == before


def test_other_files_are_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "file"
    fanin.MLP([12, 3]).save(path)
    for resume, message in [(True, "expected a fanin checkpoint"), (False, "something else")]:
        with pytest.raises(ValueError, match=message):
            fit(RUNS["dropping"](tmp_path), checkpoint=path, resume=resume)
    path.unlink()
    path.symlink_to(tmp_path / "lost")
    with pytest.raises(ValueError, match="something else"):
        fit(RUNS["dropping"](tmp_path), checkpoint=path)


def test_another_minor_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "__version__", "77.8.9")
        fit(RUNS["dropping"](tmp_path), checkpoint=tmp_path / "run")
    with pytest.raises(fanin.FileError, match=r"minor version that wrote it: .*got 77\.8; finish"):
        fit(RUNS["dropping"](tmp_path), checkpoint=tmp_path / "run", resume=True)


def test_a_state_that_does_not_fit_is_an_error_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run"
    fit(RUNS["dropping"](tmp_path), checkpoint=path)
    header, arrays = checkpoint.load_archive(path, "checkpoint")
    for name in ("format", "format_version", "version"):
        del header[name]
    spoilt = {
        "training": {**header["state"]["training"], "states": []},
        "epoch": {},
        "history": {"history": 3},
        "stop": 5,
        "lr": "fast",
        "callbacks": [{}, {}],
    }
    for name, value in spoilt.items():
        checkpoint.save_archive(path, header | {"state": header["state"] | {name: value}}, arrays)
        with pytest.raises(fanin.FileError, match=r"run: not a usable checkpoint"):
            fit(RUNS["dropping"](tmp_path), checkpoint=path, resume=True)


@pytest.mark.parametrize("option", ["resume", "checkpoint_on_signal"])
def test_options_that_need_a_file(option: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{option}: expected checkpoint= too"):
        fit(RUNS["dropping"](tmp_path), **{option: True})


def test_a_callback_whose_state_is_no_json(tmp_path: Path) -> None:
    class Odd(callbacks.Callback):
        def state_dict(self) -> dict[str, Any]:
            return {"what": {1, 2}}

    with pytest.raises(TypeError, match=r"callbacks\.0\.what: expected text, numbers, .* got set"):
        fit(RUNS["dropping"](tmp_path), checkpoint=tmp_path / "run", callbacks=[Odd()])


def test_a_callback_that_forgets_is_named(tmp_path: Path) -> None:
    """A count that begins anew makes another run; nothing of this is silent."""

    class Forgetful(callbacks.Callback):
        def __init__(self) -> None:
            self.count = 0

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            self.count += 1
            if self.count == 2 and not self.params.get("resumed"):
                raise RuntimeError

    options = {"checkpoint": tmp_path / "run", "every": 1, "resume": True}
    with pytest.raises(RuntimeError):
        fit(RUNS["dropping"](tmp_path), callbacks=[Forgetful()], **options)
    with pytest.warns(UserWarning, match="Forgetful has no state_dict.*: count"):
        fit(RUNS["dropping"](tmp_path), callbacks=[Forgetful()], **options)


def test_a_lost_log_is_refused(tmp_path: Path) -> None:
    run, path = RUNS["watching"](tmp_path), tmp_path / "run"
    fit(run, checkpoint=path)
    (tmp_path / "log.csv").unlink()
    with pytest.raises(fanin.FileError, match=r"log\.csv: expected the run's \d+ bytes at least"):
        fit(RUNS["watching"](tmp_path), checkpoint=path, resume=True)


def test_counting_counts(tmp_path: Path) -> None:
    """The negative control of the tests above: without its state the callback makes another run."""
    run, again = RUNS["counting"](tmp_path), RUNS["counting"](tmp_path)
    expected = outcome(run, fit(run))
    path = tmp_path / "run"
    fail = callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: 1 / (2 - epoch))
    with pytest.raises(ZeroDivisionError):
        fit(again, checkpoint=path, every=1, callbacks=[*again[3]["callbacks"], fail])
    third = RUNS["counting"](tmp_path)
    third[3]["callbacks"][0].load_state_dict = lambda _: None
    passing = callbacks.LambdaCallback(on_epoch_end=lambda *_: None)
    own: list[Counting | callbacks.LambdaCallback] = [*third[3]["callbacks"], passing]
    history = fit(third, checkpoint=path, resume=True, callbacks=own)
    assert outcome(third, history) != expected


def change_state(path: Path, at: int, name: str, value: Any) -> None:
    """Another value in the state of a callback, under right checksums."""
    header, arrays = checkpoint.load_archive(path, "checkpoint")
    header["state"]["callbacks"][at][name] = value
    own = {key: header[key] for key in ("kind", "run", "state")}
    checkpoint.save_archive(path, own, arrays)


OTHER_STATES: list[tuple[int, str, Any]] = [
    *[(0, "best_parameters", value) for value in ("x", [1.0], {"array of the archive": "state0"})],
    *[(0, "best_epoch", "x"), (0, "best_epoch", -1), (0, "stopped_epoch", True), (0, "wait", 0.5)],
    *[(1, "parameters", "x"), (1, "parameters", {"array of the archive": "state0"})],
    *[(1, "rose", 1), (1, "best_epoch", -2), (1, "best", None)],
    *[(2, "size", -1), (2, "size", "x"), (2, "told", 0), (2, "offset", "x"), (2, "table", None)],
    *[(2, "table", {name: "xx"}) for name in ("encoding", "delimiter", "newline", "decimal")],
    *[(2, "table", {name: "xx"}) for name in ("columns", "last_epoch", "whole", "other")],
    *[(2, "table", {"columns": [1]}), (2, "table", {"delimiter": []})],
]


@pytest.mark.parametrize(("at", "name", "value"), OTHER_STATES)
def test_what_a_callback_does_not_remember_is_refused(
    tmp_path: Path, at: int, name: str, value: Any
) -> None:
    def run(*others: callbacks.Callback) -> Any:
        log = callbacks.CSVLogger(tmp_path / "log.csv")
        own = {"checkpoint": tmp_path / "run", "every": 1, "resume": True, "progress": False}
        return fanin.MLP([12, 3]).fit(
            X, Y, epochs=3, validation_data=(X, Y), n_threads=1, **own,
            callbacks=[callbacks.EarlyStopping(), StopOnRise(), log, *others],
        )  # fmt: skip

    fail = callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: 1 / (1 - epoch))
    passing = callbacks.LambdaCallback(on_epoch_end=lambda *_: None)
    with pytest.raises(ZeroDivisionError):
        run(fail)
    change_state(tmp_path / "run", at, name, value)
    with pytest.raises(fanin.FileError, match="not a usable checkpoint"):
        run(passing)


def test_snapshots_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run"
    options: dict[str, Any] = {"n_cycles": 2, "epochs_per_cycle": 1, "progress": False}
    fanin.ensemble.from_checkpoints([12, 3], X, Y, checkpoint=path, **options)
    state = checkpoint.load_archive(path, "checkpoint")[0]["state"]["callbacks"][-1]["networks"]
    state[1]["config"]["seed"] += 1
    change_state(path, -1, "networks", state)
    with pytest.raises(fanin.FileError, match="networks: expected copies of the network"):
        fanin.ensemble.from_checkpoints([12, 3], X, Y, checkpoint=path, **options)
