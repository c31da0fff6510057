"""A guide that is killed and resumed writes the report and the network of an uninterrupted one."""

from __future__ import annotations

import json
import signal
import textwrap
from pathlib import Path
from typing import Any

import pytest
from children import printed_by

from conftest import Record
from reliability import count

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")

# One process that forks a guide for each kill. Time is counted in epochs, and so is the budget, so
# that it cuts the searches at the same place however slow the machine is.
SCRIPT = """
    import json, shutil, sys
    from pathlib import Path
    import clocks
    from fanin._json import from_json, to_json
    from fanin.callbacks import History
    from fanin.tuning import guide
    from fanin.tuning.guide.state import State
    from guide_cases import blobs
    from kills import run_once, run_with_kills

    budget, fault, *plans = json.loads(sys.argv[1])
    root = Path(sys.argv[2])
    clocks.EPOCH = 2.0**-7  # sums of it are exact
    X, y = blobs(400)

    def work(folder, counted):
        def run(moments):
            clocks.guide_counts_epochs(1)
            append = History.append

            def counting(history, epoch, logs):
                append(history, epoch, logs)
                if counted:
                    moments.pass_one()

            History.append = counting
            if fault == "time is lost":
                State.catch_up = lambda self, seconds: None
            report = guide(X, y, state=folder, time_budget=budget, rounds=2, n_threads=1,
                           progress=False, network={"hidden": [16]})
            report.network.save(folder / "best.fanin")
            (folder / "report.json").write_text(json.dumps(report.to_dict()))
            for i, net in enumerate(report.ensemble):
                net.history = History()
                net.save(folder / f"member-{i}.fanin")
        return run

    def told(folder):
        def without_clocks(value):
            if isinstance(value, dict):
                skipped = {"seconds"} if "stop_reason" in value else {"speed"}
                return {k: without_clocks(v) for k, v in value.items() if k not in skipped}
            return [without_clocks(v) for v in value] if isinstance(value, list) else value

        text = json.dumps(without_clocks(json.loads((folder / "report.json").read_text())))
        nets = sorted([folder / "best.fanin", *folder.glob("member-*.fanin")])
        return [text, *(net.read_bytes() for net in nets)]

    (root / "whole").mkdir()
    moments = {}
    for counted in (False, True):
        code, moments[counted] = run_once(work(root / "whole", counted))
        assert code == 0
        whole = told(root / "whole")
        shutil.rmtree(root / "whole")
    result = {"kills": 0, "differ": 0, "whole": moments}
    for seed, kills, counted in plans:
        folder = root / f"killed-{seed}"
        folder.mkdir()
        most = max(2 * moments[counted] // (kills + 1), 2)
        result["kills"] += run_with_kills(work(folder, counted), kills, most, seed)
        result["differ"] += told(folder) != whole
        shutil.rmtree(folder)
        if fault and result["differ"]:
            break
    print(json.dumps(result))
"""


def killed(
    tmp_path: Path, plans: list[tuple[int, int, bool]], budget: float | None, fault: str = ""
) -> dict[str, Any]:
    """How many kills there were, and how many of the reports are others."""
    support = str(Path(__file__).parents[1] / "support")
    code = f"import sys; sys.path.insert(0, {support!r})\n"
    arguments = json.dumps([budget, fault, *plans])
    result: dict[str, Any] = json.loads(
        printed_by(code + textwrap.dedent(SCRIPT), arguments, str(tmp_path)).splitlines()[-1]
    )
    return result


@pytest.mark.row("B2")
@pytest.mark.parametrize("budget", [4.0, None])
def test_a_killed_guide_ends_as_an_uninterrupted_one(
    tmp_path: Path, budget: float | None, record: Record
) -> None:
    if budget is None and count(0, 1) == 0:
        pytest.skip("python -m tests.reliability --tier 2")
    # Kills at writes of files, and at epochs too.
    plans = [(seed, 3, seed % 2 == 1) for seed in range(count(2, 20))]
    result = killed(tmp_path, plans, budget)
    assert result["kills"] >= count(4, 40)
    assert result["differ"] == 0
    control = "caught: the time that is lost in a kill is not made up for"
    what = "guide with a time budget" if budget else "guide"
    record(f"{what}, killed at writes and at epochs", result["kills"], "0 other reports", control)


def test_a_guide_whose_time_is_lost_in_a_kill_is_caught(tmp_path: Path) -> None:
    plans = [(seed, 3, True) for seed in range(3)]
    assert killed(tmp_path, plans, 4.0, "time is lost")["differ"] > 0
