from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, TypedDict, overload

import numpy as np
import numpy.typing as npt

_Array: TypeAlias = npt.NDArray[Any]
_Labels: TypeAlias = npt.NDArray[np.int32]
_Indices: TypeAlias = npt.NDArray[np.int64]
_Doubles: TypeAlias = npt.NDArray[np.float64]

class _CpuLimits(TypedDict):
    affinity: int
    quota: int

__version__: str
openmp: bool
activations: tuple[str, ...]
losses: tuple[str, ...]
most_soft_svm_classes: int

def isa() -> str: ...
def supported_isas() -> list[str]: ...
def get_num_threads() -> int: ...
def set_num_threads(n: int) -> None: ...
def cpu_limits() -> _CpuLimits: ...
def dense_forward(
    x: _Array,
    W: _Array,
    b: _Array | None,
    activation: int,
    keep: float,
    seed: int,
    stream: int,
    first_row: int,
    out: _Array | None,
    slope: bool,
    n_threads: int,
) -> tuple[_Array, _Array | None]: ...
def dense_backward(
    dy: _Array,
    x: _Array,
    W: _Array,
    slope: _Array | None,
    gate: _Array | None,
    factor: float,
    dx: bool,
    n_threads: int,
) -> tuple[_Array | None, _Array, _Array]: ...
def activation_forward(
    x: _Array,
    activation: int,
    keep: float,
    scale: float,
    seed: int,
    stream: int,
    first_row: int,
    out: _Array | None,
    slope: bool,
    n_threads: int,
) -> tuple[_Array, _Array | None]: ...
def drop_connect_forward(
    x: _Array,
    W: _Array,
    b: _Array | None,
    activation: int,
    keep: float,
    seed: int,
    stream: int,
    first_row: int,
    slope: bool,
    n_threads: int,
) -> tuple[_Array, _Array | None]: ...
def drop_connect_backward(
    dy: _Array,
    x: _Array,
    W: _Array,
    slope: _Array | None,
    gate: _Array | None,
    keep: float,
    seed: int,
    stream: int,
    first_row: int,
    dx: bool,
    n_threads: int,
) -> tuple[_Array | None, _Array, _Array]: ...
def gaussian_activation(
    mean: _Array, variance: _Array, activation: int, ratio: float, n_threads: int
) -> _Array: ...
def map(name: str, x: _Array) -> _Array: ...
@overload
def loss_rows(
    loss: int,
    scores: _Array,
    labels: _Labels | None,
    soft: _Array | None,
    weights: _Array | None,
    scale: float,
    with_gradient: Literal[True],
    n_threads: int,
) -> tuple[_Array, _Array, _Labels]: ...
@overload
def loss_rows(
    loss: int,
    scores: _Array,
    labels: _Labels | None,
    soft: _Array | None,
    weights: _Array | None,
    scale: float,
    with_gradient: Literal[False],
    n_threads: int,
) -> tuple[_Array, None, _Labels]: ...
def softmax_rows(scores: _Array, out: _Array | None, n_threads: int) -> _Array: ...
def gather_rows(
    data: _Array,
    indices: _Indices | None,
    mean: _Array | None,
    scale: _Array | None,
    dtype: np.dtype[Any],
    n_threads: int,
) -> _Array: ...
def sum_squares(x: _Array) -> float: ...
def first_nonfinite(x: _Array) -> int: ...
def column_sums(X: _Array, shift: _Doubles | None, squared: bool, n_threads: int) -> _Doubles: ...
def centre_rows(X: _Array, mean: _Doubles, scale: _Doubles | None, n_threads: int) -> _Array: ...
def scatter(X: _Array, mean: _Doubles, precise: bool, n_threads: int) -> _Doubles: ...
def project(
    X: _Array,
    mean: _Doubles,
    vectors: _Array,
    scale: _Doubles | None,
    add: _Doubles | None,
    n_threads: int,
) -> _Array: ...
def random_fill(
    out: _Array,
    distribution: str,
    seed: int,
    stream: int,
    first_group: int,
    a: float,
    b: float,
    n_threads: int = 0,
) -> None: ...
def random_integers(
    out: _Indices, seed: int, stream: int, first: int, low: int, range: int, n_threads: int = 0
) -> None: ...
def random_permutation(out: _Indices, seed: int, stream: int, first: int = 0) -> None: ...
def random_dense(
    x: _Array,
    out: int,
    normal: bool,
    seed: int,
    stream: int,
    first_group: int,
    a: float,
    b: float,
    activation: int,
    n_threads: int,
) -> _Array: ...
def draw_mix(
    kind: str,
    alpha: float,
    p: float,
    per_sample: bool,
    seed: int,
    indices: _Indices,
    epoch: int,
    height: int,
    width: int,
) -> tuple[_Doubles, _Indices]: ...
def mix_images(
    kind: str,
    alpha: float,
    p: float,
    per_sample: bool,
    seed: int,
    images: _Array,
    planar: bool,
    indices: _Indices,
    epoch: int,
    out: _Array,
    n_threads: int,
) -> tuple[_Doubles, _Indices]: ...
def summary(
    x: _Array, low: float, high: float, n_threads: int
) -> tuple[float, float, float, float, float, float]: ...
def histogram(x: _Array, edges: _Doubles, n_threads: int) -> _Indices: ...
def philox(key: Sequence[int], counter: Sequence[int]) -> list[int]: ...
def stream_of(purpose: str, layer: int = 0, step: int = 0) -> int: ...

