"""Verdicts on the curves of a run: step 6 of the lecture, "look at loss curves".

Trends are least-squares lines over the last third of the epochs and count from two standard errors
on; the gap between the accuracies is compared with its binomial one, ``sqrt(p (1 - p) / n)``.
"""

from __future__ import annotations

import math

from fanin._typing import Floats
from fanin.diagnostics.findings import Finding, Verdict
from fanin.tuning.curves import rate_findings as rates
from fanin.tuning.curves.curves import Curves, Gap, HistoryLike, percent, points

__all__ = ["Finding", "Verdict", "loss_curve"]

MIN_EPOCHS = 6
SHORT = 4  # epochs, from which a rise above the noise is told
RISE = 0.005  # of accuracy over the last third of the epochs, that is worth going on for,
RISE_OF_ERROR = 0.03  # and as a share of the errors that are left
FALL = 0.05  # the same of the loss, as a share of it,
FALL_OF_FIRST = 0.02  # and of the first loss: near zero any fall is a large share
GAP = 0.05  # of accuracies: more is overfitting,
SHARE = 0.125  # where it is that share of the validation error: else the error is in training too
SMALL_GAP = 0.02  # less is none
HALF = 0.5  # of the validation error: a gap that is surely less leaves most of it to training
WORSE = 0.05  # a rise of the validation loss, as a share of it and of the first loss
LOST = 0.01  # a fall of the validation accuracy
LEARNT = 0.95  # training accuracy from which a small gap is no sign of underfitting


def loss_curve(history: HistoryLike, *, n_val: int | None = None) -> Verdict:
    """Judge a run by its curves.

    Parameters
    ----------
    history : History
        As `MLP.fit` returns it: ``history.history`` holds lists loss, accuracy, val_loss,
        val_accuracy and lr, of which only loss is required. Verdicts on the learning rate and the
        initial weights need ``history.initial_loss``.
    n_val : int, optional
        Number of validation rows, if ``history.params`` lacks it; without it the accuracies'
        standard errors are ignored.

    Returns
    -------
    Verdict

    Notes
    -----
    diverged: not finite, or three times the first loss. learning-rate-too-high: the training loss
    rises above its beginning, rises again, or jumps from epoch to epoch. learning-rate-too-low: it
    falls slowly and along a line, without overfitting, or not at all with steps that sum to
    nothing. bad-initialisation: a plateau at the start, or throughout. needs-more-training:
    validation accuracy or loss still improves. overfitting: a gap between the accuracies of over 5
    points and an eighth of the validation error, a rising validation loss, or a validation accuracy
    that falls while the training one rises. underfitting: a smaller gap, both level, accuracies
    below 95 %. healthy: level, a small gap. inconclusive: too few epochs, or too few validation
    rows; of four epochs or more a rise beyond the noise of the rows is needs-more-training.
    unscaled-inputs: what enters the first layer is far from a spread of 1, in a run that goes
    badly. A run is never both overfitting and in need of more training. With Mixup and CutMix,
    whose training rows are mixtures, the validation loss is judged in place of the training loss,
    and no gap. Where there are no accuracies, as of values, the part of the loss of knowing nothing
    that is gone stands for them.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> run = SimpleNamespace(history={"loss": [2.3, 1.9, 2.8, float("nan")]})
    >>> print(fanin.tuning.loss_curve(run))
    diverged: the loss is nan in epoch 4
      -> lower the learning rate 3 to 10 times; look at the scale of inputs and initial weights
    """
    curves = Curves(history, n_val)
    if found := tuple(rates.diverged(curves)):
        return Verdict(found)
    if len(curves.loss) < MIN_EPOCHS:
        if finding := _still_rising(curves):
            return Verdict((finding,))
        n = len(curves.loss)
        evidence = f"{n} {'epoch is' if n == 1 else 'epochs are'} too few for a trend"
        return Verdict((Finding("inconclusive", evidence, f"train for {MIN_EPOCHS} or more"),))
    units = rates.wrong_units(curves)
    if finding := rates.stuck(curves):
        return Verdict((units or finding,))
    overfits = _overfitting(curves)
    of_fit = overfits or _needs_more_training(curves)
    checks = [rates.rate_too_high, rates.rate_too_low, rates.plateau_first]
    if overfits:
        checks.remove(rates.rate_too_low)  # it learns more than holds, however slowly
    of_rates = [finding for check in checks if (finding := check(curves))]
    if of_rates and units:
        of_rates = [units]
    findings = ([of_fit] if of_fit else []) + of_rates
    if not curves.validated:
        evidence = "without validation data nothing is known about over- and underfitting"
        findings.append(Finding("inconclusive", evidence, "give fit validation_data"))
    elif not findings:
        findings.append(_unclear(curves) or _underfitting(curves) or _healthy(curves))
    return Verdict(tuple(findings))


def _still_rising(curves: Curves) -> Finding | None:
    """Of few epochs: their later half is better than the first by more than the noise of the rows,
    and the last epoch went on.
    """
    n = len(curves.loss)
    validation = "validation", curves.val_accuracy, curves.n_val
    training = "training", None if curves.mixed else curves.accuracy, curves.n_train
    part, score, rows = validation if curves.validated else training
    if n < SHORT or score is None or not rows:
        return None
    half = n // 2
    early, late = float(score[:half].mean()), float(score[-half:].mean())
    error = math.sqrt(sum(p * (1 - p) for p in (early, late)) / rows)
    rise, last = late - early, float(score[-1] - score[-2])
    if rise <= max(2 * error, RISE) or last < RISE or curves.loss[-1] >= curves.loss[-2]:
        return None
    evidence = (
        f"{part} accuracy rose by {points(rise)} from the first half of {n} epochs to the second "
        f"(standard error {100 * error:.1f}), by {points(last)} in the last epoch"
    )
    return Finding("needs-more-training", evidence, "train for more epochs")


