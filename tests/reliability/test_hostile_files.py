"""Files that were made to do harm, or are none: refused at once, by name, in little memory."""

from __future__ import annotations

import gzip
import http.server
import io
import os
import re
import socket
import struct
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fuzz_loaders
import numpy as np
import pytest
from children import printed_by, with_support

import fanin
from fanin.cli import main
from fanin.datasets import folders, named
from fanin.ensemble import Ensemble
from fanin.tuning import Report

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pipes and devices of Linux")


def config_of(path: Path) -> Any:
    from fanin.cli import predict

    return predict._older_facts(path.parent, 2)


LOADERS: dict[str, Callable[[Path], Any]] = {
    "net.fanin": fanin.MLP.load,
    "pair.fanin": Ensemble.load,
    "history.json": fanin.callbacks.History.load,
    "pipeline.json": fanin.augment.Compose.load,
    "report.html": Report.load,
    "config.json": config_of,
    "d.npz": fanin.datasets.load,
    "d.csv": fanin.datasets.load,
    "rows.tsv": fanin.datasets.rows,
    "images-idx3-ubyte": named.read_idx,
    "images-idx3-ubyte.gz": named.read_idx,
}


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "link to a device"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    with socket.socket(socket.AF_UNIX) as server:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            server.bind(str(path))
        elif kind == "device" and os.geteuid() == 0:
            try:
                os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero has no end
            except PermissionError:
                pytest.skip("no devices in this container")
        else:
            path.symlink_to("/dev/zero")
        expected = "device" if "device" in kind else kind
        with pytest.raises(fanin.FileError, match=f"expected a file, got a {expected}") as caught:
            LOADERS[name](path)
    assert caught.value.path == str(path)


@pytest.mark.parametrize("name", LOADERS)
def test_folders_and_missing_files_stay_os_errors(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match=r"."):
        LOADERS[name](tmp_path / name)


def test_a_log_is_not_read_from_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log.csv")
    logger = fanin.callbacks.CSVLogger(tmp_path / "log.csv", append=True)
    with pytest.raises(fanin.FileError, match="got a pipe"):
        logger.on_train_begin()


def test_commands_do_not_wait_for_a_pipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("d.csv", "net", "p.json"):
        os.mkfifo(name)
    for words in (
        ["train", "d.csv"],
        ["search", "d.csv"],
        ["guide", "d.csv"],
        ["predict", "net", "d.csv"],
        ["augment", "digits", "--pipeline", "p.json"],
    ):
        assert main(words) == 1
        assert "expected a file, got a pipe" in capsys.readouterr().err


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    image = pytest.importorskip("PIL.Image")
    for name in ("a", "b"):
        (tmp_path / "d" / name).mkdir(parents=True)
        for i in range(3):
            image.fromarray(np.full((4, 4), i, np.uint8)).save(tmp_path / "d" / name / f"{i}.png")
    return tmp_path / "d"


def test_a_pipe_among_images_is_refused_by_name(pictures: Path) -> None:
    os.mkfifo(pictures / "a" / "pipe.png")
    with pytest.raises(fanin.FileError, match=r"a/pipe\.png: expected a file, got a pipe"):
        fanin.datasets.load(pictures)


def test_links_out_of_a_data_set_are_refused(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "x.png").write_bytes((pictures / "a" / "0.png").read_bytes())
    for link, goal in (
        ("c", "../else"),
        ("a/x.png", "../../else/x.png"),
        ("c", str(tmp_path / "else")),
    ):
        (pictures / link).symlink_to(goal)
        with pytest.raises(fanin.FileError, match="expected a link within"):
            fanin.datasets.load(pictures)
        (pictures / link).unlink()
    (pictures / "c").symlink_to("a")
    assert fanin.datasets.load(pictures, return_info=True)[2].class_names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("side", "text"),
    [(60_000, "decompression bomb"), (9_000, r"got 9000 x 9000 pixels in 69 bytes")],
)
def test_an_image_of_many_pixels_is_refused(pictures: Path, side: int, text: str) -> None:
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = chunk(b"IHDR", struct.pack(">2I5B", side, side, 8, 0, 0, 0, 0))
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + head
        + chunk(b"IDAT", zlib.compress(bytes(100)))
        + chunk(b"IEND", b"")
    )
    (pictures / "a" / "0.png").write_bytes(bomb)
    with pytest.raises(fanin.FileError, match=rf"a/0\.png: .*{text}"):
        folders.read_folder(pictures)


