"""Tables with columns of other kinds than numbers, and with missing cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fanin import datasets
from fanin._files import FileError
from fanin.arrays import Table

TEXT = "size,colour,member,code,y\n" + "".join(
    f"{'NA' if i % 7 == 0 else i / 2},{('red', 'blue')[i % 2]},{i % 3 == 0},{i % 4},{i % 2}\n"
    for i in range(40)
)


@pytest.fixture
def path(tmp_path: Any) -> Any:
    target = tmp_path / "mixed.csv"
    target.write_text(TEXT)
    return target


def test_columns_are_of_the_kind_of_most_cells(path: Any) -> None:
    (X, _), (X_test, _), info = datasets.load(path, mixed=True, return_info=True)
    assert isinstance(X, Table)
    assert X.shape == (32, 4)
    assert len(X_test) == 8
    assert info.feature_names == ("size", "colour", "member", "code")
    kinds = {name: values.dtype.kind for name, values in X.columns.items()}
    assert kinds == {"size": "f", "colour": "O", "member": "O", "code": "f"}
    assert np.isnan(X.columns["size"]).any()
    assert set(X.columns["member"].tolist()) == {True, False}


def test_without_mixed_a_cell_that_is_no_number_is_a_fault(path: Any) -> None:
    with pytest.raises(FileError, match="line 2, column 'size': no value"):
        datasets.load(path)


def test_a_number_that_is_none_stays_a_fault(path: Any) -> None:
    path.write_text(TEXT.replace("\n9.5,", "\n9.5kg,"))
    with pytest.raises(FileError, match=r"line 21, column 'size': expected a finite number"):
        datasets.load(path, mixed=True)


def test_numbers_with_a_decimal_comma_are_no_categories(path: Any) -> None:
    path.write_text("size;colour;y\n" + "".join(f"{i},5;red;{i % 2}\n" for i in range(20)))
    with pytest.raises(FileError, match=r"line 2, column 'size'.*decimal=',' \(--decimal\)"):
        datasets.load(path, mixed=True)
    (X, _), _ = datasets.load(path, mixed=True, decimal=",")
    assert X.columns["size"].dtype == np.float64


def test_a_table_of_numbers_is_an_array(path: Any) -> None:
    path.write_text("a,b,y\n" + "".join(f"{i},{i}.5,{i % 2}\n" for i in range(20)))
    (X, _), _ = datasets.load(path, mixed=True)
    assert X.dtype == np.float64


def test_known_kinds_are_kept(path: Any) -> None:
    kinds = {"size": "number", "colour": "category", "member": "boolean", "code": "category"}
    names = tuple(kinds)
    found = datasets.rows(path, feature_names=names, target="y", mixed=True, kinds=kinds)
    assert set(found.X.columns["code"].tolist()) == {"0", "1", "2", "3"}
