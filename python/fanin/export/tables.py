"""A `TableEncoder` as ONNX nodes: an input for each column, named as it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fanin._typing import Array
from fanin.arrays import DAY, table_columns
from fanin.ensemble import Ensemble
from fanin.export.graph import Graph
from fanin.network import MLP
from fanin.preprocessing import TableEncoder
from fanin.preprocessing.columns import Column, category_text, place

FLOAT64 = np.dtype(np.float64)
MISSING_DATE = np.iinfo(np.int64).min  # what NumPy's NaT is
Nodes = list[str]  # values of shape (N, n) in the graph's dtype


def table_of(net: MLP | Ensemble) -> TableEncoder | None:
    """The encoder of a network, or of all members of an ensemble alike."""
    members = net.members if isinstance(net, Ensemble) else [net]
    tables = [member.inputs.table for member in members]
    facts = [None if t is None else (t.get_params(), t.state_facts()) for t in tables]
    if any(fact != facts[0] for fact in facts):
        raise ValueError("net: expected members with the same TableEncoder, got different ones")
    return tables[0]


def input_types(table: TableEncoder) -> dict[str, np.dtype[Any]]:
    """The inputs of the graph: the columns that make features, with their dtypes."""
    kinds = {"category": object, "hashed": object, "date": np.int64}
    used = [column for column in table.columns_ if column.features()]
    return {column.name: np.dtype(kinds.get(column.kind, np.float64)) for column in used}


def onnx_inputs(net: MLP | Ensemble, X: Any) -> dict[str, Array]:
    """What a runtime takes for the rows of a frame, for a network with a `TableEncoder`.

    Numbers and truth values are float64 with NaN for missing ones, categories text with "" for
    missing ones, dates int64 seconds since 1970 (by the clock of the training rows' zone) with
    the least int64 for missing ones.

    Parameters
    ----------
    net : MLP or Ensemble
    X : DataFrame, dict of columns or structured array
        With the columns that the network was trained on.

    Returns
    -------
    dict of str to ndarray

    Examples
    --------
    >>> table = np.array([(1.0, "a"), (np.nan, "b")], [("size", float), ("kind", "U1")])
    >>> encoder = fanin.preprocessing.TableEncoder().fit(table)
    >>> net = fanin.MLP([encoder.n_features_out_, 2])
    >>> net.set_preprocess(encoder, table)
    >>> fanin.export.onnx_inputs(net, table)
    {'size': array([ 1., nan]), 'kind': array(['a', 'b'], dtype=object)}
    """
    table = table_of(net)
    if table is None:
        raise ValueError("net: expected a network with a TableEncoder, got one that takes arrays")
    columns, _ = table_columns("X", X, table.zones())
    found: dict[str, Array] = {}
    kinds = {column.name: column for column in table.columns_}
    for name, dtype in input_types(table).items():
        if name not in columns:
            raise ValueError(f"X: expected a column {name!r}, got {', '.join(columns)}")
        values = columns[name]
        if dtype == np.int64:
            found[name] = values.astype("datetime64[s]").astype(np.int64)
        elif dtype.kind == "O":
            found[name] = np.array([category_text(kinds[name], v) or "" for v in values], object)
        else:
            found[name] = values.astype(np.float64)
    return found


def encode_table(g: Graph, table: TableEncoder, dtype: np.dtype[Any]) -> str:
    """The features (N, n_features_out_) of the columns, in that dtype."""
    parts: Nodes = []
    for i, column in enumerate(table.columns_):
        if column.features():
            with g.within(f"column{i}", FLOAT64):
                parts += KINDS[column.kind](g, column, table)
    with g.within("table", dtype):
        wide = parts[0] if len(parts) == 1 else g.op("Concat", *parts, axis=1)
        return g.cast(wide, dtype)


def _column(g: Graph, x: str) -> str:
    """Of shape (N, 1)."""
    return g.op("Unsqueeze", x, np.array([1]))


def _number(g: Graph, column: Column, table: TableEncoder) -> Nodes:
    absent = g.op("IsNaN", column.name)
    parts = [_column(g, _scaled(g, column, absent, column.name, table.clip))]
    return [*parts, *_indicator(g, column, absent)]


def _scaled(g: Graph, column: Column, absent: str, x: str, clip: float | None) -> str:
    filled = g.op("Where", absent, g.constant(column.fill), x)
    z = g.op("Div", g.op("Sub", filled, column.centre), column.scale)
    if clip is None or column.kind != "number":
        return z
    ratio = g.op("Div", z, float(clip))
    return g.op("Div", z, g.op("Sqrt", g.op("Add", g.op("Mul", ratio, ratio), 1.0)))


def _indicator(g: Graph, column: Column, absent: str) -> Nodes:
    return [_column(g, g.cast(absent, FLOAT64))] if column.missing else []


def _category(g: Graph, column: Column, table: TableEncoder) -> Nodes:  # noqa: ARG001
    if "" in column.values and None in column.values:
        raise ValueError(
            f"net: expected missing values or empty ones in column {column.name!r}, got both, "
            "which are the same text to ONNX"
        )
    values = ["" if value is None else value for value in column.values]
    known = np.array(values, np.object_).reshape(1, -1)
    parts: Nodes = []
    if values:
        hits = g.cast(g.op("Equal", _column(g, column.name), known), FLOAT64)
        at = [place(column, i, value) for i, value in enumerate(column.values)]
        spread = np.zeros((len(values), column.buckets or len(values)))
        spread[np.arange(len(values)), at] = 1.0
        parts = [hits if not column.buckets else g.op("MatMul", hits, spread)]
    if column.rare:
        one = _column(g, g.cast(g.op("Equal", column.name, column.name), FLOAT64))
        any_hit = g.op("ReduceMax", hits, np.array([1]), keepdims=1) if values else None
        parts.append(one if any_hit is None else g.op("Sub", one, any_hit))
    return parts


def _date(g: Graph, column: Column, table: TableEncoder) -> Nodes:  # noqa: ARG001
    """The year and month of a day by counting from the first of March of the year 0."""

    def whole(n: int) -> Array:
        return np.array(n, np.int64)

    def divided(x: str, n: int) -> str:
        return g.op("Div", x, whole(n))  # of what is at least 0

    def times(x: str, n: int) -> str:
        return g.op("Mul", x, whole(n))

    absent = g.op("Equal", column.name, whole(MISSING_DATE))
    seconds = g.op("Where", absent, whole(0), column.name)
    of_day = g.op("Mod", seconds, whole(DAY))
    days = g.op("Div", g.op("Sub", seconds, of_day), whole(DAY))
    since = g.op("Add", days, whole(719_468))
    day = g.op("Mod", since, whole(146_097))  # of 400 years
    eras = g.op("Div", g.op("Sub", since, day), whole(146_097))
    leaps = g.op("Sub", g.op("Add", g.op("Sub", day, divided(day, 1460)), divided(day, 36_524)),
                 divided(day, 146_096))  # fmt: skip
    year = divided(leaps, 365)
    begun = g.op("Sub", g.op("Add", times(year, 365), divided(year, 4)), divided(year, 100))
    of_year = g.op("Sub", day, begun)
    march = divided(g.op("Add", times(of_year, 5), whole(2)), 153)  # months since March
    month = g.op("Mod", g.op("Add", march, whole(2)), whole(12))  # from 0
    later = g.op("Cast", g.op("Less", month, whole(2)), to=g.type_of(np.int64))
    years = g.op("Add", g.op("Add", year, times(eras, 400)), later)
    phases = [g.op("Div", g.cast(month, FLOAT64), 12.0)]
    weekday = g.op("Mod", g.op("Add", days, whole(3)), whole(7))
    phases.append(g.op("Div", g.cast(weekday, FLOAT64), 7.0))
    if column.hours:
        phases.append(g.op("Div", g.cast(of_day, FLOAT64), float(DAY)))
    parts = [_column(g, _scaled(g, column, absent, g.cast(years, FLOAT64), None))]
    for phase in phases:
        angle = g.op("Mul", phase, 2 * math.pi)
        for wave in ("Sin", "Cos"):
            # In float32: runtimes have these for no other dtype.
            value = g.cast(g.op(wave, g.cast(angle, np.float32)), FLOAT64)
            parts.append(_column(g, g.op("Where", absent, g.constant(0.0), value)))
    return [*parts, *_indicator(g, column, absent)]


KINDS: dict[str, Callable[[Graph, Column, TableEncoder], Nodes]] = {
    "number": _number,
    "boolean": _number,
    "category": _category,
    "hashed": _category,
    "date": _date,
}
