# ruff: noqa: ARG002 -- hooks take what they are given
from __future__ import annotations

import csv
import io
import json
import math
import sys

import numpy as np
import pytest

import fanin
from fanin import callbacks
from fanin.callbacks import (
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    ModelCheckpoint,
    ProgressBar,
)

PARAMS = {"epochs": 3, "steps": 5, "batch_size": 2, "n_train": 10, "n_val": 4}


class Network:
    """As much of a network as callbacks touch: its parameters are the number of the epoch."""

    def __init__(self):
        self.stop_training = False
        self.stop_reason = None
        self.parameters = np.full(3, -1.0)
        self.saved = []

    def get_parameters(self):
        return self.parameters

    def set_parameters(self, parameters):
        self.parameters = np.array(parameters)

    def save(self, path):
        self.saved.append(path)


def run(callback, values, name="val_loss", network=None):
    """Epochs with these values of one name, until something stops them; the network."""
    network = network or Network()
    with CallbackList([callback], network, PARAMS) as hooks:
        hooks.on_train_begin()
        for epoch, value in enumerate(values):
            hooks.on_epoch_begin(epoch)
            network.parameters = np.full(3, float(epoch))
            hooks.on_epoch_end(epoch, {"loss": 0.1, name: value})
            if network.stop_training:
                break
        network.epochs = epoch + 1
        hooks.on_train_end()
    return network


# Callback and CallbackList


class Recorder(Callback):
    def __init__(self, log, name):
        self.log, self.name = log, name

    def on_train_begin(self, logs=None):
        self.log.append((self.name, "train_begin"))

    def on_train_end(self, logs=None):
        self.log.append((self.name, "train_end"))

    def on_epoch_begin(self, epoch, logs=None):
        self.log.append((self.name, "epoch_begin", epoch))

    def on_epoch_end(self, epoch, logs=None):
        self.log.append((self.name, "epoch_end", epoch, logs))

    def on_progress(self, step, logs=None):
        self.log.append((self.name, "progress", step))

    def close(self):
        self.log.append((self.name, "close"))


def test_list_calls_each_in_order():
    log, network = [], Network()
    a, b = Recorder(log, "a"), Recorder(log, "b")
    with CallbackList((a, b), network, PARAMS) as hooks:
        hooks.on_train_begin({})
        hooks.on_epoch_begin(0, {})
        hooks.on_progress(4)
        hooks.on_epoch_end(0, {"loss": 1.0})
        hooks.on_train_end()
    events = [
        ("train_begin",),
        ("epoch_begin", 0),
        ("progress", 4),
        ("epoch_end", 0, {"loss": 1.0}),
        ("train_end",),
        ("close",),
    ]
    assert log == [(name, *event) for event in events for name in "ab"]
    assert a.network is a.model is network
    assert a.params == PARAMS


def test_list_closes_after_an_error():
    log = []
    with pytest.raises(KeyboardInterrupt), CallbackList([Recorder(log, "a")]):
        raise KeyboardInterrupt
    assert log == [("a", "close")]


class EveryStep(Callback):
    def on_train_batch_end(self, step, logs=None):
        pass


@pytest.mark.parametrize(
    ("callback", "uses"),
    [
        (Callback(), False),
        (EarlyStopping(), False),
        (ProgressBar(), False),
        (History(), False),
        (LambdaCallback(on_epoch_end=print), False),
        (LambdaCallback(on_train_batch_begin=print), True),
        (LambdaCallback(on_train_batch_end=print), True),
        (EveryStep(), True),
    ],
)
def test_uses_batches_only_where_a_batch_hook_is_overridden(callback, uses):
    assert callback.uses_batches is uses
    assert CallbackList([Callback(), callback]).uses_batches is uses


def test_what_is_no_callback_is_refused():
    with pytest.raises(TypeError, match=r"callbacks: expected fanin.callbacks.Callback, got 3"):
        CallbackList([3])


def test_all_names_are_there():
    assert all(hasattr(callbacks, name) for name in callbacks.__all__)


# History


