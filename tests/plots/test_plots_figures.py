"""Figures of preprocessing, activations, dropout, descent and optimizers show what they name."""

from __future__ import annotations

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")

from plots_cases import run, skewed  # noqa: E402

from fanin import diagnostics, layers, optim, plots  # noqa: E402
from fanin import preprocessing as steps  # noqa: E402
from fanin.plots import optimizers, surfaces  # noqa: E402
from fanin.random import Generator  # noqa: E402

# preprocessing


def offsets(panel):
    return np.asarray(panel.collections[0].get_offsets())


@pytest.mark.row("P3")
def test_the_lectures_two_figures_show_the_data_after_each_step():
    X = skewed()
    axes = plots.preprocessing(X)
    drawn = [[offsets(panel) for panel in row] for row in axes]
    assert np.array_equal(drawn[0][0], X)
    assert np.array_equal(drawn[1][0], X)
    assert np.allclose(drawn[0][1], X - X.mean(axis=0))
    assert np.allclose(drawn[0][2], (X - X.mean(axis=0)) / X.std(axis=0))
    turned = np.cov(drawn[1][1], rowvar=False)
    assert np.allclose(turned, np.diag(steps.PCA().fit(X).explained_variance_))
    assert np.allclose(np.cov(drawn[1][2], rowvar=False), np.eye(2))
    titles = [[panel.get_title(loc="left") for panel in row] for row in axes]
    assert titles[0] == ["original", "zero-centred", "normalised"]
    assert titles[1] == ["original", "decorrelated", "whitened"]
    for panels, points in zip(axes, drawn, strict=True):
        assert panels[0].get_xlim() == panels[1].get_xlim()
        for panel, inside in zip(panels, points, strict=True):
            assert np.abs(inside).max() < panel.get_xlim()[1] == panel.get_ylim()[1]
    assert "mean 0.00, 0.00\nstd 1.00, 1.00" in axes[0, 2].get_xlabel()


def test_preprocessing_of_points_on_a_line_or_of_bytes():
    line = np.stack([np.arange(9.0), 2 * np.arange(9.0)], axis=1)
    axes = plots.preprocessing(line)
    assert np.allclose(offsets(axes[1, 2])[:, 1], 0)
    axes[0, 0].figure.canvas.draw()
    plots.preprocessing(np.ones((5, 2)))[0, 0].figure.canvas.draw()
    X = Generator(0).integers(0, 256, (20, 2)).astype(np.uint8)
    assert np.array_equal(offsets(plots.preprocessing(X)[0, 0]), X)


# activations and dropout


def test_activation_bars_are_the_reports_shares():
    report = diagnostics.activation_statistics([48] * 5, 32, activation="relu", bins=12)
    axes = plots.activations(report)
    assert len(axes) == len(axes[0].figure.axes) == 4
    assert len({panel.get_xlim() for panel in axes}) == 1
    for number, (panel, layer) in enumerate(zip(axes, report.layers, strict=True), 1):
        bars = panel.patches
        assert [bar.get_x() for bar in bars] == pytest.approx(list(layer.edges[:-1]))
        shares = layer.counts / layer.counts.sum()
        assert [bar.get_height() for bar in bars] == pytest.approx(list(shares))
        assert panel.get_title(loc="left") == f"layer {number}"
        assert f"std {layer.std:.2f}" in panel.get_xlabel()
    title = axes[0].figure.get_suptitle()
    assert title == f"{report.verdict}: {report.reason}"


def test_activations_that_are_not_finite_are_drawn_empty():
    x = np.full((4, 8), 1e38, np.float32)
    report = diagnostics.activation_statistics([8] * 3, x=x, std=50.0, activation="relu")
    axes = plots.activations(report)
    assert sum(bar.get_height() for bar in axes[-1].patches) == 0
    axes[0].figure.canvas.draw()


def segments(panel):
    return len(panel.collections[0].get_segments())


def marks(panel, marker):
    return sum(len(one.get_xdata()) for one in panel.get_lines() if one.get_marker() == marker)


@pytest.mark.parametrize("seed", range(5))
def test_thinning_draws_the_mask_of_dropout_forward(seed):
    dims = [3, 7, 5, 2]
    before, after = plots.dropout_thinning(dims, keep=0.5, seed=seed)
    assert marks(before, "o") == marks(after, "o") == sum(dims)
    assert (segments(before), marks(before, "x")) == (3 * 7 + 7 * 5 + 5 * 2, 0)
    kept = [
        np.count_nonzero(
            layers.dropout_forward(np.ones(d), keep=0.5, rng=Generator(seed, stream=i + 1))[0]
        )
        for i, d in ((1, 7), (2, 5))
    ]
    assert marks(after, "x") == 12 - sum(kept)
    assert segments(after) == 3 * kept[0] + kept[0] * kept[1] + kept[1] * 2
    assert segments(plots.dropout_thinning(dims, keep=1.0)[1]) == segments(before)


# descent


@pytest.mark.row("S1")
def test_a_small_rate_crawls_a_right_one_converges_a_large_one_diverges():
    axes = plots.learning_rates(rates=(0.05, 0.6, 1.5, 2.1), steps=8)
    ends = [panel.get_lines()[-1].get_xdata() for panel in axes]
    for path, rate in zip(ends, (0.05, 0.6, 1.5, 2.1), strict=True):
        assert np.allclose(path, -2 * (1 - rate) ** np.arange(9))
    outcomes = [panel.get_title(loc="left").split(": ")[1] for panel in axes]
    assert outcomes == ["crawls", "converges", "converges", "diverges"]


