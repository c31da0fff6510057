"""Files: what may be read, and what is written whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from fanin._typing import PathLike

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed
    fcntl = None

_TEMPORARY = re.compile(r"\.fanin-[0-9a-f]{16}\.tmp")
_COMPLETE = ".fanin-complete"  # a folder of new files that are still to take their places
_ALWAYS = 1 << 20  # bytes that may be asked of any file
# What a disk says; an OSError of the network in the same block is not the file's.
_OF_DISKS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.EFBIG,
    errno.EROFS,
    errno.ENODEV,
    errno.EINTR,
}
_NO_SUCH_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class FileError(ValueError):
    """A file is not what was expected, or is not as it was written.

    A file that is not there, or cannot be read, is an OSError.

    Parameters
    ----------
    path : str or path
    reason : str
    where : str
        The place in the file, such as "line 7".

    Attributes
    ----------
    path, reason, where : str

    Examples
    --------
    >>> with open("note.txt", "w") as file:
    ...     _ = file.write("no network")
    >>> try:
    ...     fanin.MLP.load("note.txt")
    ... except fanin.FileError as error:
    ...     print(error.reason)
    expected a fanin network file, got something else
    """

    def __init__(self, path: PathLike, reason: str, where: str = "") -> None:
        super().__init__(os.fspath(path), reason, where)

    @property
    def path(self) -> str:
        return str(self.args[0])

    @property
    def reason(self) -> str:
        return str(self.args[1])

    @property
    def where(self) -> str:
        return str(self.args[2])

    def __str__(self) -> str:
        return (
            f"{self.path}, {self.where}: {self.reason}"
            if self.where
            else (f"{self.path}: {self.reason}")
        )


class NotDurableError(OSError):
    """A file is in its place, but its folder could not be flushed to disk.

    After a loss of power the file may be the one from before. Any other OSError of a save means
    that nothing was saved, and the file from before is there.

    Examples
    --------
    >>> issubclass(fanin.NotDurableError, fanin.FileError)
    False
    """


# Reading


class _Opened(io.FileIO):
    """A file that is read: errors name it, and closing it is none."""

    def readinto(self, buffer: Any) -> int | None:
        with naming(self.name):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        with naming(self.name):
            return super().readall()

    def close(self) -> None:
        with suppress(OSError):
            super().close()


class _Reader(io.BufferedReader):
    """Takes no more memory for what is asked of a file than the file has, whatever it says of
    itself: the 78 bytes of a PNG may ask for 4 GB.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _ALWAYS:
            left = os.fstat(self.fileno()).st_size - self.tell()
            size = min(size, max(left, _ALWAYS))
        return super().read(size)


def open_file(path: PathLike) -> BinaryIO:
    """Opens a file to read its bytes.

    Raises
    ------
    FileError
        For a pipe, a socket or a device, of which a reader might wait for ever.
    OSError
        Where there is no such file, or it is a folder, or cannot be read.
    """
    _refuse_special(path, os.stat(path))  # noqa: PTH116  a path as given, for the error's text
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    raw = _Opened(path, opener=lambda name, _: os.open(name, flags))
    file = _Reader(raw)
    try:
        _refuse_special(path, os.fstat(file.fileno()))  # it may be another by now
    except BaseException:
        file.close()
        raise
    return file


def read_file(path: PathLike) -> bytes:
    """The bytes of a file, which is opened as `open_file` does."""
    with open_file(path) as file:
        return file.read()


@contextmanager
def reading(path: PathLike, expected: str) -> Iterator[None]:
    """What the block finds amiss in a file's content is a FileError: "expected: reason". One that
    is about another file stays.
    """
    try:
        yield
    except FileError as error:
        if error.path != os.fspath(path):
            raise
        raise FileError(path, f"{expected}: {error.reason}", error.where) from error
    except (
        *(ValueError, TypeError, LookupError, AttributeError),
        *(ArithmeticError, RecursionError, EOFError, AssertionError),
        SyntaxError,  # of a header that NumPy reads as Python
    ) as error:
        reason = repr(error) if isinstance(error, LookupError) else str(error)
        raise FileError(path, f"{expected}: {reason or type(error).__name__}") from error


def _refuse_special(path: PathLike, found: os.stat_result) -> None:
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if kind in _KINDS:
        raise FileError(path, f"expected a file, got {_KINDS[kind]}")


# Writing


