from __future__ import annotations

import errno
import io
import json
import multiprocessing
import os
import stat
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from children import HANG
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from fanin import __version__, checkpoint

HEADER = {"kind": "network", "dims": [4, 3], "dtype": "float32"}
ARRAYS = {
    "W1": np.arange(12, dtype=np.float32).reshape(4, 3),
    "b1": np.array([0.5, -0.0, np.nan], dtype=np.float64),
    "t": np.array(7, dtype=np.int64),
    "none": np.zeros((0, 3), dtype=np.float32),
    "mask": np.array([True, False]),
}


@pytest.fixture
def path(tmp_path):
    target = tmp_path / "net.fanin"
    checkpoint.save_archive(target, HEADER, ARRAYS)
    return target


def same(a, b):
    return (
        a.keys() == b.keys()
        and all(a[k].dtype == b[k].dtype and a[k].shape == b[k].shape for k in a)
        and all(a[k].tobytes() == b[k].tobytes() for k in a)
    )


def files(folder):
    return sorted(p.name for p in folder.iterdir())


def refuses(path, *words):
    with pytest.raises(ValueError, match=r".") as caught:
        checkpoint.load_archive(path, "network")
    message = str(caught.value)
    assert message.startswith(f"{path}: "), message
    for word in words:
        assert word in message, message


# The archive


def test_round_trip(path):
    header, arrays = checkpoint.load_archive(path, "network")
    own = {"format": "fanin", "format_version": 1, "version": __version__}
    assert header == HEADER | own
    assert same(arrays, ARRAYS)
    for array in arrays.values():
        assert array.flags.writeable
        assert array.flags.owndata


@given(
    array=hnp.arrays(
        hnp.scalar_dtypes().filter(lambda t: t.kind in "biufc" and t.itemsize <= 16),
        hnp.array_shapes(min_dims=0, min_side=0, max_side=5),
    )
)
@settings(max_examples=60)
def test_round_trip_of_any_array(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("any") / "a"
    checkpoint.save_archive(path, {"kind": "k"}, {"a": array})
    got = checkpoint.load_archive(path, "k")[1]["a"]
    assert got.dtype == array.dtype.newbyteorder("=")
    assert got.shape == array.shape
    assert got.tobytes() == array.astype(got.dtype).tobytes()


def test_strided_and_byte_swapped_arrays_come_back_plain(tmp_path):
    base = np.arange(24, dtype=np.float64).reshape(4, 6)
    given_ = {"t": base.T, "s": base[::2, ::3], "swapped": base.astype(">f8")}
    checkpoint.save_archive(tmp_path / "a", {"kind": "k"}, given_)
    got = checkpoint.load_archive(tmp_path / "a", "k")[1]
    for name, array in given_.items():
        assert np.array_equal(got[name], array)
        assert got[name].flags.c_contiguous
        assert got[name].dtype.isnative


def test_numpy_alone_can_read_it(path):
    with np.load(path, allow_pickle=False) as archive:
        assert np.array_equal(archive["W1"], ARRAYS["W1"])
        assert json.loads(archive["header"].tobytes())["kind"] == "network"


def test_same_contents_same_bytes(path, tmp_path):
    checkpoint.save_archive(tmp_path / "again", HEADER, ARRAYS)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    with zipfile.ZipFile(path) as archive:  # whatever the system and the day
        facts = {(info.create_system, info.date_time) for info in archive.infolist()}
    assert facts == {(3, (1980, 1, 1, 0, 0, 0))}


@pytest.mark.parametrize("size", range(800, 1200, 64))
def test_members_around_the_limit_of_a_plain_zip_archive(tmp_path, monkeypatch, size):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1024)  # that of 2 GiB
    given_ = {"a": np.arange(size, dtype=np.uint8)}
    checkpoint.save_archive(tmp_path / "a", {"kind": "k"}, given_)
    assert same(checkpoint.load_archive(tmp_path / "a", "k")[1], given_)


