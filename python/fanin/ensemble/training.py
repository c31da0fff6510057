"""Trains the members of an ensemble on an executor: threads, processes or a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import nullcontext

from fanin._runtime import get_num_threads
from fanin.callbacks import History
from fanin.callbacks.progress import open_bar
from fanin.ensemble.kept import Folder, KeptMembers
from fanin.ensemble.members import Failure, Member, train
from fanin.executors import Arrays, Pool, Threads, failure_reason
from fanin.network import MLP


def train_all(
    members: Sequence[Member],
    arrays: Arrays,
    executor: Executor | None,
    progress: bool,
    folder: Folder,
) -> tuple[list[MLP], list[Failure]]:
    """The trained members, in order, and those that failed; what the folder has is not trained."""
    if executor is None:
        with Threads(min(len(members), get_num_threads())) as threads:
            return train_all(members, arrays, threads, progress, folder)
    bar = open_bar(total=len(members), unit="member") if progress else None
    kept = KeptMembers(folder, members, arrays)
    outcomes: dict[int, tuple[MLP, History] | Exception] = {**kept.read()}
    missing = [(i, member) for i, member in enumerate(members) if i not in outcomes]
    with bar or nullcontext(), Pool(executor, arrays, "members") as pool:
        if bar is not None:
            bar.update(len(outcomes))
        for done in pool.outcomes(train, missing):
            for i, outcome in done:
                outcomes[i] = outcome
                if not isinstance(outcome, Exception):
                    kept.write(i, outcome)
            if bar is not None:
                bar.update(len(done))
    networks: list[MLP] = []
    errors: dict[int, Exception] = {}
    for i, outcome in sorted(outcomes.items()):
        if isinstance(outcome, Exception):
            errors[i] = outcome
        else:
            net, history = outcome
            net.history = history
            networks.append(net)
    failures = [Failure(i, members[i].name, failure_reason(error)) for i, error in errors.items()]
    if not networks:
        raise RuntimeError(
            f"ensemble: all {len(members)} members failed to train; "
            f"the first, {failures[0].name}: {failures[0].reason}"
        ) from errors[0]
    return networks, failures
