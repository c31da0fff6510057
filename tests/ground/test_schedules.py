from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanin import schedules

SPE, EPOCHS = 7, 12  # steps per epoch, epochs
STEPS = np.arange(SPE * EPOCHS, dtype=np.float64)
T = STEPS / SPE
EPOCH = STEPS // SPE
PURE = [
    schedules.Constant(),
    schedules.Step(every=3, factor=0.3),
    schedules.Exponential(0.9),
    schedules.Exponential(rate=0.2),
    schedules.InverseTime(0.5),
    schedules.Cosine(0.01),
    schedules.WarmUp(2, schedules.Cosine()),
    schedules.OneCycle(),
    schedules.CyclicCosine(cycles=3),
    schedules.Function(lambda step: 1.0 / (1 + step)),
]


def kind(value):
    return type(value).__name__ if isinstance(value, schedules.Schedule) else ""


def rates(schedule, base=0.1, first=0, n=SPE * EPOCHS):
    return schedule.lr(base, first, n, SPE, EPOCHS)


@pytest.mark.parametrize(
    ("schedule", "formula"),
    [
        (schedules.Constant(), np.ones_like(T)),
        (schedules.Step(), 0.5 ** (EPOCH // 5)),
        (schedules.Step(every=3, factor=0.3), 0.3 ** (EPOCH // 3)),
        (schedules.Exponential(), 0.95**EPOCH),
        (schedules.Exponential(rate=0.2), np.exp(-0.2 * T)),
        (schedules.InverseTime(0.5), 1 / (1 + 0.5 * T)),
        (schedules.Cosine(), (1 + np.cos(np.pi * T / EPOCHS)) / 2),
        (schedules.Cosine(0.1), 0.1 + 0.9 * (1 + np.cos(np.pi * T / EPOCHS)) / 2),
        (
            schedules.WarmUp(3, schedules.InverseTime(1.0)),
            np.where(T < 3, (STEPS + 1) / (3 * SPE), 1 / (1 + np.maximum(T - 3, 0))),
        ),
    ],
    ids=kind,
)
def test_formula(schedule, formula):
    got = rates(schedule)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, 0.1 * formula, rtol=1e-13, atol=1e-17)


def torch_rates(make, base=0.1):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=base)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    got = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no optimizer.step() here
        for _ in STEPS:
            got.append(optimizer.param_groups[0]["lr"])
            scheduler.step()
    return np.array(got)


@pytest.mark.parametrize(
    ("schedule", "make"),
    [
        (schedules.Step(3, 0.3), lambda m, o: m.StepLR(o, 3 * SPE, 0.3)),
        (schedules.Cosine(), lambda m, o: m.CosineAnnealingLR(o, SPE * EPOCHS)),
        (schedules.Cosine(0.05), lambda m, o: m.CosineAnnealingLR(o, SPE * EPOCHS, 0.005)),
        (
            schedules.OneCycle(0.3, 20, 1e4),
            lambda m, o: m.OneCycleLR(
                o, 0.1, SPE * EPOCHS, pct_start=0.3, div_factor=20, final_div_factor=500
            ),
        ),
        (
            schedules.WarmUp(2, schedules.Step(4, 0.5)),
            lambda m, o: m.SequentialLR(
                o,
                [m.LinearLR(o, 1 / (2 * SPE), total_iters=2 * SPE - 1), m.StepLR(o, 4 * SPE, 0.5)],
                [2 * SPE],
            ),
        ),
    ],
    ids=kind,
)
def test_pytorch_agrees(schedule, make):
    np.testing.assert_allclose(rates(schedule), torch_rates(make), rtol=1e-12, atol=1e-16)


def test_exponential_is_pytorchs_by_epochs():
    decayed = torch_rates(lambda m, o: m.ExponentialLR(o, 0.9))[:EPOCHS]
    np.testing.assert_allclose(rates(schedules.Exponential(0.9))[::SPE], decayed, rtol=1e-13)


@pytest.mark.parametrize("schedule", PURE, ids=kind)
@given(cut=st.integers(0, SPE * EPOCHS))
def test_rates_do_not_depend_on_how_the_run_is_cut(schedule, cut):
    parts = [rates(schedule, n=cut), rates(schedule, first=cut, n=SPE * EPOCHS - cut)]
    assert np.array_equal(np.concatenate(parts), rates(schedule))


@pytest.mark.parametrize("schedule", PURE, ids=kind)
@pytest.mark.parametrize(("steps_per_epoch", "epochs"), [(1, 1), (1, 2), (5, 1), (3, 40)])
def test_rates_are_finite_and_at_most_the_base_also_past_the_end(schedule, steps_per_epoch, epochs):
    got = schedule.lr(0.1, 0, 3 * steps_per_epoch * epochs, steps_per_epoch, epochs)
    assert got.shape == (3 * steps_per_epoch * epochs,)
    assert (got >= 0).all()
    assert (got <= 0.1).all()


def test_ends_are_kept_past_the_end():
    last = SPE * EPOCHS
    assert (rates(schedules.Cosine(0.1), first=last, n=50) == 0.1 * 0.1).all()
    assert np.allclose(rates(schedules.OneCycle(), first=last - 1, n=50), 1e-6, rtol=1e-12)


def test_one_cycle_starts_peaks_and_ends_where_it_says():
    got = rates(schedules.OneCycle(pct_start=0.25, div=25, div_final=1e5))
    assert got[0] == pytest.approx(0.1 / 25, rel=1e-13)
    assert int(np.argmax(got)) == SPE * EPOCHS // 4 - 1
    assert got.max() == 0.1
    assert got[-1] == pytest.approx(1e-6, rel=1e-12)


def test_warm_up_gives_the_rest_its_own_clock():
    got = rates(schedules.WarmUp(2.5, "cosine"))
    warm = round(2.5 * SPE)
    rest = schedules.Cosine().lr(0.1, 0, SPE * EPOCHS - warm, SPE, EPOCHS - warm / SPE)
    assert np.array_equal(got[warm:], rest)
    assert got[warm - 1] == got[warm] == 0.1
    assert np.array_equal(rates(schedules.WarmUp(0, "cosine")), rates(schedules.Cosine()))


LOSSES = [1.0, 0.8, 0.9, 0.81, 0.8, 0.79995, 0.7, 0.7, math.nan, 0.7, 0.7, 0.7, 0.7, 0.7, 0.6, 0.6]


@pytest.mark.parametrize("cooldown", [0, 1, 2])
@pytest.mark.parametrize(("mode", "sign"), [("min", 1), ("max", -1)])
def test_plateau_is_pytorchs_with_one_epoch_less_patience(cooldown, mode, sign):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode, 0.5, 1, 1e-4, threshold_mode="abs", cooldown=cooldown, min_lr=0.01
    )
    ours = schedules.Plateau("x", 0.5, 2, 1e-4, cooldown, min_lr=0.01, mode=mode)
    for loss in LOSSES:
        theirs.step(sign * loss)
        ours.on_epoch_end({"x": sign * loss})
        expected = np.full(SPE, optimizer.param_groups[0]["lr"])
        np.testing.assert_allclose(rates(ours, n=SPE), expected, rtol=1e-14)


def test_plateau_by_hand():
    schedule = schedules.Plateau(patience=2, factor=0.5)
    seen = []
    for loss in [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]:
        schedule.on_epoch_end({"val_loss": loss})
        seen.append(float(rates(schedule, base=1.0, n=1)[0]))
    assert seen == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_plateau_takes_accuracy_upwards_and_minds_its_floor():
    schedule = schedules.Plateau("val_accuracy", patience=1, factor=0.1, min_lr=0.05)
    schedule.on_epoch_end({"val_accuracy": 0.5})
    schedule.on_epoch_end({"val_accuracy": 0.6})
    assert rates(schedule, n=1) == 0.1
    schedule.on_epoch_end({"val_accuracy": 0.6})
    assert rates(schedule, n=1) == 0.05
    assert rates(schedule, base=0.01, n=1) == 0.01  # a floor never raises the rate


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: schedules.WarmUp(0, s)])
def test_plateau_resumes_from_its_state(wrap):
    whole, first = (wrap(schedules.Plateau("x", 0.5, 2, cooldown=1, mode="min")) for _ in range(2))
    for loss in LOSSES[:8]:
        whole.on_epoch_end({"x": loss})
        first.on_epoch_end({"x": loss})
    second = wrap(schedules.Plateau("x", 0.5, 2, cooldown=1, mode="min"))
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for loss in LOSSES[8:]:
        whole.on_epoch_end({"x": loss})
        second.on_epoch_end({"x": loss})
        assert np.array_equal(rates(second), rates(whole))
    assert second.state_dict() == whole.state_dict()


