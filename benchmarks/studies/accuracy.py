"""Fashion-MNIST with dropout and a cosine schedule: ``python -m benchmarks.studies.accuracy``.

Trains 784-512-256-10, prints the test accuracy after each epoch, and ends with exit code 0 where
it comes to 90.0 % or more within 30 epochs, else 1. The options were chosen on validation rows
held out of the training set; the test set only reports.
"""

from __future__ import annotations

import argparse
import sys
import time

import fanin

BAR = 0.900
OPTIONS = {"epochs": 30, "batch_size": 128, "lr": 2e-3, "reg": 0.0, "keep": (0.8, 0.8)}


class Report(fanin.callbacks.Callback):
    """One line an epoch."""

    def on_epoch_end(self, epoch, logs=None):
        print(
            f"epoch {epoch + 1:2}  loss {logs['loss']:.4f}  "
            f"test accuracy {100 * logs['val_accuracy']:.2f} %",
            flush=True,
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.accuracy", description=__doc__
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=OPTIONS["epochs"])
    options = parser.parse_args()
    train, test = fanin.datasets.load("fashion-mnist")
    net = fanin.MLP([784, 512, 256, 10], keep=OPTIONS["keep"], seed=options.seed)
    start = time.perf_counter()
    net.fit(
        *train,
        validation_data=test,
        epochs=options.epochs,
        batch_size=OPTIONS["batch_size"],
        optimizer=fanin.optim.Adam(lr=OPTIONS["lr"]),
        reg=OPTIONS["reg"],
        schedule="cosine",
        preprocess="standardize",
        callbacks=[Report()],
        progress=False,
    )
    accuracy = net.evaluate(*test)["accuracy"]
    seconds = time.perf_counter() - start
    print(f"784-512-256-10: {100 * accuracy:.2f} % on the test set after {seconds:.1f} s")
    return 0 if accuracy >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
