"""PyTorch's augmentation, without torchvision: each of the forms below was the fastest tried."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.jobs import Array, Crop, Mix, Prepared, ResizedCrop, TrainImages, Warp
from benchmarks.jobs.augment import MEAN, STD, Drawn
from benchmarks.peers.shared import Team, drawn_anew


class Windows:
    """Crops as indexed windows of the padded batch, (N, 9, 9, 3, size, size) without a copy."""

    def __init__(self, images: torch.Tensor, padding: int) -> None:
        """``images``: (N, 3, size, size)."""
        size = images.shape[-1]
        padded = functional.pad(images, (padding,) * 4)
        self.views = padded.unfold(2, size, 1).unfold(3, size, 1).permute(0, 2, 3, 1, 4, 5)

    def take(self, index: torch.Tensor, top: torch.Tensor, left: torch.Tensor,
             flip: torch.Tensor) -> torch.Tensor:  # fmt: skip
        crops = self.views[index, top, left]
        return torch.where(flip[:, None, None, None], crops.flip(-1), crops)


def crop(job: Crop) -> Prepared:
    windows = Windows(torch.from_numpy(job.images).permute(0, 3, 1, 2).contiguous(), job.padding)
    each = torch.arange(job.count)
    out = torch.empty(job.count, 3, job.size, job.size)
    scale = 1 / (255 * torch.tensor(STD)[:, None, None])
    shift = -(torch.tensor(MEAN) / torch.tensor(STD))[:, None, None]

    @torch.inference_mode()
    def apply(drawn: Drawn) -> Array:
        where = (torch.from_numpy(drawn[name]) for name in ("top", "left", "flip"))
        crops = windows.take(each, *where)
        if not job.normalized:
            return crops.permute(0, 2, 3, 1).contiguous().numpy()
        return torch.mul(crops, scale, out=out).add_(shift).numpy()

    return drawn_anew(job, apply)


def resized_crop(job: ResizedCrop) -> Prepared | None:
    """One image at a time, bytes with the channels last, in as many threads."""
    if job.jitter is not None:
        return None
    images = torch.from_numpy(job.images).permute(0, 3, 1, 2)
    out = torch.empty(job.result[0], dtype=torch.uint8)
    planes = out.permute(0, 3, 1, 2)
    team = Team(torch.get_num_threads(), lambda: torch.set_num_threads(1))

    def apply(drawn: Drawn) -> Array:
        boxes, flips = drawn["box"].tolist(), drawn["flip"].tolist()

        @torch.inference_mode()
        def work(part: range) -> None:
            for i in part:
                top, left, height, width = boxes[i]
                window = images[i : i + 1, :, top : top + height, left : left + width]
                image = functional.interpolate(
                    window, (job.size, job.size), mode="bilinear", antialias=job.antialias
                )[0]
                planes[i] = image.flip(-1) if flips[i] else image

        team.each(work, job.count)
        return out.numpy()

    return drawn_anew(job, apply)


def warp(job: Warp) -> Prepared:
    """The batch as floats through a grid of coordinates."""
    images = torch.from_numpy(job.images).permute(0, 3, 1, 2)
    size = job.size
    to_unit = torch.tensor([[2 / size, 0, 1 / size - 1], [0, 2 / size, 1 / size - 1], [0, 0, 1]])
    to_pixel = torch.linalg.inv(to_unit)

    @torch.inference_mode()
    def apply(drawn: Drawn) -> Array:
        maps = torch.from_numpy(drawn["map"]).float()
        last = torch.tensor([0.0, 0.0, 1.0]).expand(job.count, 1, 3)
        unit = (to_unit @ torch.cat([maps, last], dim=1) @ to_pixel)[:, :2]
        grid = functional.affine_grid(unit, [job.count, 3, size, size], align_corners=False)
        moved = functional.grid_sample(images.float(), grid, align_corners=False)
        return moved.round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()

    return drawn_anew(job, apply)


def mix(job: Mix) -> Prepared:
    """timm's formulas into a new batch; its partner is the batch reversed, here the one before, as
    two views of the batch.
    """
    x = torch.from_numpy(job.planes)
    hot = functional.one_hot(torch.from_numpy(job.y), job.classes).float()
    out = torch.empty_like(x)

    @torch.inference_mode()
    def apply(drawn: Drawn) -> tuple[Array, Array]:
        share = float(drawn["lambda"])
        if job.kind == "mixup":
            torch.lerp(x[:-1], x[1:], share, out=out[1:])
            torch.lerp(x[-1:], x[:1], share, out=out[:1])
        else:
            top, left, bottom, right = drawn["box"].tolist()
            box = np.s_[:, :, top:bottom, left:right]
            out.copy_(x)
            out[1:][box] = x[:-1][box]
            out[:1][box] = x[-1:][box]
        labels = torch.lerp(hot.roll(1, 0), hot, share)
        return out.numpy().transpose(0, 2, 3, 1), labels.numpy()

    return drawn_anew(job, apply)


def train(job: TrainImages) -> Prepared:
    """As `torch_.train`; with augmentation each batch is taken from the windows of all images."""
    images = torch.from_numpy(job.data.X).permute(0, 3, 1, 2).contiguous()
    y, flat = torch.from_numpy(job.data.y), images.flatten(1).float() / 255
    windows = Windows(images, job.padding)
    inputs, hidden, classes = job.dims
    network = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes))
    optimizer = torch.optim.Adam(network.parameters(), lr=job.lr, fused=True)

    def batch(index: torch.Tensor) -> torch.Tensor:
        if not job.augment:
            return flat.index_select(0, index)
        top, left = torch.randint(0, 2 * job.padding + 1, (2, len(index)))
        flip = torch.rand(len(index)) < 0.5
        return windows.take(index, top, left, flip).flatten(1).float().div_(255)

    def run() -> None:
        for index in torch.randperm(len(y)).split(job.batch):
            optimizer.zero_grad(set_to_none=True)
            scores = network(batch(index))
            functional.cross_entropy(scores, y.index_select(0, index)).backward()
            optimizer.step()

    def answer() -> Array:
        test = torch.from_numpy(job.data.X_test).permute(0, 3, 1, 2).flatten(1).float() / 255
        with torch.inference_mode():
            return network(test).numpy()

    return Prepared(run, answer)


JOBS = {Crop: crop, ResizedCrop: resized_crop, Warp: warp, Mix: mix, TrainImages: train}
