"""The benchmarks as a program: rows, table, and peers that are not installed. Nothing is timed."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
pytest.importorskip("benchmarks.jobs", reason="no benchmarks beside the tests")

from benchmarks.jobs import Bar, Dense, Row, Train  # noqa: E402
from benchmarks.measuring import Comparison  # noqa: E402
from benchmarks.roof import Roof  # noqa: E402
from benchmarks.tables import Result  # noqa: E402

from benchmarks import compare, data, jobs, machine, measuring, peers, processes, tables  # noqa: E402
from benchmarks import roof as roofs  # noqa: E402
from benchmarks import worker as workers  # noqa: E402

TINY = Train((64, 16, 3), 16, 200, lr=1e-2)
SMALL = Dense(3, 17, 5)
SMALL_JOBS = {
    "train": TINY,
    "predict": jobs.Predict((17, 9, 4)),
    "dense": SMALL,
    "tanh": Dense(3, 17, 5, "tanh"),
    "backward": jobs.Backward(5, 17, 9),
    "normal": jobs.Draw("normal", 4096),
    "uniform": jobs.Draw("uniform", 4096),
    "dropout": jobs.Dropout(65, 33),
    "adam": jobs.AdamStep(1000),
    "experiment": jobs.Experiment(256),
    "whitening": jobs.Whitening(999, 40),
    "covariance": jobs.Covariance(999, 40),
    "projection": jobs.Projection(999, 40),
}
ROOF = Roof(2, 100.0, 10.0, 20.0, "cc")


def test_rows_have_names_of_their_own_and_a_way_to_measure_them():
    assert len(jobs.BY_NAME) == len(jobs.ROWS)
    for row in jobs.ROWS:
        assert row.kind in ("time", "over", "busy", "import", "memory")
        assert row.unit in tables.SCALE
        assert row.isa in peers.ISA_ENVIRONMENT
        assert (row.job is None) == (row.kind == "import")
        assert (row.base is None) == (row.kind != "over")
        for bar in row.bars:
            assert bar.kind in ("speedup", "roof", "limit")
            assert bar.peer in ("", *peers.PEERS)


def test_fanin_and_numpy_do_every_job():
    kinds = {type(row.job) for row in jobs.ROWS if row.job is not None}
    kinds -= {type(row.job) for row in jobs.augment.ROWS}  # test_benchmarks_augment.py
    assert kinds == {type(job) for job in SMALL_JOBS.values()}
    for name in ("fanin", "NumPy"):
        assert kinds <= set(peers.load(name).JOBS)


@pytest.mark.parametrize("name", list(peers.PEERS))
@pytest.mark.parametrize("kind", list(SMALL_JOBS))
def test_each_installed_peer_gives_the_right_answer(name, kind):
    if name in peers.installed()[1]:
        pytest.skip(f"{name} is not installed")
    job = SMALL_JOBS[kind]
    make = peers.load(name).JOBS.get(type(job))
    if make is None:
        pytest.skip(f"{name} has no such job")
    run, answer = make(job)
    for _ in range(40 if job is TINY else 2):
        run()
    job.check(answer())
    if job is TINY:
        assert (answer().argmax(axis=1) == job.data.y_test).mean() > 0.9


WRONG = {
    "train": lambda answer: np.zeros_like(answer),
    "predict": lambda answer: np.zeros_like(answer),
    "dense": lambda answer: answer + 0.5,
    "tanh": lambda answer: answer * 0.99,
    "backward": lambda answer: (answer[0], answer[1], 1.01 * answer[2]),
    "normal": lambda answer: 1.2 * answer,
    "uniform": lambda answer: answer**2,
    "dropout": lambda answer: np.full_like(answer, 2) * SMALL_JOBS["dropout"].x,
    "adam": lambda answer: answer + 1e-4,
    "experiment": lambda answer: 2 * answer,
    "whitening": lambda answer: 1.01 * answer,
    "covariance": lambda answer: 1.01 * answer,
    "projection": lambda answer: (answer[0] + 0.1, *answer[1:]),
}


@pytest.mark.parametrize("kind", list(SMALL_JOBS))
def test_check_refuses_a_wrong_answer(kind):
    job = SMALL_JOBS[kind]
    run, answer = peers.load("NumPy").JOBS[type(job)](job)
    for _ in range(40 if job is TINY else 1):
        run()
    right = answer()
    assert isinstance(job.check(right), str)
    with pytest.raises(ValueError, match=r"wrong|did not learn"):
        job.check(WRONG[kind](right))


def test_adam_expects_the_formula():
    """Constant gradients give constant steps of the learning rate: the means are corrected."""
    job = jobs.AdamStep(5, lr=0.1)
    p, g = (a.astype(np.float64) for a in job.arrays)
    np.testing.assert_allclose(job.expected((1, 1, 1)), p - 0.3 * np.sign(g), atol=1e-6)


def test_experiment_expects_the_lectures_numbers():
    """Deviations as simulated with the lecture's listing: each within 5 %."""
    simulated = {
        0: [0.494, 0.291, 0.179, 0.113, 0.072, 0.046],
        2: [0.630, 0.488, 0.408, 0.358, 0.322, 0.296],
        5: [0.832, 0.835, 0.841, 0.835, 0.830, 0.816],
    }
    expected = jobs.Experiment().expected
    for case, std in simulated.items():
        np.testing.assert_allclose(expected[case, :, 1], std, rtol=0.05)
    np.testing.assert_allclose(expected[5, :, 0], 0.57, atol=0.01)


