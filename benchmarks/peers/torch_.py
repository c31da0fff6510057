"""PyTorch: modules, autograd, fused Adam; rows taken by index from one tensor, no DataLoader."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks import data
from benchmarks.jobs import Array, Dense, Prepared, Train


def configure(threads: int) -> None:
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)


def version() -> str:
    return f"PyTorch {torch.__version__}"


def train(job: Train) -> Prepared:
    X, y = torch.from_numpy(data.scaled(job.data.X)), torch.from_numpy(job.data.y)
    layers: list[nn.Module] = []
    for W, _ in job.initial_parameters():
        linear = nn.Linear(*W.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W.T))
            linear.bias.zero_()
        layers += [linear, nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    optimizer: torch.optim.Optimizer
    if job.optimizer == "adam":
        optimizer = torch.optim.Adam(network.parameters(), lr=job.lr, fused=True)
    else:
        optimizer = torch.optim.SGD(network.parameters(), lr=job.lr, momentum=0.9, fused=True)

    def run() -> None:
        for index in torch.randperm(job.rows).split(job.batch):
            optimizer.zero_grad(set_to_none=True)
            scores = network(X.index_select(0, index))
            nn.functional.cross_entropy(scores, y.index_select(0, index)).backward()
            optimizer.step()

    def answer() -> Array:
        with torch.inference_mode():
            return network(torch.from_numpy(data.scaled(job.data.X_test))).numpy()

    return Prepared(run, answer)


def dense(job: Dense) -> Prepared:
    x, W, b = (torch.from_numpy(a) for a in job.arrays)
    out = torch.empty(job.M, job.N)
    activate = {"relu": torch.relu_, "tanh": torch.tanh_}[job.activation]

    @torch.inference_mode()
    def run() -> torch.Tensor:
        return activate(torch.addmm(b, x, W, out=out))

    return Prepared(run, lambda: run().numpy())


JOBS = {Train: train, Dense: dense}
