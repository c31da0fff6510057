"""The command line: what it leaves, what it prints, and its exit codes."""

import csv
import io
import json
import os
import sys
from pathlib import Path

import children
import numpy as np
import pytest

import fanin
from fanin import datasets
from fanin.callbacks.history import History
from fanin.cli import main

FILES = {"network.fanin", "history.json", "config.json", "curves.png"}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("FANIN_DATA", raising=False)


def blobs(n=200, columns=5, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return (rng.normal(size=(n, columns)) + 6 * y[:, None]).astype(np.float32), y


def write_csv(path, X, y, classes=("ash", "birch", "cedar")):
    with Path(path).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["f1", "f2", "species", "f3", "f4", "f5"])
        for row, label in zip(X.tolist(), y, strict=True):
            writer.writerow([*row[:2], classes[label], *row[2:]])
    return str(path)


def names(folder):
    return {path.name for path in Path(folder).iterdir()}


def failed(capsys, *arguments, code=1):
    """Runs a command that must fail with one line on stderr and nothing else; gives the line."""
    before = names(".")
    assert main([str(a) for a in arguments]) == code
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert len(lines) == 1, printed.err
    assert lines[0].startswith("fanin: error: ")
    assert names(".") == before
    return lines[0]


# train


def test_digits_reach_97_percent_with_no_option(capsys):
    pytest.importorskip("matplotlib")
    assert main(["train", "digits"]) == 0
    printed = capsys.readouterr().out
    assert "1293 rows to train on, 144 rows to validate on, 360 rows to test on" in printed
    assert "expected 2.3026" in printed
    accuracy = float(printed.split("test ")[-1].split(" %")[0])
    assert accuracy >= 97
    assert "verdict\n  " in printed
    assert names("runs/digits") == FILES
    net = fanin.MLP.load("runs/digits/network.fanin")
    _, test = datasets.load("digits")
    assert net.evaluate(*test)["accuracy"] == pytest.approx(accuracy / 100, abs=1e-4)


