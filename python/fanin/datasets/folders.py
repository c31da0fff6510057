"""Folders of images: classes, splits, links, and the images themselves."""

from __future__ import annotations

import contextlib
import errno
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fanin._files import FileError, open_file
from fanin._typing import Array, Bytes
from fanin.datasets.reading import Dataset

IMAGE_SUFFIXES = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jp2", ".bmp", ".dib", ".gif",
    ".webp", ".avif", ".tif", ".tiff", ".pbm", ".pgm", ".ppm", ".pnm", ".tga",
)  # fmt: skip
SPLITS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
SYSTEM_FOLDERS = ("__MACOSX", "__pycache__")
# A blank PNG of one bit a pixel has 8,256 pixels a byte, a blank JPEG fewer.
MOST_PIXELS_A_BYTE, ALWAYS_PIXELS = 10_000, 1 << 24
ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)  # EXIF's tag, and its values that swap the sides


class NoClassesError(FileError):
    """A folder of images without folders of classes."""


class Tree:
    """Folders and images below a folder, without what is hidden.

    Links are followed, each folder once in a walk; a link that leads out of the tree is refused.
    What is no data is counted in `left_out`.
    """

    real: Path
    root: Path

    def __init__(self, root: Path) -> None:
        self.root, self.real = root, root.resolve()
        self.left_out: Counter[str] = Counter()

    def entries(self, folder: Path) -> list[Path]:
        """What a folder holds, sorted by name."""
        return [path for path in sorted(folder.iterdir()) if self._is_data(path)]

    def _is_data(self, path: Path) -> bool:
        if path.name.startswith(".") or path.name in SYSTEM_FOLDERS:
            if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
                self.left_out["hidden"] += 1
            return False
        if not path.is_symlink():
            return True
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError):  # nothing there, or a link to itself
            self.left_out["broken links"] += 1
            return False
        if not real.is_relative_to(self.real):
            raise FileError(path, f"expected a link within {self.root}, got one to {real}")
        return True

    def folders(self, folder: Path) -> list[Path]:
        """The folders in a folder, but for links to one that it lies in; files are counted."""
        found = []
        for path in self.entries(folder):
            if not path.is_dir():
                self._count_file(path)
            elif folder.resolve().is_relative_to(path.resolve()):
                self.left_out["links to a folder above"] += 1
            else:
                found.append(path)
        return found

    def images(self, folder: Path) -> list[Path]:
        """The images in a folder and below, in the order of their paths."""
        above = folder.resolve()
        return list(self._walk(folder, {above, *above.parents}))

    def _walk(self, folder: Path, seen: set[Path]) -> Iterator[Path]:
        for path in self.entries(folder):
            if path.is_dir():
                real = path.resolve()
                if real in seen:
                    self.left_out["links to a folder that is read already"] += 1
                    continue
                seen.add(real)
                yield from self._walk(path, seen)
            elif path.suffix.lower() in IMAGE_SUFFIXES:  # a pipe or a device is refused when opened
                yield path
            else:
                self._count_file(path)

    def _count_file(self, path: Path) -> None:
        suffix = path.suffix.lower()
        self.left_out[f"{suffix} files" if suffix else "files without a suffix"] += 1

    def name(self, path: Path) -> str:
        """Of a file, its path below the root."""
        return path.relative_to(self.root).as_posix()


def read_folder(
    path: Path, size: tuple[int, int] | None = None, channels: int | None = None
) -> Dataset:
    """A folder of images for each class; or such folders within train, val and test."""
    tree = Tree(path)
    parts = _splits(tree)
    if parts is None:
        X, y, classes, names = _read_classes(tree, path, size, channels)
        return Dataset(
            X, y, class_names=classes, source=str(path), names=names, left_out=tree.left_out
        )
    X, y, classes, names = _read_classes(tree, parts.pop("train"), size, channels)
    dataset = Dataset(X, y, class_names=classes, source=str(path), names=names)
    dataset.left_out = tree.left_out
    for part, folder in parts.items():
        files, labels = _files_of(tree, folder, classes)
        if not files:
            raise FileError(folder, "expected at least one image, got none")
        images = read_images([file for file, _ in files], size, channels, tree.left_out)
        if images.shape[1:] != X.shape[1:]:
            sizes = f"{X.shape[1:]} in train, {images.shape[1:]} in {folder.name}"
            raise FileError(path, f"expected images of one size, got {sizes}")
        if part == "val":
            dataset.X_val, dataset.y_val = images, labels
        else:
            dataset.X_test, dataset.y_test = images, labels
            dataset.names_test = tuple(tree.name(file) for file, _ in files)
    return dataset


