"""Every optimizer against its formula, PyTorch and the course's published numbers."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fanin
from fanin import _core, optim

Array = np.ndarray
Options = dict[str, Any]

O1 = pytest.mark.row("O1")
O2 = pytest.mark.row("O2")
PLUS = pytest.mark.row("O+")

# Name, hyperparameters away from the defaults, PyTorch's name and words for them.
RULES = [
    pytest.param("sgd", {}, "SGD", {}, marks=O1),
    pytest.param("momentum", {"rho": 0.99}, "SGD", {"momentum": 0.99}, marks=O1),
    pytest.param("momentum", {}, "SGD", {"momentum": 0.9}, marks=O1),
    pytest.param("adagrad", {}, "Adagrad", {"eps": 1e-7}, marks=O1),
    pytest.param("nesterov", {}, "SGD", {"momentum": 0.9, "nesterov": True}, marks=O2),
    pytest.param("rmsprop", {}, "RMSprop", {}, marks=O2),
    pytest.param(
        "rmsprop", {"alpha": 0.9, "eps": 1e-3}, "RMSprop", {"alpha": 0.9, "eps": 1e-3}, marks=O2
    ),
    pytest.param("adadelta", {}, "Adadelta", {}, marks=O2),
    pytest.param("adam", {}, "Adam", {}, marks=O2),
    pytest.param(
        "adam",
        {"beta1": 0.5, "beta2": 0.9, "eps": 1e-2},
        "Adam",
        {"betas": (0.5, 0.9), "eps": 1e-2},
        marks=O2,
    ),
    pytest.param("nadam", {}, "NAdam", {}, marks=O2),
    pytest.param("nadam", {"momentum_decay": 1.0}, "NAdam", {"momentum_decay": 1.0}, marks=O2),
    pytest.param("nadam", {"momentum_decay": 40.0}, "NAdam", {"momentum_decay": 40.0}, marks=O2),
    pytest.param("nadam", {"momentum_decay": None}, None, {}, marks=O2),
    pytest.param("adamw", {}, "AdamW", {}, marks=PLUS),
    pytest.param("amsgrad", {}, "Adam", {"amsgrad": True}, marks=PLUS),
    pytest.param("lion", {"weight_decay": 0.1}, None, {}, marks=PLUS),
]
CLASSES = {
    "sgd": optim.SGD, "momentum": optim.Momentum, "nesterov": optim.Nesterov,
    "adagrad": optim.AdaGrad, "rmsprop": optim.RMSProp, "adadelta": optim.AdaDelta,
    "adam": optim.Adam, "adamw": optim.AdamW, "nadam": optim.Nadam, "amsgrad": optim.AMSGrad,
    "lion": optim.Lion,
}  # fmt: skip


class Reference:
    """The formulas of the docstrings, in NumPy."""

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.h = {**CLASSES[name]().hyperparameters, **options}
        self.s: list[Any] = [0.0, 0.0, 0.0]
        self.t, self.mu_product = 0, 1.0

    def step(self, x: Array, g: Array, lr: float) -> None:
        self.t += 1
        getattr(self, f"_{self.name}", self._adam)(x, g, lr, self.s, self.h)

    def _sgd(self, x: Array, g: Array, lr: float, _s: Any, _h: Options) -> None:
        x -= lr * g

    def _momentum(self, x: Array, g: Array, lr: float, s: Any, h: Options) -> None:
        s[0] = h["rho"] * s[0] + g
        x -= lr * s[0]

    def _nesterov(self, x: Array, g: Array, lr: float, s: Any, h: Options) -> None:
        s[0] = h["rho"] * s[0] + g
        x -= lr * (g + h["rho"] * s[0])

    def _adagrad(self, x: Array, g: Array, lr: float, s: Any, h: Options) -> None:
        s[0] = s[0] + g * g
        x -= lr * g / (np.sqrt(s[0]) + h["eps"])

    def _rmsprop(self, x: Array, g: Array, lr: float, s: Any, h: Options) -> None:
        s[0] = h["alpha"] * s[0] + (1 - h["alpha"]) * g * g
        x -= lr * g / (np.sqrt(s[0]) + h["eps"])

    def _adadelta(self, x: Array, g: Array, lr: float, s: Any, h: Options) -> None:
        s[0] = h["rho"] * s[0] + (1 - h["rho"]) * g * g
        d = np.sqrt(s[1] + h["eps"]) / np.sqrt(s[0] + h["eps"]) * g
        s[1] = h["rho"] * s[1] + (1 - h["rho"]) * d * d
        x -= lr * d

    def _lion(self, x: Array, g: Array, lr: float, s: Any, h: Options) -> None:
        c = h["beta1"] * s[0] + (1 - h["beta1"]) * g
        x *= 1 - lr * h["weight_decay"]
        x -= lr * np.sign(c)
        s[0] = h["beta2"] * s[0] + (1 - h["beta2"]) * g

    def _adam(self, x: Array, g: Array, lr: float, s: Any, h: Options) -> None:
        b1, b2, t = h["beta1"], h["beta2"], self.t
        x *= 1 - lr * h.get("weight_decay", 0.0)
        s[0] = b1 * s[0] + (1 - b1) * g
        s[1] = b2 * s[1] + (1 - b2) * g * g
        s[2] = np.maximum(s[2], s[1])
        v = s[2] if self.name == "amsgrad" else s[1]
        first = s[0] / (1 - b1**t)
        if self.name == "nadam":
            first = self._nadam_first(g, s[0], b1, h["momentum_decay"])
        x -= lr * first / (np.sqrt(v / (1 - b2**t)) + h["eps"])

    def _nadam_first(self, g: Array, m: Array, b1: float, decay: float | None) -> Any:
        t = self.t
        if decay is None:
            return (b1 * m + (1 - b1) * g) / (1 - b1**t)
        mu, after = (b1 * (1 - 0.5 * 0.96 ** (k * decay)) for k in (t, t + 1))
        self.mu_product *= mu
        return after * m / (1 - self.mu_product * after) + (1 - mu) * g / (1 - self.mu_product)


def rate(base: float, t: int) -> float:
    """A learning rate that changes at every step, and jumps."""
    return base * (1 + 0.5 * math.sin(t)) * (0.1 if t >= 25 else 1.0)


def gradients(n: int, steps: int = 50, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    g = rng.normal(size=(steps, n)) * 10.0 ** rng.uniform(-4, 2, n)
    g[rng.random((steps, n)) < 0.1] = 0
    return g


def run(make: Callable[[], optim.Optimizer], g: Array, dtype: Any, seed: int = 1) -> Array:
    opt = make()
    base = opt.lr
    x = np.random.default_rng(seed).normal(size=g.shape[1]).astype(dtype)
    for t, row in enumerate(g.astype(dtype)):
        opt.lr = rate(base, t)
        opt.step(x, row)
    return x


@pytest.mark.parametrize(
    ("name", "options", "torch_name", "torch_options"), [r for r in RULES if r.values[2]]
)
def test_agrees_with_pytorch(
    name: str, options: Options, torch_name: str, torch_options: Options, request: Any
) -> None:
    torch = pytest.importorskip("torch")
    torch.set_default_dtype(torch.float64)  # NAdam keeps its product of mu in the default type
    request.addfinalizer(lambda: torch.set_default_dtype(torch.float32))
    g = gradients(33)
    opt = CLASSES[name](**options)
    base = opt.lr
    x = np.random.default_rng(1).normal(size=33)
    theirs = torch.tensor(x.copy(), requires_grad=True)
    torch_opt = getattr(torch.optim, torch_name)([theirs], lr=base, **torch_options)
    for t, row in enumerate(g):
        opt.lr = torch_opt.param_groups[0]["lr"] = rate(base, t)
        opt.step(x, row)
        theirs.grad = torch.tensor(row)
        torch_opt.step()
        np.testing.assert_allclose(x, theirs.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 2e-5)])
@pytest.mark.parametrize("n", [1, 15, 16, 17, 63, 65, 333])
@pytest.mark.parametrize(("name", "options", "torch_name", "torch_options"), RULES)
def test_agrees_with_the_formula(
    name: str,
    options: Options,
    torch_name: Any,
    torch_options: Any,
    n: int,
    dtype: Any,
    tolerance: float,
) -> None:
    del torch_name, torch_options
    if name == "adadelta":
        tolerance *= 20  # its steps feed on themselves
    g = gradients(n).astype(dtype)
    make = CLASSES[name]
    x = run(lambda: make(**options), g, dtype)
    expected = np.random.default_rng(1).normal(size=n).astype(dtype).astype(np.float64)
    start = expected.copy()
    reference, base = Reference(name, options), make().lr
    for t, row in enumerate(g.astype(np.float64)):
        reference.step(expected, row, rate(base, t))
    assert not np.array_equal(expected, start)
    np.testing.assert_allclose(x, expected, rtol=tolerance, atol=tolerance)


@O1
def test_published_momentum() -> None:
    """cs231n, assignment 2: sgd_momentum. There lr stands inside v, so v = -lr times ours."""
    w = np.linspace(-0.4, 0.6, 20).reshape(4, 5)
    dw = np.linspace(-0.6, 0.4, 20).reshape(4, 5)
    v = np.linspace(0.6, 0.9, 20).reshape(4, 5)
    opt = optim.Momentum(lr=1e-3, rho=0.9)
    restore(opt, [-v / 1e-3])
    opt.step(w, dw)
    assert w[0, 0] == pytest.approx(0.1406, abs=1e-8)
    assert -1e-3 * opt.state_dict()["states"][""][0][0, 0] == pytest.approx(0.5406, abs=1e-8)
    assert w[-1, -1] == pytest.approx(0.6 + 0.9 * 0.9 - 1e-3 * 0.4, abs=1e-12)


@O2
def test_published_rmsprop() -> None:
    """cs231n, assignment 2: rmsprop."""
    w = np.linspace(-0.4, 0.6, 20).reshape(4, 5)
    dw = np.linspace(-0.6, 0.4, 20).reshape(4, 5)
    opt = optim.RMSProp(lr=1e-2)
    restore(opt, [np.linspace(0.6, 0.9, 20).reshape(4, 5)])
    opt.step(w, dw)
    assert w[0, 0] == pytest.approx(-0.39223849, abs=5e-9)


@O2
def test_published_adam() -> None:
    """cs231n, assignment 2: adam, with five steps already counted."""
    w = np.linspace(-0.4, 0.6, 20).reshape(4, 5)
    dw = np.linspace(-0.6, 0.4, 20).reshape(4, 5)
    m = np.linspace(0.6, 0.9, 20).reshape(4, 5)
    v = np.linspace(0.7, 0.5, 20).reshape(4, 5)
    opt = optim.Adam(lr=1e-2)
    for _ in range(5):
        opt.step(np.zeros((4, 5)), np.zeros((4, 5)))
    restore(opt, [m, v])
    opt.step(w, dw)
    assert opt.t == 6
    assert w[0, 0] == pytest.approx(-0.40094747, abs=5e-9)


def restore(opt: optim.Optimizer, states: list[Array]) -> None:
    opt.load_state_dict({**opt.state_dict(), "states": {"": states}})


@pytest.mark.parametrize("name", CLASSES)
def test_bits_do_not_depend_on_the_cut(name: str) -> None:
    g = gradients(333).astype(np.float32)
    whole = run(CLASSES[name], g, np.float32)
    opt, base = CLASSES[name](), CLASSES[name]().lr
    x = np.random.default_rng(1).normal(size=333).astype(np.float32)
    cuts = np.cumsum([0, 1, 15, 17, 100, 200])
    for t, row in enumerate(g):
        opt.lr = rate(base, t)
        pieces = list(itertools.pairwise(cuts))
        opt.step({f"{b}": x[b:e] for b, e in pieces}, {f"{b}": row[b:e] for b, e in pieces})
    np.testing.assert_array_equal(x, whole)


@pytest.mark.parametrize("name", CLASSES)
def test_threads_do_not_change_the_result(name: str, threads: int) -> None:
    assert fanin.get_num_threads() == threads
    g = np.random.default_rng(0).normal(size=(2, 200_003)).astype(np.float32)
    one, many = np.zeros((2, g.shape[1]), np.float32)
    first, second = CLASSES[name](), CLASSES[name]()
    for row in g:
        first.step(one, row, n_threads=1)
        second.step(many, row)
    np.testing.assert_array_equal(one, many)


BITS = """
    import hashlib
    import numpy as np
    from fanin import optim

    digest = hashlib.sha256()
    names = "sgd momentum nesterov adagrad rmsprop adadelta adam adamw nadam amsgrad lion"
    for name in names.split():
        for dtype in (np.float32, np.float64):
            rng = np.random.default_rng(0)
            x, opt = rng.normal(size=77).astype(dtype), optim.get(name)
            for step in range(20):
                scale = 10.0 ** rng.uniform(-22, 2, 77)  # some squares are denormal, or nothing
                opt.step(x, (scale * rng.normal(size=77)).astype(dtype))
            digest.update(x.tobytes())
            for state in opt.state_dict()["states"][""]:
                digest.update(state.tobytes())
    print(digest.hexdigest())
