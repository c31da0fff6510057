"""Dense layers as functions: the fused one, and the lecture's course-style pairs.

Every ``*_forward`` returns ``(out, cache)`` and the matching ``*_backward(dout, cache)`` returns
the gradients, as in the course's assignments. x is (N, D), W is (D, H), b is (H,), out (N, H), all
float32 or all float64; a wrong shape, dtype or layout is a ValueError or TypeError, never a silent
copy. `keep` is the probability of keeping: masks are ``uniform < keep``.
"""

from fanin.layers.dense import (
    ACTIVATIONS,
    affine_backward,
    affine_forward,
    dense,
    dense_backward,
    dense_forward,
    elu_backward,
    elu_forward,
    gelu_backward,
    gelu_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    mish_backward,
    mish_forward,
    relu_backward,
    relu_forward,
    selu_backward,
    selu_forward,
    sigmoid_backward,
    sigmoid_forward,
    silu_backward,
    silu_forward,
    softplus_backward,
    softplus_forward,
    tanh_backward,
    tanh_forward,
)
from fanin.layers.dropconnect import (
    dropconnect_backward,
    dropconnect_forward,
    dropconnect_inference,
)
from fanin.layers.dropout import dropout_backward, dropout_forward
from fanin.layers.norm import (
    batch_norm,
    batch_norm_backward,
    batch_norm_forward,
    layer_norm_backward,
    layer_norm_forward,
)
from fanin.layers.prelu import prelu_backward, prelu_forward
from fanin.losses import softmax_loss, svm_loss

__all__ = [
    "ACTIVATIONS", "affine_backward", "affine_forward", "batch_norm", "batch_norm_backward",
    "batch_norm_forward", "dense", "dense_backward", "dense_forward", "dropconnect_backward",
    "dropconnect_forward", "dropconnect_inference", "dropout_backward", "dropout_forward",
    "elu_backward", "elu_forward", "gelu_backward", "gelu_forward", "layer_norm_backward",
    "layer_norm_forward", "leaky_relu_backward", "leaky_relu_forward", "mish_backward",
    "mish_forward", "prelu_backward", "prelu_forward", "relu_backward", "relu_forward",
    "selu_backward", "selu_forward", "sigmoid_backward", "sigmoid_forward", "silu_backward",
    "silu_forward", "softmax_loss", "softplus_backward", "softplus_forward", "svm_loss",
    "tanh_backward", "tanh_forward",
]  # fmt: skip