def test_numpy_peer_follows_adam_to_the_letter():
    """Three steps of training on one batch against the formula in float64."""
    from benchmarks.peers import numpy_network

    job = Train((12, 8, 3), 200, 200)
    network = numpy_network.Network(job)
    update = numpy_network.adam(network.params, network.grads, 1e-3)
    x, y = data.scaled(job.data.X), job.data.y
    p = network.params.astype(np.float64)
    m, v = np.zeros_like(p), np.zeros_like(p)
    for step in range(1, 4):
        network.gradients(x, y)
        g = network.grads.astype(np.float64)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        p -= 1e-3 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        update()
        np.testing.assert_allclose(network.params, p, atol=1e-6)


def test_missing_peers_are_left_out_by_name(monkeypatch, capsys):
    find = importlib.util.find_spec
    absent = {"torch", "sklearn"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in absent else find(name)
    )
    chosen = compare.chosen_peers("fanin,pytorch,scikit-learn,NumPy")
    assert chosen == ["fanin", "NumPy"]
    warned = capsys.readouterr().err.splitlines()
    assert warned == [
        "PyTorch is not installed: left out",
        "scikit-learn is not installed: left out",
    ]
    with pytest.raises(ValueError, match="no peer is called tinygrad; they are fanin, NumPy"):
        compare.chosen_peers("tinygrad")


def test_rows_are_chosen_by_pattern():
    assert [row.name for row in compare.chosen_rows(["epoch"])] == ["epoch"]
    dense = compare.chosen_rows(["dense-*"])
    assert len(dense) > 5
    assert all(isinstance(row.job, Dense) for row in dense)
    assert compare.chosen_rows([]) == list(jobs.ROWS)
    with pytest.raises(ValueError, match="no row is called epok; the rows are epoch, busy"):
        compare.chosen_rows(["epok"])


def test_best_threads_takes_the_least_median():
    times = {
        ("fanin", 1): [3.0, 3.1, 9.0],
        ("fanin", 2): [2.0, 2.1, 9.0],
        ("NumPy", 1): [1.0, 1.0, 1.0],
        ("NumPy", 2): [0.1, 7.0, 7.0],
    }
    assert measuring.best_threads(times) == {"fanin": 2, "NumPy": 1}