@contextmanager
def atomic_write(path: PathLike) -> Iterator[BinaryIO]:
    """A binary file that replaces ``path`` if the block raises nothing.

    The bytes go to a temporary file in the same folder, which is flushed to disk and then renamed;
    the folder is flushed too. After an exception the temporary file is removed and ``path`` is
    unchanged; that of a process that was killed is removed by the next write into the folder. A
    file that is replaced hands on its mode, and its owner where that may be.

    Parameters
    ----------
    path : str or path
        Symbolic links are followed. A device, a pipe or ``/dev/stdout`` gets the bytes as it is, at
        the end of the block.

    Raises
    ------
    PermissionError
        Where the file is read-only, whoever asks.
    NotDurableError
        Where the file is in its place, but a loss of power may undo that.
    OSError
        With ``path`` as its filename, where nothing was written: no space, a folder or a socket in
        the way, links that lead in a circle, a file with several names (hard links), of which only
        one would be written.

    Examples
    --------
    >>> import pathlib
    >>> from fanin.checkpoint import atomic_write
    >>> with atomic_write("note.txt") as file:
    ...     _ = file.write(b"whole, or not at all")
    >>> pathlib.Path("note.txt").read_text()
    'whole, or not at all'
    """
    held = check_target(path)
    if _descriptor(path) is not None or not (held is None or stat.S_ISREG(held.st_mode)):
        buffer = io.BytesIO()
        yield buffer
        with naming(path):
            _write_through(path, buffer)
        return
    target = Path(os.path.realpath(path))
    _sweep(target.parent)
    temporary = target.with_name(_temporary_name())
    lock = None
    try:
        with naming(path):
            # Nobody else may read the new content of a file of one's own, not even half of it.
            file = _create(temporary, 0o666 if held is None else 0o600)
            if fcntl is not None:  # keeps the lock until the file has its name
                lock = os.dup(file.fileno())
        with naming(path, _OF_DISKS), file:
            yield file
            with naming(path):
                file.flush()
                _keep_attributes(file.fileno(), held)
                os.fsync(file.fileno())
        with naming(path):
            os.replace(temporary, target)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    finally:
        if lock is not None:
            _close(lock)
    with _not_durable(path):
        sync_folder(target.parent)


def write_text(path: PathLike, text: str) -> None:
    """Writes text as UTF-8, atomically."""
    with atomic_write(path) as file:
        file.write(text.encode())


def check_target(path: PathLike) -> os.stat_result | None:
    """Raises as `atomic_write` does for what cannot be written; else what is there, if anything."""
    name = os.fspath(path)
    if name.endswith(("/", os.sep)):
        raise IsADirectoryError(errno.EISDIR, "expected a file, got the name of a folder", name)
    try:
        held = os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        if not name:
            raise
        return None
    kind = stat.S_IFMT(held.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if _descriptor(path) is not None:  # open already, and written as it is
        return held
    if kind == stat.S_IFSOCK:
        raise OSError(errno.ENXIO, "expected a file, got a socket", name)
    # A file that nobody may write is one that its owner wants kept, also by root.
    effective = os.access in os.supports_effective_ids
    if not held.st_mode & 0o222 or not os.access(path, os.W_OK, effective_ids=effective):
        raise PermissionError(errno.EACCES, "read-only", name)
    if kind == stat.S_IFREG and held.st_nlink > 1:
        names = f"it has {held.st_nlink} names (hard links), of which one would be replaced"
        raise OSError(errno.EMLINK, f"{names}: remove it first", name)
    return held


def sync_folder(folder: PathLike) -> None:
    """Flushes a folder to disk, so that the names in it outlive a loss of power."""
    if os.name == "nt":  # it opens no folders; its rename is journalled
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that may be written, but not listed
        os.sync()
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SUCH_SYNC:
            raise
        os.sync()
    finally:
        _close(descriptor)


def make_folder(path: PathLike) -> None:
    """Makes a folder and those above it, where they are missing, and flushes them to disk."""
    folder = Path(path)
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        with suppress(FileExistsError):
            one.mkdir()
        with _not_durable(path):
            sync_folder(one.parent)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path))


@contextmanager
def replaced_together(folder: PathLike) -> Iterator[Path]:
    """A new folder, whose files take their places in ``folder`` if the block raises nothing.

    ``folder`` is made where it is missing, at once with all that is in it. After an exception all
    is as before. Where the process is killed while the files take their places one by one,
    `finish_replacement` lets the others follow. An empty file stands for one that is removed.
    """
    home = Path(os.path.realpath(folder))
    fresh = not home.exists()
    if fresh:
        make_folder(home.parent)
    finish_replacement(home)
    place = home.parent if fresh else home
    _sweep(place)
    staging = place / _temporary_name()
    try:
        with naming(folder):
            staging.mkdir()
        with _locked(staging):
            yield staging
            for file in list(staging.iterdir()):
                held = check_target(home / file.name)
                if held is not None and stat.S_ISREG(held.st_mode):
                    with open_file(file) as opened:
                        _keep_attributes(opened.fileno(), held)
                elif fresh and not file.stat().st_size:
                    file.unlink()
            with naming(folder):
                sync_folder(staging)
                staging.rename(home if fresh else home / _COMPLETE)
    except BaseException:
        _remove_folder(staging)
        raise
    with _not_durable(folder):
        sync_folder(place)
    if not fresh:
        _take_places(home, follow=True)


def mark_removed(path: PathLike) -> None:
    """The empty file that stands for one that `replaced_together` is to remove."""
    with naming(path):
        Path(path).touch()


def finish_replacement(folder: PathLike) -> None:
    """Lets files take their places in a folder, as `replaced_together` was about to do.

    Nothing outside of the folder is read or written, whoever made it.
    """
    _take_places(Path(folder), follow=False)


