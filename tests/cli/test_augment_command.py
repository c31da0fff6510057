"""``fanin augment``: the picture, the pipeline that it writes, and its errors."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fanin import datasets
from fanin.augment import Compose, parse
from fanin.cli import augment, main

WORDS = "crop:2,flip,jitter:.4"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FANIN_DATA", raising=False)


@pytest.fixture
def colours(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "colours.npz",
        X=rng.integers(0, 256, (40, 16, 12, 3), dtype=np.uint8),
        y=np.arange(40) % 4,
    )
    return "colours.npz"


def check_png(path):
    content = Path(path).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert int.from_bytes(content[16:20], "big") >= 800


def test_a_picture_and_the_pipeline(colours, capsys):
    pytest.importorskip("matplotlib")
    options = ["--pipeline", WORDS, "--out", "here.png", "--json", "pipeline.json", "--seed", "7"]
    assert main(["augment", colours, *options, "--rows", "3", "--variants", "2"]) == 0
    printed = capsys.readouterr()
    aug = Compose(parse(WORDS, size=(16, 12)), seed=7)
    assert printed.err == ""
    assert printed.out.splitlines() == [
        repr(aug),
        "3 images, 2 variants of each; saved here.png, pipeline.json",
    ]
    check_png("here.png")
    assert Compose.from_json(Path("pipeline.json").read_text()) == aug
    assert main(["augment", colours, "--pipeline", "pipeline.json", "--out", "again.png",
                 "--rows", "3", "--variants", "2", "--seed", "7"]) == 0  # fmt: skip
    assert Path("again.png").read_bytes() == Path("here.png").read_bytes()


def test_what_is_drawn_goes_by_seed(colours, monkeypatch):
    pytest.importorskip("matplotlib")
    seen = []
    original = augment.plots.augmentations

    def noted(X, aug, **options):
        seen.append((np.asarray(X), aug, options["labels"]))
        return original(X, aug, **options)

    monkeypatch.setattr(augment.plots, "augmentations", noted)
    for seed in ("0", "0", "1"):
        assert main(["augment", colours, "--pipeline", WORDS, "--rows", "4", "--seed", seed]) == 0
    (first, aug, labels), (again, same, _), (other, different, _) = seen
    assert sorted(labels) == ["0", "1", "2", "3"]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert aug == same
    assert (aug.seed, different.seed) == (0, 1)
    check_png("grid.png")


def test_each_class_comes_before_any_comes_again():
    classes = np.repeat([0, 1, 2], [50, 3, 1])
    for seed in range(5):
        chosen = augment._of_all_classes(classes, 6, seed)
        assert sorted(classes[chosen[:3]]) == [0, 1, 2]
        assert sorted(classes[chosen[3:5]]) == [0, 1]
        assert len(set(chosen.tolist())) == 6


def test_names_and_float_images(tmp_path):
    pytest.importorskip("matplotlib")
    assert main(["augment", "digits", "--pipeline", "rotate:10", "--rows", "2"]) == 0
    (X, y), _ = datasets.load("digits")
    np.savez(tmp_path / "floats.npz", X=X[:50] / 16, y=y[:50])
    assert main(["augment", "floats.npz", "--pipeline", "noise,five:6", "--rows", "2"]) == 0


def test_mixed_images(colours, capsys):
    pytest.importorskip("matplotlib")
    assert main(["augment", colours, "--pipeline", "flip,cutmix:1", "--rows", "3"]) == 0
    assert "CutMix" in capsys.readouterr().out


def test_a_folder_of_images_of_any_size(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    for name, size, mode in (("a", (30, 20), "RGB"), ("b", (25, 40), "L"), ("c", (9, 9), "RGB")):
        image.new(mode, size, 90).save(tmp_path / f"{name}.png")
    assert main(["augment", ".", "--pipeline", "rrc:16,flip", "--rows", "3", "--out", "g.png"]) == 0
    capsys.readouterr()
    (tmp_path / "g.png").unlink()
    assert main(["augment", ".", "--pipeline", "crop:4"]) == 2
    said = capsys.readouterr().err
    assert "the images are of 3 sizes: begin with rrc:224 or resize:224x224" in said
    assert main(["augment", ".", "--pipeline", "flip"]) == 1
    assert "add a Resize or a crop" in capsys.readouterr().err
    (tmp_path / "deep" / "cats").mkdir(parents=True)
    (tmp_path / "deep" / "dogs").mkdir()
    for folder in ("cats", "dogs"):
        image.new("RGB", (8, 8)).save(tmp_path / "deep" / folder / "one.png")
    images, labels = augment._images("deep", 5, 0)
    assert images.shape == (2, 8, 8, 3)
    assert sorted(labels) == ["cats", "dogs"]
    (tmp_path / "empty").mkdir()
    assert main(["augment", "empty", "--pipeline", "flip"]) == 1
    assert "empty: expected images in that folder or below, got none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--pipeline", "crop:4,blur"], 2, "--pipeline: expected words among crop, rrc, "),
        (["--pipeline", "crop:x"], 2, "--pipeline: cannot read 'crop:x'"),
        (["--pipeline", "flip,,flip"], 2, "--pipeline: expected a word between any two commas"),
        ([], 2, "--pipeline"),
        (["--pipeline", "none.json"], 1, "none.json: No such file"),
        (["--pipeline", "bad.json"], 1, "bad.json: "),
        (["--pipeline", "flip", "--rows", "0"], 2, "at least 1, got '0'"),
        (["--pipeline", "flip", "--variants", "99"], 1, "variants: expected"),
        (["--pipeline", "flip", "--out", "grid.xyz"], 1, "path: expected a suffix of"),
        (["--pipeline", "normalize,flip"], 1, "Normalize"),
        (["--pipeline", "five:99"], 1, "99"),
    ],
)
def test_errors_are_one_line(options, code, message, colours, capsys):
    pytest.importorskip("matplotlib")
    Path("bad.json").write_text('{"format": "nothing"}')
    assert main(["augment", colours, *options]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("fanin: error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert not Path("grid.png").exists()


def test_rows_of_features_are_no_images(tmp_path, capsys):
    np.savez(tmp_path / "table.npz", X=np.ones((20, 5)), y=np.arange(20) % 2)
    assert main(["augment", "table.npz", "--pipeline", "flip"]) == 1
    assert "table.npz: expected images (N, H, W) or (N, H, W, C), got" in capsys.readouterr().err


def test_without_matplotlib_the_extra_is_named(colours, monkeypatch, capsys):
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["augment", colours, "--pipeline", WORDS]) == 1
    assert "pip install fanin[plot]" in capsys.readouterr().err


def test_long_labels_are_shortened():
    assert augment._short("short") == "short"
    text = augment._short("a name that is far too long")
    assert len(text) == augment.LONGEST_LABEL
    assert text.endswith("…")
