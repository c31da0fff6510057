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
