"""Types that signatures share, and signatures that come from a class of options."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.floating[Any]]  # float32 or float64
PathLike = str | os.PathLike[str]

P = ParamSpec("P")
Self = TypeVar("Self")
Options = TypeVar("Options", covariant=True)
Result = TypeVar("Result")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")


class Takes(Protocol[P, Options]):
    """What `takes` returns: a decorator of methods of two or six arguments and options."""

    @overload
    def __call__(
        self, method: Callable[[Self, A, B, Options], Result]
    ) -> Callable[Concatenate[Self, A, B, P], Result]: ...
    @overload
    def __call__(
        self, method: Callable[[Self, A, B, C, D, E, F, Options], Result]
    ) -> Callable[Concatenate[Self, A, B, C, D, E, F, P], Result]: ...


def takes(options: Callable[P, Options]) -> Takes[P, Options]:
    """Lets a method whose last argument is options take the fields of their dataclass instead.

    Signature and docstring are those that the method would have with the fields written out: the
    parameters of the class's docstring take the place of the line ``{options}``.
    """
    make: Callable[..., Options] = options
    fields = inspect.signature(options).parameters.values()
    described = (inspect.getdoc(options) or "").partition("----------\n")[2]

    def decorate(method: Callable[..., Result]) -> Callable[..., Result]:
        own = inspect.signature(method)
        data = list(own.parameters.values())[:-1]
        signature = own.replace(parameters=[*data, *fields])

        @functools.wraps(method)
        def call(*args: Any, **keywords: Any) -> Result:
            try:
                given = signature.bind(*args, **keywords).arguments
            except TypeError as error:
                raise TypeError(f"{method.__qualname__}() {error}") from None
            return method(*(given.pop(one.name, one.default) for one in data), make(**given))

        call.__signature__ = signature  # type: ignore[attr-defined]
        call.__doc__ = inspect.cleandoc(method.__doc__ or "").replace("{options}", described)
        return call

    return cast("Takes[P, Options]", decorate)
