"""Pictures of the lecture: tanh's curve, descent, the optimizers' family, masks, boundaries."""

from __future__ import annotations

import io
import itertools
from functools import partial

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")

from plots_cases import run  # noqa: E402

import fanin  # noqa: E402
from fanin import diagnostics, layers, optim, plots  # noqa: E402
from fanin.plots import family, style, surfaces  # noqa: E402
from fanin.plots.descent import feature_descents  # noqa: E402
from fanin.plots.units import mean_slope  # noqa: E402
from fanin.random import Generator  # noqa: E402


@pytest.mark.row("P1")
def test_normalised_features_are_gone_down_at_once():
    rng = Generator(0)
    X = rng.standard_normal((300, 2), dtype="float64") * np.array([6.0, 0.6]) + 3
    y = X @ np.array([0.1, 1.0])
    found = feature_descents(X, y, 100)
    assert found["normalised"].took <= 2
    assert found["as they are"].took > 20
    for descent, features in zip(found.values(), (X, X / X.std(axis=0)), strict=True):
        # The network's own steps are those of the formula.
        centred, target = features - features.mean(axis=0), y - y.mean()
        gradient = centred.T @ (centred @ descent.paths[0][0] - target) / len(X)
        step = descent.paths[0][0] - descent.paths[0][1]
        assert step[0] / gradient[0] == pytest.approx(step[1] / gradient[1])
        assert np.allclose(descent.best, np.linalg.lstsq(centred, target, rcond=None)[0])
    axes = plots.normalization_paths(X, y)
    assert "over 40" in axes[0].get_title(loc="left") or "steps" in axes[0].get_title(loc="left")


@pytest.mark.row("I3")
def test_outputs_stand_on_tanhs_curve():
    small, large = (
        diagnostics.activation_statistics([400] * 4, n=16, init="small_random", std=std,
                                          activation="tanh", seed=0)
        for std in (0.01, 0.2)
    )  # fmt: skip
    axes = plots.tanh_outputs(small)
    places = np.asarray(axes[2].collections[0].get_offsets())
    assert np.allclose(np.tanh(places[:, 0]), places[:, 1])
    assert mean_slope(small.layers[-1]) > 0.99
    assert mean_slope(large.layers[-1]) < 0.35
    x = Generator(1).standard_normal((16, 400), dtype="float64")
    drawn = 1 - np.tanh(x) ** 2
    counts, edges = np.histogram(np.tanh(x), bins=64, range=(-1, 1))
    layer = type(small.layers[0])(0, 0, 0, 0, 0, counts, edges, 400)
    assert mean_slope(layer) == pytest.approx(drawn.mean(), abs=0.01)
    with pytest.raises(ValueError, match="report: expected one of tanh layers"):
        plots.tanh_outputs(diagnostics.activation_statistics([16] * 3, n=4, activation="relu"))


@pytest.mark.row("O3")
def test_sgd_stays_in_the_local_minimum_and_momentum_passes():
    surface = surfaces.LOCAL
    for rate in (0.001, 0.01, 0.05, 0.1):
        assert surface.arrival(surface.path(optim.SGD(rate))) is None
    assert surface.arrival(surface.path(optim.Momentum(surface.rates["momentum"])))
    x = np.linspace(*surface.limits[0], 2001)
    heights = surface.function(x, 0.0)
    assert x[heights.argmin()] == pytest.approx(surface.minimum[0], abs=2e-3)
    local = heights[x > 0].min()
    assert surface.low < local
    (panel,) = plots.optimizer_paths({"sgd": 0.02}, surfaces=["local"])
    assert panel.get_title(loc="left").startswith("a local minimum")


def test_the_family_has_every_optimizer():
    names = {rule for rule in optim.__all__ if isinstance(getattr(optim, rule), type)} - {
        "Optimizer"
    }
    assert set(family.PLACES) == names | {"gradient descent"}
    assert {child for _, child, _ in family.IDEAS} == names
    panel = plots.optimizer_family()
    assert {text.get_text() for text in panel.texts} >= names


@pytest.mark.row("R9")
def test_dropconnect_keeps_units_and_drops_connections():
    dims = [3, 7, 2]
    _, _, panel = plots.dropout_thinning(dims, drop_connect=0.5, seed=4)
    kept, dropped = (len(lines.get_segments()) for lines in panel.collections)
    masks = [
        layers.dropconnect_forward(
            np.eye(a), np.ones((a, b)), keep=0.5, rng=Generator(4, stream=20 + i)
        )[0]
        for i, (a, b) in enumerate(((3, 7), (7, 2)))
    ]
    assert kept == sum(np.count_nonzero(mask) for mask in masks)
    assert kept + dropped == 3 * 7 + 7 * 2
    assert sum(len(line.get_xdata()) for line in panel.get_lines() if line.get_marker() == "x") == 0