def test_arrays_are_read_into_those_of_the_caller(path):
    mine = np.empty((4, 3), np.float32)
    _, arrays = checkpoint.load_archive(path, "network", lambda _: {"W1": mine})
    assert arrays["W1"] is mine
    assert same(arrays, ARRAYS)
    for other in (np.empty((3, 4), np.float32), np.empty((4, 3), np.float64)):
        with pytest.raises(ValueError, match=r"'W1.npy': expected \([34], [34]\) float"):
            checkpoint.load_archive(path, "network", lambda _, other=other: {"W1": other})


# Files that are not what they should be


def test_every_truncation_is_noticed(path):
    data = path.read_bytes()
    for length in [*range(0, len(data), 7), len(data) - 1]:
        path.write_bytes(data[:length])
        refuses(path)


def test_no_flipped_bit_gives_other_numbers(path):
    data = bytearray(path.read_bytes())
    header, arrays = checkpoint.load_archive(path, "network")
    rng = np.random.default_rng(0)
    messages = []
    for at in range(len(data)):
        bit = 1 << int(rng.integers(8))
        data[at] ^= bit
        path.write_bytes(data)
        data[at] ^= bit
        try:
            got_header, got = checkpoint.load_archive(path, "network")
        except ValueError as error:
            messages.append(str(error))
        else:  # such as the date of a member
            assert got_header == header
            assert same(got, arrays)
    assert all(message.startswith(f"{path}: ") for message in messages)
    assert len(messages) > 0.8 * len(data)


