"""Pictures: what is drawn is what the history says."""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")
from children import printed_by  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from plots_cases import run, skewed  # noqa: E402

import fanin  # noqa: E402
from fanin import diagnostics, plots  # noqa: E402


def line(panel, label):
    return next(one for one in panel.get_lines() if one.get_label().startswith(label))


def test_curves_are_the_historys_numbers_by_epoch_from_1():
    history = run()
    losses, accuracies = plots.history(history)
    for panel, prefix in ((losses, "loss"), (accuracies, "accuracy")):
        for label, name in (("training", prefix), ("validation", f"val_{prefix}")):
            drawn = line(panel, label)
            assert np.array_equal(drawn.get_xdata(), np.arange(1, 13))
            assert np.array_equal(drawn.get_ydata(), history.history[name])
    assert losses.get_ylabel() == "loss"
    assert accuracies.get_ylabel() == "accuracy"
    assert {panel.get_xlabel() for panel in (losses, accuracies)} == {"epoch"}


def test_expected_and_measured_initial_loss_are_marked():
    losses, _ = plots.history(run(initial_loss=2.91, expected_initial_loss=math.log(10)))
    level = [one for one in losses.get_lines() if set(one.get_ydata()) == {math.log(10)}]
    assert [one.get_linestyle() for one in level] == ["--"]
    assert level[0].get_label() == "expected initial loss: 2.30"
    assert "expected initial loss: 2.30" in {t.get_text() for t in losses.get_legend().get_texts()}
    marker = line(losses, "initial loss: 2.91")
    assert (marker.get_xdata()[0], marker.get_ydata()[0]) == (0, 2.91)
    plain, _ = plots.history(run())
    assert [one.get_label() for one in plain.get_lines()] == ["training", "validation"]


def test_the_best_epoch_is_named():
    history = run()
    history.history["val_accuracy"][4] = 0.985
    _, accuracies = plots.history(history)
    best = line(accuracies, "best: 98.5 % in epoch 5")
    assert (best.get_xdata()[0], best.get_ydata()[0]) == (5, 0.985)


def test_a_wide_range_of_losses_is_logarithmic():
    history = run()
    assert plots.history(history)[0].get_yscale() == "linear"
    history.history["loss"][-1] = 0.001
    assert plots.history(history)[0].get_yscale() == "log"


def test_values_that_are_not_finite_are_gaps():
    history = run()
    history.history["loss"][3] = math.inf
    history.history["val_accuracy"] = [math.nan] * 12
    losses, accuracies = plots.history(history)
    assert np.isnan(line(losses, "training").get_ydata()[3])
    assert accuracies.get_lines()[0].get_label() == "training"
    losses.figure.canvas.draw()


def test_a_run_without_epochs_or_accuracy_is_drawn():
    for history in (SimpleNamespace(history={}, epoch=[]), run(1)):
        plots.history(history)[0].figure.canvas.draw()
    history = run()
    del history.history["accuracy"], history.history["val_accuracy"]
    _, accuracies = plots.history(history)
    assert accuracies.texts[0].get_text() == "no accuracy"


def test_axes_may_be_given():
    figure = Figure()
    mine = figure.subplots(2, 1)
    axes = plots.history(run(), ax=mine)
    assert list(axes) == list(mine)
    assert len(figure.axes) == 2
    with pytest.raises(ValueError, match="ax: expected two axes, got 1"):
        plots.history(run(), ax=mine[0])


def test_curves_differ_by_more_than_colour():
    losses, _ = plots.history(run())
    training, validation = line(losses, "training"), line(losses, "validation")
    assert training.get_color() != validation.get_color()
    assert training.get_linestyle() == "-"
    assert validation._dash_pattern[1] is not None


