"""Writes: whole or not at all, whatever is at the path, and nothing left behind."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np
import pytest
from children import printed_by, run_python, with_support

import fanin
from fanin import _files, checkpoint
from fanin._files import atomic_write, make_folder, replaced_together

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="devices and locks of Linux")

OLD, NEW = b"the old content", b"new"
TEMPORARY = ".fanin-0123456789abcdef.tmp"


def write(path: Path | str, data: bytes = NEW) -> None:
    with atomic_write(path) as file:
        file.write(data)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "f"
    target.write_bytes(OLD)
    return target


# What is at the path


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755, 0o220])
def test_the_mode_stays(path: Path, mode: int) -> None:
    path.chmod(mode)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_nobody_else_reads_half_of_a_private_file(path: Path) -> None:
    path.chmod(0o600)
    with atomic_write(path) as file:
        file.write(NEW)
        (other,) = [p for p in path.parent.iterdir() if p != path]
        assert stat.S_IMODE(other.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(("uid", "gid"), [(65534, 65534), (0, 65534)])
def test_the_owner_stays(path: Path, uid: int, gid: int) -> None:
    os.chown(path, uid, gid)
    write(path)
    found = path.stat()
    assert (found.st_uid, found.st_gid) == (uid, gid)


def test_where_the_group_cannot_stay_it_gets_what_all_get(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.chmod(0o640)
    held = path.stat()
    values = [*held[:5], held.st_gid + 1, *held[6:]]
    monkeypatch.setattr(os, "fchown", lambda *_: (_ for _ in ()).throw(PermissionError()))
    with path.open("rb") as file:
        _files._keep_attributes(file.fileno(), os.stat_result(values))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o444, 0o400, 0o000])
def test_a_read_only_file_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(PermissionError) as caught:
        write(path)
    assert caught.value.filename == str(path)
    path.chmod(0o600)
    assert path.read_bytes() == OLD
    assert names(path.parent) == ["f"]


def test_hard_links_are_refused_by_name(path: Path) -> None:
    path.with_name("other").hardlink_to(path)
    with pytest.raises(OSError, match="2 names") as caught:
        write(path)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == path.with_name("other").read_bytes() == OLD


def test_links_are_followed_to_the_end(path: Path) -> None:
    first, second = path.with_name("first"), path.with_name("second")
    second.symlink_to("f")
    first.symlink_to(second)
    write(first)
    assert path.read_bytes() == NEW
    assert first.is_symlink()
    assert second.is_symlink()


def test_links_in_a_circle_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match=r".") as caught:
        write(tmp_path / "a")
    assert (caught.value.errno, caught.value.filename) == (errno.ELOOP, str(tmp_path / "a"))
    assert names(tmp_path) == ["a", "b"]


def test_a_link_to_nothing_makes_the_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("there")
    write(tmp_path / "link")
    assert (tmp_path / "there").read_bytes() == NEW


def test_a_link_into_no_folder_names_the_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("none/there")
    with pytest.raises(FileNotFoundError) as caught:
        write(tmp_path / "link")
    assert caught.value.filename == str(tmp_path / "link")


@pytest.mark.parametrize("name", ["", "d", "d/", "none/", "f/", ".", ".."])
def test_what_names_a_folder_is_refused(
    path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    Path("d").mkdir()
    with pytest.raises(OSError, match=r".") as caught:
        write(name)
    assert caught.value.filename == name
    assert names(path.parent) == ["d", "f"]


def test_a_socket_is_refused_by_name(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        with pytest.raises(OSError, match="socket"):
            write(tmp_path / "s")
    assert names(tmp_path) == ["s"]


def test_a_pipe_gets_the_bytes_and_stays_one(tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write(pipe, NEW * 100_000)
    reader.join()
    assert got == [NEW * 100_000]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert names(tmp_path) == ["pipe"]


def test_a_pipe_gets_nothing_of_a_block_that_fails(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # nobody reads: to open it would wait
    block = atomic_write(tmp_path / "pipe")
    block.__enter__().write(b"half")
    assert not block.__exit__(RuntimeError, RuntimeError(), None)


def test_devices_stay_devices() -> None:
    before = Path("/dev/null").stat()
    write("/dev/null")
    assert Path("/dev/null").stat() == before
    with pytest.raises(OSError, match="No space") as caught:
        write("/dev/full")
    assert caught.value.filename == "/dev/full"


SAVE = "import fanin; fanin.MLP([4, 3, 2]).save({!r})"


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_standard_output_is_a_file_like_others(tmp_path: Path, name: str) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    name = str(tmp_path / name) if name == "link" else name
    command = [sys.executable, "-c", SAVE.format(name)]
    piped = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    (tmp_path / "got").write_bytes(piped)
    assert fanin.MLP.load(tmp_path / "got").dims == [4, 3, 2]
    log = tmp_path / "log"
    log.write_bytes(OLD)
    with log.open("ab") as file:  # as of a shell's >>
        subprocess.run(command, stdout=file, check=True)
    assert log.read_bytes() == OLD + piped
    ours, theirs = socket.socketpair()
    with ours, theirs:
        subprocess.run(command, stdout=theirs, check=True)
        assert ours.recv(1 << 20) == piped


@pytest.mark.parametrize("length", [200, 254, 255])
def test_names_may_be_as_long_as_they_can_be(tmp_path: Path, length: int) -> None:
    write(tmp_path / ("n" * length))
    assert (tmp_path / ("n" * length)).read_bytes() == NEW
    with pytest.raises(OSError, match="too long") as caught:
        write(tmp_path / ("n" * 256))
    assert caught.value.filename == str(tmp_path / ("n" * 256))


def test_names_need_not_be_utf_8(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe")
    net = fanin.MLP([4, 3, 2])
    net.save(tmp_path / name)
    assert fanin.MLP.load(tmp_path / name).dims == net.dims


def test_the_folder_may_be_left_while_writing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with atomic_write("f") as file:
        monkeypatch.chdir(tmp_path / "elsewhere")
        file.write(NEW)
    assert path.read_bytes() == NEW
    assert names(tmp_path / "elsewhere") == []


# What fails


class Disk:
    """Calls of the system that fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patch = monkeypatch

    def fail(self, module: Any, name: str, number: int, when: Callable[..., bool]) -> None:
        works = getattr(module, name)

        def call(*args: Any, **options: Any) -> Any:
            if when(*args):
                raise OSError(number, os.strerror(number))
            return works(*args, **options)

        self.patch.setattr(module, name, call)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def of_file(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def of_folder(descriptor: int) -> bool:
    return not of_file(descriptor)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("call", ["open", "fsync", "replace", "fchmod"])
def test_a_disk_that_fails_names_the_path(path: Path, disk: Disk, call: str, number: int) -> None:
    if call == "open":
        disk.fail(os, call, number, lambda name, *_: str(name).endswith(".tmp"))
    else:
        disk.fail(os, call, number, of_file if call == "fsync" else lambda *_: True)
    with pytest.raises(OSError, match=r".") as caught:
        write(path)
    assert (caught.value.errno, caught.value.filename) == (number, str(path))
    assert not isinstance(caught.value, fanin.NotDurableError)
    assert path.read_bytes() == OLD
    assert names(path.parent) == ["f"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_write_or_close_that_fails_names_the_path(path: Path, number: int) -> None:
    with pytest.raises(OSError, match=r".") as caught, atomic_write(path):
        raise OSError(number, os.strerror(number))  # as the file would
    assert caught.value.filename == str(path)
    assert path.read_bytes() == OLD


def test_other_errors_of_the_block_stay_as_they_are(path: Path) -> None:
    with pytest.raises(ConnectionResetError) as caught, atomic_write(path):
        raise ConnectionResetError(errno.ECONNRESET, "reset")
    assert caught.value.filename is None
    with pytest.raises(FileNotFoundError) as missing, atomic_write(path):
        Path("nowhere").read_bytes()
    assert missing.value.filename == "nowhere"


FULL = """
    import os, resource, signal, sys
    import fanin
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    net = fanin.MLP([100, 100, 10])
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    try:
        net.save(sys.argv[1])
    except OSError as error:
        print(error.errno, error.filename)
"""


def test_a_limit_of_the_system_names_the_path(path: Path) -> None:
    assert printed_by(FULL, str(path)).split() == [str(errno.EFBIG), str(path)]
    assert path.read_bytes() == OLD
    assert names(path.parent) == ["f"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_not_surely_durable_is_another_error(path: Path, disk: Disk, number: int) -> None:
    disk.fail(os, "fsync", number, of_folder)
    with pytest.raises(fanin.NotDurableError, match="not surely durable") as caught:
        write(path)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == NEW
    assert names(path.parent) == ["f"]


def test_a_file_system_that_syncs_no_folders_is_synced_as_a_whole(
    path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    disk.fail(os, "fsync", errno.EINVAL, of_folder)
    monkeypatch.setattr(os, "sync", lambda: calls.append("sync"))
    write(path)
    assert calls == ["sync"]


def test_new_folders_are_synced_with_those_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    fsync = os.fsync

    def recording(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    make_folder(tmp_path / "a" / "b")
    assert synced == [str(tmp_path), str(tmp_path / "a")]
    make_folder(tmp_path / "a" / "b")
    assert len(synced) == 2
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        make_folder(tmp_path / "file")


# What is left behind

KILLED = """
    import os, signal, sys
    from fanin._files import atomic_write, replaced_together
    with {what} as one:
        print("in", flush=True)
        {then}
"""


def killed(what: str, then: str = "os.kill(os.getpid(), signal.SIGKILL)", *argv: str) -> None:
    done = run_python(KILLED.format(what=what, then=then), *argv)
    assert done.returncode == -9


@pytest.mark.parametrize("what", ["atomic_write(sys.argv[1])", "replaced_together(sys.argv[2])"])
def test_what_killed_processes_left_is_swept(path: Path, what: str) -> None:
    killed(what, "os.kill(os.getpid(), signal.SIGKILL)", str(path), str(path.parent))
    assert len(names(path.parent)) == 2
    write(path.with_name("other"))
    assert names(path.parent) == ["f", "other"]
    assert path.read_bytes() == OLD


LIVING = """
import sys
from fanin._files import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(b'theirs')
    print('in', flush=True)
    sys.stdin.read()
"""


def test_what_a_living_writer_writes_is_not(path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", LIVING, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"in\n"
    for _ in range(3):
        write(path)
    assert len(names(path.parent)) == 2
    child.communicate()
    assert child.returncode == 0
    assert path.read_bytes() == b"theirs"
    assert names(path.parent) == ["f"]


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_what_is_about_to_be_renamed_is_not(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that writes into the folder comes between a file's end and its name."""
    rename = os.replace

    def swept_before(source: Any, target: Any) -> None:
        _files._sweep(path.parent)
        rename(source, target)

    monkeypatch.setattr(os, "replace", swept_before)
    descriptors = open_descriptors()
    write(path)
    assert path.read_bytes() == NEW
    assert open_descriptors() == descriptors


def test_only_what_looks_like_ours_is_swept(path: Path) -> None:
    others = [".fanin-0.tmp", ".fanin-0123456789abcdeg.tmp", "x.fanin-0123456789abcdef.tmp"]
    for name in others:
        path.with_name(name).touch()
    path.with_name(".fanin-1123456789abcdef.tmp").symlink_to("f")
    os.mkfifo(path.with_name(".fanin-2123456789abcdef.tmp"))
    path.with_name(TEMPORARY).touch()
    write(path)
    assert TEMPORARY not in names(path.parent)
    assert len(names(path.parent)) == len(others) + 3


def test_a_file_that_a_sweep_took_before_its_lock_is_made_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, calls = _files._lock, []

    def slow(descriptor: int) -> bool | None:
        calls.append(descriptor)
        if len(calls) == 1:
            (temporary,) = [p for p in path.parent.iterdir() if p != path]
            temporary.unlink()
        return lock(descriptor)

    monkeypatch.setattr(_files, "_lock", slow)
    write(path)
    assert path.read_bytes() == NEW
    assert len(calls) == 2


# Python closes what an interrupt left open, and warns.
open_files = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@contextmanager
def interrupt_at(step: int, event: str, *modules: ModuleType) -> Iterator[list[int]]:
    """KeyboardInterrupt before the line or the bytecode of that number in `_files` and those
    modules; yields how many came.
    """
    files = {module.__file__ for module in (_files, *modules)}
    count = [0]

    def trace(frame: FrameType, kind: str, _: Any) -> Any:
        if frame.f_code.co_filename not in files:
            return trace
        frame.f_trace_opcodes = event == "opcode"
        if kind == event:
            count[0] += 1
            if count[0] == step:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield count
    finally:
        sys.settrace(before)


def swept(
    event: str, action: Callable[[], None], check: Callable[[], None], *modules: ModuleType
) -> int:
    """Interrupts the action at each step, and checks after each; returns how many steps it has."""
    step = 0
    while True:
        step += 1
        try:
            with interrupt_at(step, event, *modules) as count:
                action()
        except KeyboardInterrupt:
            pass
        check()
        if count[0] < step:
            return step - 1


@open_files
@pytest.mark.parametrize("event", ["line", "opcode"])
def test_nothing_stays_after_an_interrupt_anywhere(path: Path, event: str) -> None:
    def check() -> None:
        assert names(path.parent) == ["f"]
        assert path.read_bytes() in (OLD, NEW)
        path.write_bytes(OLD)

    steps = swept(event, lambda: write(path), check)
    assert steps > (60 if event == "line" else 400)


@open_files
def test_an_interrupt_anywhere_in_an_archive_stays_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where zipfile has opened a member, too: it would raise a ValueError in its place."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # which takes most of the time
    arrays = {"a": np.arange(3)}

    def save() -> None:
        checkpoint.save_archive(path, {"kind": "numbers"}, arrays)

    def check() -> None:
        assert names(path.parent) == ["f"]
        assert path.read_bytes() == OLD or checkpoint.load_archive(path, "numbers")
        path.write_bytes(OLD)

    assert swept("line", save, check, checkpoint, zipfile) > 400


@open_files
def test_a_cleanup_that_is_missing_would_be_seen(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: a writer that does not remove its file."""
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    with pytest.raises(AssertionError):
        swept("line", lambda: write(path), lambda: assert_alone(path))


def assert_alone(path: Path) -> None:
    assert names(path.parent) == [path.name]


# Several files

SETS = {
    "old": {"a": b"old a", "b": b"old b", "gone": b"old"},
    "new": {"a": b"new a", "b": b"new b"},
}


def put(folder: Path, content: dict[str, bytes]) -> None:
    with replaced_together(folder) as new:
        for name, data in content.items():
            (new / name).write_bytes(data)
        (new / "gone").touch() if "gone" not in content else None


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_are_replaced_together(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "run"
    put(run, SETS["old"])
    (run / "other").write_bytes(b"stays")
    (run / "a").chmod(0o600)
    put(run, SETS["new"])
    assert content(run) == SETS["new"] | {"other": b"stays"}
    assert stat.S_IMODE((run / "a").stat().st_mode) == 0o600
    assert names(tmp_path / "runs") == ["run"]


def test_a_fresh_folder_has_no_empty_files(tmp_path: Path) -> None:
    put(tmp_path / "run", SETS["new"])
    assert content(tmp_path / "run") == SETS["new"]


def test_links_of_a_folder_are_followed(tmp_path: Path) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    put(run, SETS["old"])
    elsewhere.write_bytes(b"old a")
    (run / "a").unlink()
    (run / "a").symlink_to(elsewhere)
    (tmp_path / "link").symlink_to(run)
    put(tmp_path / "link", SETS["new"])
    assert elsewhere.read_bytes() == b"new a"
    assert (run / "a").is_symlink()


def test_one_file_that_cannot_be_written_leaves_all(tmp_path: Path) -> None:
    put(tmp_path / "run", SETS["old"])
    (tmp_path / "run" / "b").chmod(0o444)
    with pytest.raises(PermissionError):
        put(tmp_path / "run", SETS["new"])
    assert content(tmp_path / "run") == SETS["old"]


@open_files
@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("event", ["line", pytest.param("opcode", marks=pytest.mark.slow)])
def test_a_folder_is_complete_or_as_before(tmp_path: Path, fresh: bool, event: str) -> None:
    import shutil

    home = tmp_path / "home"
    run = home / "run"

    def prepare() -> None:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        if not fresh:
            put(run, SETS["old"])

    def check() -> None:
        _files.finish_replacement(run)
        assert names(home) in ([], ["run"])
        if run.exists():
            assert content(run) in ([SETS["new"]] if fresh else list(SETS.values()))
        prepare()

    prepare()
    assert swept(event, lambda: put(run, SETS["new"]), check) > 100


def test_a_killed_replacement_is_finished_by_who_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    put(run, SETS["old"])

    for nth in range(1, 4):
        put(run, SETS["old"])
        with monkeypatch.context() as patch:
            patch.setattr(_files, "_take_place", dying_at(nth))
            with pytest.raises(SystemExit):
                put(run, SETS["new"])
        assert content_of(run, "b") == b"new b"
        assert content(run) == SETS["new"]


def dying_at(nth: int) -> Callable[[Path, Path, bool], None]:
    takes, calls = _files._take_place, list[Path]()

    def counted(file: Path, target: Path, follow: bool) -> None:
        calls.append(file)
        if len(calls) == nth:
            raise SystemExit
        takes(file, target, follow)

    return counted


def content_of(folder: Path, name: str) -> bytes:
    return _files.current_file(folder / name).read_bytes()


def test_a_read_only_folder_shows_the_newer_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".fanin-complete").mkdir()
    (tmp_path / ".fanin-complete" / "a").write_bytes(b"new a")
    (tmp_path / "a").write_bytes(b"old a")
    monkeypatch.setattr(_files, "_take_place", lambda *_: (_ for _ in ()).throw(PermissionError()))
    assert content_of(tmp_path, "a") == b"new a"


def test_a_strangers_folder_reaches_nothing_outside(tmp_path: Path) -> None:
    """What one could put where the files of a killed replacement are."""
    private, run = tmp_path / "private", tmp_path / "run"
    private.write_bytes(b"mine")
    private.chmod(0o600)
    for name in (".fanin-complete", "docs"):
        (run / name).mkdir(parents=True)
    (run / ".fanin-complete" / "a").write_bytes(b"theirs")
    (run / "a").symlink_to(private)  # not to be written through
    (run / ".fanin-complete" / "b").symlink_to(private)  # nor to get another mode
    (run / "b").write_bytes(b"b")
    (run / "b").chmod(0o666)
    _files.finish_replacement(run)
    assert private.read_bytes() == b"mine"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert (run / "a").read_bytes() == b"theirs"
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "letter").write_bytes(b"mine")
    (run / ".fanin-complete").symlink_to(docs)
    _files.finish_replacement(run)
    assert names(docs) == ["letter"]


@pytest.mark.parametrize(("call", "most"), [("save", 1.25), ("load", 1.2)])
def test_networks_keep_the_memory_of_one(call: str, most: float, tmp_path: Path) -> None:
    path = tmp_path / "net"
    fanin.MLP([3000, 3000, 10], init="small_random").save(path)
    size = path.stat().st_size / 2**20
    assert float(printed_by(MEMORY, call, str(path), env=with_support())) < most * size


MEMORY = """
    import sys
    import fanin
    import memory

    what, path = sys.argv[1:]
    fanin.MLP([2, 2]).save(path + ".small")
    fanin.MLP.load(path + ".small")  # what both need once
    net = fanin.MLP.load(path) if what == "save" else fanin.MLP
    before = memory.begin()
    getattr(net, what)(path)
    print(memory.peak() - before)
"""


def test_an_array_of_another_shape_is_not_put_into_place(tmp_path: Path) -> None:
    """What `load_archive` reads straight into is as the header says."""
    fanin.checkpoint.save_archive(tmp_path / "a", {"kind": "k"}, {"x": np.zeros(3)})
    for wrong in (np.zeros(4), np.zeros(3, np.float32)):
        with pytest.raises(fanin.FileError, match="expected"):
            fanin.checkpoint.load_archive(tmp_path / "a", "k", lambda _, wrong=wrong: {"x": wrong})
