"""Spaces of hyperparameters: draws, scales, grids, positions, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fanin
from fanin._json import plain
from fanin.tuning import choice, integers, loguniform, uniform
from fanin.tuning.space import Parameter, check_space, draw, space_from_dict, space_to_dict

PARAMETERS = [
    uniform(-2, 3),
    loguniform(1e-6, 1e-3),
    integers(1, 7),
    integers(1, 1000, log=True),
    integers(4, 4),
    choice(["relu", "tanh"]),
    choice([[50], [100, 50], 10, None]),
]


@pytest.mark.row("T1")
@pytest.mark.parametrize("parameter", PARAMETERS, ids=str)
def test_values_come_from_the_whole_range_and_nowhere_else(parameter: Parameter) -> None:
    values = [parameter.at(u) for u in np.linspace(0, 1, 1001)]
    if isinstance(parameter, type(choice([1]))):
        assert {repr(v) for v in values} == {repr(o) for o in parameter.options}
        return
    assert min(values) == parameter.low
    assert max(values) == parameter.high
    assert values == sorted(values)
    if type(values[0]) is int:
        assert set(values) <= set(range(int(parameter.low), int(parameter.high) + 1))


@given(st.floats(0, 1), st.sampled_from(PARAMETERS[:2]))
def test_position_is_the_inverse(u: float, parameter: Parameter) -> None:
    assert parameter.position(parameter.at(u)) == pytest.approx(u, abs=1e-5)


def test_every_whole_number_has_the_same_share() -> None:
    values = [integers(1, 4).at((i + 0.5) / 4000) for i in range(4000)]
    assert np.bincount(values).tolist() == [0, 1000, 1000, 1000, 1000]


def test_options_have_the_same_share_and_keep_their_identity() -> None:
    optimizer = fanin.optim.Momentum(0.1)
    parameter = choice([optimizer, "adam"])
    assert parameter.at(0.49) is optimizer
    assert parameter.at(0.51) == "adam"


def test_the_logarithm_is_even() -> None:
    """The lecture's 10**uniform(-6, -3)."""
    units = np.linspace(0, 1, 2001)
    ours = [loguniform(1e-6, 1e-3).at(u) for u in units]
    np.testing.assert_allclose(ours, 10.0 ** (-6 + 3 * units), rtol=1e-6)


def test_numbers_are_what_is_printed() -> None:
    for u in np.linspace(0, 1, 101):
        value = loguniform(3e-5, 7e3).at(u)
        assert float(f"{value:e}") == value


def test_grids() -> None:
    assert uniform(0, 1).grid(5) == [0, 0.25, 0.5, 0.75, 1]
    assert uniform(0, 1).grid(1) == [0.5]
    assert loguniform(1e-6, 1e-3).grid(4) == [1e-6, 1e-5, 1e-4, 1e-3]
    assert integers(1, 3).grid(10) == [1, 2, 3]
    assert integers(0, 100).grid(3) == [0, 50, 100]
    assert integers(1, 100, log=True).grid(3) == [1, 10, 100]
    assert choice(["a", "b", "c"]).grid(1) == ["a", "b", "c"]


def test_draws_depend_on_seed_and_number_alone() -> None:
    space = check_space({"b": uniform(0, 1), "a": loguniform(1e-3, 1)})
    reordered = check_space({"a": loguniform(1e-3, 1), "b": uniform(0, 1)})
    assert list(space) == ["a", "b"]
    assert [draw(space, 3, i) for i in range(5)] == [draw(reordered, 3, i) for i in range(5)]
    assert draw(space, 3, 7) == draw(space, 3, 7)
    assert len({str(draw(space, seed, i)) for seed in range(3) for i in range(20)}) == 60


def test_draws_fill_the_range_evenly() -> None:
    space = check_space({"x": uniform(0, 1), "y": uniform(0, 1)})
    points = np.array([list(draw(space, 0, i).values()) for i in range(4000)])
    counts, *_ = np.histogram2d(*points.T, bins=4, range=[[0, 1], [0, 1]])
    assert np.square(counts - 250).sum() / 250 < 38  # chi-square of 15 degrees, p = 0.001


def test_narrowing() -> None:
    narrow = loguniform(1e-6, 1e-3).narrowed(1 / 3, 4 / 3)
    assert (narrow.low, narrow.high) == (1e-5, 1e-2)
    assert str(integers(1, 100).narrowed(0.2, 0.4)) == "integers(21, 40)"
    tiny = uniform(1, 2).narrowed(0.5, 0.5000001)
    assert tiny.low < tiny.high


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: uniform(1, 1), "low, high: expected low < high, got 1.0, 1.0"),
        (lambda: uniform(2, 1), "low, high: expected low < high, got 2.0, 1.0"),
        (lambda: uniform(0, math.inf), "high: expected at least -inf, got inf"),
        (lambda: uniform(math.nan, 1), "low: expected at least -inf, got nan"),
        (lambda: loguniform(1e-3, 1e-6), "low, high: expected low < high"),
        (lambda: loguniform(0, 1), "low: expected above 0 on a logarithmic scale, got 0.0"),
        (lambda: loguniform(-1, 1), "low: expected above 0 on a logarithmic scale, got -1.0"),
        (lambda: integers(3, 2), "low, high: expected low <= high, got 3, 2"),
        (lambda: integers(0, 2, log=True), "low: expected at least 1 on a logarithmic scale"),
        (lambda: choice([]), "options: expected at least one, got none"),
        (lambda: choice(["a", "a"]), "options: expected different ones, got 'a' twice"),
        (lambda: uniform(0, 1, natural="top"), "natural: expected one of"),
        (lambda: check_space({}), "space: expected at least one parameter"),
    ],
)
def test_values_that_are_refused(make: object, text: str) -> None:
    with pytest.raises(ValueError, match="(?s)" + text.replace("(", r"\(")):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: uniform("0", 1), "low: expected a number, got '0'"),
        (lambda: integers(0.5, 2), "low: expected a whole number, got 0.5"),
        (lambda: choice("relu"), "options: expected a list of options, got str"),
        (lambda: check_space([1]), "space: expected a dict of names and parameters, got list"),
        (lambda: check_space({1: uniform(0, 1)}), "space: expected names, got 1"),
        (lambda: check_space({"lr": [1, 2]}), r"space\['lr'\]: .* got list; choice\(\[1, 2\]\)"),
        (lambda: check_space({"lr": 0.1}), r"search\(..., lr=0.1\) fixes it"),
    ],
)
def test_types_that_are_refused(make: object, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        make()  # type: ignore[operator]


class Thing:
    def __init__(self, size: int) -> None:
        self.size = size


def test_anything_has_a_form_for_the_log() -> None:
    assert plain(np.float64(0.5)) == 0.5
    assert plain(math.nan) == "nan"
    assert plain((1, [2, None])) == [1, [2, None]]
    assert plain(fanin.optim.Momentum(0.1)) == "Momentum(lr=0.1, rho=0.9)"
    assert plain(np.arange(3)) != plain(np.arange(1, 4))
    assert plain(Thing(3)) == plain(Thing(3)) != plain(Thing(4))
    assert "test_space.Thing" in str(plain(Thing))


def test_a_space_as_json_is_the_same_space_again() -> None:
    space = {
        "lr": loguniform(1e-4, 1, natural="high"),
        "keep": uniform(0.5, 1),
        "depth": integers(1, 4, log=True),
        "hidden": choice([16, [32, 16]]),
    }
    assert space_from_dict(json.loads(json.dumps(space_to_dict(space)))) == space
