#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.10.14"]
# ///
"""Tasks of a developer: ``nox -s lint``, ``nox -s tests``; what CI runs as a whole is `.ci/run`."""

from __future__ import annotations

import nox

nox.needs_version = ">=2025.10.14"
PYPROJECT = nox.project.load_toml("pyproject.toml")
nox.options.default_venv_backend = "uv|virtualenv"


@nox.session
def lint(session: nox.Session) -> None:
    """Format, lint, types, imports, spelling, workflows."""
    session.install(".[dev]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports")
    session.run("codespell")
    session.run("rumdl", "check")
    session.run("zizmor", "--offline", ".github")


@nox.session
def types(session: nox.Session) -> None:
    """Every public name's type is known to those who import fanin."""
    session.install(".", *nox.project.dependency_groups(PYPROJECT, "types"))
    session.run("pyright", "--verifytypes", "fanin", "--ignoreexternal")


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """The tests; ``nox -s tests -- tests/optim`` runs some."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session(default=False)
def benchmarks(session: nox.Session) -> None:
    """The kernels beside NumPy; ``benchmarks/README.md`` names the studies."""
    session.install(".[bench]")
    session.run("pytest", "benchmarks", *session.posargs)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """The site in docs/_build/html, its gallery run, its inner links checked."""
    session.install(".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "docs", "docs/_build/html", *session.posargs)
    session.run("linkchecker", "--no-status", "docs/_build/html/index.html")


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """The source distribution, and the wheel that it builds."""
    session.install("build")
    session.run("python", "-m", "build")


if __name__ == "__main__":
    nox.main()