def test_real_runs_fill_one_panel_more():
    runs = {"0.1": run(5), "1": run(7)}
    axes = plots.learning_rates(runs)
    assert len(axes) == 4
    curves = axes[3].get_lines()
    assert [len(one.get_xdata()) for one in curves] == [5, 7]
    assert np.array_equal(curves[0].get_ydata(), runs["0.1"].history["loss"])


@pytest.mark.row("S4")
def test_gd_goes_straight_and_single_rows_wander():
    x = Generator(0).standard_normal(200, dtype="float64")
    y = 0.7 * x + 0.2 + 0.5 * Generator(1).standard_normal(200, dtype="float64")
    start, lr, n = (-2.0, 2.0), 0.1, 25
    paths, costs = plots.gd_vs_sgd(x, y, batch_sizes=(None, 16, 1), lr=lr, steps=n, start=start)
    whole, batch, single, star = [np.array(one.get_xydata()) for one in paths.get_lines()]
    assert [len(p) for p in (whole, batch, single)] == [n + 1] * 3
    for path in (whole, batch, single):
        assert tuple(path[0]) == start
    point = np.array(start)
    for drawn in whole[1:]:  # gradient descent by hand
        error = point[0] * x + point[1] - y
        point = point - lr * 2 * np.array([np.mean(error * x), np.mean(error)])
        assert np.allclose(drawn, point)
    best = np.polyfit(x, y, 1)
    assert np.allclose(star[0], best)

    def length(path):
        return np.linalg.norm(np.diff(path, axis=0), axis=1).sum()

    def far(path):
        return np.linalg.norm(path[-1] - best)

    assert length(single) > 1.5 * length(whole)
    assert far(whole) < 0.1 * np.linalg.norm(np.array(start) - best)
    rows = [one.get_xdata()[-1] for one in costs.get_lines()]
    assert rows == [n * 200, n * 16, n]
    losses = costs.get_lines()[0].get_ydata()
    assert np.all(np.diff(losses) < 0)
    assert losses[-1] == pytest.approx(np.mean((whole[-1, 0] * x + whole[-1, 1] - y) ** 2))


# optimizers


def by_name(panel):
    return {one.get_label(): np.array(one.get_xydata()) for one in panel.get_lines()}


@pytest.mark.row("O3")
def test_paths_are_the_optimizers_own_steps():
    axes = plots.optimizer_paths()
    for panel, surface in zip(axes, (surfaces.SADDLE, surfaces.BEALE), strict=True):
        drawn = by_name(panel)
        assert set(drawn) == {type(optim.get(rule)).__name__ for rule in surface.rates}
        assert len(drawn) == 11
        for rule, rate in surface.rates.items():
            optimizer = optim.get(rule, rate)
            point = np.array(surface.start)
            path = drawn[type(optimizer).__name__]
            for step in path[1:]:
                optimizer.step(point, np.array(surface.gradient(*point)))
                assert np.array_equal(step, point)
    legend = axes[0].figure.legends[0]
    assert len(legend.get_texts()) == 11


@pytest.mark.row("O3")
def test_every_rule_leaves_the_saddle_along_y_and_most_find_beales_minimum():
    saddle, beale = plots.optimizer_paths()
    for name, path in by_name(saddle).items():
        assert path[-1, 1] > 1.2, name  # out of the picture
        assert abs(path[-1, 0]) < abs(path[0, 0]), name
    arrived = {
        name for name, path in by_name(beale).items() if np.hypot(*(path[-1] - (3, 0.5))) < 0.2
    }
    assert arrived >= {
        "SGD",
        "Momentum",
        "Nesterov",
        "Adam",
        "Nadam",
        "AMSGrad",
        "RMSProp",
        "AdaGrad",
    }


@pytest.mark.parametrize("surface", surfaces.SURFACES.values(), ids=lambda s: s.name)
def test_the_surfaces_gradients_are_right(surface):
    rng = np.random.default_rng(0)
    for x, y in rng.uniform(-1.5, 1.5, (20, 2)):
        f, h = surface.function, 1e-6
        numeric = ((f(x + h, y) - f(x - h, y)) / (2 * h), (f(x, y + h) - f(x, y - h)) / (2 * h))
        assert surface.gradient(x, y) == pytest.approx(numeric, abs=1e-5, rel=1e-5)
    if surface.minimum:
        lowest = {"beale": 0, "local": -1.51475}[surface.name]
        assert surface.function(*surface.minimum) == pytest.approx(lowest, abs=1e-5)


@pytest.mark.row("O3")
def test_the_animation_grows_the_paths(tmp_path):
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / "paths.gif"
    plots.animate_optimizers(path)
    with image.open(path) as film:  # every colour of the lines is in it
        pixels = np.asarray(film.convert("RGB")).reshape(-1, 3).astype(int)
    for colour, _ in optimizers.LOOKS.values():
        wanted = np.array(matplotlib.colors.to_rgb(colour)) * 255
        assert (np.abs(pixels - wanted).max(axis=1) < 30).sum() > 20, colour
    plots.animate_optimizers(path, {"sgd": 0.05, "adam": 0.05}, surfaces=["saddle"])
    with image.open(path) as film:
        assert film.format == "GIF"
        assert film.n_frames > 20
        assert film.width >= 600
        dark = []
        for frame in (0, film.n_frames - 1):
            film.seek(frame)
            pixels = np.asarray(film.convert("RGB")).astype(int)
            colour = np.array(matplotlib.colors.to_rgb(plots.VALIDATION)) * 255
            dark.append((np.abs(pixels - colour).max(axis=2) < 40).sum())
        assert film.info["duration"] == 2000
    assert dark[1] > dark[0] + 300  # Adam's line in the legend, then on its path too
    assert [p.name for p in tmp_path.iterdir()] == ["paths.gif"]