def history():
    h = History(params=PARAMS, expected_initial_loss=math.log(10))
    h.append(0, {"loss": 2.0, "accuracy": 0.25, "val_loss": 2.5})
    h.append(1, {"loss": 1.0, "accuracy": 0.75, "val_loss": 2.0})
    h.append(2, {"loss": 0.5, "accuracy": 1.0, "val_loss": 2.25})
    h.initial_loss, h.stop_reason, h.seconds = 2.3125, "all epochs done", 1.5
    return h


def test_history_collects_as_a_callback():
    h = History()
    run(h, [2.5, 2.0])
    assert h.epoch == [0, 1]
    assert h.history == {"loss": [0.1, 0.1], "val_loss": [2.5, 2.0]}


def test_history_lists_stay_of_one_length():
    h = History()
    h.append(0, {"loss": 1.0})
    h.append(1, {"val_loss": 2.0})
    np.testing.assert_equal(h.history, {"loss": [1.0, math.nan], "val_loss": [math.nan, 2.0]})


def test_history_best():
    h = history()
    assert h.best() == (1, 2.0)
    assert h.best("accuracy") == (2, 1.0)
    assert h.best("accuracy", mode="min") == (0, 0.25)
    h.history["val_loss"][:] = [math.nan, 2.0, math.nan]
    assert h.best() == (1, 2.0)
    with pytest.raises(ValueError, match="monitor: expected one of loss, accuracy, val_loss"):
        h.best("val_accuracy")
    with pytest.raises(ValueError, match="history: expected at least one epoch"):
        History().best()


def test_history_goes_on():
    h, later = history(), History(params={"epochs": 1})
    later.append(0, {"loss": 0.25, "lr": 0.1})
    later.seconds, later.stop_reason = 0.5, "callback"
    h.extend(later)
    assert h.epoch == [0, 1, 2, 3]
    assert h.history["loss"] == [2.0, 1.0, 0.5, 0.25]
    np.testing.assert_equal(h.history["lr"], [math.nan] * 3 + [0.1])
    np.testing.assert_equal(h.history["val_loss"], [2.5, 2.0, 2.25, math.nan])
    assert (h.initial_loss, h.seconds, h.stop_reason) == (2.3125, 2.0, "callback")


def test_history_round_trip_also_of_what_json_lacks(tmp_path):
    h = history()
    h.append(3, {"loss": math.inf, "accuracy": math.nan, "val_loss": -math.inf})
    h.initial_loss = math.nan
    h.save(tmp_path / "history.json")

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    json.loads((tmp_path / "history.json").read_text(), parse_constant=refuse)
    again = History.load(tmp_path / "history.json")
    np.testing.assert_equal(vars(again), vars(h))
    np.testing.assert_equal(vars(History.from_dict(h.to_dict())), vars(h))
    assert [p.name for p in tmp_path.iterdir()] == ["history.json"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '"x"', '{"history": {"loss": ["x"]}}', "\ufeff{}", "[" * 100_000]
)
def test_history_refuses_other_files(tmp_path, text):
    path = tmp_path / "h.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="expected a fanin history") as caught:
        History.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        History.load(tmp_path / "nowhere")


def test_history_refuses_lists_of_different_lengths():
    data = history().to_dict()
    data["history"]["loss"].pop()
    with pytest.raises(ValueError, match="lists of one length"):
        History.from_dict(data)


def test_history_in_words():
    h = history()
    assert repr(h) == "History(3 epochs, loss 0.5000, accuracy 1.0000, val_loss 2.2500, 1.5 s)"
    assert h.summary().splitlines() == [
        "3 epochs in 1.5 s: all epochs done",
        "initial loss 2.3125, expected 2.3026",
        "last: loss 0.5000, accuracy 1.0000, val_loss 2.2500",
        "best val_loss 2.0000 at epoch 2",
    ]
    assert repr(History()) == "History(0 epochs, 0.0 s)"
    assert History().summary() == "0 epochs in 0.0 s"


# EarlyStopping