@pytest.mark.parametrize("name", ["1.png", "8.png", "8.jpg", "24.gif"])
def test_blank_images_are_images(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    monkeypatch.setattr(folders, "ALWAYS_PIXELS", 1000)
    mode = {"1": "1", "8": "L", "24": "RGB"}[name.split(".")[0]]
    Image.new(mode, (2000, 1000)).save(tmp_path / name, optimize=True)
    assert folders.read_unlabelled(tmp_path).X.shape[:3] == (1, 1000, 2000)


# More than they seem


def zipped(path: Path, compression: int, **arrays: np.ndarray[Any, Any]) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, array in arrays.items():
            file = io.BytesIO()
            np.save(file, array)
            archive.writestr(f"{name}.npy", file.getvalue())


PEAK = """
    import sys
    import fanin
    import memory
    from fanin.datasets import named
    load = {load}
    before = memory.begin()
    try:
        load(sys.argv[1])
    except fanin.FileError as error:
        print(error, file=sys.stderr)
        print(memory.peak() - before)
"""


def peak_mib(path: Path, load: str = "fanin.datasets.load") -> float:
    """What a child needed in memory to refuse a file."""
    return float(printed_by(PEAK.format(load=load), str(path), env=with_support()))


def test_an_archive_is_not_unfolded_to_a_thousand_times_its_size(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    zipped(
        path, zipfile.ZIP_DEFLATED, X=np.zeros((2**20, 100), np.uint8), y=np.zeros(2**20, np.uint8)
    )
    assert path.stat().st_size < 2**18
    assert peak_mib(path) < 32
    with pytest.raises(
        fanin.FileError, match=r"expected at most 64 MiB when unfolded .*, got 101 MiB"
    ):
        fanin.datasets.load(path)


def test_what_is_not_compressed_may_be_large(tmp_path: Path) -> None:
    y = np.arange(2**20, dtype=np.uint8) % 2
    zipped(tmp_path / "d.npz", zipfile.ZIP_STORED, X=np.zeros((2**20, 100), np.uint8), y=y)
    (X, _), _ = fanin.datasets.load(tmp_path / "d.npz")
    assert X.shape[1:] == (100,)


def test_a_header_that_promises_more_claims_no_memory(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.save(file, np.zeros((20, 3)))
    lie = file.getvalue().replace(b"(20, 3), }         ", b"(99999999999, 3), }")
    assert lie != file.getvalue()
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("X.npy", lie)
        archive.writestr("y.npy", lie)
    assert peak_mib(tmp_path / "d.npz") < 32


def test_packed_bytes_that_unfold_without_end(tmp_path: Path) -> None:
    header = b"\0\0\x08\x03" + struct.pack(">3I", 2**10, 2**10, 2**10)
    path = tmp_path / "x-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(header + bytes(2**24)))
    assert peak_mib(path, "lambda path: named.read_idx(named.Path(path))") < 32


@pytest.mark.parametrize("kind", [tarfile.XGLTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_a_tar_that_unfolds_to_a_gigabyte(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("header")
    info.type, info.size = kind, 2**30
    path = tmp_path / named._CIFAR
    path.write_bytes(gzip.compress(info.tobuf() + bytes(2**23)))
    assert peak_mib(path, "lambda path: named._cifar_parts(named.Path(path).parent)") < 32
    with pytest.raises(fanin.FileError, match=r"at most 64 MiB when unfolded .*, got 1024 MiB"):
        named._cifar_parts(tmp_path)


def test_a_network_that_says_it_is_larger_claims_no_memory(tmp_path: Path) -> None:
    net = fanin.MLP([4, 3, 2])
    state = net.__getstate__()
    arrays = state.pop("arrays")
    config = state["config"] | {"dims": [2**15, 2**15, 2]}
    header = state | {"kind": "network", "config": config}
    fanin.checkpoint.save_archive(tmp_path / "net", header, arrays)
    assert peak_mib(tmp_path / "net", "fanin.MLP.load") < 16
    with pytest.raises(fanin.FileError, match="parameters: expected those of"):
        fanin.MLP.load(tmp_path / "net")


# The time to refuse a file grows as it does, not as its square


LARGE = {
    "report.html": b'<script type="application/json" id="fanin-report">' * 40_000,
    "history.json": b"{%b}" % b", ".join(b'"%d": 0' % (i % 60_000) for i in range(60_001)),
    "pipeline.json": b"[" * 10**6,
    "d.csv": b'"' * 10**6,
}


@pytest.mark.parametrize("name", LARGE)
def test_what_is_large_and_makes_no_sense_is_refused_soon(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(LARGE[name])
    with fuzz_loaders.no_hang(), pytest.raises(fanin.FileError):
        LOADERS[name](path)


def test_a_search_that_takes_too_long_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: as pages were read once."""
    monkeypatch.setattr(fuzz_loaders, "HANG", 0.2)
    with fuzz_loaders.no_hang(), pytest.raises(fuzz_loaders.HangError):
        re.search(rb"<script>(.*?)</script>", b"<script>" * 10**5, re.DOTALL)


# Downloads


class Server(http.server.BaseHTTPRequestHandler):
    """Answers as the test says."""

    length: str | None = None
    body: bytes = b""
    endless = False

    def do_GET(self) -> None:
        self.send_response(200)
        if self.length is not None:
            self.send_header("Content-Length", self.length)
        self.end_headers()
        try:
            self.wfile.write(self.body)
            while self.endless:
                self.wfile.write(bytes(1 << 16))
        except ConnectionError:
            pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_data_of_this_machine: None,  # noqa: ARG001
) -> Iterator[type[Server]]:
    class Answer(Server):
        pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        known = named.Known(
            f"http://127.0.0.1:{running.server_port}/", {"one": "0" * 64}, ("a", "b"), 1 << 20
        )
        monkeypatch.setitem(named.KNOWN, "mnist", known)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield Answer
        running.shutdown()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        ("abc", "Content-Length: expected a number, got 'abc'"),
        ("-5", "Content-Length: expected a number, got '-5'"),
        ("9" * 30, "Content-Length: expected a number"),
        (str(1 << 40), "Content-Length: expected at most 1 MiB"),
        ("100", "it ended after 5 of 100 bytes"),
        ("5", "its SHA-256 is "),
        (None, "its SHA-256 is "),
    ],
)
def test_answers_that_make_no_sense(server: type[Server], length: str | None, reason: str) -> None:
    server.length, server.body = length, b"12345"
    with pytest.raises(OSError, match=reason):
        fanin.datasets.load("mnist")


def test_a_download_without_end_has_one(server: type[Server]) -> None:
    server.endless = True
    with pytest.raises(OSError, match="it goes on after 1 MiB"):
        fanin.datasets.load("mnist")
