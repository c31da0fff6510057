"""`TableEncoder`: the columns of a frame, of whatever kind, as features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fanin._typing import Array
from fanin._validate import float_dtype, one_of, real, whole
from fanin.arrays import is_table, table_columns
from fanin.preprocessing.base import Transformer
from fanin.preprocessing.columns import Column, Rules, encode, learn

BLOCK = 2**14  # rows that are encoded at once

KINDS = {  # one of them, and several
    "number": ("number", "numbers"),
    "boolean": ("truth value", "truth values"),
    "category": ("category", "categories"),
    "hashed": ("hashed category", "hashed categories"),
    "date": ("date", "dates"),
    "text": ("dropped as text", "dropped as text"),
    "empty": ("dropped as empty", "dropped as empty"),
}


@dataclass(eq=False, repr=False, kw_only=True)
class TableEncoder(Transformer):
    """Makes features of the columns of a frame: numbers, categories, truth values, dates.

    - A number is standardised; a missing one is the median, with a second feature that says so
      where training rows lack some.
    - A category has a feature for each value, up to `max_categories` of them; more are hashed to
      `n_buckets` features. Values of fewer than 10 training rows (in small tables, of 1 % of them)
      are rare: they have one feature together, which those never seen before share; without rare
      values unseen ones are all 0. A missing value is a value.
    - A truth value is 0 or 1, a missing one as of numbers.
    - A date is its standardised year, and sine and cosine of month, day of the week and, where
      there is a time of day, hour. Text in ISO 8601 is dates. Times with a zone are what the
      clocks of the training rows' zone show, whatever zone later rows tell them in.
    - Text, in which most values occur once, is refused with its column's name. Columns without any
      value make no feature.

    A network keeps a fitted encoder as its ``preprocess``, and takes frames from then on.

    Parameters
    ----------
    max_categories : int
        Values of a category with a feature each.
    n_buckets : int
        Features of a category of more values.
    clip : float, optional
        Heavy tails: numbers become ``z / sqrt(1 + (z / clip)**2)``, within ±clip, of
        ``z = (x - median) / IQR``, in place of standardised ones; 3 is usual.
    text : {"refuse", "drop"}
        What becomes of columns of text.
    n_threads : int, optional
        Not used; the others have it.

    Attributes
    ----------
    columns_ : list of Column
        What was learned of each.
    feature_names_in_ : ndarray of str
    n_features_in_, n_features_out_, n_samples_seen_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from fanin.preprocessing import TableEncoder
    >>> table = np.array([(1.0, "a"), (np.nan, "b"), (3.0, "b")], [("size", float), ("kind", "U1")])
    >>> encoder = TableEncoder().fit(table)
    >>> list(encoder.get_feature_names_out())
    ['size', 'size_missing', 'kind_a', 'kind_b']
    >>> encoder.transform(table[1:2])
    array([[0., 1., 0., 1.]], dtype=float32)
    """

    max_categories: int = 16
    n_buckets: int = 32
    clip: float | None = None
    text: str = "refuse"
    n_threads: int | None = None
    columns_: list[Column] = field(init=False)
    _stored = ()

    def _rules(self) -> Rules:
        clip = None if self.clip is None else real("clip", self.clip, 0, above=True)
        return Rules(
            whole("max_categories", self.max_categories, 1),
            whole("n_buckets", self.n_buckets, 2),
            clip,
            one_of("text", self.text, ["refuse", "drop"]),
        )

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002
        """Learns from the training rows: a frame, or an array with named fields."""
        rules, (columns, zones) = self._rules(), table_columns("X", _checked(X))
        rows = len(next(iter(columns.values()), ()))
        if rows == 0:
            raise ValueError("X: expected a frame with at least one row and column, got none")
        self._forget()
        self.columns_ = [learn(c, values, rules, zones.get(c)) for c, values in columns.items()]
        self.n_samples_seen_: int = rows
        self.n_features_in_: int = len(columns)
        if not self.n_features_out_:
            raise ValueError("X: expected a column that makes features, got none")
        return self

    def partial_fit(self, X: Array, y: object = None) -> Self:
        """Only of the first rows: medians and rare values need all of them at once."""
        if self.n_samples_seen_:
            raise ValueError("partial_fit: expected all rows at once, in fit, got more of them")
        return self.fit(X, y)

    def transform(self, X: Any) -> Array:
        """The features of such a frame as training had, ``(N, n_features_out_)`` float32."""
        return self.encode(X)

    def encode(self, X: Any, dtype: npt.DTypeLike = np.float32, name: str = "X") -> Array:
        """`transform`, to float32 or float64.

        Parameters
        ----------
        X : frame or Table
        dtype : {"float32", "float64"}
        name : str
            What errors call X.
        """
        self._require_fit()
        rules = self._rules()
        columns, _ = table_columns(name, _checked(X, name), self.zones())
        missing = [c.name for c in self.columns_ if c.name not in columns]
        if missing:
            got = ", ".join(columns)
            raise ValueError(f"{name}: expected a column {missing[0]!r}, as in training, got {got}")
        rows = len(next(iter(columns.values())))
        out = np.empty((rows, self.n_features_out_), float_dtype("dtype", dtype))
        for begin in range(0, rows, BLOCK):
            part, at = slice(begin, begin + BLOCK), 0
            for column in self.columns_:
                features = encode(column, columns[column.name][part], rules)
                made = out[part, at : at + features.shape[1]]
                with np.errstate(over="ignore"):
                    made[...] = features
                if not np.isfinite(made).all():
                    row = begin + int(np.isinf(made).any(axis=1).argmax())
                    raise ValueError(
                        f"{name}: expected numbers in column {column.name!r} that, standardised as "
                        f"in training, {out.dtype} holds, got another in row {row}"
                    )
                at += features.shape[1]
        return out

    @property
    def n_features_out_(self) -> int:
        return sum(len(column.features()) for column in self.columns_)

    @property
    def feature_names_in_(self) -> Array:
        return np.array([column.name for column in self.columns_], object)

    def get_feature_names_out(self, input_features: object = None) -> Array:  # noqa: ARG002
        """Names such as size, size_missing, kind_a, kind_rare, day_month_sin."""
        self._require_fit()
        return np.array([name for c in self.columns_ for name in c.features()], object)

    def zones(self) -> dict[str, str | None]:
        """The time zones of the columns of dates; None for those without one."""
        return {column.name: column.zone for column in self.columns_ if column.kind == "date"}

    def describe(self) -> str:
        """What was made of the columns, in a line."""
        self._require_fit()
        kinds = Counter(column.kind for column in self.columns_)
        parts = [
            f"{count} {words[count > 1]}" for kind, words in KINDS.items() if (count := kinds[kind])
        ]
        lacking = sum(column.missing for column in self.columns_)
        some = f"; {lacking} with missing values" if lacking else ""
        found = f"{len(self.columns_)} columns ({', '.join(parts)}{some})"
        return f"{found}: {self.n_features_out_} features"

    def state_facts(self) -> dict[str, Any]:
        return {"columns": [asdict(column) for column in self.columns_]}

    def load_state_facts(self, facts: Mapping[str, Any]) -> None:
        self._rules()
        known = [{**c, "values": tuple(c["values"])} for c in facts["columns"]]
        self.columns_ = [Column(**column) for column in known]


def _checked(X: Any, name: str = "X") -> Any:
    if not is_table(X):
        raise TypeError(
            f"{name}: expected a frame of pandas, polars or pyarrow, or an array with named "
            f"fields, for TableEncoder, got {type(X).__name__}"
        )
    return X
