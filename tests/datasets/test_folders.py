"""Folders of images: parts, links, what is no data, orientation and sizes."""

from __future__ import annotations

import os

import numpy as np
import pytest

from fanin import datasets

image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.usefixtures("no_data_of_this_machine")

if os.name == "nt":
    pytest.skip("links need rights there", allow_module_level=True)


def draw(path, level=0, size=(5, 4), mode="L", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.new(mode, size, level).save(path, **options)
    return path


def classes(folder, n=4, first=0, names=("a", "b")):
    """n grey images for each class, of levels that tell them apart."""
    for k, name in enumerate(names):
        for i in range(n):
            draw(folder / name / f"{i}.png", first + 100 * k + i)
    return folder


def load(path, **options):
    return datasets.load(path, return_info=True, **options)


# Parts


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("Training", "Validation", "Testing"),
        ("TRAIN", "valid", "TEST"),
        ("training", "VAL", "test"),
    ],
)
def test_splits_are_used_as_such(tmp_path, train, val, test):
    for first, part in enumerate((train, val, test)):
        classes(tmp_path / part, n=3, first=10 * first)
    (X, y), (X_test, y_test), info = load(tmp_path)
    assert info.class_names == ("a", "b")
    assert X[:, 0, 0].tolist() == [0, 1, 2, 100, 101, 102]
    assert X_test[:, 0, 0].tolist() == [20, 21, 22, 120, 121, 122]
    X_val, y_val = info.validation
    assert X_val[:, 0, 0].tolist() == [10, 11, 12, 110, 111, 112]
    assert y.tolist() == y_val.tolist() == y_test.tolist() == [0, 0, 0, 1, 1, 1]
    assert info.left_out == ""


def test_a_part_may_be_missing(tmp_path):
    classes(tmp_path / "train", n=10)
    (X, _), (X_test, _), info = load(tmp_path)
    assert info.class_names == ("a", "b")
    assert (len(X), len(X_test), info.validation) == (16, 4, None)
    classes(tmp_path / "val", n=2)
    (X, _), (X_test, _), info = load(tmp_path)
    assert (len(X), len(X_test), len(info.validation[1])) == (16, 4, 4)


def test_classes_may_be_called_like_parts(tmp_path):
    classes(tmp_path, n=5, names=("plane", "train", "car"))
    assert load(tmp_path)[2].class_names == ("car", "plane", "train")
    classes(tmp_path / "two", n=5, names=("test", "train"))
    assert load(tmp_path / "two")[2].class_names == ("test", "train")


@pytest.mark.parametrize(
    ("train", "other"), [("train", "dev"), ("train_set", "test_set"), ("Train-2024", "holdout")]
)
def test_parts_of_other_names_do_not_become_classes(tmp_path, train, other):
    classes(tmp_path / train, n=6)
    classes(tmp_path / other, n=2)
    with pytest.raises(ValueError, match=f"{train} and {other} with the same folders in them"):
        load(tmp_path)
    classes(tmp_path / "two" / "x")  # folders within classes are no parts
    classes(tmp_path / "two" / "y")
    assert load(tmp_path / "two")[2].class_names == ("x", "y")


def test_an_empty_part_and_a_lone_class_are_named(tmp_path):
    classes(tmp_path / "data" / "train")
    with pytest.raises(ValueError, match=r"expected at least two classes, got one .'data'"):
        load(tmp_path)
    (tmp_path / "data" / "val").mkdir()
    with pytest.raises(ValueError, match="val: expected at least one image, got none"):
        load(tmp_path / "data")


def test_classes_of_the_parts(tmp_path):
    classes(tmp_path / "train")
    classes(tmp_path / "test", names=("b",))
    (_, _), (_, y_test), _ = load(tmp_path)
    assert y_test.tolist() == [1] * 4
    classes(tmp_path / "test", names=("c",))
    with pytest.raises(ValueError, match=r"class folders in test as in train \(a, b\), got 'c'"):
        load(tmp_path)


def test_two_folders_of_one_part_are_refused(tmp_path):
    classes(tmp_path / "train")
    classes(tmp_path / "training")
    with pytest.raises(ValueError, match="one folder of the train part, got train and training"):
        load(tmp_path)