@pytest.mark.parametrize(
    ("options", "values", "epochs", "best"),
    [
        ({"patience": 2}, [5, 4, 3, 3, 3, 0], 5, 2),
        ({"patience": 2}, [5, 4, 4, 3, 3, 2, 1], 7, 6),
        ({"patience": 1}, [1, 2, 0], 2, 0),
        ({"patience": 0}, [3, 2, 2, 0], 3, 1),
        ({"patience": 2, "min_delta": 0.5}, [5, 4.6, 4.4, 4.2, 0], 5, 4),
        ({"patience": 2, "min_delta": 0.5}, [5, 4.6, 4.5, 0], 3, 0),
        ({"patience": 2}, [math.nan, 3, math.nan, math.nan, 0], 4, 1),
        ({"patience": 2, "mode": "max"}, [1, 2, 1, 1, 9], 4, 1),
        ({"patience": 2, "baseline": 2.0}, [5, 4, 0], 2, 1),
        ({"patience": 3, "baseline": 2.0}, [5, 4, 1, 1, 1, 1, 0], 6, 2),
    ],
)
def test_early_stopping(options, values, epochs, best):
    callback = EarlyStopping(**options)
    network = run(callback, values)
    assert network.epochs == epochs
    assert callback.best_epoch == best
    assert callback.best == values[best]
    assert (network.parameters == best).all()
    if epochs < len(values):
        assert callback.stopped_epoch == epochs - 1
        assert "early stopping: val_loss has not improved" in network.stop_reason


def test_early_stopping_goes_by_the_name_for_accuracy():
    callback = EarlyStopping("val_accuracy", patience=1)
    assert run(callback, [0.5, 0.6, 0.6], "val_accuracy").epochs == 3
    assert callback.best_epoch == 1


def test_early_stopping_can_keep_the_last_and_begins_anew():
    callback = EarlyStopping(patience=1, restore_best=False)
    assert (run(callback, [1, 2, 0]).parameters == 1).all()
    assert run(callback, [9, 8, 7]).epochs == 3


def test_early_stopping_copies_the_parameters():
    callback, network = EarlyStopping(patience=5), Network()
    callback.network = network
    callback.on_train_begin()
    callback.on_epoch_end(0, {"val_loss": 1.0})
    network.parameters += 1
    callback.on_epoch_end(1, {"val_loss": 2.0})
    callback.on_train_end()
    assert (network.parameters == -1).all()


