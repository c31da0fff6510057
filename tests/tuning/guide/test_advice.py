"""Step 7: what each verdict of step 6 asks for, to the number."""

from __future__ import annotations

from typing import Any

import pytest

from fanin.tuning import Edge, loguniform
from fanin.tuning.guide.advice import Advice, advise

SETTINGS: dict[str, Any] = {
    "hidden": [64], "keep": 1.0, "reg": 1e-5, "lr": 1e-3, "schedule": "cosine"
}  # fmt: skip
CALM = "Nothing is wrong"


def advice(*names: str, edges: Any = (), edge: float | None = None, **settings: Any) -> Advice:
    return advise(names, SETTINGS | settings, edges, lambda hidden: sum(hidden) < 1000, edge)


def tried(found: Advice, name: str, **settings: Any) -> set[Any]:
    starts = found.starts(SETTINGS | settings)
    return {tuple(s[name]) if name == "hidden" else s[name] for s in starts}


def test_overfitting_asks_for_dropout_and_more_l2():
    found = advice("overfitting")
    assert tried(found, "keep") == {1.0, 0.8, 0.65, 0.5}
    assert tried(found, "reg") == {1e-5, 1e-4}
    assert found.epochs == 1.5
    assert "dropout that keeps 0.8, 0.65 or 0.5" in " ".join(found.reasons)


def test_underfitting_asks_for_a_larger_network():
    found = advice("underfitting", keep=0.6, reg=1e-3)
    assert {(128, 64), (256, 128)} <= tried(found, "hidden")
    assert 0.8 in tried(found, "keep", keep=0.6, reg=1e-3)
    assert 0.0 in tried(found, "reg", keep=0.6, reg=1e-3)


def test_underfitting_without_hidden_layers_asks_for_one():
    assert (16,) in tried(advice("underfitting", hidden=[]), "hidden", hidden=[])


def test_a_rate_too_high_is_lowered_three_to_ten_times():
    found = advice("learning-rate-too-high")
    assert (found.rates.low, found.rates.high) == (1e-4, 1e-3)
    assert 3.33e-4 in tried(found, "lr")
    assert all(lr <= 1e-3 for lr in tried(found, "lr"))


def test_a_rate_too_low_is_raised_three_to_ten_times():
    found = advice("learning-rate-too-low")
    assert (found.rates.low, found.rates.high) == (1e-3, 1e-2)
    assert 3e-3 in tried(found, "lr")
    assert all(lr >= 1e-3 for lr in tried(found, "lr"))


def test_what_needs_more_training_gets_twice_the_epochs():
    assert advice("needs-more-training").epochs == 2.0
    assert advice("healthy").epochs == 1.0


@pytest.mark.parametrize(
    "names",
    [
        ("overfitting",),
        ("underfitting",),
        ("needs-more-training",),
        ("learning-rate-too-high",),
        ("learning-rate-too-low",),
        ("overfitting", "learning-rate-too-high"),
        ("healthy",),
        ("inconclusive",),
    ],
)
def test_nothing_is_wrong_only_where_nothing_was_found(names):
    told = " ".join(advice(*names).reasons)
    assert (CALM in told) == (names[0] in ("healthy", "inconclusive"))
    for name, words in (
        ("overfitting", "It overfits"),
        ("underfitting", "It underfits"),
        ("needs-more-training", "still improved"),
        ("learning-rate-too-high", "rate was too high"),
        ("learning-rate-too-low", "rate was too low"),
    ):
        assert (words in told) == (name in names)


def test_no_rate_beyond_the_edge_of_those_that_train():
    beyond = Edge("lr", "high", 1e-3, loguniform(5e-4, 5e-2), "at the upper end")
    assert advice("healthy", edges=[beyond]).rates.high == 5e-2
    limited = advice("healthy", edges=[beyond], edge=4e-3)
    assert limited.rates.high == 4e-3
    assert all(lr <= 4e-3 for lr in tried(limited, "lr"))


def test_an_edge_does_not_outweigh_a_verdict_on_the_rate():
    beyond = Edge("lr", "high", 1e-3, loguniform(5e-4, 5e-2), "at the upper end")
    assert advice("learning-rate-too-high", edges=[beyond]).rates.high == 1e-3


def test_the_first_round_ends_the_constant_rate():
    found = advice("healthy", schedule=None)
    assert found.fixed == {"schedule": "cosine"}
    assert found.starts(SETTINGS)[0] == {k: SETTINGS[k] for k in ("hidden", "keep", "reg", "lr")}


def test_calm_curves_ask_for_a_look_round_to_the_number():
    found = advice("healthy", keep=0.8)
    assert (found.rates.low, found.rates.high) == (pytest.approx(1e-3 / 3, rel=0.01), 3e-3)
    assert found.candidates == [
        {"hidden": [128, 64], "keep": 0.65},
        {"hidden": [128, 64], "lr": pytest.approx(1e-3 / 1.5)},
        {"keep": 0.7},
        {"lr": pytest.approx(1e-3 / 1.7)},
        {"lr": pytest.approx(1.7e-3)},
        {"reg": 0.0},
        {"keep": 0.9},
        {},
    ]
    assert {"reg": 1e-5} in advice("healthy", reg=0.0).candidates
    assert {"keep": 1.0} in advice("healthy", keep=0.95).candidates
    assert {"keep": 1.0} not in advice("healthy").candidates  # as it is, without dropout


def test_underfitting_gives_back_a_fifth_of_the_units():
    found = advice("underfitting", keep=0.75)
    assert found.candidates[0] == {"keep": 0.95, "hidden": [128, 64]}
    assert advice("underfitting", keep=0.9).candidates[0]["keep"] == 1.0
    assert all("keep" not in c for c in advice("underfitting").candidates)


def test_the_reasons_name_the_rates_that_are_tried():
    assert "lower ones, from 1.0e-04 on" in " ".join(advice("learning-rate-too-high").reasons)
    assert "higher ones, up to 1.0e-02" in " ".join(advice("learning-rate-too-low").reasons)


def test_beyond_an_edge_the_middle_of_the_new_range_comes_first():
    beyond = Edge("lr", "high", 1e-3, loguniform(1e-3, 1e-1), "at the upper end")
    assert advice("healthy", edges=[beyond]).candidates[1] == {"lr": pytest.approx(1e-2)}


def test_networks_end_at_the_widest():
    widest = advise(["underfitting"], SETTINGS | {"hidden": [1024]}, (), lambda _: True)
    assert tried(widest, "hidden", hidden=[1024]) == {(1024,), (2048, 1024)}
