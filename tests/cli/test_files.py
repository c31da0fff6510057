"""The command line on files that nobody here chose."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

import fanin
from fanin.cli import main


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def line_data(n=300, seed=0):
    """A target of thousands that is nearly a plane."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, 5000 + 300 * X[:, 0] - 200 * X[:, 1] + rng.normal(scale=20, size=n)


def write_table(path, header, columns):
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if header:
            writer.writerow(header)
        writer.writerows(zip(*columns, strict=True))
    return path


def blobs(n=150, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return rng.normal(size=(n, 2)) + 5 * y[:, None], y


def run(*words):
    return main([str(word) for word in words])


def printed_table(capsys):
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


# Regression


def test_regression_in_the_units_given(capsys):
    X, y = line_data()
    write_table("d.csv", ["a", "b", "c", "price"], [*X.T, y.round(2)])
    assert run("train", "d.csv", "--out", "run") == 1
    assert "--task" in capsys.readouterr().err
    assert run("train", "d.csv", "--task", "regression", "--out", "run", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["task"] == "regression"
    assert summary["network"]["loss"] == "mse"
    assert summary["initial_loss"] == pytest.approx(1, abs=0.3)
    results = summary["results"]["test"]
    # The noise has a deviation of 20, all of it 361: the best R² is 0.997
    assert results["rmse"] < 60
    assert results["r2"] > 0.97
    net = fanin.MLP.load("run/network.fanin")
    assert net.metadata["target"] == "price"
    assert net.metadata["target_mean"] == pytest.approx(5000, abs=100)
    assert np.abs(net.predict(X.astype(np.float32))[:, 0] - y).mean() < 60
    assert run("predict", "run", "d.csv") == 0
    table = printed_table(capsys)
    assert list(table[0]) == ["row", "price"]
    predicted = np.array([float(row["price"]) for row in table])
    assert np.abs(predicted - y).mean() < 60
    assert run("predict", "run/network.fanin", "d.csv", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    share = 1 - np.square(predicted - y).sum() / np.square(y - y.mean()).sum()
    assert result["metrics"]["r2"] == pytest.approx(share, abs=1e-4)
    assert result["metrics"]["rows"] == 300


def test_regression_says_what_it_reached(capsys):
    X, y = line_data()
    np.savez("d.npz", X=X, y=y)
    assert run("train", "d.npz", "--task", "regression", "--out", "run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("RMSE: train ") and ", test " in line for line in lines)
    assert any(line.startswith("R²: train ") for line in lines)
    assert not any("accuracy" in line for line in lines)


def test_a_target_far_from_0_is_told(capsys):
    X, y = line_data()
    np.savez("d.npz", X=X, y=y / 100 + 1e9)
    assert run("train", "d.npz", "--task", "regression", "--out", "run") == 0
    assert "take dtype='float64'" in capsys.readouterr().err
    words = ["train", "d.npz", "--task", "regression", "--dtype", "float64", "--json"]
    assert run(*words, "--out", "run64") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert json.loads(printed.out)["results"]["test"]["r2"] > 0.97


def test_a_search_does_regression_too(capsys):
    X, y = line_data()
    write_table("d.csv", ["a", "b", "c", "price"], [*X.T, y.round(2)])
    words = ["search", "d.csv", "lr=1e-3:1e-2:log", "--trials", "3", "--epochs", "30"]
    assert run(*words, "--task", "regression", "--out", "run", "--json") == 0
    results = json.loads(capsys.readouterr().out)["results"]["test"]
    assert results["r2"] > 0.97
    assert run("predict", "run/network.fanin", "d.csv") == 0
    printed = capsys.readouterr()
    predicted = [float(row["price"]) for row in csv.DictReader(io.StringIO(printed.out))]
    assert np.abs(predicted - y).mean() < 100
    assert "300 of 300 rows with a known label: RMSE: " in printed.err


@pytest.mark.parametrize(
    "words",
    [
        ["train", "d.npz", "--task", "regression", "--loss", "softmax"],
        ["guide", "d.npz", "--task", "regression", "--loss", "softmax"],
        ["lecture", "--data", "d.npz", "--task", "regression"],
    ],
)
def test_what_is_no_regression_is_wrong_usage(words, capsys):
    X, y = line_data(30)
    np.savez("d.npz", X=X, y=y)
    assert run(*words) == 2
    assert "regression" in capsys.readouterr().err


def test_a_guide_of_values_with_categories(capsys):
    X, y = line_data(60)
    kinds = np.array(["red", "blue"])[np.arange(60) % 2]
    write_table("d.csv", ["a", "b", "kind", "price"], [X[:, 0], X[:, 1], kinds, y.round(2)])
    words = ["guide", "d.csv", "--task", "regression", "--time-budget", "1", "--out", "run"]
    assert run(*words, "--no-progress") == 0
    said = capsys.readouterr().out
    assert "table: 3 columns (2 numbers, 1 category)" in said
    assert "Test R²" in said
    for model in ("run", "run/ensemble.fanin"):
        assert run("predict", model, "d.csv") == 0
        printed = capsys.readouterr()
        assert len(list(csv.DictReader(io.StringIO(printed.out)))) == 60
        assert "60 of 60 rows with a known label: RMSE: " in printed.err


def test_ctrl_c_leaves_the_units_of_the_data(monkeypatch):
    X, y = line_data()
    np.savez("d.npz", X=X, y=y)
    fit = fanin.MLP.fit

    class Stop(fanin.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
            if epoch == 20:
                raise KeyboardInterrupt

    monkeypatch.setattr(fanin.MLP, "fit", lambda *a, **k: fit(*a, **k, callbacks=[Stop()]))
    assert run("train", "d.npz", "--task", "regression", "--out", "run", "--no-progress") == 130
    net = fanin.MLP.load("run/network.fanin")
    assert net.predict(X).mean() == pytest.approx(5000, abs=100)


# Classes


def test_labels_keep_their_text_to_the_prediction(capsys):
    X, y = blobs()
    codes = np.array(["00501", "07", "1.50"])
    write_table("d.csv", ["zip", "a", "b"], [codes[y], *X.T])
    assert run("train", "d.csv", "--target", "zip", "--out", "run") == 0
    assert "target 'zip': classes 00501, 07, 1.50" in capsys.readouterr().out
    write_table("new.csv", ["b", "a"], [X[:6, 1], X[:6, 0]])
    assert run("predict", "run", "new.csv") == 0
    table = printed_table(capsys)
    assert [row["label"] for row in table] == codes[y[:6]].tolist()
    assert [row["row"] for row in table] == list("012345")


def test_far_labels_are_mapped_with_a_word(capsys):
    X, y = blobs()
    np.savez("d.npz", X=X, y=100_000 * (y > 0))
    assert run("train", "d.npz", "--out", "run") == 0
    assert "labels 0, 100000 are mapped to classes 0 to 1" in capsys.readouterr().out
    assert fanin.MLP.load("run/network.fanin").dims[-1] == 2
    assert run("predict", "run", "d.npz") == 0
    assert {row["label"] for row in printed_table(capsys)} == {"0", "100000"}


def test_a_table_is_read_for_predictions_as_for_the_training(capsys):
    X, y = blobs()
    text = "".join(f"{a:.3f};{b:.3f};{'äöü'[k]}\n" for (a, b), k in zip(X, y, strict=True))
    Path("d.csv").write_bytes(text.replace(".", ",").encode("latin-1"))
    words = ["--no-header", "--decimal", ",", "--encoding", "latin-1", "--delimiter", ";"]
    assert run("train", "d.csv", *words, "--out", "run") == 0
    capsys.readouterr()
    assert run("predict", "run", "d.csv") == 0
    printed = capsys.readouterr()
    table = list(csv.DictReader(io.StringIO(printed.out)))
    assert np.mean([row["label"] == "äöü"[k] for row, k in zip(table, y, strict=True)]) > 0.95
    assert "150 of 150 rows with a known label: accuracy" in printed.err
    bare = "".join(f"{a:.3f};{b:.3f}\n" for a, b in X)
    Path("bare.csv").write_text(bare.replace(".", ","))
    assert run("predict", "run", "bare.csv") == 0
    printed = capsys.readouterr()
    assert [r["label"] for r in csv.DictReader(io.StringIO(printed.out))] == [
        row["label"] for row in table
    ]
    assert printed.err == ""


def test_a_column_that_was_left_out_may_be_there_or_not_in_prediction(capsys):
    X, y = blobs()
    kinds = np.array(["x", "y", "z"])[y]
    names = np.array([f"customer {i}" for i in range(len(y))])
    write_table("d.csv", ["name", "a", "b", "kind"], [names, *X.T, kinds])
    assert run("train", "d.csv", "--out", "run") == 1
    assert "column 'name', got text" in (error := capsys.readouterr().err)
    assert "--drop" in error
    assert run("train", "d.csv", "--drop", "name", "--out", "run") == 0
    write_table("without.csv", ["a", "b"], list(X.T))
    capsys.readouterr()
    found = []
    for table in ("d.csv", "without.csv"):
        assert run("predict", "run", table) == 0
        found.append([row["label"] for row in printed_table(capsys)])
    assert found[0] == found[1]


def test_the_network_file_is_enough(capsys):
    X, y = blobs()
    write_table("d.csv", ["a", "b", "kind"], [*X.T, np.array(["x", "y", "z"])[y]])
    assert run("train", "d.csv", "--out", "run") == 0
    for name in ("config.json", "history.json"):
        Path("run", name).unlink()
    Path("run/network.fanin").rename("alone")
    capsys.readouterr()
    assert run("predict", "alone", "d.csv") == 0
    assert {row["label"] for row in printed_table(capsys)} == {"x", "y", "z"}


def test_runs_of_the_first_version_still_predict(capsys):
    X, y = blobs()
    write_table("d.csv", ["kind", "a", "b"], [np.array(["x", "y", "z"])[y], *X.T])
    assert run("train", "d.csv", "--target", "kind", "--out", "run") == 0
    net = fanin.MLP.load("run/network.fanin")
    net.metadata = {}
    net.save("run/network.fanin")
    config = {"class_names": ["x", "y", "z"], "feature_names": ["a", "b"],
              "options": {"label": "kind"}}  # fmt: skip
    Path("run/config.json").write_text(json.dumps(config))
    capsys.readouterr()
    assert run("predict", "run", "d.csv") == 0
    printed = capsys.readouterr()
    assert {row["label"] for row in csv.DictReader(io.StringIO(printed.out))} == {"x", "y", "z"}
    assert "150 of 150 rows" in printed.err


def test_labels_that_the_network_does_not_know_are_left_out_of_the_count(capsys):
    X, y = blobs()
    write_table("d.csv", ["a", "b", "kind"], [*X.T, np.array(["x", "y", "z"])[y]])
    assert run("train", "d.csv", "--out", "run") == 0
    labels = ["x", "y", "z", "w", "", "NA"]
    write_table("new.csv", ["a", "b", "kind"], [*X[:6].T, labels])
    capsys.readouterr()
    assert run("predict", "run", "new.csv") == 0
    assert "3 of 6 rows with a known label" in capsys.readouterr().err


def test_an_early_stop_is_told(capsys):
    rng = np.random.default_rng(0)
    np.savez("d.npz", X=rng.normal(size=(400, 20)), y=rng.integers(0, 2, 400))
    assert run("train", "d.npz", "--val-size", "0.5", "--out", "run") == 0
    assert "early stopping: val_loss rose" in capsys.readouterr().out


def test_a_small_table_is_learned(capsys):
    X, y = blobs(90)
    write_table("d.csv", ["a", "b", "kind"], [*X.T, np.array(["x", "y", "z"])[y]])
    assert run("train", "d.csv", "--out", "run", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert len(summary["history"]["history"]["loss"]) >= 10
    assert summary["results"]["test"]["accuracy"] > 0.9
    assert run("search", "d.csv", "--trials", "2", "--out", "search", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["results"]["test"]["accuracy"] > 0.5
    config = json.loads(Path("search/config.json").read_text())
    rows = 90 - 18 - 14  # in steps of 8
    assert config["options"]["epochs"] >= 250 / -(-rows // 8)
    assert run("predict", "search/network.fanin", "d.csv") == 0
    assert {row["label"] for row in printed_table(capsys)} <= {"x", "y", "z"}


# Images


@pytest.fixture
def pictures(tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for first, part in enumerate(("train", "val", "test")):
        for k, name in enumerate(("dark", "light")):
            (tmp_path / "pictures" / part / name).mkdir(parents=True)
            for i in range(12):
                pixels = rng.integers(0, 100, (6 + i % 2, 6), dtype=np.uint8) + 120 * k
                file = tmp_path / "pictures" / part / name / f"{first}{i}.png"
                image.fromarray(pixels.astype(np.uint8)).save(file)
    (tmp_path / "pictures" / "train" / "dark" / "notes.txt").write_text("x")
    return "pictures"


def test_folders_of_parts_and_one_image(pictures, capsys):
    assert run("train", pictures, "--out", "run") == 1
    assert "--image-size" in capsys.readouterr().err
    assert run("train", pictures, "--image-size", "6x5", "--out", "run") == 0
    printed = capsys.readouterr()
    assert "24 rows to train on, 24 rows to validate on, 24 rows to test on" in printed.out
    assert printed.err.splitlines() == ["fanin: note: pictures: left out: .txt files 1"]
    assert run("predict", "run", pictures) == 0
    printed = capsys.readouterr()
    table = list(csv.DictReader(io.StringIO(printed.out)))
    assert table[0]["file"] == "test/dark/20.png"
    assert np.mean([f"/{row['label']}/" in row["file"] for row in table]) > 0.9
    assert "24 of 24 rows with a known label: accuracy" in printed.err
    assert run("predict", "run", f"{pictures}/val/light/10.png") == 0
    (row,) = printed_table(capsys)
    assert (row["file"], row["label"]) == ("10.png", "light")
    assert run("predict", "run", f"{pictures}/val/light/10.png", "--image-size", "4") == 1
    assert "expected images of 6 x 5 as in training, got 4 x 4" in capsys.readouterr().err


def test_search_and_guide_use_the_parts(pictures, capsys):
    words = ["--image-size", "6", "--no-progress"]
    assert run("search", pictures, *words, "--trials", "2", "--out", "found") == 0
    assert "24 rows to train on, 24 to judge by" in capsys.readouterr().out
    assert run("guide", pictures, *words, "--until", "1", "--out", "guided") == 0
    assert "24 rows to learn from, 24 to test on" in capsys.readouterr().out


# Units


def test_other_units_are_told_in_one_line(capsys):
    X, y = blobs()
    write_table("d.csv", ["a", "b", "label"], [*X.T, y])
    write_table("far.csv", ["a", "b", "label"], [*(1000 * X.T), y])
    assert run("train", "d.csv", "--epochs", "2", "--out", "run") == 0
    capsys.readouterr()
    assert run("predict", "run", "far.csv") == 0
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if "training data reached" in line] == [
        line for line in told if line.startswith("fanin: warning: X reaches")
    ]
    assert len(told) == 2  # beside how good the predictions are


def test_regression_with_other_losses(capsys):
    X, y = line_data()
    write_table("d.csv", ["a", "b", "c", "price"], [*X.T, y.round(2)])
    words = ["train", "d.csv", "--task", "regression", "--epochs", "20", "--no-progress"]
    assert run(*words, "--loss", "huber", "--huber-delta", "0.5", "--out", "huber", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["network"]["huber_delta"] == 0.5
    assert summary["results"]["test"]["r2"] > 0.9
    assert run(*words, "--loss", "quantile", "--quantiles", "0.1,0.5,0.9", "--out", "q") == 0
    assert "coverage: train" in capsys.readouterr().out
    assert run("predict", "q", "d.csv") == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(table[0]) == ["row", "price_q0.1", "price_q0.5", "price_q0.9"]
    assert run(*words, "--loss", "huber", "--quantiles", "0.5", "--out", "no") == 2
    assert "quantiles: expected loss='quantile' with it" in capsys.readouterr().err


def test_one_logistic_output_for_two_classes(capsys):
    X, y = blobs()
    write_table("d.csv", ["a", "b", "label"], [*X.T, np.where(y % 2 == 0, "no", "yes")])
    assert run("train", "d.csv", "--loss", "logistic", "--epochs", "3", "--out", "run") == 0
    assert "2 classes" in capsys.readouterr().out
    assert run("predict", "run", "d.csv") == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(table[0]) == ["row", "label", "p_no", "p_yes"]
