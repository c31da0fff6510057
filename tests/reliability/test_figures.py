"""The table of figures: rows of tests that ran are renewed, the others stay."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def command() -> Any:
    spec = importlib.util.spec_from_file_location(
        "reliability_command", Path(__file__).with_name("__main__.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_table_is_renewed_row_by_row(command: Any, tmp_path: Path) -> None:
    document = tmp_path / "reliability.md"
    document.write_text("before\n<!-- figures -->\n<!-- end of figures -->\nafter\n")

    def figure(test: str, n: int) -> dict[str, object]:
        return {"test": test, "what": "kills", "n": n, "result": "0 lost", "control": "a|b"}

    command.renew(document, command.rows_of([figure("save", 1000), figure("fit", 2)]))
    command.renew(document, command.rows_of([figure("fit", 3)]))
    other = figure("save", 5) | {"what": "powers"}
    command.renew(document, command.rows_of([other]), others=True)
    added = "| save | powers | 5 | 0 lost | a\\|b |\n"
    assert added in document.read_text()
    document.write_text(document.read_text().replace(added, ""))
    assert document.read_text().splitlines() == [
        "before",
        "<!-- figures -->",
        *command.HEAD,
        "| fit | kills | 3 | 0 lost | a\\|b |",
        "| save | kills | 1,000 | 0 lost | a\\|b |",
        "<!-- end of figures -->",
        "after",
    ]
