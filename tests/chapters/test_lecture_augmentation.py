"""``fanin lecture augmentation``: its pictures, what they are of, and its numbers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from fanin.chapters import augmentation, images, mixing
from fanin.chapters.images import Images
from fanin.chapters.story import Data
from fanin.cli import main
from fanin.document.blocks import Heading, Picture, Table

PICTURES = ["flips", "crops", "colour", "others", "training"]
MIXING = ["cutout", "labels", "training"]


@pytest.fixture(autouse=True)
def small_and_alone(tmp_path, monkeypatch):
    """In an empty folder, of a machine without data sets, with short training."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FANIN_CIFAR10", raising=False)
    monkeypatch.setattr(images.named, "installed", lambda name: None)  # noqa: ARG005
    for chapter in (augmentation, mixing):
        monkeypatch.setattr(chapter, "EPOCHS", 2)
        monkeypatch.setattr(chapter, "HIDDEN", 16)


def saved(path, height, width, channels=0, classes=3, n=60, dtype="uint8"):
    rng = np.random.default_rng(0)
    shape = (n, height, width, channels) if channels else (n, height, width)
    X = rng.integers(0, 256, shape).astype(dtype)
    np.savez(path, X=X if dtype == "uint8" else X / 255, y=np.arange(n) % classes)
    return str(path)


@pytest.mark.parametrize("channels", [0, 1, 3])
def test_pictures_page_and_numbers(channels, capsys):
    pytest.importorskip("matplotlib")
    data = saved("small.npz", 9, 6, channels)
    assert main(["lecture", "augmentation", "--data", data, "--out", "story"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    names = [f"augmentation-{name}.png" for name in PICTURES]
    assert sorted(path.name for path in Path("story").iterdir()) == sorted([*names, "lecture.html"])
    assert all(Path("story", name).read_bytes().startswith(b"\x89PNG") for name in names)
    page = Path("story/lecture.html").read_text(encoding="utf-8")
    assert '<section id="augmentation">' in page
    assert page.count("<img") == len(names)
    way = "crop, flip" if channels else "small moves"
    rows = re.findall(r"^  (none|crop, flip|small moves) +(\d+\.\d %)", printed.out, re.M)
    assert [name for name, _ in rows] == ["none", way]


def test_cutout_mixup_and_cutmix(capsys):
    pytest.importorskip("matplotlib")
    data = saved("small.npz", 9, 6)
    assert main(["lecture", "mixing", "--data", data, "--out", "story"]) == 0
    names = sorted([f"mixing-{name}.png" for name in MIXING] + ["lecture.html"])
    assert sorted(path.name for path in Path("story").iterdir()) == names
    rows = re.findall(r"^  (none|Cutout|Mixup|CutMix) +\d+\.\d %", capsys.readouterr().out, re.M)
    assert rows == ["none", "Cutout", "Mixup", "CutMix"]


def test_the_lectures_headings_and_sentences_are_there():
    data = Data.load(saved("small.npz", 24, 24, 3), 0)
    for module, names, pictures, ways in (
        (augmentation, ["Horizontal flips", "Random crops and scales", "Colour jitter",
                        "And others"], PICTURES, 2),
        (mixing, ["Cutout", "Mixup", "CutMix"], MIXING, 4),
    ):  # fmt: skip
        chapter = module.chapter(data, 0)
        headings = [block.text for block in chapter.blocks if isinstance(block, Heading)]
        assert headings[:-1] == names
        (table,) = [block for block in chapter.blocks if isinstance(block, Table)]
        assert len(table.rows) == ways
        alts = [block.alt for block in chapter.blocks if isinstance(block, Picture)]
        assert len(set(alts)) == len(pictures)


def test_one_image_of_each_class():
    data = Data.load(saved("many.npz", 30, 24, 3, classes=7), 0)
    shown = Images.of(data, 0)
    assert shown.X.shape == (7, 30, 24, 3)
    assert sorted(shown.labels) == [str(i) for i in range(7)]
    for image, label in zip(shown.X, shown.labels, strict=True):
        same = (image == data.X).all(axis=(1, 2, 3))
        assert data.y[same].tolist() == [int(label)]
    assert shown.one(2).tobytes() == shown.X[2].tobytes()


def test_images_of_cifar_10_take_the_place_of_small_ones(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    np.savez("cifar.npz", x=x, y=np.arange(60) % 10)
    small = Data.load(saved("small.npz", 9, 9), 0)
    large = Data.load(saved("large.npz", 24, 24), 0)
    assert Images.of(small, 0).X.shape[1:] == (9, 9)
    monkeypatch.setenv("FANIN_CIFAR10", "cifar.npz")
    shown = Images.of(small, 0)
    assert shown.source == "CIFAR-10"
    assert shown.X.shape == (10, 32, 32, 3)
    assert set(shown.labels) >= {"airplane", "frog", "truck"}
    assert Images.of(large, 0).source == "large"


def test_data_without_images_have_pictures_of_others_and_no_training(capsys):
    np.savez("table.npz", X=np.random.default_rng(0).random((40, 5)), y=np.arange(40) % 2)
    chapter = augmentation.chapter(Data.load("table.npz", 0), 0)
    assert not [block for block in chapter.blocks if isinstance(block, Table)]
    files = [block.file for block in chapter.blocks if isinstance(block, Picture)]
    assert files == [f"augmentation-{name}.png" for name in PICTURES[:-1]]
    pytest.importorskip("matplotlib")
    assert main(["lecture", "augmentation", "--data", "table.npz", "--out", "story"]) == 0
    assert "augmentation-others.png" in capsys.readouterr().out


@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_float_images_are_shown_where_a_pipeline_takes_them(scale):
    X = np.random.default_rng(0).random((40, 24, 24, 3)).astype(np.float32) * scale
    np.savez("floats.npz", X=X, y=np.arange(40) % 2)
    shown = Images.of(Data.load("floats.npz", 0), 0)
    assert shown.source == ("floats" if scale == 1 else "digits")


def test_a_seed_gives_the_same_chapter():
    data = Data.load(saved("small.npz", 8, 8), 0)
    first, again, other = (
        next(b for b in augmentation.chapter(data, seed).blocks if isinstance(b, Table)).rows
        for seed in (0, 0, 5)
    )
    assert first == again
    assert first != other
