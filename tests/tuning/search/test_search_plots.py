"""Pictures of searches: what is drawn is what was tried."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from fanin import plots, tuning
from fanin.tuning import choice, integers, loguniform, search, uniform

SPACE = {
    "activation": choice(["relu", "tanh"]),
    "lr": loguniform(1e-6, 1e-3),
    "width": integers(1, 50),
}


def objective(params: Any) -> float:
    if params["lr"] > 5e-4:
        return math.nan
    return math.log10(params["lr"]) + params["width"] / 50 + (params["activation"] == "tanh")


@pytest.fixture(scope="module")
def result() -> tuning.SearchResult:
    return search(SPACE, objective, 40, progress=False)


def points(panel: Any, label: str) -> np.ndarray:
    (line,) = [one for one in panel.get_lines() if one.get_label() == label]
    return np.array(line.get_xydata())


def test_each_parameter_against_the_score(result: tuning.SearchResult) -> None:
    axes = plots.search(result)
    assert [panel.get_xlabel() for panel in axes] == ["activation", "lr", "width"]
    assert [panel.get_xscale() for panel in axes] == ["linear", "log", "linear"]
    assert axes[0].get_ylabel() == "score"
    done = [t for t in result if t.status == "done"]
    bad = [t for t in result if t.status == "diverged"]
    assert len(bad) >= 2
    drawn = points(axes[1], "done")
    assert np.array_equal(drawn, [[t.params["lr"], t.score] for t in done])
    crosses = points(axes[2], "diverged")
    assert np.array_equal(crosses[:, 0], [t.params["width"] for t in bad])
    assert len(set(crosses[:, 1])) == 1
    assert crosses[0, 1] < min(t.score for t in done)
    for panel in axes:
        low, high = panel.get_ylim()
        assert low < crosses[0, 1]
        assert result.best.score < high
    assert points(axes[1], "best").tolist() == [[result.best.params["lr"], result.best.score]]
    assert [text.get_text() for text in axes[0].get_xticklabels()] == ["relu", "tanh"]
    expected = [float(t.params["activation"] == "tanh") for t in done]
    assert np.array_equal(points(axes[0], "done")[:, 0], expected)


def test_an_edge_is_named() -> None:
    result = search({"x": uniform(0, 1)}, lambda p: p["x"], 40, progress=False)
    assert plots.search(result)[0].get_title(loc="left") == "best at the upper end"


def test_a_search_in_which_all_diverged_is_drawn() -> None:
    result = search({"x": uniform(0, 1)}, lambda _: math.nan, 5, progress=False)
    assert len(points(plots.search(result)[0], "diverged")) == 5
    assert len(plots.parallel_coordinates(result).get_lines()) >= 5


def test_parallel_coordinates_go_through_the_parameters_to_the_score(
    result: tuning.SearchResult,
) -> None:
    panel = plots.parallel_coordinates(result)
    assert [text.get_text() for text in panel.get_xticklabels()] == [*SPACE, "score"]
    lines = [np.array(one.get_ydata()) for one in panel.get_lines()]
    through = [y for y in lines if len(y) == 4]
    assert len(through) == result.count("done")
    assert sum(len(y) == 3 for y in lines) == result.count("diverged")
    best = through[-1]  # drawn last, over the others
    params = result.best.params
    expected = [float(params["activation"] == "tanh"), SPACE["lr"].position(params["lr"])]
    assert best[:2] == pytest.approx(expected)
    assert best[3] == 1
    assert min(y[3] for y in through) == 0


@pytest.mark.row("T2")
def test_grid_against_random_is_drawn_from_the_runs() -> None:
    space = {"lr": loguniform(1e-4, 1), "reg": loguniform(1e-5, 1)}

    def score(params: Any) -> float:
        return -abs(math.log10(params["lr"]) + 1.3)

    grid = search(space, score, 9, strategy="grid", progress=False)
    random = search(space, score, 9, progress=False)
    axes = plots.grid_vs_random(grid, random)
    for panel, result in zip(axes, (grid, random), strict=True):
        drawn = panel.collections[0].get_offsets()
        assert np.allclose(drawn, [[t.params["lr"], t.params["reg"]] for t in result])
        assert np.allclose(panel.collections[0].get_array(), [t.score for t in result])
        assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")
    assert axes[0].get_xlim() == axes[1].get_xlim()
    assert axes[0].get_title(loc="left").startswith("grid: 3 values of lr, best ")
    assert axes[1].get_title(loc="left").startswith("random: 9 values of lr, best ")
    with pytest.raises(ValueError, match="expected results of the same space"):
        plots.grid_vs_random(grid, search({"lr": uniform(0, 1)}, score, 1, progress=False))
    one = search({"lr": loguniform(1e-3, 1)}, score, 2, progress=False)
    with pytest.raises(ValueError, match="expected at least two parameters, got one"):
        plots.grid_vs_random(one, one)


def test_what_cannot_be_drawn(result: tuning.SearchResult) -> None:
    empty = tuning.SearchResult(dict(SPACE), [], "score")
    for draw in (plots.search, plots.parallel_coordinates):
        with pytest.raises(ValueError, match="result: expected at least one trial, got none"):
            draw(empty)
    with pytest.raises(ValueError, match="ax: expected 3 axes, got 1"):
        plots.search(result, ax=plots.parallel_coordinates(result))