def _splits(tree: Tree) -> dict[str, Path] | None:
    """The folders of a data set that comes in parts; None where they are its classes."""
    found: dict[str, Path] = {}
    others = []
    for folder in tree.folders(tree.root):
        part = SPLITS.get(folder.name.casefold())
        if part is None:
            others.append(folder)
        elif part in found:
            both = f"{found[part].name} and {folder.name}"
            raise FileError(tree.root, f"expected one folder of the {part} part, got {both}")
        else:
            found[part] = folder
    quiet = Tree(tree.root)  # counts nothing: the folders are read again
    if "train" not in found or not quiet.folders(found["train"]) or (len(found) == 1 and others):
        _refuse_parts_as_classes(quiet, [*found.values(), *others])
        tree.left_out.clear()
        return None
    for folder in others:
        if images := len(quiet.images(folder)):
            tree.left_out[f"images in {folder.name}"] += images
    return {part: found[part] for part in ("train", "val", "test") if part in found}


def _refuse_parts_as_classes(tree: Tree, folders: list[Path]) -> None:
    """Asks about train_set and test_set, or train and dev, which would become the classes."""
    within = {folder: {one.name for one in tree.folders(folder)} for folder in folders}
    for train in (folder for folder in folders if folder.name.casefold().startswith("train")):
        for other in folders:
            if other != train and len(within[other]) > 1 and within[other] <= within[train]:
                raise FileError(
                    tree.root,
                    f"expected train, val and test, or a folder for each class, got "
                    f"{train.name} and {other.name} with the same folders in them "
                    f"({', '.join(sorted(within[other])[:5])}); rename what are parts",
                )


def _read_classes(
    tree: Tree, path: Path, size: tuple[int, int] | None, channels: int | None
) -> tuple[Array, Array, tuple[str, ...], tuple[str, ...]]:
    """Images, labels, the names of the classes and of the files."""
    files = {folder.name: tree.images(folder) for folder in tree.folders(path)}
    empty = [name for name, found in files.items() if not found]
    if not files or empty:
        where = f"none in {empty[0]!r}" if empty else "no folder"
        raise NoClassesError(path, f"expected one folder of images for each class, got {where}")
    y = np.repeat(np.arange(len(files)), [len(found) for found in files.values()])
    every = [file for found in files.values() for file in found]
    X = read_images(every, size, channels, tree.left_out)
    return X, y, tuple(files), tuple(map(tree.name, every))


def _files_of(
    tree: Tree, folder: Path, classes: tuple[str, ...]
) -> tuple[list[tuple[Path, int]], Array | None]:
    """The images of a part with the classes of train, and their labels; None where it has none."""
    folders = Tree(tree.root).folders(folder)
    if not folders:
        return [(file, -1) for file in tree.images(folder)], None
    unknown = [one.name for one in tree.folders(folder) if one.name not in classes]
    if unknown:
        known = f"{', '.join(classes[:10])}{', ...' if len(classes) > 10 else ''}"
        expected = f"expected the same class folders in {folder.name} as in train ({known})"
        raise FileError(tree.root, f"{expected}, got {unknown[0]!r}")
    files = [(file, classes.index(one.name)) for one in folders for file in tree.images(one)]
    return files, np.array([label for _, label in files], dtype=np.int64)


def image_files(folder: Path) -> list[Path]:
    """The images in a folder and below, in the order of their paths."""
    return Tree(folder).images(folder)


def has_images_beside_folders(path: Path) -> bool:
    """Whether images lie in a folder itself, where a class could not be."""
    entries = Tree(path).entries(path)
    return any(p.suffix.lower() in IMAGE_SUFFIXES and not p.is_dir() for p in entries)


def read_unlabelled(
    path: Path, size: tuple[int, int] | None = None, channels: int | None = None
) -> Dataset:
    """The images of a folder and below, or the one image, whatever they show."""
    tree = Tree(path if path.is_dir() else path.parent)
    files = tree.images(path) if path.is_dir() else [path]
    if not files:
        raise FileError(path, "expected at least one image, got none")
    X = read_images(files, size, channels, tree.left_out)
    names = tuple(map(tree.name, files))
    return Dataset(X, None, source=str(path), names=names, left_out=tree.left_out)


