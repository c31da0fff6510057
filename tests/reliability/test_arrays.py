"""Arrays of every make for every public function: the right value, or an error that says which.

Right is the value for a plain copy: in C order, aligned, writable, of native byte order.
"""

from __future__ import annotations

import importlib
import inspect
import re
import tempfile
import warnings
from typing import Any

import numpy as np
import pytest
from array_entries import ENTRIES, EXCLUDED, Entry
from bad_arrays import unaligned
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.project.test_public_names import PUBLIC

from reliability import count

CASES = [(name, argument) for name, entry in ENTRIES.items() for argument in entry.arrays]
EXAMPLES = count(3, 100)
DTYPES = ("float16", "float64", "longdouble", "int8", "int64", "uint8", "uint64", "bool")
VALUES = (np.nan, np.inf, -np.inf, 5e-324, 1e-40, -0.0, 1e38, 1e300)


def memory_map(a: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryFile() as file:
        file.write(a.tobytes())
        file.flush()
        return np.memmap(file, a.dtype, "c", shape=a.shape)


def with_gaps(a: np.ndarray) -> np.ndarray:
    """Every second element of every axis of something larger."""
    memory = np.zeros([2 * n for n in a.shape], a.dtype)
    view = memory[tuple(slice(None, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def backwards(a: np.ndarray) -> np.ndarray:
    """The same values, laid out from the end."""
    return np.flip(np.flip(a).copy())


def read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


MAKES = {
    "as it is": np.copy,
    "strided": with_gaps,
    "reversed": backwards,
    "by columns": np.asfortranarray,
    "unaligned": unaligned,
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "read-only": read_only,
    "repeated": lambda a: np.broadcast_to(a[:1], a.shape),
    "memory map": memory_map,
    "masked": np.ma.array,
    "matrix": lambda a: a.view(type("Sub", (np.ndarray,), {})),
    "structured": lambda a: np.zeros(a.shape, [("a", "f4"), ("b", "i4")]),
    "objects": lambda a: a.astype(object),
    "complex": lambda a: a.astype(complex),
    "text": lambda a: a.astype(str),
    "dates": lambda a: np.zeros(a.shape, "M8[s]"),
    "no rows": lambda a: a[:0],
    "no columns": lambda a: a[..., :0],
    "a number": lambda a: a.reshape(-1)[0].reshape(()),
    "one more axis": lambda a: a[..., None],
    "a row less": lambda a: a[:-1].copy(),
    **{dtype: lambda a, d=dtype: a.astype(d) for dtype in DTYPES},
}


@st.composite
def made(draw: st.DrawFn, good: np.ndarray) -> tuple[str, np.ndarray]:
    """The array, made in one of these ways, perhaps after another and with an odd value in it."""
    a = good.copy()
    if a.dtype.kind == "f" and draw(st.booleans()):
        at = draw(st.integers(0, a.size - 1))
        with np.errstate(all="ignore"):
            a.reshape(-1)[at] = draw(st.sampled_from(VALUES))
    makes = draw(st.lists(st.sampled_from(list(MAKES)), min_size=1, max_size=2))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of casts of odd values
        for make in makes:
            if a.dtype.kind in "fiub" and a.ndim and a.size:  # the second, where it can be
                a = MAKES[make](a)
    return " ".join(makes), a


def contents(a: np.ndarray) -> Any:
    return a.tolist() if a.dtype.hasobject else a.tobytes()


def arrays_in(result: Any) -> list[Any]:
    """What a result has of arrays and numbers, comparable."""
    if isinstance(result, dict):
        return [item for name in sorted(result) for item in arrays_in(result[name])]
    if isinstance(result, list | tuple):
        return [item for part in result for item in arrays_in(part)]
    return [result]


def bits(result: Any) -> list[Any]:
    return [
        (a.shape, a.dtype.str, contents(a)) if isinstance(a, np.ndarray) else repr(a)
        for a in arrays_in(result)
    ]


def called(entry: Entry, argument: str, value: np.ndarray) -> Any:
    """The result, or the error; what came in is as it was, and nothing that comes out shares it."""
    given = {name: a.copy() for name, a in entry.arrays.items()} | {argument: value}
    before = {name: contents(a) for name, a in given.items()}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            result = entry.call(**given)
        except (TypeError, ValueError) as error:
            result = error
    for name, a in given.items():
        if isinstance(result, Exception) or name not in entry.writes:
            assert contents(a) == before[name], f"{name} has changed"
        if name not in entry.writes:
            shared = [
                np.shares_memory(a, part)
                for part in arrays_in(result)
                if isinstance(part, np.ndarray)
            ]
            assert not any(shared), f"the result shares the memory of {name}"
    return result


def check(entry: Entry, argument: str, make: str, value: np.ndarray) -> None:
    plain = np.array(np.asarray(value), value.dtype.newbyteorder("="), order="C", subok=False)
    result = called(entry, argument, value)
    if isinstance(result, Exception):
        message = str(result)
        words = "|".join(map(re.escape, (*entry.arrays, *entry.also)))  # one may not fit another
        assert re.search(rf"\b({words})\b", message), f"{make}: {message}"
        assert "\n" not in message
        return
    odd = value.dtype.kind in "VcM" and argument not in entry.passes_on
    refused = isinstance(value, np.ma.MaskedArray) or odd
    assert not refused, f"{make}: taken"
    expected = called(entry, argument, plain)
    assert not isinstance(expected, Exception), f"{make}: taken, but not the plain one: {expected}"
    assert bits(result) == bits(expected), f"{make}: another value than of the plain one"


@pytest.mark.parametrize(("name", "argument"), CASES)
def test_the_right_value_or_an_error_that_names_the_argument(name: str, argument: str) -> None:
    entry = ENTRIES[name]

    @settings(
        max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck),
        derandomize=count(1, 0) == 1, database=None,
    )  # fmt: skip
    @given(made(entry.arrays[argument]))
    def adversary(drawn: tuple[str, np.ndarray]) -> None:
        check(entry, argument, *drawn)

    adversary()


@pytest.mark.parametrize("name", [n for n, entry in ENTRIES.items() if "out" in entry.arrays])
def test_out_over_an_input(name: str) -> None:
    """An output in the memory of an input, whole or in part: refused, or as if it were apart."""
    entry = ENTRIES[name]
    for argument, a in entry.arrays.items():
        if argument == "out":
            continue
        out = entry.arrays["out"]
        for shift in (0, a.itemsize, 3 * a.itemsize):
            memory = np.zeros(a.nbytes + out.nbytes + 64, np.uint8)
            read = memory[: a.nbytes].view(a.dtype).reshape(a.shape)
            written = memory[shift : shift + out.nbytes].view(out.dtype).reshape(out.shape)
            read[...] = a
            given = {k: v.copy() for k, v in entry.arrays.items()}
            expected = bits(entry.call(**given))
            try:
                result = entry.call(**{**entry.arrays, argument: read, "out": written})
            except ValueError as error:
                assert "out" in str(error)  # noqa: PT017
                assert np.array_equal(read, a)
            else:
                assert bits(result) == expected, f"out over {argument}, {shift} bytes on"


def array_takers() -> set[str]:
    """Public functions and methods with a parameter that their signature calls an array."""
    found = set()
    for module, names in PUBLIC.items():
        owner = importlib.import_module(module)
        for name in {*names.split(), *getattr(owner, "__all__", ())}:
            value = getattr(owner, name)
            methods = [(name, value)]
            if inspect.isclass(value):
                methods = [
                    (f"{name}.{m}", f)
                    for m, f in inspect.getmembers(value, callable)
                    if not m.startswith("_") or m in ("__init__", "__call__")
                ]
            for title, function in methods:
                try:
                    signature = inspect.signature(function)
                except (TypeError, ValueError):
                    continue
                if any("Array" in str(p.annotation) for p in signature.parameters.values()):
                    found.add(f"{module.removeprefix('fanin').removeprefix('.')}.{title}")
    return found


def test_every_public_function_that_takes_arrays_is_in_the_table() -> None:
    known = {of_last_words(name.split(":")[0]) for name in ENTRIES}
    missing = {
        name
        for name in array_takers()
        if of_last_words(name) not in known
        and not any(re.search(rf"(^|\.){re.escape(k)}($|\.)", name) for k in EXCLUDED)
    }
    assert not missing


def of_last_words(name: str) -> str:
    """Without the module: "MLP.fit", "dense"."""
    words = name.removesuffix(".__call__").split(".")
    return ".".join(words[-2:] if words[-2:-1] and words[-2][:1].isupper() else words[-1:])


def test_a_function_that_takes_what_it_should_not_is_found_out() -> None:
    good = {"x": np.ones((4, 2), np.float32)}

    def careless(x: Any) -> Any:
        return np.frombuffer(x.tobytes("A"), np.float32)  # the memory's order, and no check

    def destructive(x: Any) -> Any:
        x += 1
        return x.copy()

    def aliasing(x: Any) -> Any:
        return x[:2]

    def mute(**_: Any) -> Any:
        raise ValueError("no good")

    lying = {"x": np.arange(8, dtype=np.float32).reshape(4, 2)}
    with pytest.raises(AssertionError, match="another value"):
        check(Entry(careless, lying), "x", "by columns", np.asfortranarray(lying["x"]))
    with pytest.raises(AssertionError, match="taken"):
        check(Entry(careless, good), "x", "masked", np.ma.array(good["x"]))
    for call, words in ((destructive, "changed"), (aliasing, "shares"), (mute, "no good")):
        with pytest.raises(AssertionError, match=words):
            check(Entry(call, good), "x", "as it is", good["x"].copy())


def test_figures(record: Any) -> None:
    n = len(CASES) * EXAMPLES
    result = "the plain copy's value, or an error that names the argument; inputs unchanged"
    record(f"arrays of {len(MAKES)} makes, {len(CASES)} arguments", n, result, "4 seeded, 4 found")