def test_a_test_part_without_classes_is_to_predict_for(tmp_path):
    classes(tmp_path / "train", n=10)
    for i in range(3):
        draw(tmp_path / "test" / f"{i}.png", 200 + i)
    (X, _), (X_test, _), info = load(tmp_path)
    assert (len(X), len(X_test)) == (16, 4)
    assert "images without a class in test 3" in info.left_out
    found = datasets.rows(tmp_path)
    assert found.X[:, 0, 0].tolist() == [200, 201, 202]
    assert found.names == ("test/0.png", "test/1.png", "test/2.png")
    assert found.labels is None


def test_folders_beside_the_parts_are_counted(tmp_path):
    for part in ("train", "test"):
        classes(tmp_path / part)
    classes(tmp_path / "extra", n=3)
    assert load(tmp_path)[2].left_out == f"{tmp_path}: left out: images in extra 6"


def test_npz_has_a_validation_part_too(tmp_path):
    X, y = np.zeros((8, 3)), np.arange(8) % 2
    np.savez(tmp_path / "d.npz", X=X, y=y, X_val=X[:4] + 1, y_val=y[:4])
    *_, info = load(tmp_path / "d.npz")
    assert np.array_equal(info.validation[0], X[:4] + 1)
    np.savez(tmp_path / "d.npz", X=X, y=y, X_val=X)
    with pytest.raises(ValueError, match="both X_val and y_val or neither"):
        load(tmp_path / "d.npz")


# Links


def test_links_within_the_data_are_followed(tmp_path):
    classes(tmp_path / "data" / ".pool", names=("x", "y"))
    for name, pool in (("a", "x"), ("b", "y")):
        (tmp_path / "data" / name).symlink_to(tmp_path / "data" / ".pool" / pool)
    (X, _), (X_test, _), info = load(tmp_path / "data")
    assert info.class_names == ("a", "b")
    assert len(X) + len(X_test) == 8
    deep = tmp_path / "data" / "a2"
    deep.mkdir()
    (deep / "more").symlink_to("../.pool/x")
    assert load(tmp_path / "data")[2].class_names == ("a", "a2", "b")


