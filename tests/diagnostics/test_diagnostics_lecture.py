"""Activation statistics in the lecture's experiment: its numbers, lines and verdicts."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from lecture_cases import PRINTED

from fanin.diagnostics import ActivationReport, activation_statistics

# std of each layer in the lecture's experiment, four digits from NumPy runs of its listing
LECTURE = {
    "small-tanh": (
        {"init": "small_random", "activation": "tanh"},
        (0.494, 0.291, 0.179, 0.113, 0.072, 0.046),
        "vanishing",
    ),
    "large-tanh": (
        {"std": 0.05, "activation": "tanh"},
        (0.872, 0.854, 0.850, 0.851, 0.851, 0.851),
        "saturated",
    ),
    "xavier-tanh": (
        {"init": "xavier", "activation": "tanh"},
        (0.630, 0.488, 0.408, 0.358, 0.322, 0.296),
        "healthy",
    ),
    "small-relu": (
        {"std": 0.01, "activation": "relu"},
        (0.376, 0.171, 0.078, 0.035, 0.016, 0.007),
        "vanishing",
    ),
    "xavier-relu": (
        {"init": "xavier", "activation": "relu"},
        (0.588, 0.417, 0.297, 0.209, 0.147, 0.102),
        "vanishing",
    ),
    "kaiming-relu": (
        {"init": "kaiming", "activation": "relu"},
        (0.832, 0.835, 0.841, 0.835, 0.830, 0.816),
        "healthy",
    ),
}


def limits(case, depth=6):
    """Std of each layer at infinite width: z is normal, and its variance goes from layer to layer.

    Integrals by Gauss and Legendre over each half axis, for the sake of relu's kink.
    """
    nodes, weights = np.polynomial.legendre.leggauss(300)
    half = 4.5 * (nodes + 1)  # 0 ... 9
    weights = 4.5 * weights * np.exp(-half * half / 2) / math.sqrt(2 * math.pi)
    tanh = case.endswith("tanh")
    gain = {"small-tanh": 0.4096, "large-tanh": 10.24, "kaiming-relu": 2.0}.get(case, 1.0)
    q, found = 1.0, []
    for _ in range(depth):
        z = math.sqrt(gain * q) * half
        up, down = (np.tanh(z), -np.tanh(z)) if tanh else (z, 0 * z)
        q = float(weights @ (up * up + down * down))
        found.append(math.sqrt(q - float(weights @ (up + down)) ** 2))
    return np.array(found)


def stds(report):
    return np.array([layer.std for layer in report.layers])


@pytest.mark.row("I2")
@pytest.mark.parametrize("case", PRINTED)
def test_the_lectures_printed_lines_with_sixteen_rows(case):
    """Within 0.04; over seeds, Kaiming's deeper layers spread by 0.02 about 0.826 (NumPy's too)."""
    options, _, verdict = LECTURE[case]
    reports = [activation_statistics(seed=seed, **options) for seed in range(8)]
    assert {report.verdict for report in reports} == {verdict}
    found = np.array([stds(report) for report in reports])
    np.testing.assert_allclose(found.mean(axis=0), PRINTED[case], atol=0.04, rtol=0)
    tolerance = 0.04 if case != "kaiming-relu" else 0.12
    np.testing.assert_allclose(found, np.tile(PRINTED[case], (8, 1)), atol=tolerance, rtol=0)


@pytest.mark.row("I2")
@pytest.mark.parametrize("case", ["small-tanh", "large-tanh", "xavier-tanh"])
def test_limits_of_theory_with_many_rows(case):
    options = dict(LECTURE[case][0])
    if "xavier" not in case:
        options = {"activation": "tanh", "std": 0.02 if case == "small-tanh" else 0.1}
    report = activation_statistics([1024] * 7, 1024, **options)
    np.testing.assert_allclose(stds(report), limits(case), atol=0.005, rtol=0)


@pytest.mark.row("I2")
@pytest.mark.parametrize("case", ["xavier-relu", "kaiming-relu"])
def test_limits_of_theory_over_seeds(case):
    """Of a ReLU's std the draw of W decides 2 %, however many the rows: seeds average it out."""
    options = LECTURE[case][0]
    reports = [activation_statistics([1024] * 7, seed=s, **options) for s in range(100)]
    found = np.sqrt(np.mean([stds(report) ** 2 for report in reports], axis=0))
    np.testing.assert_allclose(found, limits(case), atol=0.0, rtol=0.02)  # four standard errors


@pytest.mark.slow
@pytest.mark.row("I2")
@pytest.mark.parametrize("case", PRINTED)
def test_limits_of_theory_with_4096_rows_of_4096(case):
    found = stds(activation_statistics(n=4096, **LECTURE[case][0]))
    if case.endswith("tanh"):
        np.testing.assert_allclose(found, limits(case), atol=0.005, rtol=0)
        return
    assert found[0] == pytest.approx(limits(case)[0], abs=0.005)
    np.testing.assert_allclose(found, limits(case), atol=0, rtol=0.1)
    reports = [activation_statistics(seed=s, **LECTURE[case][0]) for s in range(200)]
    over = np.sqrt(np.mean([stds(report) ** 2 for report in reports], axis=0))
    np.testing.assert_allclose(over, limits(case), atol=0.005, rtol=0)


