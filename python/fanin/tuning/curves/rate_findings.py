"""Verdicts on the learning rate and the initial weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fanin.diagnostics.findings import Finding
from fanin.tuning.curves.curves import Curves, percent

DIVERGED = 3.0  # times the first loss, as in the course's trainer
EXPECTED = 1.5  # times the expected initial loss: up to there inputs and weights were fine
FLAT = 0.02  # of the initial loss: a plateau
STUCK, NEAR = 0.005, 0.1  # of the same: between all epochs, and between them and the first loss
DROP = 0.1  # of the same, after a plateau
WORTH = 0.02  # of the same: smaller rises and jumps of the training loss are of no weight
ROSE = 0.15  # of the least training loss
ROUGH = 0.1  # scatter of the training loss, as a share of it
LINEAR = 0.75  # fall of the second half over that of the first
SLOW = 0.15  # of the initial loss, lost by the first epoch's mean
SLOW_HALF = 0.25  # of the same, lost in half of the run
# How far a run could carry a parameter, as the sum of its rates: less than that is nowhere beside
# weights of some 0.05, or, for rules whose step goes with the gradient, a gradient of 0.1.
NOWHERE, NOWHERE_WITH_GRADIENT = 0.01, 0.3
BY_GRADIENT = ("sgd", "momentum", "nesterov")

LOWER = "lower the learning rate 3 to 10 times (fanin.tuning.lr_probe finds one)"
RAISE = "raise the learning rate 10 times or more (fanin.tuning.lr_probe finds one)"
SPREAD = "begin with weights that keep the activations' spread"
REPORT = "net.activation_report(X, y) tells where it is lost"
KEEPING = ("kaiming", "xavier")  # initialisers that do
LARGE, FAINT = 10.0, 0.1  # root mean square of what enters the first layer


def diverged(curves: Curves) -> Iterator[Finding]:
    """Not finite, or far above the first loss; the learning rate's fault if the start was fine."""
    evidence = _lost(curves)
    if evidence is None:
        return
    action = (
        "lower the learning rate 3 to 10 times; look at the scale of inputs and initial weights"
    )
    if found := wrong_units(curves):
        yield found
    yield Finding("diverged", evidence, action)
    if _began_well(curves) and not found:
        yield _too_high(
            curves,
            f"the loss began at {curves.initial_loss:.4f}, as expected, so that inputs and initial "
            "weights were well; then it diverged",
        )


def wrong_units(curves: Curves) -> Finding | None:
    """Inputs far from a spread of 1; a fault only beside a run that does not go well."""
    size = curves.input_rms
    if size is None or FAINT <= size <= LARGE:
        return None
    return Finding(
        "unscaled-inputs",
        f"what enters the first layer has a root mean square of {size:.3g}, where about 1 is well",
        "scale the inputs (preprocess='standardize'); were they divided or multiplied twice?",
    )


def _start(curves: Curves) -> str:
    if curves.init in KEEPING:
        began = f"the weights began as init={curves.init!r}"
        return f"{began}: take fewer layers, or look where the spread is lost ({REPORT})"
    return f"{SPREAD} (init='kaiming' for relu, 'xavier' for tanh): {REPORT}"


def _lost(curves: Curves) -> str | None:
    for name, values in (("loss", curves.loss), ("validation loss", curves.val_loss)):
        if values is not None and not np.isfinite(values).all():
            epoch = int(np.argmin(np.isfinite(values)))
            return f"the {name} is {values[epoch]} in epoch {epoch + 1}"
    if curves.stop_reason == "diverged":
        return f"the loss stopped being finite in epoch {len(curves.loss) + 1}"
    if not len(curves.loss) or curves.loss[-1] <= DIVERGED * abs(curves.first_loss):
        return None
    last, first = curves.loss[-1], curves.first_loss
    return f"the loss ends at {last:.4g}, {last / first:.1f} times the first"


def rate_too_high(curves: Curves) -> Finding | None:
    """The training loss is above its beginning, rises again, or jumps."""
    loss, first = curves.course, abs(curves.first_loss)
    if loss is None:
        return None
    what = "validation" if curves.mixed else "training"
    least, last = int(loss.argmin()), float(loss[-3:].mean())
    worst = int(loss.argmax())
    overfits = curves.mixed and _mixtures_fit_better(curves, least)
    if not overfits and _began_well(curves) and loss[worst] > EXPECTED * first:
        evidence = f"the loss went up from {first:.4f} to {loss[worst]:.4g} in epoch {worst + 1}"
        return _too_high(curves, evidence)
    low = float(loss[least])
    scatter, level = curves.trend(loss).scatter, float(loss[-curves.window :].mean())
    rose = last - low > max(ROSE * low, WORTH * first, 2 * scatter) and least < len(loss) - 3
    if rose and not overfits:
        where = f"from {low:.4f} in epoch {least + 1} to {last:.4f}"
        return _too_high(curves, f"the {what} loss rose again, {where}")
    if scatter > max(ROUGH * level, WORTH * first):
        share = f"{percent(scatter / level)} of its level"
        evidence = f"the {what} loss jumps by {scatter:.4f} from epoch to epoch, {share}"
        return _too_high(curves, evidence)
    return None