def test_boundaries_are_the_networks_own():
    X = Generator(0).standard_normal((60, 2))
    y = (X[:, 0] > 0).astype(int)
    net = fanin.MLP([2, 8, 2])
    net.fit(X, y, epochs=30, progress=False)
    axes = plots.decision_boundaries({"a": net, "b": net}, X, y)
    assert axes.shape == (2, 2)
    assert axes[1, 0].get_xlabel() == axes[1, 1].get_xlabel()
    bars = sum(patch.get_height() for patch in axes[1, 0].patches)
    assert bars == net.params["W1"].size + net.params["W2"].size
    with pytest.raises(ValueError, match="expected a network of 2 inputs and 2 outputs"):
        plots.decision_boundaries({"a": fanin.MLP([3, 2])}, X, y)
    with pytest.raises(ValueError, match="y: expected 60 labels"):
        plots.decision_boundaries({"a": net}, X, y + 1)
    with pytest.raises(ValueError, match="nets: expected 1 to 6"):
        plots.decision_boundaries({}, X, y)


@pytest.mark.row("R1")
def test_ensembles_stand_beside_their_members():
    one = {"accuracy": 0.9, "members": [{"accuracy": 0.8}, {"accuracy": 0.9}]}
    panel = plots.ensembles({"seeds": one, "folds": one})
    members, mean, whole = panel.get_lines()[:3]
    assert members.get_xdata().tolist() == [80.0, 90.0]
    assert (mean.get_xdata()[0], whole.get_xdata()[0]) == (85.0, 90.0)
    with pytest.raises(ValueError, match="evaluations: expected at least one"):
        plots.ensembles({})


@pytest.mark.row("G6")
def test_learning_curves_have_one_scale():
    axes = plots.learning_curves({"before": run(4), "after": run(12)})
    assert axes[0].get_ylim() == axes[1].get_ylim()
    assert axes[1].get_lines()[0].get_ydata().tolist() == run(12).history["accuracy"]
    with pytest.raises(ValueError, match="runs: expected 1 to 6"):
        plots.learning_curves({})


@pytest.mark.row("T2")
def test_the_important_axis_is_drawn_beside_the_layouts():
    space = {"a": fanin.tuning.uniform(0, 1), "b": fanin.tuning.uniform(0, 1)}
    grid, random = (
        fanin.tuning.search(space, lambda p: -abs(p["a"] - 0.3), 9, strategy=s, progress=False)
        for s in ("grid", "random")
    )
    values = np.linspace(0, 1, 5)
    sweeps = {"a": (values, -abs(values - 0.3)), "b": (values, np.zeros(5))}
    axes = plots.grid_vs_random(grid, random, sweeps=sweeps)
    for panel in axes:
        above, beside = panel.child_axes
        assert above.get_lines()[0].get_xdata().tolist() == values.tolist()
        assert beside.get_lines()[0].get_xdata().tolist() == [0.0] * 5


# for a phone


def size_of(png):
    from PIL import Image

    return Image.open(io.BytesIO(png)).size


@pytest.mark.parametrize(
    ("draw", "stacked"),
    [
        (lambda: plots.history(run(5)), True),
        (lambda: plots.learning_curves({"a": run(5), "b": run(5)}), True),
        (lambda: plots.dropout_thinning(drop_connect=0.5), True),
        (lambda: plots.image_grid([np.zeros((4, 5, 5))]), False),
    ],
)
def test_panels_are_below_each_other_on_a_phone(draw, stacked, tmp_path):
    pytest.importorskip("PIL")
    drawn = style.picture("a.png", "alt", "caption", draw).drawn(tmp_path)
    assert drawn.wide == (tmp_path / "a.png").read_bytes()
    assert (drawn.narrow is not None) == stacked
    if stacked:
        width, height = size_of(drawn.narrow)
        assert width == round(style.NARROW * 150)
        assert height > width
        assert size_of(drawn.wide)[0] > size_of(drawn.wide)[1]
    assert np.ravel(draw())[0].figure.get_figwidth() >= style.WIDTH  # as before, elsewhere


def test_a_single_panel_is_narrower_on_a_phone(tmp_path):
    pytest.importorskip("PIL")
    draw = partial(plots.compare, {"a long name of a run": run(5), "b": run(5)})
    drawn = style.picture("a.png", "alt", "caption", draw).drawn(tmp_path)
    assert size_of(drawn.narrow)[0] == round(style.NARROW * 150)
    assert size_of(drawn.wide)[0] == round(style.WIDTH * 150)


def test_captions_side_by_side_do_not_meet():
    images = np.zeros((1, 9, 8, 8))
    captions = [["100 % a very long label\n0 % Trouser"] * 9]
    axes = plots.image_grid(images, captions=captions)
    figure = axes[0, 0].figure
    figure.canvas.draw()
    boxes = [panel.xaxis.label.get_window_extent() for panel in axes[0]]
    assert all(a.x1 <= b.x0 for a, b in itertools.pairwise(boxes))


def test_ticks_within_a_decade_do_not_meet():
    space = {"lr": fanin.tuning.loguniform(1e-4, 1e-3), "reg": fanin.tuning.loguniform(1e-6, 1)}
    result = fanin.tuning.search(space, lambda p: p["lr"], 12, progress=False)
    axes = plots.search(result)
    axes[0].figure.canvas.draw()
    for panel in axes:
        low, high = panel.get_xlim()
        labels = [
            label
            for tick, label in zip(panel.get_xticks(), panel.get_xticklabels(), strict=True)
            if low <= tick <= high
        ]
        boxes = [label.get_window_extent() for label in labels]
        assert len(boxes) >= 2
        assert all(a.x1 <= b.x0 for a, b in itertools.pairwise(boxes))