@pytest.mark.row("I1")
@pytest.mark.parametrize("case", LECTURE)
def test_the_lectures_six_layers(case):
    options, expected, verdict = LECTURE[case]
    report = activation_statistics([4096] * 7, n=256, **options)  # fewer rows spread more
    found = [layer.std for layer in report.layers]
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.0006)
    assert report.verdict == verdict


@pytest.mark.parametrize("case", LECTURE)
def test_verdicts_hold_for_sixteen_rows_and_any_seed(case):
    options, _, verdict = LECTURE[case]
    scale = 2.0 if "std" in options or options["init"] == "small_random" else 1.0  # sqrt(4096/1024)
    for seed in range(5):
        report = activation_statistics([1024] * 7, seed=seed, gain=scale, **options)
        assert report.verdict == verdict, report.reason


@pytest.mark.row("I3")
@pytest.mark.parametrize("case", PRINTED)
def test_gradients_and_verdict_in_the_lectures_cases(case):
    options, _, verdict = LECTURE[case]
    report = activation_statistics(gradients=True, **options)
    assert report.verdict == verdict
    first, last = report.layers[0], report.layers[-1]
    assert last.gradient == pytest.approx(1, abs=0.02)
    # Geometric mean of a step down: sqrt(4096 std(W)^2 E[f'(z)^2]) of mean-field theory
    step = (first.gradient / last.gradient) ** (1 / 5)
    expected = {
        "small-tanh": 0.62,
        "large-tanh": 1.40,
        "xavier-tanh": 0.87,
        "xavier-relu": 0.707,
        "kaiming-relu": 1.0,
    }[case]
    assert step == pytest.approx(expected, abs=0.02)
    assert f"gradient {last.gradient:.3g} at the last layer" in report.reason
    assert first.saturated > 0.3 if case == "large-tanh" else first.saturated < 0.02
    assert first.zero == pytest.approx(0.5 if case.endswith("relu") else 0, abs=0.02)
    assert all(layer.weight_gradient > 0 for layer in report.layers)


@pytest.mark.row("I3")
@pytest.mark.parametrize("depth", [1, 2, 3, 5, 10, 20])
@pytest.mark.parametrize("width", [100, 400])
def test_verdicts_at_other_depths_and_widths(width, depth):
    def verdicts(**options):
        return {
            activation_statistics([width] * (depth + 1), 64, seed=s, gradients=g, **options).verdict
            for s in range(3)
            for g in (False, True)
        }

    assert verdicts(init="xavier", activation="tanh") == {"healthy"}
    assert verdicts(init="kaiming", activation="relu") == {"healthy"}
    assert verdicts(init="kaiming", activation="leaky_relu") == {"healthy"}
    assert verdicts(init="xavier", activation="identity") == {"healthy"}
    assert verdicts(init="xavier", activation="elu") == {"healthy"}
    assert verdicts(std=4 / math.sqrt(width), activation="tanh") == {"saturated"}
    deep = {"healthy"} if depth < 5 else {"vanishing"}  # small networks stand it
    assert verdicts(init="xavier", activation="relu") == deep
    assert verdicts(std=0.6 / math.sqrt(width), activation="tanh") == deep
    grown = {"healthy"} if depth < 4 else {"exploding"}
    assert verdicts(std=2.5 / math.sqrt(width), activation="relu") == grown


@pytest.mark.row("I3")
def test_a_sigmoids_gradient_vanishes_where_its_activations_look_well():
    dims = [300] * 8
    assert activation_statistics(dims, activation="sigmoid").verdict == "healthy"
    report = activation_statistics(dims, activation="sigmoid", gradients=True)
    assert report.verdict == "vanishing"
    assert re.search(r"gradient .* falls by 7\d% a layer on its way down", report.reason)


def test_minus_zero_as_the_lecture_prints_it():
    found = activation_statistics([64, 64]).layers[0]
    report = ActivationReport((replace(found, mean=-0.004, std=0.494),), "healthy", "")
    assert str(report) == "[ 1 layers]  mean:-0.00 std:0.49"


def test_the_lectures_lines_to_the_letter():
    report = activation_statistics([256] * 12)
    lines = str(report).splitlines()
    assert len(lines) == 11
    for number, (line, layer) in enumerate(zip(lines, report.layers, strict=True), 1):
        assert line == f"[ {number} layers]  mean:{layer.mean:.2f} std:{layer.std:.2f}"
    assert re.fullmatch(r"\[ 1 layers\]  mean:-?0\.0\d std:0\.6\d", lines[0])
