"""Values: one or several for each row."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fanin import metrics
from fanin._typing import Array, Floats, Ints
from fanin.diagnostics.findings import Finding
from fanin.losses.functions import row_losses
from fanin.losses.spec import OF_VALUES
from fanin.network import MLP
from fanin.tuning.guide.tasks.task import Numbers, Task, Words, strata_of

PARTS = 10  # of the values' order, each of which every fold has a share of
# A two-sample Kolmogorov-Smirnov test at the chance of five deviations, 6e-7, and how far the
# distributions are apart to be worth a word.
SURE, APART = math.sqrt(-math.log(5.7e-7 / 2) / 2), 0.1
# Of a normal law the hundredth of the rows that is farthest out holds 8 % of the squares, of an
# exponential one 23 %; beyond half of them a few rows decide what squared errors say.
FAR_ROWS, MOST_SQUARES = 0.01, 0.5
LEAST_ROWS = 200  # whose farthest hundredth is two rows at least
WEIGHTED_MEANS = 50  # steps to Huber's centre


def r2_text(value: float) -> str:
    return f"{value:.4f}"


def _short(value: float) -> str:
    return f"{value:.6g}"


@dataclass(frozen=True)
class Regression(Task):
    """Values (N, M); outputs are these less `mean`, in parts of `scale`.

    All networks learn them so, whatever rows they are trained on. Of counts outputs are means in
    parts of `scale`; of quantiles each value has one for every level.
    """

    name: ClassVar[str] = "regression"
    losses: ClassVar[tuple[str, ...]] = ("mse", *(name for name in OF_VALUES if name != "mse"))
    by_heart: ClassVar[float] = 0.99  # a tenth of the deviation is left
    # A line through a few hundred rows of noise explains a tenth; a network as wide as they are
    # many much more.
    least_learnt: ClassVar[float] = 0.25
    of_sample: ClassVar[str] = " of the variance"
    words: ClassVar[Words] = Words(
        loss="loss",
        loss_title="loss",
        score="r2",
        score_title="R²",
        told=r2_text,
        metrics=(
            ("r2", "R²", r2_text),
            ("rmse", "RMSE", _short),
            ("mae", "MAE", _short),
            ("pinball_loss", "pinball loss", _short),
            ("coverage", "coverage", lambda value: f"{100 * value:.1f} %"),
            ("poisson_deviance", "Poisson deviance", _short),
        ),
        guess="a constant has an R² of",
        trivial="a constant",
        no_better="no-better-than-constant",
        unrelated="unrelated-target",
        targets="targets",
        one="target",
        by_column=(
            "{} alone explains {:.1%} of the target's variance, the next best column {:.1%}"
        ),
    )

    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    @property
    def cools(self) -> bool:
        """Outputs are drawn to the mean, which is no good place for quantiles."""
        return self.spec.name != "quantile"

    @property
    def beside(self) -> tuple[str, ...]:
        own = {"quantile": ("pinball_loss",), "poisson": ("poisson_deviance",)}
        several = ("coverage",) if len(self.spec.levels) > 1 else ()
        return ("r2", "rmse", "mae", *own.get(self.spec.name, ()), *several)

    def start(self, net: MLP) -> MLP:
        net.targets = net.targets.with_units(np.array(self.mean), np.array(self.scale))
        return net

    def outputs(self, scores: Array) -> Floats:
        wide = np.asarray(scores, np.float64)
        if self.spec.name == "poisson":
            return np.exp(wide)
        each = len(self.spec.levels)
        return np.sort(wide.reshape(len(wide), -1, each), axis=2).reshape(wide.shape)

    def answers(self, y: Array) -> Floats:
        z = (y - np.array(self.mean)) / np.array(self.scale)
        return np.repeat(z, len(self.spec.levels), axis=1)

    def row_losses(self, outputs: Floats, y: Array) -> Floats:
        if self.spec.name == "poisson":
            outputs = np.log(np.maximum(outputs, np.finfo(np.float32).tiny))
        return row_losses(self.spec, outputs, self.answers(y))

    def trivial(self, y: Array) -> Floats:
        """What has the least mean loss of all constants."""
        z = self.answers(y)
        if self.spec.name == "quantile":
            levels = np.tile(self.spec.levels, z.shape[1] // len(self.spec.levels))
            return np.array([np.quantile(column, q) for column, q in zip(z.T, levels, strict=True)])
        if self.spec.name == "mae":
            return np.asarray(np.median(z, axis=0))
        centre = z.mean(axis=0)
        if self.spec.name == "huber":
            for _ in range(WEIGHTED_MEANS):
                far = np.maximum(np.abs(z - centre), 1e-12)
                weights = np.minimum(1.0, self.spec.huber_delta / far)
                centre = (weights * z).sum(axis=0) / weights.sum(axis=0)
        return np.asarray(centre)

    def middle(self, outputs: Floats) -> Floats:
        """One output for each value, (N, M): the median where there are quantiles."""
        levels = self.spec.levels
        return np.asarray(outputs[:, levels.index(0.5) :: len(levels)])

    def wrong(self, outputs: Floats, y: Array) -> Floats:
        """Squares of deviations."""
        z = self.middle(self.answers(y))
        return np.asarray(np.square(self.middle(outputs) - z).mean(axis=1))

    def _in_units(self, outputs: Floats) -> Floats:
        each = len(self.spec.levels)
        return np.asarray(outputs * np.repeat(self.scale, each) + np.repeat(self.mean, each))

    def score(self, outputs: Floats, y: Array) -> float:
        return metrics.r2_score(y, self.middle(self._in_units(outputs)))

    def metrics(self, outputs: Floats, y: Array) -> Numbers:
        own = self._in_units(outputs)
        if self.spec.name == "quantile":
            return metrics.compute_of_quantiles(self.beside, y, own, self.spec.levels)
        return metrics.compute(self.beside, y, own, self.spec.name)

    def strata(self, y: Array) -> Ints:
        """Tenths of the first value's order."""
        ranks = np.empty(len(y), np.int64)
        ranks[np.argsort(y[:, 0], kind="stable")] = np.arange(len(y))
        return strata_of(ranks, PARTS)

    def varies(self, y: Array) -> bool:
        return bool((y != y[0]).any())

    def chance(self, y: Array, y_held: Array) -> None:  # noqa: ARG002
        return None

    def data_findings(self, y: Array) -> Iterator[Finding]:
        n = len(y)
        squares = np.sort(np.square(y - y.mean(axis=0)), axis=0)[::-1]
        total = squares.sum(axis=0)
        far = max(int(FAR_ROWS * n), 1)
        shares = squares[:far].sum(axis=0) / np.where(total > 0, total, 1.0)
        worst = int(shares.argmax())
        if n < LEAST_ROWS or shares[worst] <= MOST_SQUARES or self.spec.name != "mse":
            return
        which = "" if y.shape[1] == 1 else f" {worst}"
        logarithm = ", or learn its logarithm" if y[:, worst].min() > 0 else ""
        yield Finding(
            "heavy-tailed-target",
            f"{far} of the {n} rows have {shares[worst]:.0%} of the squared deviations of "
            f"target{which} (8 % where it is normal): they decide what the squared error says",
            f"look at these rows; network={{'loss': 'huber'}} or 'mae' weighs them less{logarithm}",
        )

    def uneven(self, y: Array, y_held: Array) -> Iterator[Finding]:
        """A two-sample Kolmogorov-Smirnov test of each value."""
        n, m = len(y), len(y_held)
        bar = SURE * math.sqrt((n + m) / (n * m))
        for j, (a, b) in enumerate(zip(y.T, y_held.T, strict=True)):
            places = np.sort(np.concatenate([a, b]))
            shares = [np.searchsorted(np.sort(v), places, "right") / len(v) for v in (a, b)]
            apart = float(np.abs(shares[0] - shares[1]).max())
            if apart > max(bar, APART):
                which = "" if y.shape[1] == 1 else f" {j}"
                yield Finding(
                    "validation-balance",
                    f"target{which} of the validation rows has another distribution: median "
                    f"{np.median(b):.4g} and deviation {b.std():.3g}, of the training rows "
                    f"{np.median(a):.4g} and {a.std():.3g}; {apart:.0%} of the rows lie elsewhere "
                    f"(by chance up to {bar:.0%})",
                    "draw both from one source (fanin.datasets.split does), in the same units",
                )
                return

    def learnt(self, outputs: Floats, y: Array) -> float:
        """The share of the sample's variance that is explained; below 0 is none."""
        z = self.middle(self.answers(y))
        whole = float(np.square(z - z.mean(axis=0)).sum())
        left = float(np.square(self.middle(outputs) - z).sum())
        if not math.isfinite(left):
            return 0.0
        return max(1.0 - left / whole, 0.0) if whole else float(left == 0)

    def ceiling(self, groups: Ints, y: Array) -> float:
        """The variance that is explained by giving each group its mean."""
        z = self.middle(self.answers(y))
        sums = np.zeros((int(groups.max()) + 1, z.shape[1]))
        np.add.at(sums, groups, z)
        means = sums / np.bincount(groups)[:, None]
        whole = float(np.square(z - z.mean(axis=0)).sum())
        return 1.0 - float(np.square(z - means[groups]).sum()) / whole if whole else 1.0

    def lone(self, y: Array, near: Ints, known: Array) -> float:
        """The variance round the mean of k near rows, less what is that mean's own, 1 / k."""
        z = self.middle(self.answers(y))
        counts = known.sum(axis=1)
        some = counts > 0
        if not some.any():
            return 0.0
        means = (z[near] * known[:, :, None]).sum(axis=1)[some] / counts[some, None]
        round_them = np.square(z[some] - means).mean(axis=1) * counts[some] / (counts[some] + 1)
        whole = float(np.square(z - z.mean(axis=0)).mean())
        return min(float(round_them.mean()) / whole, 1.0) if whole else 0.0