@pytest.mark.parametrize("make", [EarlyStopping, lambda m: ModelCheckpoint("net", m)])
def test_unknown_monitor_lists_what_there_is(make):
    with pytest.raises(ValueError, match="monitor: expected one of loss, val_loss, got 'auc'"):
        run(make("auc"), [1.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EarlyStopping(patience=-1), "patience: .*-1"),
        (lambda: EarlyStopping(min_delta=math.nan), "min_delta: .*nan"),
        (lambda: EarlyStopping(mode="best"), "mode: expected one of auto, min, max"),
        (lambda: ModelCheckpoint("net", mode="best"), "mode: expected one of auto, min, max"),
    ],
)
def test_bad_options(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ModelCheckpoint, LambdaCallback, CSVLogger


def test_model_checkpoint_saves_the_best_under_its_name():
    callback = ModelCheckpoint("net-{epoch:02d}-{val_loss:.3f}.fanin")
    network = run(callback, [3, 4, 2.5, 2.5, math.nan, 1])
    assert network.saved == ["net-01-3.000.fanin", "net-03-2.500.fanin", "net-06-1.000.fanin"]


def test_model_checkpoint_saves_all(tmp_path):
    callback = ModelCheckpoint(tmp_path / "{epoch}", monitor="none", save_best_only=False)
    assert run(callback, [3, 4]).saved == [str(tmp_path / "1"), str(tmp_path / "2")]


@pytest.mark.parametrize("path", ["{f1}", "{}", "{epoch:q}", "{epoch"])
def test_model_checkpoint_lists_the_fields(path):
    with pytest.raises(ValueError, match="path: expected fields among loss, val_loss, epoch, got"):
        run(ModelCheckpoint(path), [1.0])


def test_lambda_callback_has_keras_names():
    names = {
        "on_train_begin": ({},),
        "on_train_end": ({},),
        "on_epoch_begin": (1, {}),
        "on_epoch_end": (1, {}),
        "on_train_batch_begin": (2, {}),
        "on_train_batch_end": (2, {}),
    }
    seen = []
    callback = LambdaCallback(**{n: lambda *a, n=n: seen.append((n, *a)) for n in names})
    hooks = CallbackList([callback])
    for name, args in names.items():
        getattr(hooks, name)(*args)
    assert seen == [(name, *args) for name, args in names.items()]
    with pytest.raises(TypeError, match="on_epoch_end: expected a function, got 3"):
        LambdaCallback(on_epoch_end=3)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    run(CSVLogger(path), [1 / 3, 2])
    head = ["epoch", "loss", "val_loss"]
    assert rows(path) == [head, ["0", "0.1", repr(1 / 3)], ["1", "0.1", "2"]]
    with pytest.warns(UserWarning, match="no column for other, left out; .* no value for val_loss"):
        run(CSVLogger(path, append=True), [4], name="other")
    assert rows(path)[3:] == [["2", "0.1", ""]]
    run(CSVLogger(path), [5])
    assert rows(path) == [head, ["0", "0.1", "5"]]
    run(CSVLogger(tmp_path / "new.csv", append=True), [6])
    assert rows(tmp_path / "new.csv") == [head, ["0", "0.1", "6"]]


FILES = {
    "plain": ("epoch,loss,val_loss\r\n0,0.5,1.5\r\n7,0.25,1.25\r\n", "utf-8"),
    "from 1": ("epoch,val_loss,loss\n1,1.5,0.5\n7,1.25,0.25\n", "utf-8"),
    "with a mark": ("epoch,loss,val_loss\n7,0.5,1.5\n", "utf-8-sig"),
    "utf-16": ("epoch,loss,val_loss\n7,0.5,1.5\n", "utf-16"),
    "latin": ("epoch,größe,loss,val_loss\n7,,0.5,1.5\n", "latin-1"),
    "semicolons": ("epoch;loss;val_loss\n7;0.5;1.5\n", "utf-8"),
    "decimal commas": ("epoch;loss;val_loss\n7;0,5;1,5\n", "utf-8"),
    "tabs": ("epoch\tloss\tval_loss\n7\t0.5\t1.5\n", "utf-8"),
    "quotes": ('"epoch","loss","val_loss"\n7,0.5,1.5\n', "utf-8"),
    "no end": ("epoch,loss,val_loss\n7,0.5,1.5", "utf-8"),
    "empty lines": ("epoch,loss,val_loss\n7,0.5,1.5\n\n", "utf-8"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore:.*no value for größe")
def test_csv_logger_goes_on_with_what_it_finds(tmp_path, name):
    text, encoding = FILES[name]
    path = tmp_path / "log.csv"
    path.write_bytes(text.encode(encoding))
    for values, first in (([3.5, 4.5], 8), ([5.5], 10)):
        run(CSVLogger(path, append=True), values)
        after = path.read_bytes().decode(encoding)
        delimiter = next(d for d in ";\t," if d in text)
        table = list(csv.DictReader(io.StringIO(after, newline=""), delimiter=delimiter))
        mine = table[-len(values) :]
        assert [int(row["epoch"]) for row in mine] == list(range(first, first + len(values)))
        assert [float(row["val_loss"].replace(",", ".")) for row in mine] == values
        assert {row["loss"].replace(",", ".") for row in mine} == {"0.1"}
        assert ("," in mine[0]["val_loss"]) == (name == "decimal commas")
    assert after.startswith(text)
    assert ("\r\n" in after) == (name == "plain")
    assert None not in {key for row in table for key in row}


def test_csv_logger_says_what_it_cannot(tmp_path):
    path = tmp_path / "log.csv"
    logger = CSVLogger(path, append=True)
    for text, message in (
        ("0,0.5,1.5\n", "expected a first line of different names to append to, got '0,0.5,1.5'"),
        ("epoch,loss,loss\n", "expected a first line of different names"),
        ("hello,world\n", "expected a first line .* got 'hello,world', epoch or loss among them"),
        ("Epoch,Loss\n0,1\n", "expected a first line .* epoch or loss among them"),
        ("epoch,loss\nlast,0.5\n", "whole number as the last line's epoch, got 'last'"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            logger.on_train_begin()
        assert path.read_text() == text
    path.write_text("epoch,loss,val_loss\n3,0.5,1.5\n4,0.")
    with pytest.warns(UserWarning, match=r"its last line is incomplete: \['4', '0.'\]"):
        run(logger, [2])
    assert path.read_text().splitlines()[2:] == ["4,0.", "4,0.1,2"]
    path.write_text("loss,val_loss\n0.5,1.5\n")
    with pytest.warns(UserWarning, match="no column epoch"):
        run(logger, [2])
    assert path.read_text().splitlines()[2:] == ["0.1,2"]


def test_csv_logger_numbers_epochs_that_go_on_themselves(tmp_path):
    path = tmp_path / "log.csv"
    run(CSVLogger(path), [1, 2])
    logger = CSVLogger(path, append=True)
    logger.on_train_begin()
    for epoch in (2, 3):
        logger.on_epoch_end(epoch, {"loss": 0.5, "val_loss": 0.5})
    assert [row[0] for row in rows(path)[1:]] == ["0", "1", "2", "3"]


def test_model_checkpoint_goes_on_from_the_file_that_it_would_replace(tmp_path):
    path = tmp_path / "best.fanin"
    (X, y), test = fanin.datasets.load("digits")
    options = {"validation_data": test, "preprocess": "standardize", "progress": False}

    def fit(epochs, loss="softmax", **how):
        net = fanin.MLP([64, 8, 10], loss=loss)
        callback = ModelCheckpoint(path, **how)
        return net.fit(X, y, epochs=epochs, callbacks=[callback], **options), callback

    long, callback = fit(6)
    best, data = fanin.MLP.load(path).evaluate(*test)["loss"], path.read_bytes()
    assert callback.best == best == min(long.history["val_loss"])
    short, callback = fit(2)
    assert callback.best == best < min(short.history["val_loss"])
    assert path.read_bytes() == data
    again, callback = fit(6, monitor="val_accuracy")
    assert callback.best == max(again.history["val_accuracy"])
    assert path.read_bytes() == data
    with pytest.warns(UserWarning, match="holds another network .*: the first epoch replaces it"):
        fit(1, loss="svm")
    fanin.MLP([64, 8, 10]).save(path)
    with pytest.warns(UserWarning, match="holds a network whose val_loss is not known"):
        fit(1)
    assert fit(1)[1].best == fit(1)[0].history["val_loss"][0]
    path.write_text("my thesis")
    with pytest.raises(ValueError, match="expected a fanin network file, got something else"):
        fit(1)
    assert path.read_text() == "my thesis"
    path.unlink()
    assert fit(1)[1].best == fit(1)[0].history["val_loss"][0]


def test_csv_logger_fails_before_the_training(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        CSVLogger(tmp_path / "none" / "log.csv").on_train_begin()


def test_csv_logger_goes_on_with_names_between_spaces_and_epochs_that_are_floats(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch, loss\n0.0, 3\n1.0, 2\n")
    run(CSVLogger(path, append=True), [1], name="loss")
    assert path.read_text().splitlines()[-1].startswith("2,1")


def test_model_checkpoint_fails_before_the_training(tmp_path):
    for name in ("net.fanin", "net-{epoch}.fanin"):
        with pytest.raises(FileNotFoundError, match="none: expected a folder to save"):
            ModelCheckpoint(tmp_path / "none" / name).on_train_begin()


def test_a_callback_given_twice_is_refused():
    stop = EarlyStopping("loss")
    with pytest.raises(ValueError, match=r"callbacks: expected each once, got .*EarlyStopping"):
        CallbackList([stop, ProgressBar(), stop])


# ProgressBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def train(bar, params=PARAMS, first_epoch=0):
    with CallbackList([bar], Network(), params) as hooks:
        hooks.on_train_begin()
        for epoch in range(first_epoch, params["epochs"]):
            hooks.on_epoch_begin(epoch)
            for step in range(1, params["steps"] + 1):
                done = epoch * params["steps"] + step
                hooks.on_progress(done, {"loss": 1 / done, "accuracy": 0.5})
            hooks.on_epoch_end(epoch, {"loss": 0.25, "accuracy": 0.5, "val_accuracy": 0.75})
        hooks.on_train_end()


def test_progress_bar_shows_epochs_steps_and_results():
    out = Terminal()
    train(ProgressBar(out))
    last = out.getvalue().split("\r")[-1]
    assert last.startswith("epoch 3/3: 100%|")
    assert "15/15 [" in last
    assert "loss 0.2500, accuracy 0.5000, val_accuracy 0.7500]" in last
    assert last.endswith("\n")


def test_progress_bar_begins_where_a_run_goes_on():
    out = Terminal()
    train(ProgressBar(out), PARAMS | {"initial_step": 10}, first_epoch=2)
    assert "10/15 [" in out.getvalue().split("\r")[1]
    assert "15/15 [" in out.getvalue().split("\r")[-1]


def test_progress_bar_writes_to_stderr_and_only_on_a_terminal(monkeypatch, capsys):
    train(ProgressBar())
    assert capsys.readouterr() == ("", "")
    err = Terminal()
    monkeypatch.setattr("sys.stderr", err)
    train(ProgressBar())
    assert "15/15" in err.getvalue()
    assert capsys.readouterr().out == ""


class Plain:
    """A stream without isatty."""

    def write(self, text):
        raise AssertionError(text)


def test_progress_bar_survives_any_stderr(monkeypatch):
    closed = Terminal()
    closed.close()
    for err in (Plain(), closed, None):
        monkeypatch.setattr("sys.stderr", err)
        train(ProgressBar())
        train(ProgressBar(err))
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.setattr("sys.stderr", closed)
    train(ProgressBar())


@pytest.mark.parametrize("epoch", range(3))
def test_progress_bar_survives_a_file_that_is_closed_later(epoch):
    out = Terminal()
    hooks = [
        ProgressBar(out),
        LambdaCallback(on_epoch_begin=lambda e, _: e == epoch and out.close()),
    ]
    with CallbackList(hooks, Network(), PARAMS) as both:
        both.on_train_begin()
        for e in range(3):
            both.on_epoch_begin(e, {})
            both.on_progress(5 * e + 5, {"loss": 0.25})
            both.on_epoch_end(e, {"loss": 0.25})
        both.on_train_end()


def test_progress_bar_survives_a_reader_that_has_gone(monkeypatch):
    class Broken(Terminal):
        def write(self, _text):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Broken())
    train(ProgressBar())
    (X, y), _ = fanin.datasets.load("digits")
    fanin.ensemble.from_initializations([64, 10], X, y, n_members=2, epochs=1)
    fanin.tuning.search({"lr": fanin.tuning.loguniform(1e-3, 1e-2)}, (X, y), 2, epochs=1, hidden=4)


def test_progress_bar_starts_no_thread_and_closes_after_an_error(run_isa):
    code = """
        import io, threading
        from fanin.callbacks import CallbackList, ProgressBar
        class Terminal(io.StringIO):
            isatty = lambda self: True
        out, bar = Terminal(), None
        try:
            with CallbackList([ProgressBar(out)], None, {"epochs": 1, "steps": 9}) as hooks:
                hooks.on_train_begin()
                hooks.on_progress(3, {"loss": 1.0})
                bar = hooks.callbacks[0]._bar
                print(threading.active_count())
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            print(bar.disable, out.getvalue().endswith("\\n"))
    """
    assert run_isa(code).split() == ["1", "True", "True"]
