"""scikit-learn's own tests of its MLP, run on `fanin.estimators`.

    python -m benchmarks.studies.sklearn_suite

Takes ``sklearn/neural_network/tests/test_mlp.py`` of the scikit-learn that is installed, puts our
estimators in place of its own in a copy of it, in a temporary folder, and runs that by pytest.
Tests that call a private method of scikit-learn's class cannot pass: they are found by the methods'
names in their source, and named. Nothing of scikit-learn is kept.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

import sklearn
from sklearn.neural_network import _multilayer_perceptron

IMPORT = re.compile(r"^from sklearn\.neural_network import MLPClassifier, MLPRegressor$", re.M)
OURS = "from fanin.estimators import MLPClassifier, MLPRegressor"


def swapped(source: str) -> str:
    """The tests with our estimators in place of scikit-learn's."""
    text, n = IMPORT.subn(OURS, source)
    if n != 1:
        raise SystemExit(f"test_mlp.py of scikit-learn {sklearn.__version__}: import not found")
    return text


def private_methods() -> set[str]:
    """Methods of scikit-learn's class that are its own affair."""
    base = _multilayer_perceptron.BaseMultilayerPerceptron
    return {n for n, v in vars(base).items() if n.startswith("_") and n[1] != "_" and callable(v)}


def tests_of_private_methods(source: str) -> dict[str, list[str]]:
    """Names of tests, with the private methods that they call on an estimator."""
    private = private_methods()
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            called = {
                n.func.attr
                for n in ast.walk(node)
                if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)
            }
            if used := sorted(called & private):
                found[node.name] = used
    return found


def run(source: str) -> tuple[dict[str, str], str]:
    """The outcome of each test, and what pytest printed."""
    with tempfile.TemporaryDirectory() as folder:
        path, report = Path(folder, "test_mlp.py"), Path(folder, "report.xml")
        path.write_text(swapped(source), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "sklearn.conftest",
            f"--rootdir={folder}",
            f"--junitxml={report}",
            "-c",
            "/dev/null",
            str(path),
        ]
        printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        outcomes = {}
        for case in ET.parse(report).getroot().iter("testcase"):
            kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
            outcomes[case.get("name", "")] = next(iter(kinds), "passed")
    return outcomes, printed


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--verbose", action="store_true", help="print what pytest printed")
    options = arguments.parse_args()
    package = Path(sklearn.__file__).parent
    source = (package / "neural_network/tests/test_mlp.py").read_text(encoding="utf-8")
    private = tests_of_private_methods(source)
    outcomes, printed = run(source)
    if options.verbose:
        print(printed)
    bad = [name for name, outcome in outcomes.items() if outcome in ("failure", "error")]
    excused = [name for name in bad if name.partition("[")[0] in private]
    count = {kind: list(outcomes.values()).count(kind) for kind in ("passed", "skipped")}
    print(
        f"scikit-learn {sklearn.__version__}, test_mlp.py: {count['passed']} passed, "
        f"{count['skipped']} skipped, "
        f"{len(bad)} failed of {len(outcomes)}"
    )
    for name in bad:
        methods = ", ".join(private.get(name.partition("[")[0], []))
        print(
            f"  failed: {name}" + (f" (calls {methods} of scikit-learn's class)" if methods else "")
        )
    return int(not outcomes or len(excused) < len(bad))


if __name__ == "__main__":
    raise SystemExit(main())