def test_table():
    job = Dense(100, 100, 100)
    timed = Row("dense", "xW", "us", job, bars=(Bar("roof", 0.9),))
    imports = Row("import", "import", "ms", kind="import", bars=(Bar("limit", 60),))
    over = Row("tanh", "tanh", "%", job, kind="over", base=job, bars=(Bar("limit", 3),))
    results = [
        measuring.with_roof(
            Result(timed, {"fanin": 1e-5, "NumPy": 2.5e-5}, {"fanin": 2, "NumPy": 1}),
            {("", 1): Roof(1, 100, 20, 20, "cc"), ("", 2): Roof(2, 250, 30, 30, "cc")},
        ),
        Result(imports, {"fanin": 0.0423}),
        Result(over, {"fanin": 0.041, "JAX": -0.012}),
    ]
    assert tables.markdown(results, ["fanin", "NumPy", "lecture", "JAX"]).splitlines()[2:] == [
        "| xW | µs | 10.0 (2T) | **25.0** (1T) | – | 2.50 | 8.00 | 80% | ≥ 90% of roof | missed |",
        "| import | ms | 42.3 | – | – |  |  |  | ≤ 60 ms | met |",
        "| tanh | % | 4.10 | – | **-1.20** |  |  |  | ≤ 3 % | missed |",
    ]


def test_bars_against_named_peers_are_met_together():
    bars = Bar("speedup", 8, "PyTorch"), Bar("speedup", 25, "lecture")
    row = Row("experiment", "six layers", "s", bars=bars)
    values = {"fanin": 0.1, "PyTorch": 0.9, "NumPy": 0.2, "lecture": 2.6}
    assert Result(row, values).met() is True
    assert Result(row, values).speedup() == pytest.approx(2)
    assert Result(row, values | {"lecture": 2.4}).met() is False
    assert Result(row, {"fanin": 0.1, "PyTorch": 0.9}).met() is None
    assert "≥ 8× PyTorch, ≥ 25× lecture" in tables.markdown([Result(row, values)], list(values))


def test_a_row_without_fanin_has_no_verdict():
    row = Row("epoch", "epoch", "s", TINY, bars=(Bar("speedup", 1.0),))
    result = Result(row, {"NumPy": 1.0})
    assert result.met() is None
    assert result.speedup() is None
    assert Result(row, {"fanin": 0.5, "NumPy": 1.0, "JAX": 0.6}).speedup() == pytest.approx(1.2)


