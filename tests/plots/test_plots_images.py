"""Pictures of images: what is drawn is what the pipeline gives."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

from fanin import augment, plots
from fanin.augment import Compose
from fanin.plots.images import mixed_labels


def images(n=5, height=12, width=16, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    shape = (n, height, width, channels) if channels else (n, height, width)
    return rng.integers(0, 256, shape, dtype=np.uint8)


def drawn(panel):
    return np.asarray(panel.get_images()[0].get_array())


AUG = Compose([augment.RandomCrop((12, 16), padding=2), augment.HorizontalFlip()], seed=3)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("channels", [0, 3, 4])
def test_the_original_stands_beside_the_draws_of_each_epoch(dtype, channels):
    X = images(channels=channels)
    X = X if dtype == "uint8" else X.astype(np.float32) / 255
    axes = plots.augmentations(X, AUG, n=3, variants=4)
    assert axes.shape == (3, 5)
    for i in range(3):
        np.testing.assert_allclose(drawn(axes[i, 0]), X[i])
        for epoch in range(4):
            np.testing.assert_allclose(drawn(axes[i, 1 + epoch]), AUG(X, epoch=epoch)[i])
    titles = [panel.get_title() for panel in axes[0]]
    assert titles == ["original", "epoch 0", "epoch 1", "epoch 2", "epoch 3"]
    assert [panel.get_ylabel() for panel in axes[:, 0]] == ["0", "1", "2"]


def test_sizes_that_change_are_told():
    X = [images(1, 20, 30)[0], images(1, 40, 25)[0]]
    aug = Compose([augment.RandomResizedCrop(8)], seed=0)
    axes = plots.augmentations(X, aug, labels=["cat", "dog"], variants=2)
    assert [panel.get_title() for panel in axes[0]] == [
        "original\nany size",
        "epoch 0\n8×8",
        "epoch 1\n8×8",
    ]
    assert [panel.get_ylabel() for panel in axes[:, 0]] == ["cat", "dog"]
    assert drawn(axes[1, 0]).shape == (40, 25, 3)
    assert np.array_equal(drawn(axes[1, 2]), aug(X, epoch=1)[1])
    one = plots.augmentations(images(2, 20, 30), aug, variants=1)
    assert one[0, 0].get_title() == "original\n20×30"


@pytest.mark.parametrize(("kind", "count"), [(augment.FiveCrop, 5), (augment.TenCrop, 10)])
def test_all_crops_of_one_image_are_drawn(kind, count):
    X = images(2)
    aug = Compose([kind(8)], seed=0)
    axes = plots.augmentations(X, aug, variants=3)
    assert axes.shape == (2, 1 + count)
    assert np.array_equal(drawn(axes[1, 1]), X[1, :8, :8])
    assert np.array_equal(drawn(axes[1, count]), aug(X)[1, -1])
    titles = [panel.get_title().replace("\n", " ") for panel in axes[0]]
    assert titles[1] == "top left 8×8"
    assert titles[5] == "centre 8×8"
    assert titles[-1] == ("centre 8×8" if count == 5 else "centre flipped 8×8")


def test_normalise_is_undone_for_the_eye():
    X = images(2)
    normalize = augment.Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.25))
    axes = plots.augmentations(X, Compose([normalize]), variants=1)
    np.testing.assert_allclose(drawn(axes[1, 1]), X[1] / 255, atol=1e-6)


def test_grey_images_are_drawn_from_0_to_the_brightest():
    X = images(3, channels=0) % 17
    axes = plots.augmentations(X, AUG, variants=2)
    assert {panel.get_images()[0].get_clim() for panel in axes.flat} == {(0, X.max())}
    black = plots.image_grid([[np.zeros((3, 3), np.uint8)]])
    assert black[0, 0].get_images()[0].get_clim() == (0, 1)
    assert drawn(plots.image_grid([[np.zeros((3, 4, 1))]])[0, 0]).shape == (3, 4)


@pytest.mark.parametrize("kind", [augment.Mixup, augment.CutMix])
def test_shares_of_labels_stand_below_mixed_images(kind):
    X, names = images(3), ["cat", "dog", "emu"]
    aug = Compose([kind(1.0, mode="sample")], seed=1)
    axes = plots.augmentations(X, aug, variants=2, labels=names)
    assert {panel.get_xlabel() for panel in axes[:, 0]} == {""}
    for epoch in range(2):
        shares = aug.parameters(X, epoch=epoch)[-1]["lambda"]
        for i, share in enumerate(shares):
            own = round(100 * share)
            expected = f"{own} % {names[i]}\n{100 - own} % {names[i - 1]}"
            assert axes[i, 1 + epoch].get_xlabel() == (expected if share < 1 else names[i])
    unmixed = Compose([kind(1.0, p=0.0)])
    assert mixed_labels(unmixed, X, names) == names


def test_no_more_rows_than_images_and_axes_may_be_given():
    X = images(2)
    assert plots.augmentations(X, AUG, n=9, variants=1).shape == (2, 2)
    mine = Figure().subplots(2, 2)
    axes = plots.augmentations(X, AUG, variants=1, ax=mine)
    assert list(axes.flat) == list(mine.flat)
    with pytest.raises(ValueError, match="ax: expected 4 axes, got 2"):
        plots.augmentations(X, AUG, variants=1, ax=mine[0])


def test_the_figure_is_as_high_as_its_rows():
    heights = [
        plots.image_grid([[image] * 4] * rows)[0, 0].figure.get_figheight()
        for rows, image in ((1, images(1)[0]), (3, images(1)[0]), (3, images(1, 32, 16)[0]))
    ]
    assert heights[0] < heights[1] < heights[2]


def test_nothing_overlaps_or_is_cut_off():
    aug = Compose([augment.TenCrop(8)], seed=0)
    axes = plots.augmentations(images(2), aug, labels=["a rather long label", "short"])
    figure = axes[0, 0].figure
    figure.canvas.draw()
    room = figure.bbox
    boxes = [panel.title.get_window_extent() for panel in axes[0]]
    boxes += [panel.yaxis.label.get_window_extent() for panel in axes[:, 0]]
    for box in boxes:
        assert room.x0 <= box.x0 <= box.x1 <= room.x1
        assert room.y0 <= box.y0 <= box.y1 <= room.y1
    titles = boxes[: axes.shape[1]]
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(titles))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((images(0), AUG), ValueError, "X: expected at least one image, got none"),
        ((images(2), [augment.HorizontalFlip()]), TypeError, "aug: expected a fanin.augment.Comp"),
        ((images(2), AUG, 0), ValueError, "n: expected"),
        ((images(2), AUG, 2, 17), ValueError, "variants: expected"),
        ((images(2), AUG, 2, 2, ["cat"]), ValueError, "labels: expected one for each of 2 rows"),
        ((images(2)[..., :2], AUG), ValueError, "images: expected"),
        ((np.zeros((3, 5)), AUG), (ValueError, TypeError), "images: expected"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        plots.augmentations(*arguments)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "images: expected rows of one length, at least 1, got none"),
        ([[np.zeros((2, 2))], []], "got 1, 0"),
        ([[np.zeros((2, 2, 2))]], r"expected \(H, W\), .*, got \(2, 2, 2\)"),
    ],
)
def test_bad_grids(rows, message):
    with pytest.raises(ValueError, match=message):
        plots.image_grid(rows)


def test_empty_places_stay_empty():
    axes = plots.image_grid([[images(1)[0], None]])
    assert axes[0, 1].get_images() == []
    assert not any(side.get_visible() for side in axes[0, 1].spines.values())


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    for name in ("matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install fanin\[plot\]"):
        plots.augmentations(images(2), AUG)
