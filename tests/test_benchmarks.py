"""The benchmarks as a program: rows, table, and peers that are not installed. Nothing is timed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
pytest.importorskip("benchmarks.jobs", reason="no benchmarks beside the tests")

from benchmarks import compare, data, jobs, peers, processes, tables  # noqa: E402
from benchmarks.jobs import Bar, Dense, Row, Train  # noqa: E402
from benchmarks.roof import Roof  # noqa: E402
from benchmarks.tables import Result  # noqa: E402
from benchmarks.worker import environment  # noqa: E402

TINY = Train((64, 16, 3), 16, 200, lr=1e-2)
SMALL = Dense(3, 17, 5)


def test_rows_have_names_of_their_own_and_a_way_to_measure_them():
    assert len(jobs.BY_NAME) == len(jobs.ROWS)
    for row in jobs.ROWS:
        assert row.kind in ("time", "busy", "import", "memory")
        assert row.unit in tables.SCALE
        assert (row.job is None) == (row.kind == "import")
        assert row.bar is None or row.bar.kind in ("speedup", "roof", "limit")


def test_fanin_and_numpy_do_every_job():
    kinds = {type(row.job) for row in jobs.ROWS if row.job is not None}
    for name in ("fanin", "NumPy"):
        assert kinds <= set(peers.load(name).JOBS)


@pytest.mark.parametrize("name", list(peers.PEERS))
@pytest.mark.parametrize("job", [TINY, SMALL], ids=["train", "dense"])
def test_each_installed_peer_gives_the_right_answer(name, job):
    if name in peers.installed()[1]:
        pytest.skip(f"{name} is not installed")
    make = peers.load(name).JOBS.get(type(job))
    if make is None:
        pytest.skip(f"{name} has no such job")
    run, answer = make(job)
    for _ in range(40):
        run()
    if job is TINY:
        assert (answer().argmax(axis=1) == job.data.y_test).mean() > 0.9
    else:
        x, W, b = job.arrays
        np.testing.assert_allclose(answer(), np.maximum(x @ W + b, 0), atol=1e-5)


def test_check_refuses_a_wrong_answer():
    x, W, b = SMALL.arrays
    right = np.maximum(x @ W + b, 0)
    assert "error" in SMALL.check(right)
    with pytest.raises(ValueError, match=r"wrong by 0\.5"):
        SMALL.check(right + 0.5)
    with pytest.raises(ValueError, match="did not learn"):
        TINY.check(np.zeros((len(TINY.data.y_test), 3)))


def test_numpy_peer_follows_adam_to_the_letter():
    """Three steps on one batch against the formula in float64."""
    numpy_ = peers.load("NumPy")
    job = Train((12, 8, 3), 200, 200)
    network = numpy_.Network(job)
    update = numpy_._adam(network, 1e-3)
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
    assert compare.best_threads(times) == {"fanin": 2, "NumPy": 1}


def test_table():
    job = Dense(100, 100, 100)
    timed = Row("dense", "xW", "us", job, bar=Bar("roof", 0.9))
    imports = Row("import", "import", "ms", kind="import", bar=Bar("limit", 60))
    results = [
        compare.with_roof(
            Result(timed, {"fanin": 1e-5, "NumPy": 2.5e-5}, {"fanin": 2, "NumPy": 1}),
            [Roof(1, 100, 20, "cc"), Roof(2, 250, 30, "cc")],
        ),
        Result(imports, {"fanin": 0.0423}),
    ]
    assert tables.markdown(results, ["fanin", "NumPy", "JAX"]).splitlines()[2:] == [
        "| xW | µs | 10.0 (2T) | **25.0** (1T) | – | 2.50 | 8.00 | 80% | ≥ 90% of roof | missed |",
        "| import | ms | 42.3 | – | – |  |  |  | ≤ 60 ms | met |",
    ]


def test_a_row_without_fanin_has_no_verdict():
    row = Row("epoch", "epoch", "s", TINY, bar=Bar("speedup", 1.0))
    result = Result(row, {"NumPy": 1.0})
    assert result.met() is None
    assert result.speedup() is None
    assert Result(row, {"fanin": 0.5, "NumPy": 1.0, "JAX": 0.6}).speedup() == pytest.approx(1.2)


def test_roof_is_the_slower_of_arithmetic_and_memory():
    roof = Roof(2, 100.0, 10.0, "cc")
    assert roof.seconds(1e9, 0) == pytest.approx(0.01)
    assert roof.seconds(1e9, 1e9) == pytest.approx(0.1)
    assert Dense(16, 4096, 4096).bytes == 4 * 4096**2
    assert Dense(64, 784, 512).bytes == 0


def test_flops_of_an_epoch():
    """Forward and dW for each layer, dX for each but the first."""
    job = Train((7, 5, 3), 4, 10)
    assert job.steps == 3
    assert job.flops == 2 * 10 * (2 * (7 * 5 + 5 * 3) + 5 * 3)


def test_children_get_numpys_own_blas():
    env = environment({"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_L2_SIZE": "1", "A": "b"}, 2)
    assert "OPENBLAS_CORETYPE" not in env
    assert "OPENBLAS_L2_SIZE" not in env
    assert env["A"] == "b"
    assert env["OPENBLAS_NUM_THREADS"] == "2"


def test_over_numpy_is_a_difference_of_medians():
    times = {"numpy": [0.1, 0.1, 0.9], "fanin": [0.13, 0.12, 0.14]}
    assert processes.over_numpy(times) == {"fanin": pytest.approx(0.03)}
