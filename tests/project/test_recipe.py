"""recipe/recipe.yaml, rendered by rattler-build, says what pyproject.toml says."""

import re
import tomllib
from pathlib import Path

import pytest

rattler_build = pytest.importorskip("rattler_build")

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
OPTIONAL = ("plot", "image", "dask", "frames", "search", "sklearn", "onnx")
CONDA_NAMES = {"matplotlib": "matplotlib-base"}  # without a toolkit of windows


def rendered(platform):
    variants = {"python": ["3.11.*"], "c_stdlib": ["sysroot"]}
    config = rattler_build.PlatformConfig(
        target_platform=platform, host_platform=platform, build_platform="linux-64"
    )
    recipe = rattler_build.Stage0Recipe.from_file(ROOT / "recipe/recipe.yaml")
    found = recipe.render(rattler_build.VariantConfig(variants), rattler_build.RenderConfig(config))
    return [variant.recipe.to_dict() for variant in found]


def as_conda(requirements):
    pairs = [re.fullmatch(r"([\w-]+)(.*)", one).groups() for one in requirements]
    return {f"{CONDA_NAMES.get(name, name)} {bound}".strip() for name, bound in pairs}


@pytest.mark.parametrize("platform", ["linux-64", "linux-aarch64", "osx-arm64", "win-64"])
def test_recipe_is_the_projects(platform):
    (recipe,) = rendered(platform)
    needs = recipe["requirements"]
    assert recipe["package"] == {"name": PROJECT["name"], "version": PROJECT["version"]}
    assert set(needs["run"]) == {"python"} | as_conda(PROJECT["dependencies"])
    extras = [one for name in OPTIONAL for one in PROJECT["optional-dependencies"][name]]
    assert set(needs["run_constraints"]) == as_conda(extras)
    assert set(needs["host"]) >= as_conda(PYPROJECT["build-system"]["requires"])
    scripts = [f"{name} = {target}" for name, target in PROJECT["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == scripts
    about = recipe["about"]
    assert about["summary"] == PROJECT["description"]
    assert about["license"] == PROJECT["license"]
    assert about["license_file"] == PROJECT["license-files"]
    assert about["homepage"] == PROJECT["urls"]["Homepage"]
    assert about["documentation"].rstrip("/") == PROJECT["urls"]["Documentation"]


def test_older_pythons_are_skipped():
    recipe = rattler_build.Stage0Recipe.from_file(ROOT / "recipe/recipe.yaml").to_dict()
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert recipe["build"]["skip"] == [f'match(python, "<{oldest}")']