@pytest.mark.row("P2")
@pytest.mark.parametrize(
    ("option", "steps", "width"),
    [
        ("center", "[ZeroCenter()]", 64),
        ("standardize,pca:50", "[Normalize(), PCA(n_components=50)]", 50),
        ("pca:0.9", "[PCA(n_components=0.9)]", None),
        ("zca", "[Whiten(method='zca')]", 64),
        ("whiten:20,standardize", "[Whiten(n_components=20), Normalize()]", 20),
    ],
)
def test_preprocess_by_name(option, steps, width, capsys):
    command = f"train digits --epochs 20 --hidden 32 --preprocess {option} --out run --json"
    assert main(command.split()) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["options"]["preprocess"] == option
    assert result["results"]["test"]["accuracy"] > 0.9
    net = fanin.MLP.load("run/network.fanin")
    assert repr(net.preprocess) == steps
    assert net.dims[0] == width or (width is None and net.dims[0] < 40)
    _, test = datasets.load("digits")
    assert net.evaluate(*test) == pytest.approx(result["results"]["test"])
    assert main(["predict", "run", "digits", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["labels"]) == len(test[1])


@pytest.mark.parametrize("option", ["scale", "pca:x", "center:3", "auto,pca", "", "pca:1.2.3"])
def test_unknown_preprocess(option, capsys):
    assert main(["train", "digits", "--preprocess", option, "--out", "run"]) == 2
    printed = capsys.readouterr().err
    assert "--preprocess: expected" in printed
    assert repr(option.split(",")[0]) in printed
    assert not Path("run").exists()


def test_an_unnamed_run_never_overwrites_another(capsys):
    for folder in ("digits", "digits-2", "digits-3"):
        assert main(["train", "digits", "--epochs", "1", "--hidden", "4"]) == 0
        assert f"saved in {Path('runs') / folder}:" in capsys.readouterr().out
    assert names("runs") == {"digits", "digits-2", "digits-3"}


def test_every_option_reaches_the_network(capsys):
    command = (
        "train digits --hidden 32,16 --activation tanh --init xavier --keep 0.9,0.8 "
        "--optimizer momentum --lr 0.05 --reg 1e-4 --epochs 3 --batch-size 50 --seed 7 --threads 2 "
        "--schedule cosine --loss softmax --dtype float64 --val-size 0.2 --out deep/run "
        "--no-progress"
    )
    assert main(command.split()) == 0
    assert "network 64-32-16-10" in capsys.readouterr().out
    net = fanin.MLP.load("deep/run/network.fanin")
    config = net.config()
    assert config["dims"] == [64, 32, 16, 10]
    assert list(config["activation"]) == ["tanh", "tanh"]
    assert config["init"] == "xavier"
    assert list(config["keep"]) == [0.9, 0.8]
    assert config["dtype"] == "float64"
    assert config["seed"] == 7
    history = History.load("deep/run/history.json")
    assert len(history.epoch) == 3
    assert history.params["batch_size"] == 50
    assert (history.params["n_train"], history.params["n_val"]) == (1150, 287)
    assert history.history["lr"][0] > history.history["lr"][-1]
    options = json.loads(Path("deep/run/config.json").read_text())["options"]
    assert options["reg"] == 1e-4
    assert options["hidden"] == [32, 16]


def test_json_is_one_object_and_nothing_else(capsys):
    assert main(["train", "digits", "--epochs", "8", "--out", "run", "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    summary = json.loads(printed.out)
    assert printed.out.count("\n") == 1
    assert summary["rows"] == {"train": 1293, "validation": 144, "test": 360}
    assert summary["expected_initial_loss"] == pytest.approx(np.log(10))
    assert summary["initial_loss"] == summary["history"]["initial_loss"]
    assert set(summary["results"]) == {"train", "validation", "test"}
    assert 0.8 < summary["results"]["test"]["accuracy"] <= 1
    assert set(summary["verdict"][0]) == {"name", "evidence", "action"}
    assert len(summary["history"]["history"]["loss"]) == 8
    assert set(summary["files"]) <= names("run")
    assert summary["class_names"] == list("0123456789")


def test_the_same_seed_gives_the_same_network_for_any_number_of_threads():
    for threads in (1, 2, 3):
        command = f"train digits --epochs 2 --keep 0.8 --threads {threads} --out run{threads}"
        assert main(command.split()) == 0
    one, two, three = (fanin.MLP.load(f"run{n}/network.fanin") for n in (1, 2, 3))
    assert np.array_equal(one.get_parameters(), two.get_parameters())
    assert np.array_equal(one.get_parameters(), three.get_parameters())


def test_a_linear_network_without_validation(capsys):
    command = "train digits --hidden none --epochs 6 --val-size 0 --out run"
    assert main(command.split()) == 0
    printed = capsys.readouterr().out
    assert "network 64-10," in printed
    assert "validation" not in printed.split("verdict")[0]
    assert "give fit validation_data" in printed
    assert "val_loss" not in History.load("run/history.json").history


def test_a_small_set_takes_all_rows_as_one_batch(capsys):
    X, y = blobs(30)
    np.savez("small.npz", X=X, y=y)
    assert main(["train", "small.npz", "--out", "run", "--epochs", "30", "--lr", "0.05"]) == 0
    assert "test 100.00 %" in capsys.readouterr().out


@pytest.mark.parametrize("loss", ["svm", "mse"])
def test_other_losses(capsys, loss):
    X, y = blobs()
    np.savez("d.npz", X=X, y=y)
    command = f"train d.npz --loss {loss} --out run --epochs 30 --lr 0.01"
    assert main(command.split()) == 0
    capsys.readouterr()
    assert main(["predict", "run", "d.npz"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == ["row", "label", "score_0", "score_1", "score_2"]
    assert np.mean([int(row[1]) == label for row, label in zip(rows[1:], y, strict=True)]) > 0.95


def test_without_matplotlib_the_curves_are_left_out_with_a_note(capsys, monkeypatch):
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["train", "digits", "--epochs", "1", "--out", "run"]) == 0
    assert "fanin: note: no curves.png" in capsys.readouterr().err
    assert names("run") == FILES - {"curves.png"}


def test_a_loss_that_diverges_fails_and_says_which_knob(capsys):
    X, y = blobs()
    np.savez("d.npz", X=X * 1e3, y=y)
    command = (
        "train d.npz --optimizer sgd --lr 1e30 --loss mse --preprocess none --out run --epochs 9"
    )
    assert main(command.split()) == 1
    printed = capsys.readouterr()
    assert "fanin: error: " in printed.err
    assert "learning rate" in printed.err
    assert "diverged:" in printed.out
    assert np.isfinite(fanin.MLP.load("run/network.fanin").get_parameters()).all()


def test_ctrl_c_saves_what_there_is(capsys, monkeypatch):
    fit = fanin.MLP.fit

    class Stop(fanin.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
            if epoch == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(fanin.MLP, "fit", lambda *a, **k: fit(*a, **k, callbacks=[Stop()]))
    assert main(["train", "digits", "--out", "run"]) == 130
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [
        "fanin: error: interrupted; the network after its last whole step is in run"
    ]
    assert len(History.load("run/history.json").epoch) == 2
    trained = fanin.MLP.load("run/network.fanin")
    _, test = datasets.load("digits")
    assert trained.evaluate(*test)["accuracy"] > 0.3


# predict


def test_predict_names_the_classes_and_finds_the_columns(capsys):
    X, y = blobs()
    path = write_csv("plants.csv", X, y)
    assert main(["train", path, "--label", "species", "--out", "run", "--lr", "0.01"]) == 0
    capsys.readouterr()
    with Path("new.csv").open("w") as file:  # other order, no labels, a column too many
        file.write("f5,f4,f3,note,f2,f1\n")
        for row in X[:9].tolist():
            file.write(f"{row[4]},{row[3]},{row[2]},x,{row[1]},{row[0]}\n")
    assert main(["predict", "run", "new.csv", "--out", "labels.csv"]) == 0
    assert capsys.readouterr().out == ""
    rows = list(csv.reader(Path("labels.csv").read_text().splitlines()))
    assert rows[0] == ["row", "label", "p_ash", "p_birch", "p_cedar"]
    assert [row[0] for row in rows[1:]] == list("012345678")
    assert [row[1] for row in rows[1:]] == ["ash", "birch", "cedar"] * 3
    shares = np.array([row[2:] for row in rows[1:]], dtype=float)
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-4)
    net = fanin.MLP.load("run/network.fanin")
    assert np.allclose(shares, net.predict_proba(X[:9]), atol=1e-4)


def test_predict_takes_a_network_file_and_gives_json(capsys):
    assert main(["train", "digits", "--epochs", "10", "--out", "run", "--json"]) == 0
    accuracy = json.loads(capsys.readouterr().out)["results"]["test"]["accuracy"]
    for network in ("run", "run/network.fanin"):
        assert main(["predict", network, "digits", "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert np.shape(result["probabilities"]) == (360, 10)
        _, (_, y) = datasets.load("digits")
        assert np.mean([int(label) for label in result["labels"]] == y) == pytest.approx(accuracy)


def test_predict_refuses_what_does_not_fit(capsys):
    assert main(["train", "digits", "--epochs", "1", "--out", "run", "--json"]) == 0
    capsys.readouterr()
    np.savez("wide.npz", X=np.zeros((3, 65)))
    assert "64" in failed(capsys, "predict", "run", "wide.npz")
    assert "gone" in failed(capsys, "predict", "gone", "digits")
    assert "gone.csv" in failed(capsys, "predict", "run", "gone.csv")
    assert "nowhere" in failed(capsys, "predict", "run", "digits", "--out", "nowhere/labels.csv")
    whole = Path("run/network.fanin").read_bytes()
    Path("cut.fanin").write_bytes(whole[:-100])
    assert "cut.fanin" in failed(capsys, "predict", "cut.fanin", "digits")
    net = fanin.MLP.load("run/network.fanin")
    net.metadata = {}  # as in files of the first version
    net.save("run/network.fanin")
    for content in ("", "{}", "[]", '{"class_names": ["a"], "feature_names": null}'):
        Path("run/config.json").write_text(content)
        assert "config.json: expected the conf" in failed(capsys, "predict", "run", "digits")


def test_products_in_bf16_from_training_to_prediction(capsys):
    path = write_csv("trees.csv", *blobs())
    assert main(["train", path, "--target", "species", "--compute", "bf16", "--epochs", "2",
                 "--hidden", "8", "--out", "run", "--no-progress"]) == 0  # fmt: skip
    assert fanin.MLP.load("run/network.fanin").compute == "bf16"
    assert main(["predict", "run", path]) == 0
    arguments = ["compute=none,bf16", "hidden=8", "--trials", "4", "--strategy", "grid"]
    assert main(["search", path, *arguments, "--target", "species", "--out", "found",
                 "--epochs", "1", "--no-progress"]) == 0  # fmt: skip
    capsys.readouterr()
    assert "--compute: invalid choice: 'bf8'" in failed(
        capsys, "train", path, "--compute", "bf8", code=2
    )


# info


def test_info_tells_what_it_runs_on(capsys):
    assert main(["info"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["fanin"] == fanin.__version__
    assert lines["numpy"] == np.__version__
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["isa"] in facts["isas"]
    assert facts["threads"] == fanin.get_num_threads()
    assert isinstance(facts["openmp"], bool)
    assert facts["tiles"] == "in use" or facts["tiles"].startswith("none: ")
    assert {"extra plot", "extra image", "extra onnx"} <= set(facts)


def test_a_command_does_not_import_what_others_need():
    code = """
        import sys
        from fanin.cli import main
        main(["info"])
        print(sorted({"fanin.tuning", "fanin.plots", "fanin.chapters"} & set(sys.modules)))
    """
    assert children.printed_by(code).splitlines()[-1] == "[]"


# bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--activation swish", "activation: expected one of identity, relu"),
        ("--optimizer sprint", "optimizer: expected one of "),
        ("--schedule never", "schedule: expected one of constant"),
        ("--init hope", "kaiming"),
        ("--loss hinge", "loss: expected one of softmax, svm, logistic, mse"),
        ("--batch-size 0", "--batch-size: expected a whole number of at least 1, got '0'"),
        ("--epochs 0", "--epochs"),
        ("--epochs 2.5", "--epochs"),
        ("--keep 0", "--keep: expected a number above 0 and at most 1, got '0'"),
        ("--keep 1.2", "--keep"),
        ("--keep nan", "--keep"),
        ("--keep 0.5,0.5", "keep: expected one value or one for each of 1 hidden layers, got 2"),
        ("--hidden 12,", "--hidden"),
        ("--hidden 0", "--hidden"),
        ("--lr 0", "--lr"),
        ("--lr fast", "--lr"),
        ("--reg -1", "--reg"),
        ("--val-size 1", "--val-size"),
        ("--threads 0", "--threads"),
        ("--seed -1", "--seed"),
        ("--dtype float16", "--dtype"),
        ("--colour red", "unrecognized arguments"),
    ],
)
def test_wrong_usage_is_2(capsys, options, message):
    assert message in failed(capsys, "train", "digits", *options.split(), code=2)


def test_no_command_and_an_unknown_one_are_2(capsys):
    failed(capsys, code=2)
    failed(capsys, "dance", code=2)
    failed(capsys, "train", code=2)
    failed(capsys, "predict", "run", code=2)


def test_help_and_version_are_0(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"fanin {fanin.__version__}\n"
    assert main(["train", "--help"]) == 0
    assert "--schedule NAME" in capsys.readouterr().out


def test_data_that_cannot_be_used_are_1(capsys):
    X, y = blobs()
    assert "gone.csv: no such file" in failed(capsys, "train", "gone.csv")
    assert "expected one of digits" in failed(capsys, "train", "imagenet")
    Path("junk.npz").write_bytes(b"PK\x03\x04 nothing")
    assert "junk.npz: not a readable" in failed(capsys, "train", "junk.npz")
    hole = X.copy()
    hole[11, 2] = np.nan
    path = write_csv("hole.csv", hole, y)
    assert main(["train", path, "--label", "species", "--out", "hole", "--epochs", "1"]) == 0
    assert "table: 5 columns" in capsys.readouterr().out  # a missing value is filled, and said so
    assert "label: expected one of f1" in failed(capsys, "train", path, "--label", "genus")
    np.savez("one.npz", X=X, y=y * 0)
    assert "at least two classes" in failed(capsys, "train", "one.npz")
    np.savez("nan.npz", X=hole, y=y)
    assert "NaN or infinity in row 11" in failed(capsys, "train", "nan.npz")
    np.savez("fine.npz", X=X, y=y)
    capsys.readouterr()
    assert not Path("runs").exists()
    assert main(["train", "fine.npz", "--batch-size", "145", "--epochs", "1"]) == 0
    assert "batch_size: 145 is more than there are rows; all 144" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_fails_before_the_training(capsys, monkeypatch):
    monkeypatch.setattr(fanin.MLP, "fit", lambda *_, **__: pytest.fail("it trained"))
    Path("file").touch()
    for out in ("file", "file/run"):
        assert "expected a folder" in failed(capsys, "train", "digits", "--out", out)
    if os.name != "nt" and os.geteuid() != 0:
        Path("locked").mkdir(mode=0o500)
        assert "cannot write" in failed(capsys, "train", "digits", "--out", "locked/run")


def test_a_second_run_into_the_same_folder_replaces_the_first():
    for seed in ("1", "2"):
        assert main(["train", "digits", "--epochs", "1", "--seed", seed, "--out", "run"]) == 0
    assert fanin.MLP.load("run/network.fanin").config()["seed"] == 2
    assert names("run") <= FILES


def test_as_a_process():
    def run(*arguments):
        return children.run([sys.executable, "-m", "fanin.cli", *arguments])

    done = run("train", "digits", "--epochs", "2", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "saved in run: " in done.stdout
    done = run("train", "gone.npz")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "fanin: error: gone.npz: no such file or folder\n"
    assert run("train", "digits", "--keep", "0").returncode == 2


def rare_spam(n, n_spam, shift):
    X, y = np.random.default_rng(0).normal(size=(n, 5)), np.arange(n) >= n - n_spam
    write_csv("rare.csv", X + shift * y[:, None], y.astype(int), ("ham", "spam"))
    return ["train", "rare.csv", "--label", "species", "--out", "run", "--no-progress"]


def test_metrics_and_class_weights(capsys):
    options = ["--metrics", "balanced_accuracy,roc_auc,confusion_matrix", "--epochs", "3"]
    run = [*rare_spam(300, 15, 2), *options]
    assert main([*run, "--class-weight", "balanced"]) == 0
    out = capsys.readouterr().out
    assert "\nbalanced_accuracy: train 0." in out
    assert "\nconfusion_matrix: train [[" in out
    results = json.loads(Path("run/config.json").read_text())["results"]["test"]
    assert np.sum(results["confusion_matrix"]) == 60
    history = json.loads(Path("run/history.json").read_text())["history"]
    assert len(history["val_roc_auc"]) == 3
    weights = fanin.MLP.load("run/network.fanin").get_parameters()
    assert main([*run, "--class-weight", "spam=2,ham=0.5"]) == 0
    assert not np.array_equal(weights, fanin.MLP.load("run/network.fanin").get_parameters())
    assert main([*run, "--val-size", "0"]) == 0
    capsys.readouterr()
    for option, code, text in (
        (["--class-weight", "eggs=2"], 2, "--class-weight: expected one of ham, spam, got 'eggs'"),
        (["--class-weight", "spam"], 2, "--class-weight: expected balanced or NAME=WEIGHT"),
        (["--metrics", "f7"], 2, "metrics: expected one of accuracy"),
        (["--metrics", "r2"], 2, "metrics: expected one of accuracy"),
    ):
        assert main([*run, *option]) == code
        assert text in capsys.readouterr().err


def test_a_rare_class_that_is_never_predicted_is_told(capsys):
    assert main([*rare_spam(1000, 30, 0), "--epochs", "9"]) == 0
    told = capsys.readouterr().err
    assert "fanin: warning: class 1 (" in told
    assert "the balanced accuracy is 50.0 %" in told
