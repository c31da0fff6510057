"""The folder of a run is complete or as before, whatever happens to the process."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from children import run_python

import fanin
from fanin import _files, _json
from fanin.cli import export, predict, shared
from fanin.cli import main as fanin_command
from fanin.cli.interrupts import one_interrupt

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and forks of Linux")

OLD, NEW = ["x", "y"], ["new x", "new y"]
# What a save asks of the system: killed at each of these, and failed at each.
CALLS = ("fsync", "replace", "rename", "mkdir", "unlink", "rmdir", "fchmod")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> int:
    return fanin_command([*words, "--no-progress"] if words[0] == "train" else list(words))


def save(names: list[str], draw: bool = True, folder: Path = Path("run")) -> None:
    """A run whose files all tell the same names."""
    net = fanin.MLP([4, 3, 2], seed=len(names[0]))
    net.metadata = {"class_names": names}
    history = fanin.callbacks.History({"names": names})
    config = {"fanin": "1", "class_names": names}
    with _files.replaced_together(folder) as new:
        shared.write_network(new, net, history, config)
        if draw:
            (new / shared.CURVES).write_text(json.dumps(names))


def told(
    folder: Path = Path("run"), door: Callable[[Path], Path] = _files.current_file
) -> list[Any]:
    """The names that each file of the run tells, through the door that `fanin predict` takes."""
    network = door(folder / shared.NETWORK)
    config = _json.from_json((folder / shared.CONFIG).read_bytes().rstrip(), folder)
    return [
        fanin.MLP.load(network).metadata["class_names"],
        config["class_names"],
        fanin.callbacks.History.load(folder / shared.HISTORY).params["names"],
        json.loads((folder / shared.CURVES).read_text()),
    ]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def at_call(step: int, action: Callable[[], None]) -> int:
    """Lets the nth call of CALLS do something first; returns how many there have been."""
    count = [0]

    def wrap(works: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            count[0] += 1
            if count[0] == step:
                action()
            return works(*args, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, wrap(getattr(os, name)))
        save(NEW)
    return count[0]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(step: int) -> bool:
    """Whether a process that saves a run was killed at a call of that number."""
    child = os.fork()
    if child == 0:
        at_call(step, die)
        os._exit(0)
    return bool(os.WIFSIGNALED(os.waitpid(child, 0)[1]))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("fresh", [False, True])
def test_killed_at_every_call(fresh: bool) -> None:
    step, after = 0, set()
    while True:
        step += 1
        if fresh:
            _files._remove_folder(Path("run"))
        else:
            save(OLD)
        if not killed_at(step):
            break
        if not fresh or Path("run").exists():
            found = told()
            assert found in ([[NEW] * 4] if fresh else [[OLD] * 4, [NEW] * 4]), step
            after.add(found[0][0])
        save(NEW)
        assert told() == [NEW] * 4
        assert names(Path("run")) == sorted(shared.RUN), "temporary files stayed"
    assert step > (10 if fresh else 20)
    assert after == ({"new x"} if fresh else {"x", "new x"})


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_what_others_see_between_the_last_renames(record: Any) -> None:
    """Who looks at the files themselves, as scripts do: each is whole, the network goes first."""
    step, between = 0, 0
    while True:
        step += 1
        save(OLD)
        if not killed_at(step):
            break
        network, *others = seen = told(door=Path)
        assert all(one in (OLD, NEW) for one in seen), step
        assert network == NEW or NEW not in others, step
        between += OLD in seen and NEW in seen
        assert told() in ([OLD] * 4, [NEW] * 4), step  # the door lets the others follow
        assert told(door=Path) in ([OLD] * 4, [NEW] * 4), step
    assert between == 3
    result = "each file whole, the network first, the rest with the next command"
    record("a run's folder, seen without fanin at each of its calls", step - 1, result)


def test_an_export_is_of_the_newer_network_too(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def to_onnx(net: fanin.MLP, *_: object, **options: object) -> None:
        del options
        seen.append(net.metadata["class_names"])
        raise ValueError("seen")

    monkeypatch.setattr(export, "to_onnx", to_onnx)
    save(OLD)
    save(NEW, folder=Path("other"))
    Path("other").rename("run/.fanin-complete")  # where a kill has left it
    assert run("export", "run", "net.onnx") == 1
    assert seen == [NEW]
    assert told(door=Path) == [NEW] * 4


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failing_at_every_call(error: BaseException) -> None:
    def fail() -> None:
        raise error

    step = 0
    while True:
        step += 1
        save(OLD)
        try:
            count = at_call(step, fail)
        except (OSError, KeyboardInterrupt):
            count = step
        assert told() in ([OLD] * 4, [NEW] * 4), step
        save(OLD)
        assert names(Path("run")) == sorted(shared.RUN)
        if count < step:
            break
    assert step > 20


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_files_that_are_written_one_by_one_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: what `fanin train` did once."""

    def one_by_one(folder: Path) -> Any:
        return one_by_one_in(folder)

    from contextlib import contextmanager

    @contextmanager
    def one_by_one_in(folder: Path) -> Any:
        folder.mkdir(exist_ok=True)
        yield folder

    mixed = 0
    for step in range(1, 20):
        save(OLD)
        with monkeypatch.context() as patch:
            patch.setattr(_files, "replaced_together", one_by_one)
            if not killed_at(step):
                break
        mixed += told() not in ([OLD] * 4, [NEW] * 4)
    assert mixed


