"""Random numbers that depend on nothing but seed, stream and position.

The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
SC'11): draw number i is computed from i, not from draw i - 1, so that it depends on neither threads
nor instruction set, and a state is three integers.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex, TypeAlias, TypedDict

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fanin import _core
from fanin._typing import Array, FloatArray, Ints
from fanin.arrays import as_array

__all__ = ["Generator", "GeneratorState", "Rng", "as_generator"]

Size: TypeAlias = SupportsIndex | Sequence[SupportsIndex] | None
Out: TypeAlias = FloatArray | None
Draws: TypeAlias = Any  # an array, or one Python number where neither size nor out is given

_WORDS = 64  # 32-bit draws in a group, the unit of `position`
_BLOCKS = 16  # 128-bit draws in a group
_POSITIONS = 2**60


class GeneratorState(TypedDict):
    """The state of a `Generator`: three integers.

    Examples
    --------
    >>> g = fanin.random.Generator(0)
    >>> state = g.state
    >>> first = g.random(2)
    >>> g.state = state
    >>> bool((g.random(2) == first).all())
    True
    """

    seed: int
    stream: int
    position: int


class Generator:
    """A stream of random numbers, with the names of NumPy's methods.

    Every draw is a pure function of (`seed`, `stream`, `position`). A call takes whole groups of 64
    words from the stream and moves `position` on by their number, so that calls never share a
    group. The streams of one seed are independent of each other.

    Unlike NumPy's, draws are float32 unless ``dtype="float64"`` is given; one draw (neither `size`
    nor `out`) is a Python number. Threads that share a generator get different draws, which ones is
    up to their order: give each thread its own stream to have the same ones again.

    Parameters
    ----------
    seed : int
        From 0 to 2**64 - 1: the key of the draws.
    stream : int
        From 0 to 2**56 - 1; those above are the package's own (weights, masks, shuffles).

    Examples
    --------
    >>> a, b = Generator(seed=7), Generator(seed=7)
    >>> bool((a.standard_normal(1000) == b.standard_normal(1000)).all())
    True
    >>> a
    Generator(seed=7, stream=0, position=16)
    """

    def __init__(self, seed: int = 0, stream: int = 0) -> None:
        self._seed = _integer("seed", seed, 2**64)
        self._stream = _integer("stream", stream, 2**56)
        self._position = _core.Position(0)

    def __repr__(self) -> str:
        return f"Generator(seed={self._seed}, stream={self._stream}, position={self.position})"

    def __getstate__(self) -> GeneratorState:
        return self.state

    def __setstate__(self, state: GeneratorState) -> None:
        self.state = state

    @property
    def seed(self) -> int:
        return self._seed

    @property
    def stream(self) -> int:
        return self._stream

    @property
    def position(self) -> int:
        """The next group of 64 words to be drawn."""
        return self._position.value

    @property
    def state(self) -> GeneratorState:
        """Seed, stream and position; assigning it takes the generator back there."""
        return {"seed": self._seed, "stream": self._stream, "position": self._position.value}

    @state.setter
    def state(self, state: GeneratorState) -> None:
        given: Any = state
        if not isinstance(given, dict) or given.keys() != GeneratorState.__annotations__.keys():
            raise ValueError(f"state: expected a dict of seed, stream and position, got {given!r}")
        ends = {"seed": 2**64, "stream": 2**64, "position": _POSITIONS}
        checked = [_integer(f"state[{key!r}]", given[key], end) for key, end in ends.items()]
        self._seed, self._stream = checked[:2]
        self._position = _core.Position(checked[2])

    def spawn(self, n: int) -> list[Generator]:
        """Make n generators independent of this one and of each other, their seeds drawn from it.

        Examples
        --------
        >>> parent = Generator(seed=1)
        >>> len({child.seed for child in parent.spawn(2) + parent.spawn(2)})
        4
        """
        seeds = np.empty(_integer("n", n, 2**32), np.int64)
        self._draw_integers(seeds, -(2**63), 2**64)
        return [Generator(seed) for seed in seeds.view(np.uint64).tolist()]

    def random(self, size: Size = None, dtype: DTypeLike = np.float32, out: Out = None) -> Draws:
        """Draw numbers uniformly from [0, 1): 24 random bits in float32, 53 in float64.

        The arguments are those of all methods that draw floats.

        Parameters
        ----------
        size : int or tuple of ints, optional
        dtype : {"float32", "float64"}
            Where `out` is not given.
        out : array of float32 or float64, optional
            C-contiguous and writable; filled and returned.

        Examples
        --------
        >>> Generator(seed=0).random((2, 3)).shape
        (2, 3)
        """
        return self._fill("uniform", 0.0, 1.0, size, dtype, out)

    def uniform(
        self,
        low: float = 0.0,
        high: float = 1.0,
        size: Size = None,
        *,
        dtype: DTypeLike = np.float32,
        out: Out = None,
    ) -> Draws:
        """Draw numbers uniformly from [low, high): ``low + (high - low) * random()``.

        As in NumPy, rounding may give `high` itself.

        Parameters
        ----------
        low, high : float
        size, dtype, out
            As in `random`.
        """
        low, high = _finite("low", low), _finite("high", high)
        if not low < high:
            raise ValueError(f"high: expected a number above low = {low}, got {high}")
        return self._fill("uniform", low, high - low, size, dtype, out)

    def standard_normal(
        self, size: Size = None, dtype: DTypeLike = np.float32, out: Out = None
    ) -> Draws:
        """Draw from the normal distribution of mean 0 and standard deviation 1.

        By Box and Muller (1958): ``sqrt(-2 log u)`` times the cosine and the sine of ``2 pi v``.
        float32 draws stay within 6.8, float64 ones within 8.7.

        Parameters
        ----------
        size, dtype, out
            As in `random`.
        """
        return self._fill("normal", 0.0, 1.0, size, dtype, out)

    def normal(
        self,
        loc: float = 0.0,
        scale: float = 1.0,
        size: Size = None,
        *,
        dtype: DTypeLike = np.float32,
        out: Out = None,
    ) -> Draws:
        """Draw from the normal distribution of mean `loc` and standard deviation `scale`.

        Parameters
        ----------
        loc, scale : float
            `scale` is at least 0.
        size, dtype, out
            As in `random`.
        """
        loc, scale = _finite("loc", loc), _finite("scale", scale)
        if scale < 0:
            raise ValueError(f"scale: expected a number of at least 0, got {scale}")
        return self._fill("normal", loc, scale, size, dtype, out)

    def bernoulli(
        self, p: float, size: Size = None, *, dtype: DTypeLike = np.float32, out: Out = None
    ) -> Draws:
        """Draw 1.0 with probability p, else 0.0: a mask to multiply by.

        p is rounded to a multiple of 2**-32; 0 and 1 are certain. Both dtypes give the same draws.

        Parameters
        ----------
        p : float in [0, 1]
        size, dtype, out
            As in `random`.
        """
        p = _finite("p", p)
        if not 0 <= p <= 1:
            raise ValueError(f"p: expected a probability in [0, 1], got {p}")
        return self._fill("bernoulli", p, 0.0, size, dtype, out)

    def integers(
        self,
        low: int,
        high: int | None = None,
        size: Size = None,
        *,
        endpoint: bool = False,
        out: Ints | None = None,
    ) -> Draws:
        """Draw integers uniformly from [low, high), or from [0, low) where `high` is None.

        Each takes 128 random bits, so that the bias is below 2**-64.

        Parameters
        ----------
        low, high : int
            Within int64; without `endpoint`, `high` may be 2**63.
        size, out
            As in `random`, but that `out` is int64.
        endpoint : bool
            Whether `high` itself may be drawn.

        Examples
        --------
        >>> sorted(set(Generator(seed=0).integers(1, 6, size=100, endpoint=True).tolist()))
        [1, 2, 3, 4, 5, 6]
        """
        first, end = (0, low) if high is None else (low, high)
        first = _integer("low", first, 2**63, -(2**63))
        end = _integer("low" if high is None else "high", end, 2**63 + 1, -(2**63)) + bool(endpoint)
        if first >= end or end > 2**63:
            expected = f"int64 numbers with low {'<=' if endpoint else '<'} high"
            got = f"{first}, {end - bool(endpoint)}"
            raise ValueError(f"low, high: expected {expected}, got {got}")
        target = _target(size, np.dtype(np.int64), out)
        self._draw_integers(target, first, end - first)
        return int(target[()]) if size is None and out is None else target

    def permutation(self, x: int | ArrayLike) -> Array:
        """Shuffle 0 ... x - 1 (int64), or the rows of a copy of the array x, by Fisher and Yates.

        Examples
        --------
        >>> sorted(Generator(seed=3).permutation(4).tolist())
        [0, 1, 2, 3]
        """
        rows = np.asarray(x) if np.ndim(x) == 0 else as_array("x", x)
        n = len(rows) if rows.ndim else _integer("x", x, 2**60)
        order = np.empty(n, np.int64)
        self._draw(
            n,
            _BLOCKS,
            lambda first: _core.random_permutation(
                order, self._seed, self._stream, first * _BLOCKS
            ),
        )
        return rows[order] if rows.ndim else order

    def _fill(
        self, distribution: str, a: float, b: float, size: Size, dtype: DTypeLike, out: Out
    ) -> Draws:
        kind = np.dtype(dtype) if out is None else _array("out", out).dtype
        if kind not in (np.dtype(np.float32), np.dtype(np.float64)):
            name = "dtype" if out is None else "out"
            raise TypeError(f"{name}: expected float32 or float64, got {kind}")
        if max(abs(a), abs(b)) > float(np.finfo(kind.name).max):
            raise ValueError(f"{distribution}: expected parameters within {kind}, got {a}, {b}")
        target = _target(size, kind, out)
        two_words = kind == np.float64 and distribution != "bernoulli"
        self._draw(
            target.size,
            _WORDS // 2 if two_words else _WORDS,
            lambda first: _core.random_fill(
                target, distribution, self._seed, self._stream, first, a, b
            ),
        )
        return float(target[()]) if size is None and out is None else target

    def _draw_integers(self, out: Ints, low: int, count: int) -> None:
        self._draw(
            out.size,
            _BLOCKS,
            lambda first: _core.random_integers(
                out, self._seed, self._stream, first * _BLOCKS, low, count % 2**64
            ),
        )

    def _draw(self, draws: int, per_group: int, fill: Callable[[int], None]) -> None:
        """Draws from groups that no other call gets, also on another thread: fill(the first)."""
        groups, position = -(-draws // per_group), self._position
        first = position.take(groups)
        try:
            fill(first)
        except BaseException:
            position.put_back(first, groups)
            raise


Rng: TypeAlias = int | Generator | np.random.Generator | np.random.RandomState | None


def as_generator(rng: Rng) -> Generator:
    """The `Generator` for what a caller may give as `rng`.

    Parameters
    ----------
    rng : None, int, Generator, numpy.random.Generator or numpy.random.RandomState
        None takes a seed from the operating system, so that each call differs, as in NumPy; an int
        is a seed; a `Generator` is returned as it is; from NumPy's a seed is drawn.

    Examples
    --------
    >>> as_generator(5)
    Generator(seed=5, stream=0, position=0)
    """
    if isinstance(rng, Generator):
        return rng
    if rng is None:
        return Generator(int.from_bytes(os.urandom(8), "little"))
    if isinstance(rng, np.random.Generator):
        return Generator(int(rng.integers(0, 2**64, dtype=np.uint64)))
    if isinstance(rng, np.random.RandomState):
        return Generator(int(rng.randint(0, 2**64, dtype=np.uint64)))
    if not isinstance(rng, (int, np.integer)):
        raise TypeError(
            f"rng: expected None, an int, a Generator or one of NumPy's, got {type(rng).__name__}"
        )
    return Generator(_integer("rng", rng, 2**64))


def package_generator(seed: int, purpose: str, layer: int = 0, step: int = 0) -> Generator:
    """The generator of a stream of the package's own for a purpose, apart from users' streams."""
    generator = Generator(seed)
    generator._stream = _core.stream_of(purpose, layer, step)
    return generator


def _integer(name: str, value: Any, end: int, first: int = 0) -> int:
    """The value as an int in [first, end)."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
    number = operator.index(value)
    if not first <= number < end:
        raise ValueError(f"{name}: expected an int from {first} to {end - 1}, got {number}")
    return number


def _array(name: str, value: Any) -> Array:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name}: expected an array, got {type(value).__name__}")
    return value


def _finite(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}") from None
    if not math.isfinite(number):
        raise ValueError(f"{name}: expected a finite number, got {number}")
    return number


def _target(size: Size, dtype: np.dtype[Any], out: Array | None) -> Array:
    """A fresh array, or `out` where it has the given size."""
    dims = () if size is None else tuple(size) if isinstance(size, Sequence) else (size,)
    shape = tuple(_integer("size", d, 2**60) for d in dims)
    if out is None:
        return np.empty(shape, dtype)
    if _array("out", out).shape != shape and size is not None:
        raise ValueError(f"out: expected the shape {shape} of size, got {out.shape}")
    return out
