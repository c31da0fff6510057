"""The kernels as other compilers build them, and for another processor: the same bits."""

from __future__ import annotations

import kernel_builds
import pytest

from fanin import _core

BUILDS = [(compiler, isa) for compiler in ("gcc", "clang") for isa in _core.supported_isas()]
CROSS = [("cross", "neon"), ("cross", "scalar")]  # under qemu


@pytest.mark.slow
@pytest.mark.parametrize(("compiler", "isa"), BUILDS + CROSS)
def test_every_build_writes_the_same_bits(compiler, isa):
    expected = kernel_builds.hashes("gcc", "scalar")
    found = kernel_builds.hashes(compiler, isa)
    different = [name for name in expected if found.get(name) != expected[name]]
    assert different == []
    assert found.keys() == expected.keys()


@pytest.mark.slow
def test_every_kernel_is_among_the_cases():
    kernels = {name.split()[0].rstrip("+=,") for name in kernel_builds.hashes("gcc", "scalar")}
    assert kernels == {
        "dense_forward",
        "dense_backward_input",
        "weight_gradient",
        "bias_gradient",
        "drop_connect_forward",
        "drop_connect_backward_input",
        "drop_connect_weight_gradient",
        "gaussian_activation",
        "activation",
        "activation_backward",
        "gather_rows",
        "loss_rows",
        "softmax_rows",
        "optimizer_step",
        "random_fill",
        "random_dense",
        "column_sums",
        "centre_rows",
        "scatter",
        "project",
        "summarize",
        "sum_squares",
        "first_nonfinite",
        "extremes",
        "transpose",
        "map",
        "layer_norm_forward",
        "layer_norm_backward",
        "batch_norm_forward",
        "batch_norm_backward",
        "norm_gradient",
        "squared_deviations",
        "prelu_forward",
        "prelu_backward",
        "prelu_gradient",
        "add",
        "bf16",
        "copy_pixels",
        "unpack_pixels",
        "pack_planes",
        "resize_image",
        "prepare_warp",
        "warp_image",
        "colour_rows",
        "noise_rows",
        "blend",
    }


@pytest.mark.slow
def test_the_hashes_tell_results_apart():
    found = kernel_builds.hashes("gcc", "scalar")
    assert len(found) > 400
    assert len(set(found.values())) > 0.9 * len(found)
