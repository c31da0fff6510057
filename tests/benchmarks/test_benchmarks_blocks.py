"""Steps with norms, skips and activations: each peer does the same, and what the study says."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
pytest.importorskip("benchmarks.jobs", reason="no benchmarks beside the tests")

from benchmarks.jobs import BY_NAME, TrainBlocks, blocks, row_named
from benchmarks.studies import blocks as study
from benchmarks.tables import Result

import fanin
from benchmarks import compare, peers

PLAIN = TrainBlocks((64, 16, 16, 3), 16, 200, lr=1e-2)
FORMS = {row.name: (row.job.activation, row.job.norm, row.job.residual) for row in blocks.ROWS}


def small(name):
    activation, norm, residual = FORMS[name]
    return replace(PLAIN, activation=activation, norm=norm, residual=residual)


def prepared(name, job):
    if name in peers.installed()[1]:
        pytest.skip(f"{name} is not installed")
    return peers.load(name).JOBS[TrainBlocks](job)


def test_rows_of_the_study_are_found_beside_those_of_the_table():
    assert len(FORMS) == len(blocks.ROWS)
    assert not FORMS.keys() & BY_NAME.keys()
    assert [row_named(name).job for name in FORMS] == [row.job for row in blocks.ROWS]
    assert row_named("epoch") is BY_NAME["epoch"]
    measured = {activation for activation, _, _ in FORMS.values()}
    assert measured == {*fanin.layers.ACTIVATIONS, "prelu"} - {"identity"}
    assert {norm for _, norm, _ in FORMS.values()} == {None, "layer", "batch"}
    assert compare.chosen_rows(["block-*-norm"], blocks.ROWS) == list(blocks.ROWS[1:3])


@pytest.mark.parametrize("peer", ["fanin", "PyTorch", "JAX"])
@pytest.mark.parametrize(
    "name", [f"block-{name}" for name in ("layer-norm", "batch-norm", "residual", "prelu", "mish")]
)
def test_each_peer_learns(name, peer):
    job = small(name)
    run, answer = prepared(peer, job)
    for _ in range(20):
        run()
    job.check(answer())
    assert (answer().argmax(axis=1) == job.data.y_test).mean() > 0.9


@pytest.mark.parametrize("name", list(FORMS))
def test_peers_begin_with_the_same_network(name):
    job = small(name)
    scores = [prepared(peer, job).answer() for peer in ("PyTorch", "JAX")]
    np.testing.assert_allclose(*scores, rtol=1e-4, atol=1e-4)
    W, x = [W for W, _ in job.initial_parameters()], job.data.X_test.astype("f4") / 255
    network = fanin.MLP(job.dims, activation=job.activation, norm=job.norm, residual=job.residual)
    for number, weights in enumerate(W, 1):
        network.params[f"W{number}"][:] = weights
    np.testing.assert_allclose(network.scores(x), scores[0], rtol=1e-4, atol=1e-4)


def test_overhead_is_measured_in_turns(monkeypatch):
    pairs = study.pairs_of(
        blocks.Row("a", "a", job=small("block-layer-norm")), blocks.Row("b", "b", job=PLAIN), 3
    )
    assert len(pairs) == 3
    assert all(seconds > 0 for pair in pairs for seconds in pair)
    assert study.overhead([(1.1, 1.0), (2.4, 2.0), (9.0, 3.0)]) == pytest.approx((0.1, 0.2))
    monkeypatch.setattr(study, "pairs_of", lambda row, *_: [(1.0, 1.0)] if row.name else [])
    before = fanin.get_num_threads()
    try:
        found = study.overheads(blocks.ROWS[:3], 1, 1)
    finally:
        fanin.set_num_threads(before)
    assert found == {"block-layer-norm": (0.0, 0.0), "block-batch-norm": (0.0, 0.0)}


def test_bars():
    fast, slow = ({"fanin": 1.0, "PyTorch": peer} for peer in (2.0, 1.9))
    row = blocks.NONE
    assert study.judged([Result(row, fast)], {"block-layer-norm": (0.1, 0.08)})
    assert not study.judged([Result(row, fast)], {"block-layer-norm": (0.0, 0.081)})
    assert not study.judged([Result(row, fast), Result(row, slow)], {})
    assert study.judged([Result(row, {"fanin": 1.0})], {})  # without a peer there is no verdict


def test_the_command_prints_the_table_and_what_each_costs(monkeypatch, capsys):
    def run(rows, names, rounds, module):
        assert (names, rounds, module) == (["fanin"], 2, "benchmarks.studies.blocks")
        return "- noise", [Result(row, {"fanin": 1e-3}, {"fanin": 1}) for row in rows]

    monkeypatch.setattr(compare, "run", run)
    costs = {(2, 1, 16): {"block-layer-norm": (0.05, 0.06)}}
    monkeypatch.setattr(study, "overheads", lambda rows, *how: costs[len(rows), *how])
    assert (
        study.main(
            ["--rows", "block-none", "block-layer-norm", "--peers", "fanin", "--rounds", "2"]
        )
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "- noise"
    assert lines[-1].split() == [
        "block-layer-norm",
        "+5.0%",
        "+6.0%",
        "(bar",
        "+8%",
        "by",
        "the",
        "median)",
    ]
    with pytest.raises(SystemExit):
        study.main(["--rows", "group-norm"])
    assert (
        "no row is called group-norm; the rows are block-none, block-layer-norm"
        in capsys.readouterr().err
    )
