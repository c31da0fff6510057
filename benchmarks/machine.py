"""What the table was measured on."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.roof import Roof


def describe(
    versions: Mapping[str, Any],
    roofs: Mapping[tuple[str, int], Roof],
    data_name: str,
    module: str = "benchmarks.compare",
) -> str:
    """What the table was measured on, as a Markdown list."""
    command = f"python -m {module} {shlex.join(sys.argv[1:])}".strip()
    pools = {
        f"{pool['internal_api']} {pool['version']} {pool['architecture'] or ''}".strip()
        for name in ("NumPy", "scikit-learn")
        for pool in versions.get(name, {}).get("pools", [])
        if pool["internal_api"] != "openmp"
    }
    names = [v["version"] for v in versions.values() if v["version"]]
    by_isa = "; ".join(roof_text(isa, r) for (isa, _), r in sorted(roofs.items()))
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, `{command}`",
        f"{cpu_name()}, {os.cpu_count()} cores, {platform.system()}",
        ", ".join([f"Python {platform.python_version()}", *names]),
        f"NumPy's BLAS: {', '.join(sorted(pools)) or numpy_blas()}",
        f"data: {data_name}",
        f"roof: {by_isa} ({next(iter(roofs.values())).source})",
    ]
    return "\n".join(f"- {line}" for line in lines)


def roof_text(isa: str, roof: Roof) -> str:
    if isa:
        return f"{roof.gflops:.0f} GFLOP/s on {roof.threads}T with {isa.upper()}"
    return (
        f"{roof.gflops:.0f} GFLOP/s, {roof.reads:.0f} GB/s read and {roof.updates:.0f} updated "
        f"on {roof.threads}T"
    )


def numpy_blas() -> str:
    """As built: without threadpoolctl nothing tells which kernels it chose."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{blas['name']} {blas['version']} (kernels unknown: threadpoolctl is not installed)"


def cpu_name() -> str:
    """With the family that tells one "AMD EPYC" from another."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(re.findall(r"^([^\t\n]+)\t*: (.*)$", text, re.MULTILINE))
    name = fields.get("model name", platform.machine())
    return f"{name} (family {fields.get('cpu family')}, model {fields.get('model')})"


def commit() -> str:
    """Of the checkout these benchmarks stand in; empty outside of one."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
