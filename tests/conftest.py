"""What the tests share: the grid of instruction sets and threads, places of data, a cluster."""

from __future__ import annotations

import os
import signal
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from children import HANG, run_python
from hypothesis import HealthCheck, settings

from fanin import _core
from fanin.datasets import named

# A busy machine draws examples slowly.
ANY_SPEED: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, **ANY_SPEED)
settings.register_profile("others", **ANY_SPEED)  # pytest --hypothesis-profile others
settings.load_profile("same")

ROOT = Path(__file__).parents[1]


SKIPPED = "fanin/skipped"  # in pytest's cache


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--last-skipped",
        action="store_true",
        help="run only what the last run skipped: after what it lacked has been installed",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("last_skipped"):
        return
    skipped = set(config.cache.get(SKIPPED, []))
    others = [i for i in items if not {i.nodeid, i.nodeid.partition("::")[0]} & skipped]
    config.hook.pytest_deselected(items=others)
    left_out = set(others)
    items[:] = [i for i in items if i not in left_out]


class Skips:
    """Keeps in pytest's cache which tests, and which whole files, a run skips."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.skipped: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            self.skipped.add(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.skipped.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        if not hasattr(self.config, "workerinput"):  # of several processes the first one writes
            self.config.cache.set(SKIPPED, sorted(self.skipped))


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.has_plugin("cacheprovider"):
        config.pluginmanager.register(Skips(config))
    config.addinivalue_line("markers", "slow: takes more than about ten seconds")
    # A shell starts what runs in the background deaf to Ctrl-C, which some tests send.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def run_isa(code: str, isa: str | None = None, threads: int | None = None) -> str:
    """What a snippet prints in a fresh interpreter with that instruction set and thread count.

    The instruction set is chosen when fanin is imported, so each one takes a process.
    """
    env = dict(os.environ)
    if isa is not None:
        env["FANIN_ISA"] = isa
    code = textwrap.dedent(code)
    if threads is not None:
        code = f"import fanin\nfanin.set_num_threads({threads})\n{code}"
    done = run_python(code, env=env)
    assert done.returncode == 0, f"isa={isa} threads={threads}:\n{done.stderr}"
    return done.stdout


@pytest.fixture(name="run_isa")
def run_isa_fixture() -> Callable[..., str]:
    return run_isa


@pytest.fixture(params=_core.supported_isas())
def isa(request: pytest.FixtureRequest) -> str:
    """Each instruction set of this machine, for `run_isa`."""
    return str(request.param)


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Each thread count, already the default."""
    import fanin

    before = fanin.get_num_threads()
    fanin.set_num_threads(request.param)
    yield request.param
    fanin.set_num_threads(before)


@pytest.fixture(scope="session")
def sources() -> Path:
    """The checkout's folder; skips where the tests run without the C++ sources."""
    if not (ROOT / "cpp").is_dir():
        pytest.skip("no C++ sources beside the tests")
    return ROOT


@pytest.fixture
def no_data_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data sets are looked for in `tmp_path` alone."""
    monkeypatch.delenv("FANIN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(named, "SYSTEM_FOLDER", tmp_path / "system")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Of a Dask cluster of two workers."""
    dask, distributed = (pytest.importorskip(name) for name in ("dask", "distributed"))
    patience = dict.fromkeys(("connect", "tcp"), f"{HANG}s")
    with (
        dask.config.set({"distributed.comm.timeouts": patience}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