def test_a_picture_that_cannot_be_drawn_takes_the_old_one_away() -> None:
    save(OLD)
    with _files.replaced_together("run") as new:
        shared.write_picture(new / shared.CURVES, no_matplotlib)
    assert names(Path("run")) == sorted([shared.NETWORK, shared.HISTORY, shared.CONFIG])


def no_matplotlib() -> Any:
    raise ImportError("pictures need matplotlib")


# Commands


def data(names_: list[str], path: str = "d.csv") -> str:
    rng = np.random.default_rng(0)
    y = np.arange(60) % len(names_)
    X = rng.normal(size=(60, 3)) + 3 * y[:, None]
    rows = [",".join([*(f"{v:.3f}" for v in row), names_[k]]) for row, k in zip(X, y, strict=True)]
    Path(path).write_text("\n".join(["a,b,c,kind", *rows]) + "\n")
    return path


def test_a_run_over_a_run_predicts_with_the_network_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("train", data(["x", "y"]), "--epochs", "1", "--out", "run") == 0
    assert run("train", data(["u", "v"]), "--epochs", "1", "--out", "run") == 0
    Path("run/config.json").write_text("not of this network")
    capsys.readouterr()
    assert run("predict", "run", "d.csv") == 0
    assert {line.split(",")[1] for line in capsys.readouterr().out.splitlines()[1:]} <= {"u", "v"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", '{"compilerOptions": {}}'),
        ("config.json", "# not JSON"),
        ("history.json", "[1, 2]"),
        ("network.fanin", "mine"),
        ("curves.png", "mine"),
    ],
)
def test_somebody_elses_file_is_not_overwritten(
    name: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = data(["x", "y"])
    Path(name).write_text(text)
    assert run("train", path, "--epochs", "1", "--out", ".") == 1
    assert f"{name}: expected a file of an earlier run" in capsys.readouterr().err
    assert Path(name).read_text() == text
    assert names(Path()) == sorted([name, path])


def test_a_read_only_file_is_named_before_the_training(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", data(["x", "y"]), "--epochs", "1", "--out", "run") == 0
    Path("run/network.fanin").chmod(0o444)
    capsys.readouterr()
    assert run("train", "d.csv", "--epochs", "1", "--out", "run") == 1
    printed = capsys.readouterr()
    assert printed.err == "fanin: error: run/network.fanin: read-only\n"
    assert printed.out == ""


def test_a_run_in_the_folder_where_one_is(capsys: pytest.CaptureFixture[str]) -> None:
    path = data(["x", "y"])
    for _ in range(2):
        assert run("train", path, "--epochs", "1", "--out", ".") == 0
    assert run("predict", ".", path) == 0
    assert "saved in .: network.fanin" in capsys.readouterr().out


def test_an_older_run_is_known_by_its_files() -> None:
    config = {"fanin": "0.1.0", "data": "digits", "class_names": []}
    Path("config.json").write_text(json.dumps(config))
    shared.refuse_others(Path(), shared.RUN)


@pytest.mark.parametrize("command", ["search", "guide", "lecture"])
def test_other_commands_leave_other_files_too(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = {"search": "config.json", "guide": "report.html", "lecture": "lecture.html"}[command]
    Path("out").mkdir()
    Path("out", name).write_text("mine")
    given = [] if command == "lecture" else [data(["x", "y"])]
    assert run(command, *given, "--out", "out") == 1
    assert f"out/{name}: expected a file of an earlier run" in capsys.readouterr().err


# Ctrl-C

TWICE = """
    import os, signal, sys
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import fanin
    from fanin.cli import main, shared

    def ctrl_c():
        os.kill(os.getpid(), signal.SIGINT)

    class Stop(fanin.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                ctrl_c()

    fit = fanin.MLP.fit
    fanin.MLP.fit = lambda *a, **k: fit(*a, **k, callbacks=[Stop()] if "fit" in sys.argv else [])
    save = fanin.MLP.save

    def saving(net, path):
        ctrl_c()
        save(net, path)
        ctrl_c()

    fanin.MLP.save = saving
    code = main(["train", "d.csv", "--epochs", "5", "--out", "run", "--no-progress"])
    net = fanin.MLP.load("run/network.fanin")
    print(code, net.epochs_done, sorted(os.listdir("run")))
"""


@pytest.mark.parametrize(("first", "epochs"), [("fit", 3), ("save", 5)])
def test_a_second_ctrl_c_loses_nothing(first: str, epochs: int) -> None:
    data(["x", "y"])
    done = run_python(TWICE, first)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    unfinished = "'checkpoint.fanin', " if first == "fit" else ""
    assert last.startswith(f"130 {epochs} [{unfinished}'config.json'"), (last, done.stderr)
    assert "fanin: error: interrupted; the " in done.stderr


def ctrl_c(hold: bool) -> None:
    with one_interrupt("done") as holding:
        if hold:
            holding()
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_is_as_before_after_the_block() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="done"):
        ctrl_c(hold=True)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        ctrl_c(hold=False)
    assert signal.getsignal(signal.SIGINT) is before


# What data may hold

HOSTILE = ["=1+1", "+cmd", "-x", "@SUM(A1)", "\ttab", "\x1b[2J", "a\u202eb", "-1.5", "+3", "ok"]
SAFE = [
    "'=1+1",
    "'+cmd",
    "'-x",
    "'@SUM(A1)",
    r"'\ttab",
    r"\x1b[2J",
    r"a\u202eb",
    "-1.5",
    "+3",
    "ok",
]


def test_cells_begin_no_formulas() -> None:
    assert [predict.safe_cell(text) for text in HOSTILE] == SAFE
    assert predict.safe_cell(os.fsdecode(b"a\xff.png")) == r"a\xff.png"
    assert predict.safe_cell("-1e-5") == "-1e-5"
    assert predict.safe_cell("-1+1") == "'-1+1"
    assert predict.safe_cell("-inf") == "-inf"  # as a score may be
    assert predict.safe_cell("-info") == "'-info"


def test_labels_act_neither_in_a_table_nor_on_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = ["=1+1", "\x1b[2J", "a\u202eb"]
    X = np.random.default_rng(0).normal(size=(60, 3)) + 9 * np.arange(60)[:, None] % 3
    np.savez("d.npz", X=X, y=np.array(labels)[np.arange(60) % 3])
    assert run("train", "d.npz", "--epochs", "1", "--out", "run") == 0
    assert run("predict", "run", "d.npz") == 0
    printed = capsys.readouterr()
    assert not set("\x1b\u202e") & set(printed.out + printed.err)
    assert r"classes \x1b[2J, =1+1, a\u202eb" in printed.out
    header = r"row,label,p_\x1b[2J,p_=1+1,p_a\u202eb"
    assert header in printed.out
    assert run("predict", "run", "d.npz", "--raw") == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == "row,label,p_\x1b[2J,p_=1+1,p_a\u202eb"
    assert {row.split(",")[1] for row in rows[1:]} <= set(labels)
    assert run("predict", "run", "d.npz", "--json") == 0
    assert set(json.loads(capsys.readouterr().out)["labels"]) <= set(labels)


def test_names_of_files_act_on_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("predict", "no\x1b[2Jsuch", "d.npz") == 1
    assert r"no\x1b[2Jsuch" in capsys.readouterr().err


def test_labels_in_pictures_are_text(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    labels = ["$\\frac{", "a\x1b[2J"]
    axes = fanin.plots.image_grid([np.ones((1, 2, 2))[:1], np.ones((1, 2, 2))], labels=labels)
    fanin.plots.save(axes[0, 0].figure, tmp_path / "grid.png")
    assert axes[1, 0].get_ylabel() == r"a\x1b[2J"
