"""The data and training runs that the chapters share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fanin import MLP, DivergenceWarning, datasets, optim, plots
from fanin._typing import Array
from fanin.callbacks.history import History
from fanin.document.blocks import Block, Chapter, Table
from fanin.plots.style import picture
from fanin.random import Generator

Rule = Callable[[float], optim.Optimizer]
MOST_ROWS, MOST_TEST_ROWS = 3000, 2000  # so that the whole lecture takes a minute


@dataclass(frozen=True)
class Data:
    """A data set as the chapters use it: at most 3,000 rows to train on and 2,000 to test."""

    name: str
    X: Array
    y: Array
    X_test: Array
    y_test: Array
    class_names: tuple[str, ...]
    split_seed: int = 0

    @classmethod
    def load(cls, name: str, seed: int, **reading: Any) -> Data:
        """Any data that `fanin.datasets.load` reads, and how."""
        train, test, info = datasets.load(name, seed=seed, return_info=True, **reading)
        train = subsample(*train, MOST_ROWS, Generator(seed))
        test = subsample(*test, MOST_TEST_ROWS, Generator(seed))
        return cls(info.name, *train, *test, info.class_names, seed)

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    @property
    def dim(self) -> int:
        """Features of a row."""
        return int(np.prod(self.X.shape[1:]))

    @property
    def preprocess(self) -> Any:
        """What `MLP.fit` takes: all pixels alike, or each feature of a table by itself."""
        if self.X.dtype != np.uint8:
            return "standardize"
        return "auto"

    def net(self, *hidden: int, seed: int, **options: Any) -> MLP:
        """A network of these hidden layers for the data."""
        return MLP([self.dim, *hidden, self.n_classes], seed=seed, **options)

    def train(self, net: MLP, **options: Any) -> History:
        """`MLP.fit`, validated on the test rows; a run that diverges is part of the story.

        A batch of more rows than there are has all of them.
        """
        if options.get("batch_size") is not None:
            options["batch_size"] = min(options["batch_size"], len(self.y))
        given = {"preprocess": self.preprocess, "progress": False}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DivergenceWarning)
            test = self.X_test, self.y_test
            return net.fit(self.X, self.y, validation_data=test, **given | options)

    def for_choices(self) -> Data:
        """The training rows alone, a fifth of them kept back: to choose by, in place of the test's.

        Each class has its share of both parts.
        """
        learn, judge = datasets.split(self.X, self.y, seed=self.split_seed)
        return replace(self, X=learn[0], y=learn[1], X_test=judge[0], y_test=judge[1])

    def few_and_noisy(self, rows: int, wrong: float, seed: int) -> Data:
        """So many training rows at most, a share of them with labels drawn at random.

        A network that gets all of them right has overfitted.
        """
        X, y = subsample(self.X, self.y, rows, Generator(seed, 1))
        rng = Generator(seed, 2)
        noisy = y.copy()
        changed = rng.permutation(len(y))[: round(wrong * len(y))]
        noisy[changed] = rng.integers(0, self.n_classes, len(changed))
        return replace(self, X=X, y=noisy)

    def train_at_best(
        self, rates: Sequence[float], rule: Rule, net: Callable[[], MLP], **options: Any
    ) -> tuple[float, History]:
        """Rate and history of a run at the rate whose loss is lowest on rows that were kept back.

        A fifth of the training rows; the run that is told of has all of them.
        """
        part = self.for_choices()
        tried = [(rate, part.train(net(), optimizer=rule(rate), **options)) for rate in rates]
        losses = [np.nan_to_num(final(run, "val_loss"), nan=np.inf) for _, run in tried]
        best = rates[int(np.argmin(losses))]
        return best, self.train(net(), optimizer=rule(best), **options)

    def two_features(self) -> tuple[Array, str]:
        """Two features that are easy to picture, (N, 2) float64, and their names."""
        if self.X.ndim > 2:
            height, width = self.X.shape[1:3]
            top, left = height // 4, width // 4
            centre = self.X[:, top : height - top, left : width - left]
            means = [part.reshape(len(self.X), -1).mean(axis=1) for part in (self.X, centre)]
            return np.stack(means, axis=1), "mean brightness of an image and of its centre"
        X = self.X[:, : min(self.dim, 50)].astype(np.float64)
        spread = np.flatnonzero(X.std(axis=0) > 0)
        if len(spread) < 2:
            raise ValueError(f"data: expected two features that vary, got {len(spread)}")
        related = np.triu(np.abs(np.corrcoef(X[:, spread], rowvar=False)), 1)
        pair = spread[list(np.unravel_index(related.argmax(), related.shape))]
        return np.ascontiguousarray(X[:, pair]), f"columns {pair[0] + 1} and {pair[1] + 1}"


def subsample(X: Array, y: Array, at_most: int, rng: Generator) -> tuple[Array, Array]:
    """At most so many rows, drawn from all."""
    if len(y) <= at_most:
        return X, y
    chosen = rng.permutation(len(y))[:at_most]
    return X[chosen], y[chosen]


def overfitting(
    data: Data, file: str, alt: str, caption: str, what: str,
    ways: Mapping[str, tuple[MLP, Mapping[str, Any]]], *, epochs: int,
    also: Mapping[str, tuple[Array, Array]] | None = None, **options: Any,
) -> Iterator[Block]:  # fmt: skip
    """Networks, each fitted in its own way, on the rows they learn and on those for the test.

    Further rows to test on are `also`, by the heading of their column.
    """
    runs, rows, others = {}, [], also or {}
    for name, (net, own) in ways.items():
        runs[name] = data.train(net, epochs=epochs, optimizer=optim.Adam(), **options, **own)
        seen, test = net.evaluate(data.X, data.y)["accuracy"], final(runs[name], "val_accuracy")
        more = (percent(net.evaluate(*pair)["accuracy"]) for pair in others.values())
        rows.append((name, percent(seen), percent(test), percent(seen - test), *more))
    yield picture(file, alt, caption, lambda: plots.compare(runs, "val_accuracy"))
    header = (what, "accuracy on its training rows", "on test rows", "gap", *others)
    yield Table(f"After {epochs} epochs", header, rows)


def tell(title: str, *blocks: Block) -> Chapter:
    """A chapter, of paragraphs that are spread over lines and indented in the source."""
    return Chapter(title, [" ".join(b.split()) if isinstance(b, str) else b for b in blocks])


def curve(history: History, name: str) -> list[float]:
    """The values of each epoch; one NaN where the run diverged in its first."""
    return history.history.get(name) or [np.nan]


def final(history: History, name: str) -> float:
    """The last value of a curve; NaN of a run that diverged."""
    return np.nan if history.stop_reason == "diverged" else curve(history, name)[-1]


def number(value: float, digits: int = 3) -> str:
    """So many significant digits; a dash for NaN."""
    return "—" if np.isnan(value) else f"{value:.{digits}g}"


def percent(share: float) -> str:
    """One decimal; a dash for NaN."""
    return "—" if np.isnan(share) else f"{100 * share:.1f} %"
