from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

class Augmentation:
    def __init__(
        self,
        steps: Sequence[tuple[str, float, dict[str, Any]]],
        seed: int,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> None: ...
    def draw(self, indices: Array, epoch: int, heights: Array, widths: Array) -> list[Any]: ...
    def output(self, height: int, width: int) -> tuple[int, int]: ...
    def run(
        self,
        images: Any,
        indices: Array,
        epoch: int,
        out: Array,
        planar: bool,
        mask: bool,
        n_threads: int,
    ) -> None: ...
    @property
    def normalizes(self) -> bool: ...
    @property
    def variants(self) -> int: ...

class BatchAugmenter:
    def __init__(
        self,
        shape: tuple[int, int, int],
        augmentation: Augmentation | None = None,
        mixing: tuple[str, float, float, bool, int] | None = None,
    ) -> None: ...

class Loss:
    def __init__(
        self,
        name: str,
        *,
        mean: bool = False,
        smoothing: float = 0.0,
        temperature: float = 1.0,
        delta: float = 1.0,
        quantiles: Sequence[float] = [],
    ) -> None: ...

class Rule:
    def __init__(
        self,
        name: str,
        rho: float = 0.9,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        momentum_decay: float | None = None,
        state: dict[str, Any] | None = None,
    ) -> None: ...
    def __reduce__(
        self,
    ) -> tuple[type, tuple[str, float, float, float, float, float, float, dict[str, Any]]]: ...
    def step(
        self,
        params: Any,
        grads: Any,
        states: dict[str, Any],
        lr: float,
        l2: float,
        g_scale: float,
        n_threads: int,
    ) -> bool: ...
    @property
    def n_states(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def state(self) -> dict[str, Any]: ...
    @state.setter
    def state(self, arg1: dict[str, Any]) -> None: ...
    @property
    def t(self) -> int: ...

class Position:
    def __init__(self, at: int) -> None: ...
    def put_back(self, at: int, groups: int) -> None: ...
    def take(self, groups: int) -> int: ...
    @property
    def value(self) -> int: ...
    @value.setter
    def value(self, arg1: int) -> None: ...

class Layer:
    def __init__(
        self,
        inputs: int,
        outputs: int,
        activation: str,
        *,
        keep: float = 1.0,
        keep_weights: float = 1.0,
        norm: str = "none",
        skip: bool = False,
        rate: float = 1.0,
    ) -> None: ...
    @property
    def inputs(self) -> int: ...
    @property
    def keep(self) -> float: ...
    @property
    def keep_weights(self) -> float: ...
    @property
    def outputs(self) -> int: ...
    @property
    def skip(self) -> bool: ...

class Parameter:
    @property
    def cols(self) -> int: ...
    @property
    def decays(self) -> bool: ...
    @property
    def layer(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def role(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def trained(self) -> bool: ...

class TrainingData:
    def __init__(
        self,
        X: Any,
        mean: Any = None,
        scale: Any = None,
        labels: Any = None,
        soft: Any = None,
        weights: Any = None,
        positive: Any = None,
    ) -> None: ...
    def __len__(self) -> int: ...
    @property
    def X(self) -> Any: ...
    @property
    def labels(self) -> Any: ...
    @property
    def mean(self) -> Any: ...
    @property
    def positive(self) -> Any: ...
    @property
    def scale(self) -> Any: ...
    @property
    def soft(self) -> Any: ...
    @property
    def weights(self) -> Any: ...

class TrainingJob:
    data: TrainingData

    def __init__(
        self,
        *,
        data: TrainingData,
        order: Array,
        batch: int,
        seed: int,
        budget: float,
        clip_norm: float = 0.0,
        n_threads: int = 0,
        images: Any = None,
    ) -> None: ...
    @property
    def batch(self) -> int: ...
    @property
    def budget(self) -> float: ...
    @budget.setter
    def budget(self, arg0: float) -> None: ...
    @property
    def clip_norm(self) -> float: ...
    @clip_norm.setter
    def clip_norm(self, arg0: float) -> None: ...
    @property
    def epoch(self) -> int: ...
    @epoch.setter
    def epoch(self, arg0: int) -> None: ...
    @property
    def first_stream(self) -> int: ...
    @first_stream.setter
    def first_stream(self, arg0: int) -> None: ...
    @property
    def n_threads(self) -> int: ...
    @n_threads.setter
    def n_threads(self, arg0: int) -> None: ...
    @property
    def order(self) -> Array: ...
    @order.setter
    def order(self, arg0: Array) -> None: ...
    @property
    def seed(self) -> int: ...
    @seed.setter
    def seed(self, arg0: int) -> None: ...

class Learner:
    lr: Array

    def __init__(
        self,
        *,
        rule: Any,
        states: Sequence[Array],
        l2: float,
        lr: Array,
        losses: Array,
        correct: Array,
    ) -> None: ...
    @property
    def correct(self) -> Array: ...
    @property
    def diverged(self) -> bool: ...
    @property
    def l2(self) -> float: ...
    @l2.setter
    def l2(self, arg0: float) -> None: ...
    @property
    def losses(self) -> Array: ...
    @property
    def steps(self) -> int: ...

class TrainingState:
    def __init__(
        self,
        parameters: Array,
        states: Sequence[Array],
        clock: dict[str, Any],
        epochs_done: int,
        steps_done: int,
    ) -> None: ...
    @property
    def clock(self) -> dict[str, Any]: ...
    @property
    def epochs_done(self) -> int: ...
    @property
    def parameters(self) -> Array: ...
    @property
    def states(self) -> list[Array]: ...
    @property
    def steps_done(self) -> int: ...

class Reading:
    def __enter__(self) -> None: ...
    def __exit__(self, type: Any, error: Any, traceback: Any) -> None: ...

class Engine32:
    def __init__(
        self,
        layers: Sequence[Layer],
        loss: Any,
        *,
        vanilla: bool = False,
        row_masks: bool = False,
        moments: bool = False,
        compute: str = "full",
    ) -> None: ...
    def evaluate(self, data: TrainingData, n_threads: int) -> tuple[float, int]: ...
    def gradient(
        self,
        data: TrainingData,
        *,
        l2: float,
        seed: int = 0,
        dropout_step: int | None = None,
        n_threads: int,
    ) -> tuple[float, npt.NDArray[np.float32]]: ...
    def put_back(
        self, state: TrainingState, rule: Any = None, states: Sequence[Array] = []
    ) -> None: ...
    def reading(self) -> Reading: ...
    def scores(self, data: TrainingData, n_threads: int) -> npt.NDArray[np.float32]: ...
    def set_parameters(self, parameters: Array) -> None: ...
    def state(self, rule: Any = None, states: Sequence[Array] = []) -> TrainingState: ...
    def take(
        self, state: TrainingState, rule: Any = None, states: Sequence[Array] = []
    ) -> None: ...
    def trace(self, data: TrainingData, n_threads: int) -> tuple[list[Any], Any]: ...
    def train(self, job: TrainingJob, learner: Learner, first: int, last: int) -> None: ...
    @property
    def epochs_done(self) -> int: ...
    @epochs_done.setter
    def epochs_done(self, arg1: int) -> None: ...
    @property
    def layers(self) -> list[Layer]: ...
    @property
    def layout(self) -> list[Parameter]: ...
    @property
    def parameters(self) -> npt.NDArray[np.float32]: ...
    @property
    def steps_done(self) -> int: ...
    @steps_done.setter
    def steps_done(self, arg1: int) -> None: ...

class Engine64:
    def __init__(
        self,
        layers: Sequence[Layer],
        loss: Any,
        *,
        vanilla: bool = False,
        row_masks: bool = False,
        moments: bool = False,
        compute: str = "full",
    ) -> None: ...
    def evaluate(self, data: TrainingData, n_threads: int) -> tuple[float, int]: ...
    def gradient(
        self,
        data: TrainingData,
        *,
        l2: float,
        seed: int = 0,
        dropout_step: int | None = None,
        n_threads: int,
    ) -> tuple[float, npt.NDArray[np.float64]]: ...
    def put_back(
        self, state: TrainingState, rule: Any = None, states: Sequence[Array] = []
    ) -> None: ...
    def reading(self) -> Reading: ...
    def scores(self, data: TrainingData, n_threads: int) -> npt.NDArray[np.float64]: ...
    def set_parameters(self, parameters: Array) -> None: ...
    def state(self, rule: Any = None, states: Sequence[Array] = []) -> TrainingState: ...
    def take(
        self, state: TrainingState, rule: Any = None, states: Sequence[Array] = []
    ) -> None: ...
    def trace(self, data: TrainingData, n_threads: int) -> tuple[list[Any], Any]: ...
    def train(self, job: TrainingJob, learner: Learner, first: int, last: int) -> None: ...
    @property
    def epochs_done(self) -> int: ...
    @epochs_done.setter
    def epochs_done(self, arg1: int) -> None: ...
    @property
    def layers(self) -> list[Layer]: ...
    @property
    def layout(self) -> list[Parameter]: ...
    @property
    def parameters(self) -> npt.NDArray[np.float64]: ...
    @property
    def steps_done(self) -> int: ...
    @steps_done.setter
    def steps_done(self, arg1: int) -> None: ...

class Many32:
    def __init__(self, engines: Sequence[Engine32], batch: int) -> None: ...
    def evaluate(self, data: TrainingData) -> list[tuple[float, int]]: ...
    def train(
        self, job: TrainingJob, learners: Sequence[Learner], first: int, last: int
    ) -> None: ...

class Many64:
    def __init__(self, engines: Sequence[Engine64], batch: int) -> None: ...
    def evaluate(self, data: TrainingData) -> list[tuple[float, int]]: ...
    def train(
        self, job: TrainingJob, learners: Sequence[Learner], first: int, last: int
    ) -> None: ...

def activation_forward(
    x: Array,
    activation: int,
    keep: float,
    scale: float,
    seed: int,
    stream: int,
    first_row: int,
    out: Any,
    slope: bool,
    n_threads: int,
) -> tuple[Array, Array | None]: ...
def add(a: Array, b: Array, cols: int, out: Any, n_threads: int) -> Array: ...
def batch_gradients(
    dy: Array, x: Array, mean: Array, inverse: Array, n_threads: int
) -> tuple[Array, Array]: ...
def batch_moments(x: Array, cols: int, n_threads: int) -> tuple[Array, Array]: ...
def batch_norm_backward(
    dy: Array,
    x: Array,
    gamma: Array,
    mean: Array,
    inverse: Array,
    mean_dy: Array,
    mean_dy_h: Array,
    out: Any,
    n_threads: int,
) -> Array: ...
def batch_norm_forward(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    inverse: Array,
    epilogue: tuple[int, float, int, int, int],
    out: Any,
    slope: bool,
    n_threads: int,
) -> tuple[Array, Array | None]: ...
def centre_rows(X: Any, mean: Array, scale: Any, n_threads: int) -> Array: ...
def column_sums(X: Any, shift: Any, squared: bool, n_threads: int) -> npt.NDArray[np.float64]: ...
def cpu_limits() -> dict[str, Any]: ...
def dense_backward(
    dy: Array, x: Array, W: Array, slope: Any, gate: Any, factor: float, dx: bool, n_threads: int
) -> tuple[Array | None, Array, Array]: ...
def dense_forward(
    x: Array,
    W: Array,
    b: Any,
    activation: int,
    keep: float,
    seed: int,
    stream: int,
    first_row: int,
    out: Any,
    slope: bool,
    n_threads: int,
    bf16: bool = False,
) -> tuple[Array, Array | None]: ...
def draw_mix(
    kind: str,
    alpha: float,
    p: float,
    per_sample: bool,
    seed: int,
    indices: Array,
    epoch: int,
    height: int,
    width: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]: ...
def drop_connect_backward(
    dy: Array,
    x: Array,
    W: Array,
    slope: Any,
    gate: Any,
    keep: float,
    seed: int,
    stream: int,
    first_row: int,
    dx: bool,
    n_threads: int,
) -> tuple[Array | None, Array, Array]: ...
def drop_connect_forward(
    x: Array,
    W: Array,
    b: Any,
    activation: int,
    keep: float,
    seed: int,
    stream: int,
    first_row: int,
    slope: bool,
    n_threads: int,
) -> tuple[Array, Array | None]: ...
def extremes(x: Array) -> tuple[Any, ...]: ...
def first_nonfinite(x: Array) -> int: ...
def gather_rows(
    data: Any, indices: Any, mean: Any, scale: Any, dtype: np.dtype[Any], n_threads: int
) -> Array: ...
def gaussian_activation(
    mean: Array, variance: Array, activation: int, ratio: float, n_threads: int
) -> Array: ...
def get_num_threads() -> int: ...
def histogram(x: Array, edges: Array, n_threads: int) -> npt.NDArray[np.int64]: ...
def inverse_deviation(variance: Array) -> Array: ...
def isa() -> str: ...
def layer_norm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, inverse: Array, out: Any, n_threads: int
) -> Array: ...
def layer_norm_forward(
    x: Array,
    gamma: Array,
    beta: Array,
    epilogue: tuple[int, float, int, int, int],
    out: Any,
    slope: bool,
    n_threads: int,
) -> tuple[Array, Array, Array, Array | None]: ...
def loss_rows(
    loss: Any,
    scores: Array,
    labels: Any,
    soft: Any,
    weights: Any,
    scale: float,
    with_gradient: bool,
    n_threads: int,
    positive: Any = None,
) -> tuple[Any, ...]: ...
def map(name: str, x: Array) -> Array: ...
def mix_images(
    kind: str,
    alpha: float,
    p: float,
    per_sample: bool,
    seed: int,
    images: Array,
    planar: bool,
    indices: Array,
    epoch: int,
    out: Array,
    n_threads: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], Any]: ...
def mix_labels(y: Array, lambdas: Array, classes: int) -> npt.NDArray[np.float32]: ...
def norm_gradient(
    dy: Array,
    x: Array,
    mean: Array,
    inverse: Array,
    per_column: bool,
    dgamma: Array,
    dbeta: Array,
    accumulate: bool,
    n_threads: int,
) -> None: ...
def on_fewer_threads(tell: Callable[..., Any]) -> None: ...
def philox(key: Sequence[int], counter: Sequence[int]) -> list[int]: ...
def prelu_backward(dy: Array, x: Array, slopes: Array, out: Any, n_threads: int) -> Array: ...
def prelu_forward(
    x: Array,
    slopes: Array,
    epilogue: tuple[int, float, int, int, int],
    out: Any,
    slope: bool,
    n_threads: int,
) -> tuple[Array, Array | None]: ...
def prelu_gradient(
    dy: Array, x: Array, dslopes: Array, accumulate: bool, n_threads: int
) -> None: ...
def project(X: Any, mean: Array, vectors: Array, scale: Any, add: Any, n_threads: int) -> Array: ...
def random_dense(
    x: Array,
    out: int,
    normal: bool,
    seed: int,
    stream: int,
    first_group: int,
    a: float,
    b: float,
    activation: int,
    n_threads: int,
) -> Array: ...
def random_fill(
    out: Array,
    distribution: str,
    seed: int,
    stream: int,
    first_group: int,
    a: float,
    b: float,
    n_threads: int = 0,
) -> None: ...
def random_integers(
    out: Array, seed: int, stream: int, first: int, low: int, range: int, n_threads: int = 0
) -> None: ...
def random_permutation(out: Array, seed: int, stream: int, first: int = 0) -> None: ...
def scatter(X: Any, mean: Array, precise: bool, n_threads: int) -> npt.NDArray[np.float64]: ...
def set_num_threads(n: int) -> None: ...
def softmax_rows(scores: Array, out: Any, n_threads: int) -> Array: ...
def stream_of(purpose: str, layer: int = 0, step: int = 0) -> int: ...
def sum_squares(x: Array) -> float: ...
def summary(
    x: Array, low: float, high: float, n_threads: int
) -> tuple[float, float, float, float, float, float]: ...
def supported_isas() -> list[str]: ...
def tiles(ask: bool = False) -> str: ...

__version__: str
activations: tuple[Any, ...]
computes: tuple[Any, ...]
losses: tuple[Any, ...]
most_soft_svm_classes: int
norm_eps: float
norms: tuple[Any, ...]
openmp: bool