def read_images(
    files: Sequence[Path],
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    left_out: Counter[str] | None = None,
) -> Bytes:
    """Images of one size, upright: (N, H, W) where all are grey, else (N, H, W, 3).

    Those of other sizes are resized to ``size`` (height, width), where it is given, with the
    antialiased bilinear filter that `fanin.augment.Resize` has. ``channels`` 1 or 3 says that they
    are to be grey or coloured.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise ImportError("images need Pillow: pip install fanin[image]") from None
    if not files:
        raise ValueError("expected at least one image, got none")
    shape, grey = size, channels != 3
    for file in files:
        with _opened(Image, file) as image:
            if image.mode.startswith(("I", "F")):
                raise FileError(file, f"expected 8 bits a channel, got mode {image.mode}")
            if size is None:
                shape = _one_size(file, _upright_size(ImageOps, image), files[0], shape)
            coloured = image.mode not in ("1", "L")
            if coloured and channels == 1:
                raise FileError(file, f"expected a grey image, got mode {image.mode}")
            grey = grey and not coloured
    assert shape is not None
    X = np.empty((len(files), *shape, *(() if grey else (3,))), dtype=np.uint8)
    for i, file in enumerate(files):
        with _opened(Image, file) as image:
            frames = getattr(image, "n_frames", 1)
            see_through = "A" in image.getbands() or "transparency" in image.info
            upright = ImageOps.exif_transpose(image).convert("L" if grey else "RGB")
        if size is not None:
            upright = upright.resize(shape[::-1], Image.Resampling.BILINEAR)
        _one_size(file, upright.size[::-1], files[0], shape)
        X[i] = np.asarray(upright)
        if left_out is not None and frames > 1:
            left_out["frames after the first"] += frames - 1
        if left_out is not None and see_through:
            left_out["alpha channels"] += 1
    return X


def _one_size(
    file: Path, own: tuple[int, int], first: Path, shape: tuple[int, int] | None
) -> tuple[int, int]:
    """The height and width of an image, which are to be those of the first."""
    if own != (shape or own):
        assert shape is not None
        expected = f"{shape[1]} x {shape[0]} pixels as in {first}"
        got = f"{own[1]} x {own[0]}; image_size (--image-size) resizes all"
        raise FileError(file, f"expected {expected}, got {got}")
    return own


@contextlib.contextmanager
def _opened(image_module: Any, file: Path) -> Iterator[Any]:
    """An image; what Pillow finds amiss in it, also later in the block, is a FileError."""
    with open_file(file) as opened:
        try:
            with image_module.open(opened) as image:
                _refuse_bomb(file, image.size, os.fstat(opened.fileno()).st_size)
                yield image
        except (FileError, MemoryError):
            raise
        except image_module.UnidentifiedImageError:
            raise FileError(file, "not an image that Pillow reads") from None
        except image_module.DecompressionBombError as error:
            raise FileError(file, str(error)) from None
        except Exception as error:  # its readers raise whatever comes of bytes without sense
            if isinstance(error, OSError) and error.errno == errno.EIO:
                raise
            reason = str(error) or type(error).__name__
            raise FileError(file, f"damaged image ({reason})") from None


def _refuse_bomb(file: Path, size: tuple[int, int], n_bytes: int) -> None:
    """Refuses so few bytes for so many pixels that no picture is in them."""
    if size[0] * size[1] > max(ALWAYS_PIXELS, MOST_PIXELS_A_BYTE * n_bytes):
        raise FileError(
            file, f"expected an image, got {size[0]} x {size[1]} pixels in {n_bytes} bytes"
        )


def _upright_size(image_ops: Any, image: Any) -> tuple[int, int]:
    """Height and width after the turn that the camera noted."""
    width, height = image.size
    if image.format == "PNG" and "exif" not in image.info:
        return height, width  # it may come after the pixels, which would be read for it
    if image.format == "TIFF":  # whose size Pillow has turned already, or not: a matter of age
        width, height = image_ops.exif_transpose(image).size
        return height, width
    turned = image.getexif().get(ORIENTATION) in TURNED
    return (width, height) if turned else (height, width)
