"""Fresh interpreters that import NumPy, and NumPy with fanin: the difference is what fanin adds."""

from __future__ import annotations

import os

import pytest

from benchmarks import processes
from benchmarks.worker import environment


@pytest.mark.parametrize("modules", ["numpy", "numpy, fanin"])
def bench_import(benchmark, modules):
    benchmark.group = "import"
    env = environment(os.environ, 1)
    benchmark.pedantic(
        lambda: processes.run_python(f"import {modules}", env=env), rounds=15, warmup_rounds=2
    )
