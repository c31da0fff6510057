"""``fanin lecture``: the numbers it prints, the pictures and the page it leaves."""

import base64
import io
import math
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from lecture_cases import PRINTED, save_small

import fanin
from fanin.callbacks.history import History
from fanin.chapters import init, sgd
from fanin.chapters.story import Data, curve, final
from fanin.cli import lecture, main
from fanin.document.text import chapter_lines

TITLES = (
    "Small random numbers (std 0.01) with tanh",
    "Larger random numbers (std 0.05) with tanh",
    "Xavier with tanh",
    "Xavier with ReLU",
    "Kaiming (MSRA) with ReLU",
)
PICTURES = 42  # of a machine without data sets or with
VERDICTS = ["vanishing", "saturated", "healthy", "vanishing", "healthy"]
LINE = re.compile(r"\[ (\d) layers\]  mean:(-?\d\.\d\d) std:(\d\.\d\d)")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FANIN_DATA", raising=False)


@pytest.fixture
def small(tmp_path):
    return save_small(tmp_path / "small.npz")


class Reader(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.sources, self.sections, self.alts = set(), [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.add(tag)
        self.links += [attrs["href"]] if "href" in attrs else []
        self.sections += [attrs["id"]] if tag == "section" else []
        if tag == "img":
            self.sources.append(attrs["src"])
            self.alts.append(attrs["alt"])
        assert not any(name.startswith("on") for name in attrs)


def check_page(folder):
    """The page needs nothing beside it, and its images are the folder's; gives its reader."""
    image = pytest.importorskip("PIL.Image")
    text = (folder / "lecture.html").read_text(encoding="utf-8")
    reader = Reader(text)
    assert not re.search(r"https?:|url\(|@import|file:", text)
    assert not reader.tags & {"script", "link", "iframe", "object", "embed", "video", "form"}
    assert 'name="viewport"' in text
    assert "prefers-color-scheme: dark" in text
    assert all(link.startswith("#") for link in reader.links)
    assert [link[1:] for link in reader.links] == reader.sections
    files = sorted(path.read_bytes() for path in folder.iterdir() if path.suffix != ".html")
    inside = []
    for source in reader.sources:
        kind, data = re.fullmatch(r"data:image/(png|gif);base64,([\w+/=]+)", source).groups()
        inside.append(base64.b64decode(data, validate=True))
        with image.open(io.BytesIO(inside[-1])) as picture:
            assert picture.format == kind.upper()
            assert picture.width >= 600
            picture.load()
    assert sorted(inside) == files
    assert all(len(alt) > 20 for alt in reader.alts)
    return reader


# init


def check_init(printed):
    for title, expected in zip(TITLES, PRINTED.values(), strict=True):
        part = printed[printed.index(title) :]
        found = [LINE.fullmatch(one) for one in part.splitlines()[1:7]]
        assert [int(one[1]) for one in found] == [1, 2, 3, 4, 5, 6]
        assert [float(one[3]) for one in found] == pytest.approx(expected, abs=0.04)
    assert re.findall(r"^verdict: (\w+) \(", printed, re.M) == VERDICTS
    assert len(LINE.findall(printed)) == 30


@pytest.mark.row("I2")
def test_init_prints_the_lectures_lines_and_leaves_the_histograms(told):
    pytest.importorskip("matplotlib")
    check_init(told.printed)
    assert len(list(told.folder.glob("init-*.png"))) == 11


@pytest.mark.row("I2")
def test_init_is_the_lectures_for_every_seed(small, monkeypatch):
    monkeypatch.setattr(init, "EPOCHS", 1)
    seed = 2**40
    check_init("\n".join(chapter_lines(init.chapter(Data.load(small, seed), seed))))


def test_a_norm_makes_up_for_a_bad_initialisation(on_digits):
    text = "\n".join(chapter_lines(on_digits("init").chapter))
    check_init(text)
    part = text[text.index("A norm makes up for a bad initialisation") :]
    rows = cells(part, "Standard deviation of each layer's activations")[:9]
    assert [row[1] for row in rows] == ["alone", "layer norm", "batch norm"] * 3
    assert [row[-1] for row in rows[::3]] == ["vanishing", "saturated", "vanishing"]
    for begin in (1, 2, 4, 5, 7, 8):
        spreads = [float(cell) for cell in rows[begin][2:8]]
        assert max(spreads) - min(spreads) <= 0.03
        assert spreads[0] > 0.5
    assert rows[1][2:] == rows[4][2:]  # the scale of the weights is gone
    assert rows[2][2:] == rows[5][2:]
    trained = {tuple(row[:2]): row[2:] for row in cells(part, "Two initialisations, 10 epochs")}
    assert len(trained) == 8
    test = {way: float(row[-1].rstrip(" %")) for way, row in trained.items()}
    assert test["small (std 0.01)", "alone"] < 50
    assert min(value for way, value in test.items() if way != ("small (std 0.01)", "alone")) > 90


def test_panels_of_the_ways_have_the_same_axes_and_one_legend():
    pytest.importorskip("matplotlib")
    ways = ("alone", "layer norm")
    losses = {"good": ([1.0, 0.01], [1.0, 0.02]), "bad": ([2.3, 2.2], [2.0, 1.0])}
    runs = {
        start: {
            way: SimpleNamespace(epoch=[0, 1], history={"loss": loss})
            for way, loss in zip(ways, values, strict=True)
        }
        for start, values in losses.items()
    }
    axes = init.draw_ways(runs)
    assert [panel.get_title(loc="left") for panel in axes] == ["good", "bad"]
    assert axes[0].get_ylim() == axes[1].get_ylim()
    assert {panel.get_yscale() for panel in axes} == {"log"}
    assert [panel.get_legend() for panel in axes] == [None, None]
    (legend,) = axes[0].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(ways)


def test_without_matplotlib_the_numbers_come_and_a_note_names_the_extra(small, monkeypatch, capsys):
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["lecture", "sgd", "--out", "story", "--data", small]) == 0
    printed = capsys.readouterr()
    assert "One epoch over the N = 90 rows" in printed.out
    assert printed.err.count("\n") == 1
    assert "fanin: note: no pictures" in printed.err
    assert "pip install fanin[plot]" in printed.err
    assert [path.name for path in Path("story").iterdir()] == ["lecture.html"]
    assert "N = 90 rows" in Path("story/lecture.html").read_text(encoding="utf-8")


# the other chapters


def test_a_chapter_leaves_its_pictures_and_one_page(small, capsys):
    pytest.importorskip("matplotlib")
    assert main(["lecture", "sgd", "--data", small, "--out", "deep/story"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "saved in" in printed.out.splitlines()[-1]
    reader = check_page(Path("deep/story"))
    assert reader.sections == ["sgd"]
    assert all(path.name.startswith(("sgd", "lecture.")) for path in Path("deep/story").iterdir())


def test_all_chapters_in_the_lectures_order(told, small, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    reader = check_page(told.folder)
    assert tuple(reader.sections) == lecture.CHAPTERS
    assert len(reader.sources) == PICTURES
    monkeypatch.setattr(sgd, "EPOCHS", 1)
    for out in ("runs/lecture", "runs/lecture-2"):  # beside it, not over it
        assert main(["lecture", "sgd", "--data", small]) == 0
        assert Path(out, "lecture.html").exists()
    capsys.readouterr()


def cells(text, title):
    """The rows of the table under that title, as printed."""
    lines = text[text.index(title) :].splitlines()[1:]
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines]
    return rows[1 : next((i for i, row in enumerate(rows) if row == [""]), len(rows))]


def test_iterations_of_an_epoch_are_counted(told):
    rows = cells(told.printed, "One epoch over the N = 90 rows")[:5]
    sizes = [1, 32, 64, 90, 90]  # 128 is more than there are
    for row, size in zip(rows, sizes, strict=True):
        assert row[0].split()[0] == str(size)
        assert int(row[2]) == math.ceil(90 / size)


def test_digits_tell_the_story_of_dropout_and_of_the_mask(on_digits):
    text = "\n".join(chapter_lines(on_digits("dropout").chapter))
    rows = {row[0]: row[1:] for row in cells(text, "After 60 epochs")}
    (plain, plain_test), (dropped, dropped_test) = (
        [float(cell.rstrip(" %")) for cell in rows[name][:2]]
        for name in ("all units", "dropout, keep 0.5")
    )
    assert plain > 99 > dropped  # it has learned the wrong labels too
    assert dropped_test > plain_test + 2
    forms = cells(text, "Mean of 8 units")[:2]
    for row in forms:
        assert float(row[2]) == pytest.approx(float(row[4]), rel=0.01)
    shares = re.search(r"randn (0\.\d+)   rand (0\.\d+)", text)
    assert float(shares[1]) == pytest.approx(0.6915, abs=0.002)
    assert float(shares[2]) == pytest.approx(0.5, abs=0.002)


def test_the_same_seed_tells_the_same_story_with_any_number_of_threads(small, capsys):
    pages = []
    before = fanin.get_num_threads()
    try:
        for threads, seed, out in ((1, 3, "a"), (3, 3, "b"), (1, 4, "c")):
            fanin.set_num_threads(threads)
            assert main(["lecture", "sgd", "--data", small, "--seed", str(seed), "--out", out]) == 0
            pages.append(Path(out, "lecture.html").read_bytes())
    finally:
        fanin.set_num_threads(before)
    capsys.readouterr()
    assert pages[0] == pages[1]
    assert pages[0] != pages[2]


# data


def test_a_table_of_numbers_tells_it_too(capsys):
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    X = rng.normal(size=(80, 3)) + y[:, None]
    X[:, 2] = 3 * X[:, 0] + 0.1 * rng.normal(size=80)
    rows = "\n".join(",".join(map(str, [*x, label])) for x, label in zip(X, y, strict=True))
    Path("trees.csv").write_text(f"a,b,c,label\n{rows}\n")
    points, names = Data.load("trees.csv", 0).two_features()
    assert names == "columns 1 and 3"
    assert points.shape == (64, 2)
    assert main(["lecture", "preprocessing", "--data", "trees.csv"]) == 0
    assert "whitened" in capsys.readouterr().out


def test_large_data_are_thinned_by_the_seed(monkeypatch, small):
    monkeypatch.setattr("fanin.chapters.story.MOST_ROWS", 40)
    first, again, other = (Data.load(small, seed) for seed in (1, 1, 2))
    assert len(first.y) == len(first.X) == 40
    assert len(first.y_test) == 30
    assert np.array_equal(first.X, again.X)
    assert not np.array_equal(first.X, other.X)


def test_a_run_without_a_finished_epoch_has_no_numbers():
    history = History()
    history.stop_reason = "diverged"
    assert np.isnan(final(history, "loss"))
    assert np.isnan(curve(history, "accuracy")).all()


# what goes wrong


def failed(capsys, *arguments, code):
    assert main(["lecture", *arguments]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("fanin: error: ")
    return line


def test_wrong_use_is_one_line(capsys, small):
    line = failed(capsys, "whitening", code=2)
    assert "'whitening'" in line
    assert "preprocessing" in line
    assert "--seed" in failed(capsys, "--seed", "-1", code=2)
    assert "expected one of digits" in failed(capsys, "init", "--data", "digit", code=1)
    Path("taken").write_text("")
    assert "taken" in failed(capsys, "init", "--data", small, "--out", "taken", code=1)
    assert "taken" in failed(capsys, "init", "--data", small, "--out", "taken/deep", code=1)
    assert not Path("runs").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="folders there have no such mode")
def test_a_folder_that_cannot_be_written_is_named_before_anything_runs(capsys, small, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fanin.cli.shared.tempfile.TemporaryFile", refuse)
    assert "cannot write" in failed(capsys, "init", "--data", small, "--out", "x", code=1)