def _mixtures_fit_better(curves: Curves, since: int) -> bool:
    """Whether the training loss fell after an epoch: one of validation that rises overfits then."""
    before = curves.loss[max(since - 1, 0) : since + 2]
    return bool(curves.loss[-3:].mean() < before.mean())


def _too_high(curves: Curves, evidence: str) -> Finding:
    return Finding("learning-rate-too-high", evidence + _at_rate(curves), LOWER)


def stuck(curves: Curves) -> Finding | None:
    """The loss never moved; the learning rate is too low if its steps could not get anywhere."""
    first, loss = curves.initial_loss, curves.loss
    if first is None or curves.lr is None or not curves.steps or curves.mixed:
        return None
    # The first loss is one minibatch's, and may be off by some percent.
    if float(np.ptp(loss)) > STUCK * first or abs(float(loss.mean()) - first) > NEAR * first:
        return None
    reach = float(curves.lr.sum()) * curves.steps
    moved = f"the loss went from {first:.4f} to {curves.loss[-1]:.4f} in {len(curves.loss)} epochs"
    steps = f"{len(curves.loss) * curves.steps} steps of lr {curves.lr.max():.1e}"
    if reach < (NOWHERE_WITH_GRADIENT if curves.optimizer in BY_GRADIENT else NOWHERE):
        evidence = f"{moved}: {steps} sum to {reach:.1e}, too little to move a weight"
        return Finding("learning-rate-too-low", evidence, RAISE)
    evidence = f"{moved}, although {steps} reach far enough"
    return Finding(
        "bad-initialisation", evidence, _start(curves) + "; else the labels tell nothing of X"
    )


def rate_too_low(curves: Curves) -> Finding | None:
    """The loss falls slowly and along a line."""
    first, loss = curves.initial_loss, curves.course
    if first is None or curves.lr is None or loss is None or loss[0] < (1 - SLOW) * first:
        return None
    if curves.lr[0] > 1.5 * curves.lr.max() or curves.lr[0] < curves.lr.max() / 1.5:
        return None  # a warm-up begins slowly by design
    middle = len(loss) // 2
    early, late = loss[0] - loss[middle], loss[middle] - loss[-1]
    slow = FLAT * first < early < SLOW_HALF * first
    if not (slow and LINEAR * early < late < early / LINEAR):
        return None
    evidence = (
        f"the loss falls slowly and along a line: by {percent((first - loss[0]) / first)} of "
        f"{first:.4f} in the first epoch, by {early:.4f} in the first half of the run and by "
        f"{late:.4f} in the second{_at_rate(curves)}"
    )
    return Finding("learning-rate-too-low", evidence, RAISE.replace("10 times or more", "3 times"))


def plateau_first(curves: Curves) -> Finding | None:
    """Nothing for some epochs, then a fall."""
    first, loss = curves.initial_loss, curves.course
    if first is None or first <= 0 or loss is None:
        return None
    away = np.flatnonzero(abs(loss - first) > FLAT * first)  # above it, too: that is no plateau
    n = int(away[0]) if len(away) else 0
    if n < max(2, 0.1 * len(loss)) or float(loss[n:].min()) > (1 - DROP) * first:
        return None
    if curves.lr is not None and curves.lr[0] < 0.5 * curves.lr.max():
        return None  # a warm-up
    crawl = max(abs(first - float(loss[n - 1])) / n, 1e-12)
    fastest = float(-np.diff(loss[n - 1 :]).min())
    if fastest < 5 * crawl:
        return None
    evidence = (
        f"the loss stayed within {percent(FLAT)} of {first:.4f} for {n} epochs before it fell, to "
        f"{loss[-1]:.4f} at last"
    )
    return Finding("bad-initialisation", evidence, _start(curves))


def _began_well(curves: Curves) -> bool:
    first, expected = curves.initial_loss, curves.expected_loss
    return first is not None and expected is not None and first <= EXPECTED * expected


def _at_rate(curves: Curves) -> str:
    return "" if curves.lr is None else f"; lr {curves.lr.max():.1e}"