def test_state_of_another_schedule_is_refused():
    with pytest.raises(ValueError, match=r"state: expected the keys scale, best, .*got none"):
        schedules.Plateau().load_state_dict({})
    with pytest.raises(ValueError, match=r"state: expected \{\} for Cosine"):
        schedules.Cosine().load_state_dict({"scale": 1.0})


def test_cyclic_cosine_is_huangs():
    """Huang et al. 2017, eq. 2, with t counted from 1; the last rate is kept beyond the end."""
    total, cycles = 23, 4
    length = math.ceil(total / cycles)
    wanted = [
        0.05 * (math.cos(math.pi * ((t - 1) % length) / length) + 1) for t in range(1, total + 1)
    ]
    got = schedules.CyclicCosine(cycles=cycles).lr(0.1, 0, total + 2, total, 1)
    np.testing.assert_allclose(got[:total], wanted, rtol=1e-14)
    assert (got[total:] == got[total - 1]).all()
    floor = schedules.CyclicCosine(cycles=2, min_factor=0.5).lr(1.0, 0, 8, 4, 2)
    assert floor[0] == floor[4] == 1.0
    assert (floor > 0.5).all()


def test_plateau_lists_what_it_could_watch():
    with pytest.raises(
        ValueError, match=r"monitor: expected one of loss, accuracy, got 'val_loss'; give fit v"
    ):
        schedules.Plateau().on_epoch_end({"loss": 1.0, "accuracy": 0.5})