def _take_places(home: Path, *, follow: bool) -> None:
    staging = home / _COMPLETE
    if staging.is_symlink() or not staging.is_dir():
        return
    # Networks first: predictions need nothing else.
    with naming(home):
        files = sorted(staging.iterdir(), key=lambda file: (file.suffix != ".fanin", file.name))
    for file in files:
        with suppress(FileNotFoundError):  # another process was faster
            _take_place(file, home / file.name, follow)
    for each in (staging, home):
        with suppress(FileNotFoundError), _not_durable(home):
            sync_folder(each)
    with suppress(FileNotFoundError):
        staging.rmdir()


def current_file(path: PathLike) -> Path:
    """The file of that name, or the newer one that has not taken its place yet."""
    path = Path(path)
    with suppress(OSError):  # such as a folder that is read-only
        finish_replacement(path.parent)
    newer = path.parent / _COMPLETE / path.name
    return newer if newer.exists() else path


def _take_place(file: Path, target: Path, follow: bool) -> None:
    if not file.lstat().st_size:
        target.unlink(missing_ok=True)
        file.unlink()
    elif follow and target.exists() and (target.is_symlink() or not target.is_file()):
        with atomic_write(target) as copy:
            copy.write(file.read_bytes())
        file.unlink()
    else:
        file.replace(target)


def _temporary_name() -> str:
    return f".fanin-{os.urandom(8).hex()}.tmp"


def _create(temporary: Path, mode: int) -> BinaryIO:
    """A new file, locked as long as it is open, so that a sweep knows that its writer lives."""
    while True:
        file = open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode))  # noqa: SIM115
        if fcntl is None:
            return file
        if _lock(file.fileno()) is not False and os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # a sweep came between opening and locking it
        with suppress(OSError):
            temporary.unlink()


def _lock(descriptor: int) -> bool | None:
    """Whether the lock was had; None where there are no locks, as on some network drives."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _close(descriptor: int) -> None:
    """Closes what was only read, locked or flushed, of which nothing can be lost any more."""
    with suppress(OSError):
        os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """A folder, locked as `_create` locks a file."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor)
        yield
    finally:
        _close(descriptor)


def _sweep(folder: Path) -> None:
    """Removes what processes that were killed have left behind: nobody holds its lock."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name):
                with suppress(OSError):
                    _remove_left_behind(Path(entry.path))


def _remove_left_behind(path: Path) -> None:
    if fcntl is None:  # an open file cannot be removed
        path.unlink()
        return
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags)
    try:
        if not _lock(descriptor):
            return
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            _remove_folder(path)
        elif stat.S_ISREG(mode):
            path.unlink()
    finally:
        _close(descriptor)


def _remove_folder(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _keep_attributes(descriptor: int, held: os.stat_result | None) -> None:
    """Gives a file the mode of the one that it replaces, and its owner where that may be."""
    if held is None or os.name == "nt":
        return
    mode = stat.S_IMODE(held.st_mode) & 0o777
    for uid, gid in ((held.st_uid, held.st_gid), (-1, held.st_gid)):
        own = os.fstat(descriptor)
        if (own.st_uid, own.st_gid) != (held.st_uid, held.st_gid):
            with suppress(OSError):
                os.fchown(descriptor, uid, gid)
    if os.fstat(descriptor).st_gid != held.st_gid:  # another group gets what all get
        mode = mode & 0o707 | (mode & 0o007) << 3
    os.fchmod(descriptor, mode)


def _descriptor(path: PathLike) -> int | None:
    """The open file that a name such as /dev/stdout stands for, if it does."""
    name = os.path.abspath(path)  # noqa: PTH100
    own = f"self|thread-self|{os.getpid()}"
    for _ in range(40):  # as many links as Linux follows
        found = re.fullmatch(rf"/(?:dev|proc/(?:{own}))/fd/([0-9]+)", name)
        if found:
            return int(found.group(1))
        try:
            link = os.readlink(name)  # noqa: PTH115
        except OSError:
            return None
        name = os.path.normpath(os.path.join(os.path.dirname(name), link))  # noqa: PTH118, PTH120
    return None


def _write_through(path: PathLike, buffer: io.BytesIO) -> None:
    """Writes to a device or a pipe; to an open file where that is at."""
    descriptor = _descriptor(path)
    with open(path if descriptor is None else os.dup(descriptor), "wb") as file:  # noqa: PTH123
        file.write(buffer.getbuffer())
        file.flush()
        with suppress(OSError):  # pipes have no such thing
            os.fsync(file.fileno())


@contextmanager
def naming(path: PathLike, errors: set[int] | None = None) -> Iterator[None]:
    """An OSError in the block names ``path``; of given errors only one that names no file."""
    try:
        yield
    except OSError as error:
        if isinstance(error, NotDurableError) or (
            errors is not None and (error.filename is not None or error.errno not in errors)
        ):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


@contextmanager
def _not_durable(path: PathLike) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        text = f"written, but not surely durable: its folder cannot be flushed ({error.strerror})"
        raise NotDurableError(error.errno, text, os.fspath(path)) from error
