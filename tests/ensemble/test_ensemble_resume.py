"""An ensemble that is killed goes on with the members that are done, to the same bits."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kills import run_once

import fanin
from fanin.ensemble import (
    Ensemble,
    from_checkpoints,
    from_cross_validation,
    from_datasets,
    from_initializations,
    from_objectives,
)
from fanin.training.checkpoint import CheckpointFile

X = fanin.random.Generator(0).standard_normal((90, 4), dtype="float32")
Y = (X[:, 0] + X[:, 1] > 0).astype(np.int64)
DIMS = [4, 5, 2]
OPTIONS: dict[str, Any] = {"epochs": 2, "batch_size": 16, "progress": False}
BUILDERS: dict[str, Callable[..., Ensemble]] = {
    "initializations": lambda **options: from_initializations(DIMS, X, Y, n_members=3, **options),
    "objectives": lambda **options: from_objectives(
        DIMS, X, Y, [{"loss": "svm"}, {"optimizer": fanin.optim.SGD(lr=0.1)}], **options
    ),
    "datasets": lambda **options: from_datasets(DIMS, X, Y, n_members=3, **options),
    "folds": lambda **options: from_datasets(DIMS, X, Y, method="folds", n_members=3, **options),
    "cross-validation": lambda **options: from_cross_validation(
        DIMS, X, Y, [{}, {"keep": 0.8}], n_folds=2, k=2, **options
    ),
}


def told(ensemble: Ensemble, path: Path) -> tuple[bytes, list[Any], Any]:
    """Its file, what its members' histories say but for the time, and the held-out scores."""
    ensemble.save(path)
    histories = [{**net.history.to_dict(), "seconds": 0} for net in ensemble]
    return path.read_bytes(), histories, ensemble.held_out


@pytest.mark.row("B2")
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("name", BUILDERS)
def test_a_killed_build_goes_on_to_the_same_bytes(tmp_path: Path, name: str) -> None:
    build = BUILDERS[name]
    whole = told(build(**OPTIONS), tmp_path / "whole.fanin")
    folder = tmp_path / "members"

    def work(moments: Any) -> None:
        del moments
        build(**OPTIONS, checkpoint=folder)

    # A member's file is one replacement: before the first nothing is there, after it one member.
    for last in (1, 2):
        code, _ = run_once(work, last, calls=("replace",))
        assert code == -signal.SIGKILL
    assert len(list(folder.glob("member-*.fanin"))) == 1
    assert told(build(**OPTIONS, checkpoint=folder), tmp_path / "again.fanin") == whole
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert told(build(**OPTIONS, checkpoint=folder), tmp_path / "again.fanin") == whole
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_what_is_done_is_not_trained_again(tmp_path: Path, monkeypatch: Any) -> None:
    whole = from_initializations(DIMS, X, Y, n_members=4, **OPTIONS)
    from_initializations(DIMS, X, Y, n_members=3, checkpoint=tmp_path, **OPTIONS)
    fitted: list[int] = []
    fit = fanin.MLP.fit

    def counted(net: fanin.MLP, *arguments: Any, **options: Any) -> Any:
        if options["epochs"]:
            fitted.append(net.seed)
        return fit(net, *arguments, **options)

    monkeypatch.setattr(fanin.MLP, "fit", counted)
    more = from_initializations(DIMS, X, Y, n_members=4, checkpoint=tmp_path, **OPTIONS)
    assert fitted == [whole.members[3].seed]
    for one, other in zip(more, whole, strict=True):
        assert np.array_equal(one.get_parameters(), other.get_parameters())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"epochs": 3}, "fit.epochs is 2 there, 3 here"),
        ({"reg": 0.1}, "fit.reg is 'nothing' there, 0.1 here"),
        ({"seed": 1}, "network.seed is"),
        ({"network": {"activation": "tanh"}}, "network.activation is 'nothing' there, 'tanh' here"),
        ({"y": 1 - Y}, "data.y has other values"),
    ],
)
def test_members_of_others_are_refused_with_the_difference(
    tmp_path: Path, change: dict[str, Any], text: str
) -> None:
    from_initializations(DIMS, X, Y, n_members=2, checkpoint=tmp_path, **OPTIONS)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    options = {"y": Y, **OPTIONS, **change}
    with pytest.raises(ValueError, match=f"member-0.fanin is a member of another .*{text}"):
        from_initializations(DIMS, X, options.pop("y"), n_members=2, checkpoint=tmp_path, **options)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_threads_and_executors_are_the_same_build(tmp_path: Path) -> None:
    from_initializations(DIMS, X, Y, n_members=2, checkpoint=tmp_path, **OPTIONS)
    again = from_initializations(
        DIMS, X, Y, n_members=2, checkpoint=tmp_path, n_threads=1, **OPTIONS
    )
    assert len(again) == 2


