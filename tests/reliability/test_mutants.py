"""Small faults in the Python of optimizers, files and checkpoints: the tests find 90 % and more.

Those that no test finds are read, and stand below with the reason. Tests of these modules run again
for each fault, which takes an hour on two cores.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import mutants
import pytest

from reliability import tier_2

BAR = 0.9

MODULES = {
    "fanin.optim.rules": ["tests/optim"],
    "fanin.optim.base": ["tests/optim"],
    "fanin.checkpoint": ["tests/ground/test_checkpoint.py"],
    "fanin._files": ["tests/ground", "tests/reliability/test_atomic_write.py"],
}
# Module, then what stood there and what the fault puts there, and why no test can or need find it.
READ: dict[tuple[str, str, str], str] = {
    ("fanin.optim.rules", "factor < 1", "(factor <= 1)"): "a factor of 1 changes nothing"
}


@tier_2
@pytest.mark.skipif(os.name != "posix", reason="forks")
@pytest.mark.parametrize("name", MODULES)
def test_faults_are_found(name: str, record: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    total, left = mutants.run(name, MODULES[name])
    unread = [str(m) for m in left if (name, m.before, m.after) not in READ]
    assert len(left) <= (1 - BAR) * total, "\n".join(map(str, left))
    assert not unread, "\n".join(unread)
    result = f"{total - len(left)} found, the {len(left)} others read"
    record(f"faults in {name}", total, result, "tests that assert nothing: none found")


SOURCE = """
def clipped(x: int = 3) -> int:
    \"\"\"Text.\"\"\"
    if x > 5 and not x == 7:
        raise ValueError(f"x: {x + 1}")
    return x - 1
"""


def test_what_is_changed() -> None:
    changes = {(m.before, m.after) for m in mutants.mutants(SOURCE)}
    assert changes == {
        ("3", "(4)"),
        ("x > 5 and not x == 7", "(x > 5 or not x == 7)"),
        ("x > 5", "(x >= 5)"),
        ("5", "(6)"),
        ("not x == 7", "(x == 7)"),
        ("x == 7", "(x != 7)"),
        ("7", "(8)"),
        ('raise ValueError(f"x: {x + 1}")', "pass"),
        ("return x - 1", "return None"),
        ("x - 1", "(x + 1)"),
        ("1", "(2)"),
    }


def test_tests_that_assert_nothing_find_nothing(tmp_path: Path) -> None:
    blind, seeing = tmp_path / "test_blind.py", tmp_path / "test_seeing.py"
    blind.write_text("from fanin import schedules\ndef test():\n    schedules.Constant()\n")
    seeing.write_text("from fanin import schedules\ndef test():\n    assert schedules.ONE == 1\n")
    import fanin.schedules

    path = str(fanin.schedules.__file__)
    source = Path(path).read_text() + "\nONE = 2\n"
    options = ["-c", os.devnull, "--rootdir", str(tmp_path)]
    assert mutants.survives("fanin.schedules", path, source, [*options, str(blind)])
    assert not mutants.survives("fanin.schedules", path, source, [*options, str(seeing)])
