"""Types that signatures share, and signatures that come from a class of options."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
PathLike = str | os.PathLike[str]

P = ParamSpec("P")
Self = TypeVar("Self")
Options = TypeVar("Options")
Result = TypeVar("Result")


def takes(
    options: Callable[P, Options],
) -> Callable[
    [Callable[[Self, Array, Array, Options], Result]],
    Callable[Concatenate[Self, Array, Array, P], Result],
]:
    """Lets a method of (X, y, options) take the fields of a dataclass of options as keywords.

    Signature and docstring are those that the method would have with the keywords written out: the
    parameters of the class's docstring take the place of the line ``{options}``.
    """
    keywords = inspect.signature(options).parameters
    described = (inspect.getdoc(options) or "").partition("----------\n")[2]

    def decorate(
        method: Callable[[Self, Array, Array, Options], Result],
    ) -> Callable[Concatenate[Self, Array, Array, P], Result]:
        @functools.wraps(method)
        def call(self: Self, X: Array, y: Array, *args: P.args, **given: P.kwargs) -> Result:
            for name in given:
                if name not in keywords:
                    raise TypeError(
                        f"{method.__qualname__}() got an unexpected keyword argument {name!r}"
                    )
            return method(self, X, y, options(*args, **given))

        own = inspect.signature(method)
        data = list(own.parameters.values())[:-1]
        call.__signature__ = own.replace(  # type: ignore[attr-defined]
            parameters=[*data, *keywords.values()]
        )
        call.__doc__ = inspect.cleandoc(method.__doc__ or "").replace("{options}", described)
        return cast("Callable[Concatenate[Self, Array, Array, P], Result]", call)

    return decorate