def test_table_goes_between_its_markers(tmp_path):
    file = tmp_path / "README.md"
    file.write_text(f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n")
    for table in ("| new |", "| newer |"):
        tables.write_between_markers(file, table)
    assert file.read_text() == f"before\n{tables.BEGIN}\n| newer |\n{tables.END}\nafter\n"
    file.write_text("no markers")
    with pytest.raises(ValueError, match=r"README\.md: expected a line <!-- table: begin -->"):
        tables.write_between_markers(file, "| new |")
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    assert readme.count(tables.BEGIN) == readme.count(tables.END) == 1


def test_roof_is_the_slower_of_arithmetic_and_memory():
    assert ROOF.seconds(1e9, 0) == pytest.approx(0.01)
    assert ROOF.seconds(1e9, 1e9) == pytest.approx(0.1)
    assert ROOF.seconds(1e9, 1e9, "update") == pytest.approx(0.05)
    assert ROOF.at_bandwidth(50).seconds(0, 1e9) == pytest.approx(0.02)
    assert roofs.best([ROOF, Roof(2, 90.0, 12.0, 15.0, "cc")]) == Roof(2, 100.0, 12.0, 20.0, "cc")


def test_work_that_leaves_the_cache_is_read_from_memory():
    large = Dense(16, 4096, 4096)
    assert large.bytes == 4 * 4096**2
    assert Dense(64, 784, 512).bytes == 0
    assert len(Dense(64, 784, 512).weights) == 1
    assert sum(W.nbytes for W in large.weights) > 256e6
    assert jobs.AdamStep(20_000_000).bytes == 28 * 20_000_000
    assert jobs.AdamStep(1_000_000).bytes == 0


def test_bandwidth_measured_beside_a_row_is_its_roof():
    row = Row("adam", "Adam", "ms", jobs.AdamStep(20_000_000))
    result = Result(row, {"fanin": 0.03}, details={"gbytes": [20.0, 28.0, 56.0]})
    assert measuring.with_roof(result, {("", 2): ROOF}).roof == pytest.approx(0.02)
    drawn = Result(Row("normal", "normals", "ns", jobs.Draw("normal")), {"fanin": 1e-9})
    assert measuring.with_roof(drawn, {("", 2): ROOF}).roof is None


def test_roof_of_an_instruction_set_is_for_its_rows():
    row = Row("dense", "xW", "us", Dense(100, 100, 100), isa="avx2")
    result = Result(row, {"fanin": 1e-5})
    assert measuring.with_roof(result, {("", 2): ROOF}).roof is None
    assert measuring.with_roof(result, {("avx2", 2): ROOF}).roof == pytest.approx(2e-5)


def test_flops():
    """Of an epoch: forward and dW for each layer, dX for each but the first."""
    job = Train((7, 5, 3), 4, 10)
    assert job.steps == 3
    assert job.flops == 2 * 10 * (2 * (7 * 5 + 5 * 3) + 5 * 3)
    assert jobs.Backward(20, 30, 50).flops == 2 * Dense(20, 30, 50).flops == 120_000
    assert Dense(1, 8, 8).flops == 0
    assert jobs.Covariance(10, 3).flops == 2 * 10 * 6
    assert jobs.Projection(10, 3).flops == 2 * 10 * 9


def test_children_get_numpys_own_blas():
    ours = {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_L2_SIZE": "1", "A": "b"}
    env = workers.environment(ours, 2)
    assert "OPENBLAS_CORETYPE" not in env
    assert "OPENBLAS_L2_SIZE" not in env
    assert env["A"] == "b"
    assert env["OPENBLAS_NUM_THREADS"] == "2"
    held = workers.environment(ours, 2, "avx2")
    assert held["FANIN_ISA"] == "avx2"
    assert held["OPENBLAS_CORETYPE"] == "Haswell"


class Process:
    """In place of a peer's process: answers from a table, and notes what it was asked."""

    def __init__(self, peer: str, answers: dict[str, object]) -> None:
        self.peer, self.threads, self.answers, self.asked = peer, 1, answers, []

    def ask(self, do: str, row: str = "") -> object:
        self.asked.append((do, row))
        if isinstance(answer := self.answers.get(do), Exception):
            raise answer
        return answer


def comparison_of(monkeypatch, processes: list[Process], rounds: int) -> Comparison:
    comparison = Comparison([p.peer for p in processes], {}, rounds)
    by_name = {p.peer: p for p in processes}
    monkeypatch.setattr(comparison, "worker", lambda name, *_: by_name[name])
    monkeypatch.setattr(comparison, "roof", lambda *_: ROOF)
    monkeypatch.setattr(measuring, "PAUSE", 0)
    return comparison


def test_a_peer_with_a_wrong_answer_or_without_the_job_is_left_out(monkeypatch, capsys):
    wrong = workers.PeerError("JAX, row: ValueError: wrong: largest error 1, expected below 0.1")
    able = {"prepare": True, "time": 2.0, "check": "fine"}
    processes = [
        Process("fanin", able),
        Process("NumPy", able | {"prepare": False}),
        Process("JAX", able | {"time": 1.0, "check": wrong}),
    ]
    row = Row("row", "row", "s", jobs.AdamStep(2_000_000), threads=(1,), rounds=2)
    result = comparison_of(monkeypatch, processes, 5).measure(row)
    assert result.values == {"fanin": 2.0}
    assert result.details["gbytes"] == [20.0, 20.0]
    assert [do for do, _ in processes[0].asked] == ["prepare", "time", "time", "check", "release"]
    assert "JAX, row: ValueError: wrong" in capsys.readouterr().err


def test_a_peer_that_cannot_be_imported_or_ends_midway_is_left_out(monkeypatch, capsys):
    able = {"prepare": True, "time": 2.0, "check": "fine", "versions": {"version": "1"}}
    broken = workers.PeerError("OpenCV, : its process ended with 1")
    ended = workers.PeerError("JAX, row: its process ended with -9")
    processes = [
        Process("fanin", able),
        Process("OpenCV", able | {"versions": broken}),
        Process("JAX", able | {"time": ended, "check": ended}),
    ]
    row = Row("row", "row", "s", SMALL, threads=(1,), rounds=3)
    comparison = comparison_of(monkeypatch, processes, 3)
    assert list(comparison.versions()) == ["fanin", "JAX"]
    assert comparison.measure(row).values == {"fanin": 2.0}
    assert [do for do, _ in processes[1].asked] == ["versions"]
    assert [do for do, _ in processes[2].asked] == ["versions", "prepare", "time", "check"]
    said = capsys.readouterr().err
    assert f"{broken}: left out" in said
    assert f"{ended}: left out" in said


def test_a_module_that_cannot_be_imported_is_left_out(capsys):
    times = processes.import_seconds(["no_such_module", "json"], 1, os.environ)
    assert set(times) == {"numpy", "json"}
    assert set(processes.over_numpy(times)) == {"json"}
    assert "no_such_module cannot be imported: left out" in capsys.readouterr().err


def test_over_is_a_median_of_ratios(monkeypatch):
    processes = [Process("fanin", {"prepare": True, "pair": [1.03, 1.0], "check": "fine"})]
    row = Row("tanh", "tanh", "%", SMALL, threads=(1,), kind="over", base=SMALL)
    result = comparison_of(monkeypatch, processes, 3).measure(row)
    assert result.values == {"fanin": pytest.approx(0.03)}


def test_a_worker_process_answers(capfd):
    """The whole way once, with NumPy: prepare, time, pair, check, release, and an error."""
    worker = workers.Worker("NumPy", 1, {"PYTHONPATH": str(ROOT)})
    try:
        assert worker.ask("prepare", "tanh") is True
        assert worker.ask("time") > 0
        assert len(worker.ask("pair")) == 2
        assert worker.ask("check").startswith("largest error")
        worker.ask("release")
        with pytest.raises(workers.PeerError, match="NumPy, nothing: KeyError"):
            worker.ask("prepare", "nothing")
        worker.process.kill()
        worker.process.wait()
        with pytest.raises(workers.PeerError, match="its process ended"):
            worker.ask("time")
    finally:
        worker.close()
    assert capfd.readouterr().out == ""


def test_header_names_roofs_by_instruction_set():
    measured = {("", 1): ROOF._replace(threads=1), ("avx2", 2): ROOF}
    header = machine.describe({"NumPy": {"version": "NumPy 2", "pools": []}}, measured, "noise")
    assert "NumPy 2" in header
    assert (
        "roof: 100 GFLOP/s, 10 GB/s read and 20 updated on 1T; 100 GFLOP/s on 2T with AVX2 (cc)"
    ) in header
    assert str(ROOT) not in header


def test_results_are_json():
    row = Row("tanh", "tanh", "%", SMALL, kind="over", base=SMALL)
    document = tables.as_json(Result(row, {"fanin": 0.03}, {"fanin": 2}))
    assert json.loads(json.dumps(document))["unit"] == "%"


def test_over_numpy_is_a_difference_of_medians():
    times = {"numpy": [0.1, 0.1, 0.9], "fanin": [0.13, 0.12, 0.14]}
    assert processes.over_numpy(times) == {"fanin": pytest.approx(0.03)}