"""


def test_same_bits_on_every_instruction_set(run_isa: Any, isa: str) -> None:
    assert run_isa(BITS, isa=isa) == run_isa(BITS)


@pytest.mark.parametrize("name", CLASSES)
def test_l2_and_scale_come_before_the_rule(name: str) -> None:
    """As the native loop uses them: g * g_scale + l2 * x takes the place of g."""
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(2, 65))
    y = x.copy()
    opt = CLASSES[name]()
    folded = _core.Rule(name, **rule_options(opt))
    states = [np.zeros(65) for _ in range(opt.n_states)]
    for _ in range(3):
        opt.step(x, g * 0.25 + 0.1 * x)
        assert folded.step(y, g, {"": states}, opt.lr, 0.1, 0.25, 1)
    np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-14)
    assert folded.t == 3


def rule_options(opt: optim.Optimizer) -> Options:
    options = opt.hyperparameters
    if "alpha" in options:
        options["rho"] = options.pop("alpha")
    return options


@pytest.mark.parametrize("name", CLASSES)
def test_nan_in_the_gradient_is_not_hidden(name: str) -> None:
    x, g = np.zeros(17), np.ones(17)
    g[5] = np.nan
    opt = CLASSES[name]()
    opt.step(x, g)
    assert np.isnan(x[5])
    assert np.isfinite(np.delete(x, 5)).all()


DEFAULTS = """
SGD(lr=0.01)
Momentum(lr=0.01, rho=0.9)
Nesterov(lr=0.01, rho=0.9)
AdaGrad(lr=0.01, eps=1e-07)
RMSProp(lr=0.01, alpha=0.99, eps=1e-08)
AdaDelta(lr=1.0, rho=0.9, eps=1e-06)
Adam(lr=0.001, beta1=0.9, beta2=0.999, eps=1e-08)
AdamW(lr=0.001, beta1=0.9, beta2=0.999, eps=1e-08, weight_decay=0.01)
Nadam(lr=0.002, beta1=0.9, beta2=0.999, eps=1e-08, momentum_decay=0.004)
AMSGrad(lr=0.001, beta1=0.9, beta2=0.999, eps=1e-08)
Lion(lr=0.0001, beta1=0.9, beta2=0.99, weight_decay=0.0)
"""


def test_defaults_are_those_of_the_docstrings() -> None:
    assert [repr(rule()) for rule in CLASSES.values()] == DEFAULTS.split("\n")[1:-1]


# One step of Adam from p with the moments 2 f and 2 b ** 2, which halves both: p - f / (b + eps).
QUOTIENTS = """
    import numpy as np
    from fanin import optim

    def stepped(p, f, b, eps=1e-20):
        adam = optim.Adam(lr=1.0, beta1=0.5, beta2=0.5, eps=eps)
        adam.step(p.copy(), p.copy())
        state = adam.state_dict()
        state["clock"] |= {"t": 1000, "beta1_power": 0.0, "beta2_power": 0.0}
        state["states"] = {"": [2 * f, 2 * (b * b)]}
        adam.load_state_dict(state)
        adam.step(p, -np.zeros_like(p))
        return p
