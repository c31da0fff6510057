"""Learning rates: the lecture's probe and the range test; what they leave as it was."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import fanin
from fanin import optim
from fanin.arrays import Table
from fanin.tuning import RateProbe, RateTrial, lr_probe, lr_range

pytestmark = pytest.mark.row("G3")


def problem(n: int = 400, d: int = 10, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, n)
    return rng.normal(size=(n, d)) + 0.7 * rng.normal(size=(classes, d))[y], y


def network(**options: Any) -> fanin.MLP:
    return fanin.MLP([10, 16, 4], **{"seed": 2, **options})


def test_each_rate_has_its_verdict():
    probe = lr_probe(network(), *problem(), rates=[1e-8, 1e-2, 1e4])
    assert [(t.rate, t.verdict) for t in probe.trials] == [
        (1e4, "diverged"),
        (1e-2, "goes down"),
        (1e-8, "flat"),
    ]
    assert probe.suggestion == 1e-2
    assert 0.5 < probe.trials[1].drop < 1
    lines = str(probe).splitlines()
    assert lines[1].startswith("lr 1e-02: loss 1.3")
    assert f"goes down by {probe.trials[1].drop:.1%}" in lines[1]
    assert lines[3] == f"-> 0.01: the loss falls most, by {probe.trials[1].drop:.1%} in 100 steps"


def test_the_lectures_rates_are_the_default():
    probe = lr_probe(network(), *problem(), iterations=3)
    assert [t.rate for t in probe.trials] == [1e-1, 1e-2, 1e-3, 1e-4]
    assert all(len(t.losses) == 3 for t in probe.trials)


@pytest.mark.parametrize("n", [65, 128, 333])
def test_losses_are_those_of_the_steps(n):
    X, y = problem(n)
    trial = lr_probe(network(), X, y, rates=[0.01], iterations=7, batch_size=50).trials[0]
    net, losses = network(), []

    class Each(fanin.callbacks.Callback):
        def on_train_batch_end(self, step, logs=None):
            losses.append((step, logs["loss"]))

    net.fit(X, y, epochs=7, batch_size=50, callbacks=[Each()], progress=False,
            optimizer=optim.Adam(0.01))  # fmt: skip
    firsts = [loss for step, loss in losses if step == 0]
    steps = -(-n // 50)
    assert trial.losses[::steps] == pytest.approx(firsts[: -(-7 // steps)], abs=0)
    assert len(trial.losses) == 7
    before, _ = network().evaluate(X, y).values()
    assert trial.initial_loss == pytest.approx(before, rel=1e-6)


@pytest.mark.parametrize("finder", [lr_probe, lr_range])
@pytest.mark.parametrize("rule", ["adam", "momentum"])
def test_nothing_is_changed(finder, rule):
    X, y = problem()
    net = network(keep=0.8)
    optimizer = optim.get(rule, 0.01)
    net.fit(X, y, epochs=2, optimizer=optimizer, progress=False, preprocess="standardize")
    history, state = net.history, net.__getstate__()
    parameters, clock = state["arrays"]["parameters"], optimizer.state_dict()
    X_before, y_before = X.copy(), y.copy()
    finder(net, X, y, optimizer=optimizer, preprocess=(0.0, 1.0))
    after = net.__getstate__()
    assert np.array_equal(after["arrays"].pop("parameters"), parameters)
    state["arrays"].pop("parameters")
    assert all(np.array_equal(a, after["arrays"][k]) for k, a in state.pop("arrays").items())
    after.pop("arrays")
    assert after == state
    assert net.history is history
    now = optimizer.state_dict()
    held = zip(now.pop("states")[""], clock.pop("states")[""], strict=True)
    assert all(np.array_equal(a, b) for a, b in held)
    assert now == clock
    assert np.array_equal(X, X_before)
    assert np.array_equal(y, y_before)
    twin = network(keep=0.8)
    twin.fit(X, y, epochs=2, optimizer=optim.get(rule, 0.01), progress=False,
             preprocess="standardize")  # fmt: skip
    assert np.array_equal(twin.get_parameters(), net.get_parameters())


def test_the_same_bits_on_every_isa_with_any_threads(run_isa, isa):
    code = """
        import numpy as np, fanin
        from fanin.tuning import lr_probe
        rng = np.random.default_rng(0)
        y = rng.integers(0, 4, 333)
        X = rng.normal(size=(333, 17)) + y[:, None]
        print(lr_probe(fanin.MLP([17, 65, 4]), X, y, iterations=12).to_dict())
    """
    assert run_isa(code, isa, 2) == run_isa(code, "scalar", 1)


def test_data_of_any_kind_are_probed_as_arrays_are():
    X, y = problem()
    rates = [1e-2, 1e-3]
    expected = lr_probe(network(), X, y, rates=rates)
    assert lr_probe(network(), X.tolist(), y.tolist(), rates=rates) == expected
    pandas = pytest.importorskip("pandas")
    order = np.random.default_rng(1).permutation(len(y))  # its index is no row number
    frame = pandas.DataFrame(X, index=order, columns=[f"x{i}" for i in range(10)])
    assert lr_probe(network(), frame, pandas.Series(y, index=order), rates=rates) == expected


def test_a_table_is_probed_through_its_encoder():
    X, y = problem()
    table = Table({f"x{i}": column for i, column in enumerate(X.T)})
    encoder = fanin.preprocessing.TableEncoder().fit(table)
    probe = lr_probe(network(), table, y, rates=[1e-2], preprocess=encoder)
    features = encoder.transform(table)
    assert probe == lr_probe(network(), features, y, rates=[1e-2], preprocess=None)


def test_no_rate_helps():
    X, y = problem()
    flat = lr_probe(network(), X, y, rates=[1e-9, 1e-8])
    assert "moves with no rate up to 1e-08: try larger" in flat.reason
    with pytest.raises(ValueError, match="learning rate: the loss moves with no rate"):
        _ = flat.suggestion
    wild = lr_probe(network(), X, y, rates=[1e5, 1e6], optimizer="sgd")
    assert [t.verdict for t in wild.trials] == ["diverged"] * 2
    assert "down to 100000: try smaller" in wild.reason
    assert str(wild).endswith("-> none: " + wild.reason)


def test_the_end_of_the_list_is_suspicious():
    X, y = problem()
    assert (
        "it is the smallest of those tried: try smaller ones"
        in lr_probe(network(), X, y, rates=[0.01, 10.0]).reason
    )
    assert (
        "it is the largest of those tried" in lr_probe(network(), X, y, rates=[1e-4, 1e-3]).reason
    )
    assert "tried" not in lr_probe(network(), X, y, rates=[0.01]).reason


def test_values_without_accuracy():
    X, _ = problem()
    net = fanin.MLP([10, 8, 1], loss="mse")
    probe = lr_probe(net, X, X[:, 0].copy(), rates=[1e-2])
    assert probe.trials[0].verdict == "goes down"
    assert probe.trials[0].final_accuracy is None
    assert "accuracy" not in str(probe)


def test_json_and_back():
    X, y = problem()
    probe = lr_probe(network(), X, y, rates=[1e30, 0.01], optimizer="sgd", iterations=5)
    assert math.isnan(probe.trials[0].final_loss)
    again = RateProbe.from_dict(json.loads(json.dumps(probe.to_dict(), allow_nan=False)))
    assert again.trials[1] == probe.trials[1]
    assert str(again) == str(probe)


@pytest.mark.parametrize(("rule", "low", "high"), [("adam", 3e-4, 0.1), ("momentum", 1e-3, 0.3)])
def test_range(rule, low, high):
    X, y = problem()
    found = lr_range(network(), X, y, optimizer=rule)
    assert low < found.suggestion < high
    assert found.rates[0] == pytest.approx(1e-7)
    assert np.allclose(np.diff(np.log(found.rates)), np.log(1e8) / 99)
    lengths = {len(a) for a in (found.rates, found.losses, found.smoothed, found.slopes)}
    assert len(lengths) == 1
    assert found.losses[-1] > found.smoothed.min()
    assert f"-> {found.suggestion:.1e}: the loss falls most steeply" in str(found)
    # The suggestion trains, ten times as much does worse in the probe.
    probe = lr_probe(network(), X, y, rates=[found.suggestion], optimizer=rule)
    assert probe.trials[0].drop > 0.5


def test_the_slope_is_over_the_logarithm():
    # Raw slopes are steepest at the lowest rates, where the loss is noise.
    X, y = problem()
    found = lr_range(network(), X, y, low=1e-9)
    raw = found.rates[np.gradient(found.losses, found.rates).argmin()]
    assert raw < 1e-6 < found.suggestion


def test_range_without_a_fall():
    X, y = problem()
    found = lr_range(network(), X, y, low=1e-12, high=1e-9)
    assert len(found.rates) == 100
    with pytest.raises(ValueError, match=r"falls nowhere by 2%: it begins at 1\.3"):
        _ = found.suggestion
    assert "-> none:" in str(found)
    lost = lr_range(network(), X, y, low=1e25, high=1e30, optimizer="sgd")
    with pytest.raises(ValueError, match="diverges at 1e"):
        _ = lost.suggestion


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rates": []}, "rates: expected at least one learning rate"),
        ({"rates": [0.0]}, "rates: expected above 0"),
        ({"rates": [math.nan]}, "rates: expected above 0"),
        ({"rates": 0.1}, "rates: expected a list of learning rates, got float"),
        ({"rates": ["a"]}, "rates: expected a number"),
        ({"iterations": 0}, "iterations: expected at least 1"),
        ({"optimizer": "nix"}, "optimizer: expected one of sgd"),
        ({"batch_size": 0}, "batch_size"),
        ({"reg": -1.0}, "reg: expected at least 0"),
        ({"preprocess": "nix"}, "preprocess"),
    ],
)
def test_bad_input_of_the_probe(options, text):
    with pytest.raises((ValueError, TypeError), match=text):
        lr_probe(network(), *problem(), **options)


def test_bad_data():
    X, y = problem()
    with pytest.raises(ValueError, match=r"X: expected shape \(N, 10\)"):
        lr_probe(network(), X[:, :9].copy(), y)
    with pytest.raises(ValueError, match="y: expected"):
        lr_probe(network(), X, y[:-1])
    X[3, 4] = np.nan
    with pytest.raises(ValueError, match="nan in row 3, column 4"):
        lr_range(network(), X, y)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"low": 0.0}, "low: expected above 0"),
        ({"low": 1.0, "high": 1.0}, r"high: expected above low \(1\), got 1"),
        ({"iterations": 19}, "iterations: expected at least 20"),
    ],
)
def test_bad_input_of_the_range(options, text):
    with pytest.raises(ValueError, match=text):
        lr_range(network(), *problem(), **options)


def test_pictures():
    pytest.importorskip("matplotlib")
    X, y = problem()
    probe = lr_probe(network(), X, y, rates=[1e4, 1e-2])
    panel = fanin.plots.rates(probe)
    texts = panel.get_legend_handles_labels()[1]
    assert texts == ["10000: diverged", f"0.01: goes down by {probe.trials[1].drop:.0%}"]
    drawn = [line.get_ydata() for line in panel.get_lines()]
    assert np.array_equal(drawn[2], probe.trials[1].losses)
    found = lr_range(network(), X, y)
    panel = fanin.plots.rates(found)
    assert panel.get_xscale() == "log"
    assert np.array_equal(panel.get_lines()[1].get_ydata(), found.smoothed)
    assert panel.get_lines()[2].get_xdata()[0] == found.suggestion
    none = lr_range(network(), X, y, low=1e-12, high=1e-9)
    assert fanin.plots.rates(none).texts[0].get_text() == none.reason
    with pytest.raises(TypeError, match="found: expected what lr_probe"):
        fanin.plots.rates([1, 2])


# which rate to take


def probe_of(*trials: tuple[float, float, str]) -> RateProbe:
    """Of rate, fall of the loss from 1, verdict."""
    made = [
        RateTrial(rate, (1.0, 1.0 - drop), 1.0, 1.0 - drop, 0.5, 0.6, verdict)
        for rate, drop, verdict in trials
    ]
    return RateProbe(tuple(made), 100)


DOWN = "goes down"


def test_the_smallest_rate_that_is_about_as_good_is_suggested():
    probe = probe_of((1e-1, 0.95, DOWN), (1e-2, 0.9, DOWN), (1e-3, 0.5, DOWN))
    assert probe.best.rate == 1e-1
    assert probe.suggestion == 1e-2
    assert "at least nine tenths" in probe.reason
    assert probe_of((1e-1, 0.95, DOWN), (1e-2, 0.8, DOWN)).suggestion == 1e-1


@pytest.mark.parametrize("verdict", ["diverged", "rising"])
def test_never_at_the_edge_of_what_still_falls(verdict):
    probe = probe_of((1.0, -5.0, verdict), (0.5, 0.9, DOWN), (1e-2, 0.5, DOWN))
    assert probe.edge == pytest.approx(1 / 3)
    assert probe.suggestion == pytest.approx(1 / 3)
    assert "too near" in probe.reason
    below = probe_of((10.0, -5.0, verdict), (1e-2, 0.9, DOWN), (1e-3, 0.5, DOWN))
    assert below.suggestion == 1e-2


def test_a_rate_whose_loss_rose_first_is_beyond_the_edge():
    rose = RateTrial(0.3, (1.0, *[4.0] * 6, 0.2), 1.0, 0.1, 0.5, 0.9, DOWN)
    good = RateTrial(0.03, (1.0, *[0.8] * 6, 0.2), 1.0, 0.2, 0.5, 0.9, DOWN)
    assert RateProbe((rose, good), 7).edge == pytest.approx(0.1)
    assert RateProbe((rose, good), 7).suggestion == pytest.approx(0.1)


def test_the_spike_of_a_single_step_is_no_edge():
    once = RateTrial(0.3, (1.0, 4.0, *[0.5] * 20), 1.0, 0.1, 0.5, 0.9, DOWN)
    assert RateProbe((once,), 22).edge is None


def test_rates_below_those_that_train_are_no_edge():
    probe = probe_of((1e-2, 0.9, DOWN), (1e-9, -0.02, "rising"))
    assert probe.edge is None
    assert probe.suggestion == 1e-2