def test_resume_false_refuses_what_is_there(tmp_path: Path) -> None:
    options = {"n_members": 2, "checkpoint": tmp_path, "resume": False, **OPTIONS}
    from_initializations(DIMS, X, Y, **options)
    with pytest.raises(ValueError, match=r"checkpoint: .*member-0.fanin is there already; resume="):
        from_initializations(DIMS, X, Y, **options)


@pytest.mark.row("B2")
def test_a_damaged_member_is_refused(tmp_path: Path) -> None:
    one = from_initializations(DIMS, X, Y, n_members=1, checkpoint=tmp_path, **OPTIONS)
    whole, refused = one.members[0].get_parameters(), 0
    path = tmp_path / "member-0.fanin"
    text = path.read_bytes()
    for at in range(0, len(text), 41):
        path.write_bytes(text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :])
        try:
            found = from_initializations(DIMS, X, Y, n_members=1, checkpoint=tmp_path, **OPTIONS)
        except fanin.FileError as error:
            assert error.path == str(path)  # noqa: PT017
            refused += 1
        else:  # a byte of the archive that says nothing, such as a date
            assert np.array_equal(found.members[0].get_parameters(), whole)
    assert refused > 0.8 * (len(text) / 41)
    for other in (b"", text[:-1], b"hello"):
        path.write_bytes(other)
        with pytest.raises(fanin.FileError):
            from_initializations(DIMS, X, Y, n_members=1, checkpoint=tmp_path, **OPTIONS)


def test_a_member_that_fails_is_tried_again(tmp_path: Path) -> None:
    variants = [{"optimizer": fanin.optim.SGD(lr=1e30)}, {}]
    for _ in range(2):
        both = from_objectives(DIMS, X, Y, variants, checkpoint=tmp_path, **OPTIONS)
        assert [failure.member for failure in both.failures] == [0]
    assert [path.name for path in tmp_path.iterdir()] == ["member-1.fanin"]


# Snapshots of a single run are in its own file.
CYCLES: dict[str, Any] = {"n_cycles": 3, "epochs_per_cycle": 2, "batch_size": 16, "progress": False}


def snapshots(**options: Any) -> Ensemble:
    return from_checkpoints(DIMS, X, Y, **{**CYCLES, "preprocess": "standardize", **options})


@pytest.mark.row("B2")
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("last", [1, 4, 5, 9, 13])  # of 14 files
def test_a_killed_run_of_snapshots_goes_on_to_the_same_bytes(tmp_path: Path, last: int) -> None:
    whole, path = told_of_snapshots(snapshots(), tmp_path), tmp_path / "run"

    def work(moments: Any) -> None:
        del moments
        CheckpointFile._is_late = lambda _: True
        snapshots(checkpoint=path)

    assert run_once(work, 2 * last + 1, calls=("replace",))[0] == -signal.SIGKILL
    assert path.exists()
    for _ in range(2):  # the second one is finished already
        assert told_of_snapshots(snapshots(checkpoint=path), tmp_path) == whole


def told_of_snapshots(ensemble: Ensemble, folder: Path) -> tuple[bytes, list[int]]:
    ensemble.save(folder / "all.fanin")
    return (folder / "all.fanin").read_bytes(), [net.epochs_done for net in ensemble]


def test_snapshots_of_another_run_are_refused_with_the_difference(tmp_path: Path) -> None:
    path = tmp_path / "run"
    snapshots(checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"another run: .*epochs_per_cycle': 2}. there"):
        snapshots(checkpoint=path, epochs_per_cycle=3, n_cycles=2)
    with pytest.raises(ValueError, match="which holds a finished run; resume=True"):
        snapshots(checkpoint=path, resume=False)
    assert path.read_bytes() == before
