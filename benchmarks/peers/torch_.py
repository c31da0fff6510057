"""PyTorch: modules, autograd, fused Adam; rows taken by index from one tensor, no DataLoader."""

from __future__ import annotations

from itertools import cycle

import torch
from torch import nn

from benchmarks import data
from benchmarks.jobs import (
    AdamStep,
    Array,
    Backward,
    Dense,
    Draw,
    Dropout,
    Experiment,
    Predict,
    Prepared,
    Train,
    TrainBlocks,
)
from benchmarks.peers import torch_images

COMPUTES = (None, "bf16")


def configure(threads: int) -> None:
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)


def version() -> str:
    return f"PyTorch {torch.__version__}"


def train(job: Train) -> Prepared:
    layers: list[nn.Module] = []
    for W, _ in job.initial_parameters():
        layers += [_linear(W), nn.ReLU()]
    return _trained(job, nn.Sequential(*layers[:-1]))


ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "softplus": nn.Softplus,
    "selu": nn.SELU,
}


class Residual(nn.Module):
    """A skip round a module."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x)


def blocks(job: TrainBlocks) -> Prepared:
    *hidden, (last, _) = job.initial_parameters()
    layers: list[nn.Module] = []
    for W, _ in hidden:
        d, h = W.shape
        steps: list[nn.Module] = [_linear(W, bias=job.norm != "batch")]
        if job.norm is not None:
            steps.append(nn.LayerNorm(h) if job.norm == "layer" else nn.BatchNorm1d(h))
        steps.append(nn.PReLU(h) if job.activation == "prelu" else ACTIVATIONS[job.activation]())
        skips = job.residual and d == h
        layers += [Residual(nn.Sequential(*steps))] if skips else steps
    return _trained(job, nn.Sequential(*layers, _linear(last)))


def _linear(W: Array, bias: bool = True) -> nn.Linear:
    """From these weights, and a bias of zero."""
    linear = nn.Linear(*W.shape, bias=bias)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(W.T))
        if bias:
            linear.bias.zero_()
    return linear


def _trained(job: Train, network: nn.Module) -> Prepared:
    X, y = torch.from_numpy(data.scaled(job.data.X)), torch.from_numpy(job.data.y)
    optimizer: torch.optim.Optimizer
    if job.optimizer == "adam":
        optimizer = torch.optim.Adam(network.parameters(), lr=job.lr, fused=True)
    else:
        optimizer = torch.optim.SGD(network.parameters(), lr=job.lr, momentum=0.9, fused=True)

    def run() -> None:
        for index in torch.randperm(job.rows).split(job.batch):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=job.compute == "bf16"):
                scores = network(X.index_select(0, index))
                loss = nn.functional.cross_entropy(scores, y.index_select(0, index))
            loss.backward()
            optimizer.step()

    def answer() -> Array:
        network.eval()
        with torch.inference_mode():
            scores = network(torch.from_numpy(data.scaled(job.data.X_test))).numpy()
        network.train()
        return scores

    return Prepared(run, answer)


def predict(job: Predict) -> Prepared:
    layers: list[nn.Module] = []
    for W, b in job.layers:
        linear = _linear(W)
        with torch.no_grad():
            linear.bias.copy_(torch.from_numpy(b))
        layers += [linear, nn.ReLU()]
    network = nn.Sequential(*layers[:-1]).eval()

    @torch.inference_mode()
    def labels(x: Array) -> Array:
        return network(torch.from_numpy(x)).argmax(1).numpy()

    row = job.row
    return Prepared(lambda: labels(row), lambda: labels(job.rows))


def dense(job: Dense) -> Prepared:
    x, _, b = (torch.from_numpy(a) for a in job.arrays)
    weights = cycle([torch.from_numpy(W) for W in job.weights])
    out = torch.empty(job.M, job.N)
    activate = {"relu": torch.relu_, "tanh": torch.tanh_}[job.activation]

    @torch.inference_mode()
    def run() -> torch.Tensor:
        return activate(torch.addmm(b, x, next(weights), out=out))

    return Prepared(run, lambda: run().numpy())


def backward(job: Backward) -> Prepared:
    x, W, dY = (torch.from_numpy(a) for a in job.arrays)
    dX, dW, db = torch.empty_like(x), torch.empty_like(W), torch.empty(job.N)

    @torch.inference_mode()
    def run() -> None:
        torch.mm(dY, W.T, out=dX)
        torch.mm(x.T, dY, out=dW)
        torch.sum(dY, dim=0, out=db)

    return Prepared(run, lambda: (dX.numpy(), dW.numpy(), db.numpy()))


def draw(job: Draw) -> Prepared:
    out = torch.empty(job.size)
    run = {"normal": out.normal_, "uniform": out.uniform_}[job.distribution]
    return Prepared(run, out.numpy)


def dropout(job: Dropout) -> Prepared:
    """By hand: `nn.functional.dropout`, on a Bernoulli mask, takes three times as long."""
    x = torch.from_numpy(job.x)
    uniform, mask, out = torch.empty_like(x), torch.empty(x.shape, dtype=bool), torch.empty_like(x)

    @torch.inference_mode()
    def run() -> None:
        torch.lt(uniform.uniform_(), job.keep, out=mask)
        torch.mul(x, mask, out=out).mul_(1 / job.keep)

    return Prepared(run, out.numpy)


def adam_step(job: AdamStep) -> Prepared:
    g = torch.from_numpy(job.arrays[1])

    def fresh() -> tuple[torch.Tensor, torch.optim.Optimizer]:
        p = nn.Parameter(torch.from_numpy(job.arrays[0].copy()))
        p.grad = g
        return p, torch.optim.Adam([p], lr=job.lr, fused=True)

    def answer() -> Array:
        p, optimizer = fresh()
        for factor in (1, 2, 3):
            p.grad = factor * g
            optimizer.step()
        return p.detach().numpy()

    _, optimizer = fresh()
    return Prepared(optimizer.step, answer)


def experiment(job: Experiment) -> Prepared:
    W = torch.empty(job.width, job.width)
    found = torch.empty(len(job.cases), job.layers, 2)

    @torch.inference_mode()
    def run() -> None:
        for case, (_, std, activation) in enumerate(job.cases):
            activate = {"relu": torch.relu_, "tanh": torch.tanh_}[activation]
            x = torch.randn(job.rows, job.width)
            for layer in range(job.layers):
                torch.randn(W.shape, out=W)
                x = activate((x @ W).mul_(std))
                spread, mean = torch.std_mean(x, correction=0)
                found[case, layer, 0], found[case, layer, 1] = mean, spread

    return Prepared(run, found.numpy)


JOBS = {
    Train: train,
    TrainBlocks: blocks,
    Predict: predict,
    Dense: dense,
    Backward: backward,
    Draw: draw,
    Dropout: dropout,
    AdamStep: adam_step,
    Experiment: experiment,
    **torch_images.JOBS,
}
