"""fanin beside its peers: ``python -m benchmarks.compare [ROW ...] [--json FILE] [--rounds N]``.

Each peer runs in processes of its own, one for each thread count; they are measured in turns,
round by round, so that a change of the machine's mood meets all of them. The table has medians,
each peer at its best thread count. A peer that is not installed is named and left out.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks import data, peers, processes, roof
from benchmarks.jobs import BY_NAME, ROWS, Row
from benchmarks.roof import Roof
from benchmarks.tables import Result, as_json, markdown
from benchmarks.worker import UNSET, Worker, environment

PAUSE = 0.05  # seconds between measurements, for the last one's threads to fall asleep

Key = tuple[str, int]  # peer, threads
Times = dict[Key, list[float]]


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    found, missing = peers.installed()
    names = [name for name in found if not options.peers or name in options.peers]
    for name in missing:
        print(f"{name} is not installed: left out", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        images = data.images()
        images.save(Path(folder))
        env = dict(os.environ) | {data.FOLDER: folder}
        print(f"data: {images.name}", file=sys.stderr)
        del images
        with Comparison(names, env, options.rounds) as comparison:
            roofs = roof.measure()
            versions = comparison.versions()
            results = [comparison.measure(row, roofs) for row in options.rows]
            roofs = roof.best(roofs, roof.measure())
    name = data_name(env_folder=None)
    header = describe(versions, roofs, missing, name)
    print(header + "\n\n" + markdown(results, names))
    if options.json:
        document = {"header": header, "rows": [as_json(result) for result in results]}
        Path(options.json).write_text(json.dumps(document, indent=1) + "\n")
    return 0