def test_save_writes_a_picture_of_at_least_800_pixels(tmp_path):
    figure = plots.history(run())[0].figure
    path = tmp_path / "curves.png"
    plots.save(figure, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    width, height = (int.from_bytes(path.read_bytes()[16 + i : 20 + i]) for i in (0, 4))
    assert width >= 800
    assert height >= 300
    pixels = matplotlib.image.imread(path)[:, :, :3]
    for colour in (plots.TRAIN, plots.VALIDATION):
        near = np.abs(pixels - matplotlib.colors.to_rgb(colour)).max(axis=2) < 0.02
        assert near.sum() > 500
    plots.save(figure, tmp_path / "curves.svg")
    assert b"<svg" in (tmp_path / "curves.svg").read_bytes()


def test_save_leaves_nothing_half_written(tmp_path):
    figure = plots.history(run())[0].figure
    with pytest.raises(ValueError, match=r"path: expected a suffix of .*png"):
        plots.save(figure, tmp_path / "curves.doc")
    with pytest.raises(OSError, match="nowhere"):
        plots.save(figure, tmp_path / "nowhere" / "curves.png")
    assert not any(tmp_path.iterdir())


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install fanin\[plot\]"):
        plots.history(run())


def test_pyplot_is_never_imported_and_matplotlib_only_when_drawing():
    code = """
import sys
from types import SimpleNamespace
from fanin import plots
assert not any(name.startswith("matplotlib") for name in sys.modules)
plots.history(SimpleNamespace(history={"loss": [1.0]}, epoch=[0]))[0].figure.canvas.draw()
assert "matplotlib.figure" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    printed_by(code)


# ensembles


def evaluation(m=3):
    differ = 0.01 * np.add.outer(np.arange(m), np.arange(m))
    np.fill_diagonal(differ, 0)
    members = [{"accuracy": 0.9 + 0.01 * i, "loss": 0.3} for i in range(m)]
    return {"accuracy": 0.95, "loss": 0.2, "members": members, "disagreement": differ}


@pytest.mark.parametrize("m", [1, 3, 12])
def test_ensemble_against_its_members(m):
    accuracies, differ = plots.ensemble(evaluation(m))
    assert list(line(accuracies, "member").get_xdata()) == pytest.approx([90 + i for i in range(m)])
    assert line(accuracies, "ensemble").get_xdata() == pytest.approx([95])
    image = differ.images[0].get_array()
    assert np.allclose(image, 100 * evaluation(m)["disagreement"])
    written = [text.get_text() for text in differ.texts if text.get_text()]
    assert len(written) == (m * (m - 1) if m <= 8 else 0)
    differ.figure.canvas.draw()


# runs that are compared, and bad input


def test_compared_runs_are_told_apart_and_named():
    runs = {f"run {i}": run(6) for i in range(11)}
    panel = plots.compare(runs, "val_accuracy")
    looks = {(one.get_color(), str(one._dash_pattern)) for one in panel.get_lines()}
    assert len(looks) == 11
    assert [text.get_text() for text in panel.figure.legends[0].get_texts()] == list(runs)
    assert panel.get_ylabel() == "validation accuracy"


def test_a_run_that_diverged_at_once_is_named():
    lost = SimpleNamespace(history={}, epoch=[], stop_reason="diverged")
    panel = plots.compare({"0.1": run(3), "9": lost})
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["0.1", "9 (diverged)"]


BAD = {
    r"X: expected shape \(N, 2\)": lambda: plots.preprocessing(np.ones((3, 3))),
    "X: expected finite": lambda: plots.preprocessing(np.array([[0, np.nan]])),
    "ax: expected 6 axes, got 2": lambda: plots.preprocessing(skewed(), ax=Figure().subplots(1, 2)),
    "dims: expected input, hidden": lambda: plots.dropout_thinning([3, 4]),
    "dims: expected between 1 and 12, got 40": lambda: plots.dropout_thinning([3, 40, 4]),
    "keep: expected above 0": lambda: plots.dropout_thinning(keep=0.0),
    "rates: expected above 0": lambda: plots.learning_rates(rates=(0.0,)),
    r"y: expected shape \(N, 1\)": lambda: plots.gd_vs_sgd(np.ones(3), np.ones((3, 2))),
    "batch_sizes: expected 1 to 5, got 0": lambda: plots.gd_vs_sgd(
        np.ones(3), np.ones(3), batch_sizes=()
    ),
    "surfaces: expected one of saddle, local, beale; got 'hill'": lambda: plots.optimizer_paths(
        surfaces=["hill"]
    ),
    "optimizer: expected one of sgd": lambda: plots.optimizer_paths({"adm": 0.1}),
    "runs: expected 1 to 11 of them, got 0": lambda: plots.compare({}),
    "disagreement is missing": lambda: plots.ensemble({"accuracy": 1, "members": []}),
    r"disagreement of shape \(3, 3\)": lambda: plots.ensemble(
        evaluation(3) | {"disagreement": np.eye(2)}
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()


def test_every_figure_takes_axes_and_returns_them():
    report = diagnostics.activation_statistics([16] * 3, 4)
    x = np.arange(8.0)
    figures = {
        2: [
            lambda ax: plots.activations(report, ax=ax),
            lambda ax: plots.dropout_thinning(ax=ax),
            lambda ax: plots.gd_vs_sgd(x / 8, x, steps=2, batch_sizes=(None,), ax=ax),
            lambda ax: plots.optimizer_paths({"sgd": 0.01}, ax=ax),
            lambda ax: plots.ensemble(evaluation(), ax=ax),
            lambda ax: plots.learning_rates({"1": run(3)}, rates=[0.5], ax=ax),
        ],
        6: [lambda ax: plots.preprocessing(skewed(), ax=ax)],
    }
    for count, draws in figures.items():
        for draw in draws:
            mine = Figure().subplots(count // 2, 2).reshape(-1)
            assert list(np.ravel(draw(mine))) == list(mine)
    panel = Figure().subplots()
    assert plots.compare({"a": run(3)}, ax=panel) is panel
    assert fanin.plots is plots