def test_a_linked_root_is_no_link_out(tmp_path):
    classes(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    assert load(tmp_path / "link")[2].class_names == ("a", "b")


@pytest.mark.parametrize("where", ["c", "a/more", "a/9.png"])
def test_links_out_of_the_data_are_refused_by_name(tmp_path, where):
    data = classes(tmp_path / "data")
    classes(tmp_path / "elsewhere")
    path = data / where
    path.symlink_to(tmp_path / "elsewhere" / ("a/0.png" if where.endswith(".png") else "a"))
    with pytest.raises(ValueError, match=r"expected a link within .*, got one to .*elsewhere"):
        load(data)
    with pytest.raises(ValueError, match=path.name):
        datasets.rows(data)


def test_loops_end(tmp_path):
    data = classes(tmp_path / "data")
    (data / "a" / "up").symlink_to("..")
    (data / "b" / "self").symlink_to(".")
    (data / "b" / "me").symlink_to("me")
    (data / "a" / "gone").symlink_to("nothing")
    (data / "round").symlink_to(".")
    for i in range(12):  # a way through all of them in any order would not end
        (data / "a" / f"n{i}").mkdir()
    for i in range(12):
        for k in range(12):
            (data / "a" / f"n{i}" / f"to{k}").symlink_to(f"../n{k}")
    (X, _), (X_test, _), info = load(data)
    assert info.class_names == ("a", "b")
    assert len(X) + len(X_test) == 8
    assert "broken links 2" in info.left_out
    assert "links to a folder above 1" in info.left_out


# What is no data


def test_hidden_files_are_no_data(tmp_path):
    classes(tmp_path)
    draw(tmp_path / ".ipynb_checkpoints" / "0.png")
    draw(tmp_path / "a" / ".ipynb_checkpoints" / "0-checkpoint.png")
    draw(tmp_path / "a" / "._0.png")
    draw(tmp_path / "__MACOSX" / "a" / "0.png")
    (tmp_path / "a" / ".DS_Store").write_bytes(b"x")
    (X, _), (X_test, _), info = load(tmp_path)
    assert info.class_names == ("a", "b")
    assert len(X) + len(X_test) == 8
    assert info.left_out.endswith("left out: hidden 4")
    assert len(datasets.features(tmp_path)) == 8


@pytest.mark.parametrize("suffix", [".jfif", ".JFIF", ".jpe", ".webp", ".tif", ".tga", ".bmp"])
def test_every_kind_of_image_is_read(tmp_path, suffix):
    classes(tmp_path)
    kind = {".jfif": "JPEG", ".jpe": "JPEG"}.get(suffix.lower())
    draw(tmp_path / "a" / f"9{suffix}", 50, format=kind)
    (X, _), (X_test, _) = datasets.load(tmp_path)
    assert len(X) + len(X_test) == 9


def test_what_is_no_image_is_counted_in_a_line(tmp_path):
    classes(tmp_path)
    for name in ("notes.txt", "more.TXT", "old.heic", "README"):
        (tmp_path / "a" / name).write_text("x")
    (tmp_path / "labels.csv").write_text("x")
    note = load(tmp_path)[2].left_out
    assert note == (
        f"{tmp_path}: left out: .csv files 1, .heic files 1, .txt files 2, files without a suffix 1"
    )


def test_frames_after_the_first_are_counted(tmp_path):
    classes(tmp_path)
    frames = [image.new("L", (5, 4), level) for level in (0, 90, 180)]
    frames[0].save(tmp_path / "a" / "9.gif", save_all=True, append_images=frames[1:])
    assert "frames after the first 2" in load(tmp_path)[2].left_out


def test_alpha_channels_are_counted(tmp_path):
    classes(tmp_path)
    draw(tmp_path / "a" / "8.png", (1, 2, 3, 0), mode="RGBA")
    assert load(tmp_path)[2].left_out.endswith("left out: alpha channels 1")


# Orientation and size


def corner(orientation, path, size=(6, 4)):
    """White in the upper left of 6 x 4 pixels, as it is to be seen; stored turned."""
    from PIL import ImageOps

    upright = np.zeros((size[1], size[0]), np.uint8)
    upright[:2, :2] = 255
    stored = image.fromarray(upright)
    back = {6: image.Transpose.ROTATE_90, 8: image.Transpose.ROTATE_270,
            3: image.Transpose.ROTATE_180, 1: None}[orientation]  # fmt: skip
    stored = stored if back is None else stored.transpose(back)
    exif = image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    # Pillow 13 reads uncompressed .tif files that are turned wrongly
    more = {".jpg": {"quality": 100}, ".tif": {"compression": "tiff_lzw"}}.get(path.suffix, {})
    stored.save(path, exif=exif, **more)
    assert ImageOps.exif_transpose(image.open(path)).size == size


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_the_cameras_orientation_is_applied(tmp_path, suffix):
    for i, orientation in enumerate((1, 3, 6, 8)):
        corner(orientation, tmp_path / "ab"[i % 2] / f"{i}{suffix}")
    X = datasets.features(tmp_path)
    assert X.shape[:3] == (4, 4, 6)
    assert (X[:, 0, 0].reshape(4, -1) > 200).all()
    assert (X[:, -1, -1].reshape(4, -1) < 60).all()


def test_other_sizes_are_refused_or_resized(tmp_path):
    classes(tmp_path)
    draw(tmp_path / "b" / "9.png", 7, size=(10, 8))
    with pytest.raises(ValueError, match=r"9\.png: expected 5 x 4.*got 10 x 8; image_size"):
        load(tmp_path)
    (X, _), _ = datasets.load(tmp_path, image_size=(8, 6))
    assert X.shape[1:] == (8, 6)
    (X, _), _ = datasets.load(tmp_path, image_size=3)
    assert X.shape[1:] == (3, 3)
    level = X[:, 0, 0]
    assert np.array_equal(X, np.broadcast_to(level[:, None, None], X.shape))
    for bad in (0, (8,), (8, 6, 3), (8, 0)):
        with pytest.raises((ValueError, TypeError), match="image_size: expected"):
            load(tmp_path, image_size=bad)


def test_resizing_is_that_of_augmentation(tmp_path):
    from fanin.augment import Compose, Resize

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 40, 30, 3), dtype=np.uint8)
    for i, one in enumerate(pixels):
        (tmp_path / "ab"[i]).mkdir()
        image.fromarray(one).save(tmp_path / "ab"[i] / "0.png")
    ours = Compose([Resize((12, 16))])(pixels)
    theirs = datasets.rows(tmp_path, image_size=(12, 16)).X
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_one_image_and_its_colours(tmp_path):
    grey, coloured = draw(tmp_path / "g.png", 9), draw(tmp_path / "c.png", (1, 2, 3), mode="RGB")
    assert datasets.rows(grey).X.shape == (1, 4, 5)
    assert datasets.rows(grey).names == ("g.png",)
    assert datasets.rows(grey, channels=3).X.shape == (1, 4, 5, 3)
    with pytest.raises(ValueError, match=r"c\.png: expected a grey image, got mode RGB"):
        datasets.rows(coloured, channels=1)