class Augmentation:
    def __init__(self, ops: Sequence[tuple[str, float, Sequence[float]]], seed: int) -> None: ...
    @property
    def variants(self) -> int: ...
    @property
    def normalizes(self) -> bool: ...
    def output(self, height: int, width: int) -> tuple[int, int]: ...
    def draw(
        self, indices: _Indices, epoch: int, heights: _Indices, widths: _Indices
    ) -> tuple[npt.NDArray[np.bool_], _Doubles]: ...
    def run(
        self,
        images: _Array | Sequence[_Array],
        indices: _Indices,
        epoch: int,
        out: _Array,
        planar: bool,
        mask: bool,
        n_threads: int,
    ) -> None: ...

class Rule:
    def __init__(
        self,
        name: str,
        rho: float = 0.9,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float | None = None,
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def n_states(self) -> int: ...
    @property
    def t(self) -> int: ...
    @property
    def state(self) -> dict[str, float]: ...
    @state.setter
    def state(self, state: dict[str, float]) -> None: ...
    def step(
        self,
        params: object,
        grads: object,
        states: dict[str, list[_Array]],
        lr: float,
        l2: float,
        g_scale: float,
        n_threads: int,
    ) -> bool: ...

class BatchAugmenter:
    def __init__(
        self,
        shape: tuple[int, int, int],
        augmentation: Augmentation | None,
        mixing: tuple[str, float, float, bool, int] | None,
    ) -> None: ...

class Layer:
    def __init__(
        self,
        inputs: int,
        outputs: int,
        activation: str,
        *,
        keep: float = 1.0,
        keep_weights: float = 1.0,
    ) -> None: ...
    @property
    def inputs(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def keep(self) -> float: ...
    @property
    def keep_weights(self) -> float: ...

class TrainingData:
    def __init__(
        self,
        X: _Array,
        mean: _Doubles | None = None,
        scale: _Doubles | None = None,
        labels: _Labels | None = None,
        soft: _Array | None = None,
        weights: _Array | None = None,
    ) -> None: ...
    def __len__(self) -> int: ...
    @property
    def X(self) -> _Array: ...  # noqa: N802
    @property
    def mean(self) -> _Doubles | None: ...
    @property
    def scale(self) -> _Doubles | None: ...
    @property
    def labels(self) -> _Labels | None: ...
    @property
    def soft(self) -> _Array | None: ...
    @property
    def weights(self) -> _Array | None: ...

class TrainingJob:
    data: TrainingData
    order: _Indices
    seed: int
    budget: float
    clip_norm: float
    n_threads: int
    epoch: int
    first_stream: int
    def __init__(
        self,
        *,
        data: TrainingData,
        order: _Indices,
        batch: int,
        seed: int,
        budget: float,
        clip_norm: float = 0.0,
        n_threads: int = 0,
        images: BatchAugmenter | None = None,
    ) -> None: ...
    @property
    def batch(self) -> int: ...

class Learner:
    l2: float
    lr: _Doubles
    def __init__(
        self,
        *,
        rule: Rule,
        states: Sequence[_Array],
        l2: float,
        lr: _Doubles,
        losses: _Doubles,
        correct: _Indices,
    ) -> None: ...
    @property
    def losses(self) -> _Doubles: ...
    @property
    def correct(self) -> _Indices: ...
    @property
    def steps(self) -> int: ...
    @property
    def diverged(self) -> bool: ...

class _Engine:
    def __init__(
        self,
        layers: Sequence[Layer],
        loss: str,
        *,
        vanilla: bool = False,
        row_masks: bool = False,
        moments: bool = False,
    ) -> None: ...
    @property
    def parameters(self) -> _Array: ...
    @property
    def offsets(self) -> list[tuple[int, int]]: ...
    def train(self, job: TrainingJob, learner: Learner, first: int, last: int) -> None: ...
    def gradient(
        self,
        data: TrainingData,
        *,
        l2: float,
        seed: int = 0,
        dropout_step: int | None = None,
        n_threads: int,
    ) -> tuple[float, _Array]: ...
    def scores(self, data: TrainingData, n_threads: int) -> _Array: ...
    def evaluate(self, data: TrainingData, n_threads: int) -> tuple[float, int]: ...

class Engine32(_Engine): ...
class Engine64(_Engine): ...

class _Many:
    def __init__(self, engines: Sequence[_Engine], batch: int) -> None: ...
    def train(
        self, job: TrainingJob, learners: Sequence[Learner], first: int, last: int
    ) -> None: ...
    def evaluate(self, data: TrainingData) -> list[tuple[float, int]]: ...

class Many32(_Many): ...
class Many64(_Many): ...