def rewrite(path, change):
    """The archive again, its members as raw .npy bytes changed and its checksums right."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def npy(array, **kwargs):
    file = io.BytesIO()
    np.save(file, array, **kwargs)
    return file.getvalue()


def rewrite_header(path, **fields):
    def change(members):
        header = json.loads(np.load(io.BytesIO(members["header.npy"])).tobytes()) | fields
        text = json.dumps({k: v for k, v in header.items() if v is not None}).encode()
        members["header.npy"] = npy(np.frombuffer(text, np.uint8))

    rewrite(path, change)


def test_another_number_under_a_right_crc_is_noticed(path):
    rewrite(path, lambda m: m.update({"W1.npy": npy(ARRAYS["W1"] + 1)}))
    refuses(path, "corrupt", "'W1'")


@pytest.mark.parametrize(
    "array", [ARRAYS["W1"].T.copy(), ARRAYS["W1"].astype(np.float64), ARRAYS["W1"].reshape(-1)]
)
def test_another_shape_or_dtype_is_noticed(path, array):
    rewrite(path, lambda m: m.update({"W1.npy": npy(array)}))
    refuses(path, "corrupt", "'W1'")


def test_missing_and_unknown_arrays_are_named(path):
    rewrite(path, lambda m: m.update({"W9.npy": m.pop("W1.npy")}))
    refuses(path, "missing: ['W1']", "unknown: ['W9']")


class Pwned:
    def __reduce__(self):
        return os.abort, ()


def test_pickles_are_never_opened(path):
    evil = npy(np.array([Pwned()], dtype=object), allow_pickle=True)
    rewrite(path, lambda m: m.update({"W1.npy": evil}))
    refuses(path, "'W1.npy' holds object")
    rewrite(path, lambda m: m.update({"header.npy": evil}))
    refuses(path, "'header.npy' holds object")


@pytest.mark.parametrize("name", ["W1", "header"])
def test_a_lie_about_the_shape_claims_no_memory(path, name):
    file = io.BytesIO()
    lie = {"descr": "|u1", "fortran_order": False, "shape": (3, 10**13)}
    np.lib.format.write_array_header_1_0(file, lie)
    rewrite(path, lambda m: m.update({f"{name}.npy": file.getvalue() + bytes(9)}))
    refuses(path, "corrupt", f"'{name}.npy' is not as long as its shape says")


def test_bombs_are_not_unfolded(path):
    data = npy(np.zeros(1 << 20))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.npy", data)
    refuses(path, "expected an uncompressed archive")


def test_members_that_share_their_bytes_are_refused(path):
    # 100 entries of the directory point at one member: 100 times its size, if one believed them.
    data = path.read_bytes()
    end = data.rindex(b"PK\x05\x06")
    size, start = struct.unpack("<2I", data[end + 12 : end + 20])
    directory = data[start : start + size]
    tail = bytearray(data[end:])
    struct.pack_into("<2H2I", tail, 8, 500, 500, size * 100, start)
    path.write_bytes(data[:start] + directory * 100 + tail)
    refuses(path, "corrupt (members overlap or repeat)")


def test_a_member_that_is_there_twice_is_refused(path):
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("b1.npy", npy(ARRAYS["b1"]))
    refuses(path, "corrupt (members overlap or repeat)")


def test_a_member_in_another_version_of_numpys_format_is_refused(path):
    file = io.BytesIO()
    np.lib.format.write_array(file, ARRAYS["W1"], version=(2, 0))
    rewrite(path, lambda m: m.update({"W1.npy": file.getvalue()}))
    refuses(path, "'W1.npy' is no .npy file of version 1.0")


def test_arrays_of_the_other_byte_order_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_plain", lambda _, array: array)
    given_ = {"a": np.arange(5, dtype=">f8"), "b": np.arange(5, dtype="<f8")}
    checkpoint.save_archive(tmp_path / "a", {"kind": "k"}, given_)
    for array in checkpoint.load_archive(tmp_path / "a", "k")[1].values():
        assert array.dtype.isnative
        assert np.array_equal(array, np.arange(5))


@pytest.mark.parametrize(("code", "error"), [(errno.EIO, OSError), (errno.EINVAL, ValueError)])
def test_a_disk_that_cannot_be_read_is_no_corrupt_file(path, monkeypatch, code, error):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(zipfile.ZipFile, "open", fail)
    with pytest.raises(error, match=os.strerror(code)):
        checkpoint.load_archive(path, "network")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"format": "other"}, ["archive of another program"]),
        ({"format": None}, ["archive of another program"]),
        (
            {"format_version": 2, "version": "9.1"},
            ["written by fanin 9.1 in format 2", "reads formats up to 1"],
        ),
        ({"format_version": "x"}, ["in format x"]),
        ({"kind": "trials"}, ["expected a fanin network file, got a fanin trials file"]),
        ({"kind": None}, ["corrupt"]),
        ({"arrays": [1]}, ["corrupt", "no object of objects"]),
        ({"arrays": dict.fromkeys(ARRAYS, 1)}, ["corrupt", "no object of objects"]),
    ],
)
def test_headers_that_do_not_fit(path, fields, words):
    rewrite_header(path, **fields)
    refuses(path, *words)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_headers_that_are_no_json_object(path, text):
    rewrite(path, lambda m: m.update({"header.npy": npy(np.frombuffer(text, np.uint8))}))
    refuses(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ["got an empty file"]),
        (b"hello, world", ["expected a fanin network file, got something else"]),
        (b"PK\x03\x04" + bytes(50), ["corrupt or cut short"]),
    ],
)
def test_foreign_files(tmp_path, data, words):
    path = tmp_path / "f"
    path.write_bytes(data)
    refuses(path, *words)


def test_other_npz_files(tmp_path):
    path = tmp_path / "f.npz"
    np.savez(path, a=np.zeros(3))
    refuses(path, "got a zip archive without a header")


def test_missing_file_and_folder_stay_os_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        checkpoint.load_archive(tmp_path / "nowhere", "network")
    with pytest.raises(OSError, match=str(tmp_path)):
        checkpoint.load_archive(tmp_path, "network")


@pytest.mark.parametrize(
    ("header", "arrays", "error", "message"),
    [
        ({}, {}, ValueError, "header: expected 'kind'"),
        ({"kind": "k", "arrays": 1}, {}, ValueError, "header: .*none of"),
        ({"kind": "k", "lr": float("nan")}, {}, ValueError, "JSON"),
        ({"kind": "k"}, {"header": np.zeros(1)}, ValueError, "arrays: .*'header'"),
        ({"kind": "k"}, {"a": np.array([None])}, TypeError, "a: expected an array .*object"),
        ({"kind": "k"}, {"a": np.array(["x"])}, TypeError, "a: expected an array .*<U1"),
    ],
)
def test_what_cannot_be_saved_leaves_nothing(tmp_path, header, arrays, error, message):
    with pytest.raises(error, match=message):
        checkpoint.save_archive(tmp_path / "a", header, arrays)
    assert files(tmp_path) == []


# Writing


def write(path, data):
    with checkpoint.atomic_write(path) as file:
        file.write(data)


def test_write_replaces_the_whole_file(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"a longer old content")
    write(path, b"new")
    assert path.read_bytes() == b"new"
    assert files(tmp_path) == ["f"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [None, b"old"])
def test_failing_write_leaves_the_old_file(tmp_path, old, error):
    path = tmp_path / "f"
    if old is not None:
        path.write_bytes(old)

    def fail(file):
        file.write(b"half")
        raise error

    with pytest.raises(error), checkpoint.atomic_write(path) as file:
        fail(file)
    assert files(tmp_path) == ([] if old is None else ["f"])
    assert old is None or path.read_bytes() == old


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_failing_disk_leaves_the_old_file(tmp_path, monkeypatch, call):
    path = tmp_path / "f"
    path.write_bytes(b"old")

    def fail(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        write(path, b"new")
    assert path.read_bytes() == b"old"
    assert files(tmp_path) == ["f"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows opens no folders")
def test_file_and_folder_are_synced_around_the_rename(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def recording_fsync(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        size = None if is_folder else os.fstat(descriptor).st_size
        calls.append(("folder", None) if is_folder else ("file", size))
        fsync(descriptor)

    def recording_replace(*args, **kwargs):
        calls.append(("rename", None))
        replace(*args, **kwargs)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(os, "replace", recording_replace)
    write(tmp_path / "f", b"12345")
    assert calls == [("file", 5), ("rename", None), ("folder", None)]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "f", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege")
def test_symbolic_link_is_followed(tmp_path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "there" / "f")
    write(link, b"x")
    assert link.is_symlink()
    assert files(tmp_path / "there") == ["f"]


def test_no_such_folder_names_the_file_asked_for(tmp_path):
    path = tmp_path / "none" / "f"
    with pytest.raises(FileNotFoundError) as caught:
        write(path, b"x")
    assert caught.value.filename == str(path)


def test_folder_in_the_way(tmp_path):
    (tmp_path / "d").mkdir()
    with pytest.raises(OSError, match="d'") as caught:
        write(tmp_path / "d", b"x")
    assert caught.value.filename == str(tmp_path / "d")
    assert files(tmp_path) == ["d"]


@pytest.mark.skipif(sys.platform != "linux", reason="uses Linux's permissions")
def test_unwritable_folder(tmp_path):
    # Root may write anywhere but in /proc.
    folder = tmp_path if os.geteuid() else Path("/proc")
    if os.geteuid():
        tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="fanin-test") as caught:
        write(folder / "fanin-test", b"x")
    assert caught.value.filename.endswith("fanin-test")


def _keep_saving(path, stop):
    value = 0
    while not stop.is_set():
        value += 1
        arrays = {name: np.full(20_000, value, np.float32) for name in ("a", "b")}
        checkpoint.save_archive(path, {"kind": "k", "value": value}, arrays)


def test_concurrent_reader_sees_whole_files_only(tmp_path):
    path = tmp_path / "f"
    checkpoint.save_archive(path, {"kind": "k", "value": 0}, {n: np.zeros(20_000) for n in "ab"})
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    writers = [context.Process(target=_keep_saving, args=(path, stop)) for _ in range(2)]
    for writer in writers:
        writer.start()
    seen = set()
    try:
        while len(seen) < 20 and all(w.is_alive() for w in writers):
            header, arrays = checkpoint.load_archive(path, "k")
            assert (arrays["a"] == header["value"]).all()
            assert (arrays["b"] == header["value"]).all()
            seen.add(header["value"])
    finally:
        stop.set()
        for writer in writers:
            writer.join(HANG)
    assert [w.exitcode for w in writers] == [0, 0]
    assert len(seen) >= 20
    assert files(tmp_path) == ["f"]