"""


def test_quotients_beside_a_root_are_rounded_as_divisions_are(
    run_isa: Callable[..., str], isa: str
) -> None:
    """AVX-512 divides by Newton's steps there. All significands of a denominator have their turn;
    and all numerators over that with all bits set, which the steps miss unless they round up."""
    code = """
    rng = np.random.default_rng(0)
    significands = (1 + np.arange(2**23) / 2**23).astype(np.float32)
    f = np.ldexp(rng.permutation(significands), rng.integers(-40, 40, 2**23)).astype(np.float32)
    for f, b in (f, significands), (significands, np.full_like(f, significands[-1])):
        print(np.count_nonzero(stepped(np.zeros_like(f), f, b) != -(f / b)))
    """
    assert run_isa(textwrap.dedent(QUOTIENTS) + textwrap.dedent(code), isa).split() == ["0", "0"]


def test_quotients_of_odd_numbers_are_those_of_divisions(
    run_isa: Callable[..., str], isa: str
) -> None:
    code = """
    largest = float(np.finfo(np.float32).max) / 4
    sizes = [0, 1.2e-38, 1e-30, 3e-19, 3.5e-18, 0.9e-17, 1e-17, 1.1e-17, 1, 1e19, largest, np.inf]
    one, other = (x.ravel() for x in np.meshgrid(sizes, [0, 1e-18, 1e-6, 1, 3e9, 1e19, np.inf]))
    for eps in 1e-20, 0.5, 1.0, 1e30, 1e38:
        for f in one, -one:
            f, b = np.append(f, np.nan), np.append(other, 1)
            f, b = np.repeat(np.float32(f), 16), np.repeat(np.float32(b), 16)
            p = np.full_like(f, -0.0)
            with np.errstate(all="ignore"):
                expected = f / (b + np.float32(eps))
                small = np.abs(expected) < np.finfo(np.float32).tiny
                expected = np.float32(-0.0) - np.where(small, np.copysign(0, expected), expected)
            stepped(p, f, b, eps)
            same = (p == expected) & (np.signbit(p) == np.signbit(expected))
            same |= np.isnan(p) & np.isnan(expected)
            assert same.all(), (eps, {*zip(f[~same], b[~same])})
    """
    run_isa(textwrap.dedent(QUOTIENTS) + textwrap.dedent(code), isa)