def _needs_more_training(curves: Curves) -> Finding | None:
    validation = "validation", curves.val_accuracy, curves.val_loss
    training = "training", curves.accuracy, curves.loss
    part, score, loss = validation if curves.validated else training
    change = ""
    if score is not None:
        rise = curves.trend(score)
        row = 1 / curves.n_val if curves.validated and curves.n_val else 0
        least = max(RISE, RISE_OF_ERROR * (1 - float(score[-1])), row)
        if rise.exceeds(least) and not curves.levels_off(score):
            change, error = f"accuracy still rises, by {points(rise.change)}", 100 * rise.error
    if not change and loss is not None and _falls(curves, loss):
        fall, level = curves.trend(-loss), float(abs(loss[-curves.window :]).mean())
        change, error = (
            f"loss still falls, by {percent(fall.change / level)}",
            100 * fall.error / level,
        )
    if not change:
        return None
    evidence = f"{part} {change} over the last {curves.window} epochs (standard error {error:.1f})"
    return Finding("needs-more-training", evidence, "train for more epochs")


def _falls(curves: Curves, loss: Floats) -> bool:
    level = float(abs(loss[-curves.window :]).mean())
    least = max(FALL * level, FALL_OF_FIRST * abs(curves.first_loss))
    return curves.trend(-loss).exceeds(least) and not curves.levels_off(-loss)


def _overfitting(curves: Curves) -> Finding | None:
    reasons = filter(None, (_wide_gap(curves), _rising_loss(curves), _falling_accuracy(curves)))
    action = "regularise more (L2, dropout), get or augment data, or stop at the best epoch"
    evidence = "; ".join(reasons)
    return Finding("overfitting", evidence, action) if evidence else None


def _wide_gap(curves: Curves) -> str | None:
    found = curves.gap()
    if found is None or found.gap <= max(GAP, 3 * found.error, SHARE * (1 - found.val)):
        return None
    return (
        f"training {found.what} {percent(found.train)} is {points(found.gap)} above validation's "
        f"{percent(found.val)}{_error(found)}"
    )


def _rising_loss(curves: Curves) -> str | None:
    if curves.val_loss is None:
        return None
    best = int(curves.val_loss.argmin())
    least, last = float(curves.val_loss[best]), float(curves.val_loss[-3:].mean())
    noise = 3 * curves.trend(curves.val_loss).scatter
    worth = max(WORSE * abs(least), WORSE * abs(curves.first_loss), noise)
    recent = len(curves.loss) - 1 - best < 3
    if recent or last - least <= worth:
        return None
    if curves.loss[-1] >= curves.loss[best] and not curves.mixed:
        return None
    return (
        f"validation loss rose from {least:.4f} in epoch {best + 1} to {last:.4f} while the "
        f"training loss fell to {curves.loss[-1]:.4f}"
    )


def _falling_accuracy(curves: Curves) -> str | None:
    if curves.val_accuracy is None or curves.accuracy is None:
        return None
    fall = curves.trend(-curves.val_accuracy)
    if not fall.exceeds(LOST) or curves.trend(curves.accuracy).change <= 0:
        return None
    if curves.val_loss is not None and _falls(curves, curves.val_loss):
        return None
    return (
        f"validation accuracy fell by {points(fall.change)} over the last {curves.window} epochs "
        "while training accuracy rose"
    )


def _unclear(curves: Curves) -> Finding | None:
    found = curves.gap()
    if found is None or 2 * found.error <= GAP:
        return None
    if found.train < LEARNT and found.gap + 2 * found.error < HALF * (1 - found.val):
        return None  # most of the error is in training, wherever the gap ends
    evidence = (
        f"the gap between the {_both(found)} is {100 * found.gap:.1f} ± {points(2 * found.error)} "
        f"with {curves.n_val} validation rows"
    )
    return Finding("inconclusive", evidence, "hold out more validation rows")


def _underfitting(curves: Curves) -> Finding | None:
    found = curves.gap()
    if found is None or max(found.train, found.val) >= LEARNT:
        return None
    if found.gap >= max(SMALL_GAP, 2 * found.error, SHARE * (1 - found.val)):
        return None
    val = f"validation's {percent(found.val)}"
    beside = f"{val} is hardly below it" if found.gap > 0 else f"no higher than {val}"
    evidence = f"training {found.what} stays at {percent(found.train)}, {beside}"
    start = curves.initial_loss
    if start is not None and curves.loss[-1] > 0.98 * start:
        action = f"find a learning rate that moves the loss: it began at {start:.4f}"
        return Finding("underfitting", f"{evidence}; the loss hardly moved", action)
    action = "take a bigger model, train longer or regularise less"
    return Finding("underfitting", evidence + _error(found), action)


def _healthy(curves: Curves) -> Finding:
    what, error = "both losses", ""
    if (found := curves.gap()) is not None:
        train, val, error = percent(found.train), percent(found.val), _error(found)
        what = f"training {found.what} {train} and validation {found.what} {val}"
    evidence = f"{what} are level over the last {curves.window} epochs{error}"
    return Finding("healthy", evidence, "keep it, or refine learning rate and L2 around it")


def _both(found: Gap) -> str:
    return "accuracies" if found.what == "accuracy" else f"{found.what}s"


def _error(found: Gap) -> str:
    return f" (standard error {points(found.error)})" if found.error else ""
