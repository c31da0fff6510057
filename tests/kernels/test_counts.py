"""The gate on instruction counts: what it lets through and what it stops."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import kernel_builds
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
counts = pytest.importorskip("benchmarks.counts", reason="no benchmarks beside the tests")


@pytest.mark.parametrize(("now", "lines"), [(97.1, 0), (102.9, 0), (103.1, 1), (96.9, 1)])
def test_three_percent_either_way(now, lines):
    assert len(counts.differences({"a": 100, "b": 7}, {"a": now, "b": 7})) == lines


def test_new_and_lost_counts_are_named():
    assert counts.differences({"a": 1, "b": 1}, {"b": 1, "c": 1}) == [
        "a: in the baseline only",
        "c: not in the baseline",
    ]


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    """The gate, on a baseline of its own that may be changed before it is compared with."""
    folder = kernel_builds.build("gcc")
    for tool in ("valgrind", "objdump", "readelf"):
        kernel_builds.tool(tool)
    baseline = tmp_path_factory.mktemp("counts") / "counts.json"

    def run(monkeypatch, *arguments, change=None):
        monkeypatch.setattr(counts, "BASELINE", baseline)
        monkeypatch.setattr(counts, "COUNTED", ("avx2",))
        if change:
            saved = json.loads(baseline.read_text())
            change(saved)
            baseline.write_text(json.dumps(saved))
        return counts.main([str(folder), *arguments])

    return run


@pytest.mark.slow
def test_counts_repeat_and_a_regression_is_stopped(gate, monkeypatch, capsys):
    assert gate(monkeypatch, "--rewrite") == 0
    assert gate(monkeypatch) == 0
    assert "0 of them changed" in capsys.readouterr().out

    name = "avx2 map tanh 4096 float"

    def cheaper(saved):
        saved["counts"][name] *= 0.95

    assert gate(monkeypatch, change=cheaper) == 1
    assert f"{name}:" in capsys.readouterr().out

    def other_compiler(saved):
        saved["compiler"] = "GCC 99"

    assert gate(monkeypatch, change=other_compiler) == 0
    assert "not compared" in capsys.readouterr().out