def test_get():
    for name in ("constant", "step", "exponential", "inverse_time", "cosine"):
        assert isinstance(schedules.get(name), schedules.Schedule)
    assert isinstance(schedules.get("warmup"), schedules.WarmUp)
    assert isinstance(schedules.get("one_cycle"), schedules.OneCycle)
    assert schedules.get("cyclic_cosine") == schedules.CyclicCosine(cycles=5)
    assert schedules.get("plateau") is not schedules.get("plateau")
    assert schedules.get(None) == schedules.Constant()
    assert schedules.get(PURE[3]) is PURE[3]
    assert rates(schedules.get(lambda step: 0.5**step), n=3).tolist() == [0.1, 0.05, 0.025]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: schedules.get("cosin"), ValueError, r"schedule: .*one_cycle, plateau.*'cosin'"),
        (lambda: schedules.get(3), TypeError, "schedule: expected a name, a Schedule .*got 3"),
        (lambda: schedules.get(schedules.Cosine), TypeError, "schedule: expected .*Cosine"),
        (lambda: schedules.Step(every=0), ValueError, "every: expected at least 1, got 0"),
        (lambda: schedules.Step(every=2.5), TypeError, "every: expected a whole number, got 2.5"),
        (lambda: schedules.Step(factor=0), ValueError, "factor: expected above 0, got 0"),
        (lambda: schedules.Step(factor=1.5), ValueError, "factor: expected at most 1, got 1.5"),
        (lambda: schedules.Exponential(math.nan), ValueError, "decay: .*nan"),
        (lambda: schedules.Exponential(0.9, 0.1), ValueError, "rate: expected decay or rate"),
        (lambda: schedules.Exponential(rate=-1), ValueError, "rate: .*-1"),
        (lambda: schedules.InverseTime(math.inf), ValueError, "k: .*inf"),
        (lambda: schedules.Cosine("half"), TypeError, "min_factor: expected a number, got 'half'"),
        (lambda: schedules.WarmUp(-1), ValueError, "epochs: .*-1"),
        (lambda: schedules.WarmUp(1, "no"), ValueError, "schedule: expected one of .*'no'"),
        (lambda: schedules.OneCycle(1.0), ValueError, "pct_start: expected below 1, got 1.0"),
        (lambda: schedules.OneCycle(div=0.5), ValueError, "div: .*0.5"),
        (lambda: schedules.Plateau(factor=1.0), ValueError, "factor: expected below 1, got 1.0"),
        (lambda: schedules.Plateau(patience=0), ValueError, "patience: .*0"),
        (lambda: schedules.Plateau(mode="up"), ValueError, "mode: .*auto, min, max.*'up'"),
        (lambda: schedules.Plateau(min_delta=-1.0), ValueError, "min_delta: .*-1.0"),
        (
            lambda: rates(schedules.get(lambda step: -float(step))),
            ValueError,
            "schedule: expected finite factors >= 0, got -1.0 at step 1",
        ),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_same_bits_on_every_instruction_set(isa, run_isa):
    code = """
        import hashlib
        from fanin import schedules as s
        kinds = [s.Exponential(0.93), s.Exponential(rate=0.1), s.Cosine(0.01), s.OneCycle()]
        data = b"".join(k.lr(1e-3, 0, 3331, 33, 101).tobytes() for k in kinds)
        print(hashlib.sha256(data).hexdigest())
    """
    assert run_isa(code, isa) == run_isa(code, "scalar")
