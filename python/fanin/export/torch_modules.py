"""Modules of PyTorch for what it lacks. Importing this imports torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Residual(nn.Sequential):
    """``x + f(x)``, f the modules in order."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class Scale(nn.Module):
    """x times a constant: vanilla dropout in prediction."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.register_buffer("factor", torch.tensor(factor, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor

    def extra_repr(self) -> str:
        return f"{float(self.factor):g}"


class Standardize(nn.Module):
    """``(x - mean) * scale``, computed in float64 and rounded to a dtype.

    Values that this dtype holds are centred by `near`, the mean as fanin rounds it for them.
    """

    def __init__(self, mean: Tensor, near: Tensor, scale: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.register_buffer("mean", mean)
        self.register_buffer("near", near)
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(torch.float64)
        held = x.to(self.dtype).to(torch.float64) == wide
        mean = torch.where(held, self.near, self.mean)
        return ((wide - mean) * self.scale).to(self.dtype)


class LinearMap(nn.Module):
    """``((x - mean) @ matrix) * scale``, the mean subtracted in float64.

    Like fanin in float64 for a float64 x, else in a dtype.
    """

    def __init__(
        self, mean: Tensor, matrix: Tensor | None, scale: Tensor | None, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.dtype = dtype
        for name, values in (("mean", mean), ("matrix", matrix), ("scale", scale)):
            self.register_buffer(name, values)

    def forward(self, x: Tensor) -> Tensor:
        dtype = x.dtype if x.dtype == torch.float64 else self.dtype
        y = (x.to(torch.float64) - self.mean).to(dtype)
        if self.matrix is not None:
            y = y @ self.matrix.to(dtype)
        return y if self.scale is None else y * self.scale.to(dtype)


class Cast(nn.Module):
    """x in a dtype."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        return x.to(self.dtype)
