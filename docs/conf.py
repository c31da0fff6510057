"""The site: ``nox -s docs``, or ``sphinx-build -W docs docs/_build/html`` where fanin is installed.

``-D plot_gallery=0`` builds the pages without running the gallery's examples.
"""

from __future__ import annotations

import importlib
import inspect
import textwrap
import warnings
from typing import Any
from weakref import WeakSet

import numpy as np
from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

import fanin

project = "fanin"
author = "The fanin authors"
copyright = "The fanin authors"
version = release = fanin.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples"]
templates_path = ["_templates"]
default_role = "py:obj"
nitpicky = False  # of types in signatures, which are of many libraries

# Markdown
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = [
    "config.cache",  # the gallery's order is a function
    "myst.header",  # of a changelog that is included under another heading
]

# The API: one page for each module, of what its __all__ lists
autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's sections say it
numpydoc_show_class_members = False
add_module_names = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

API = [
    "fanin.lecture", "fanin", "fanin.augment", "fanin.callbacks", "fanin.checkpoint",
    "fanin.datasets", "fanin.diagnostics", "fanin.ensemble", "fanin.estimators", "fanin.export",
    "fanin.initializers", "fanin.layers", "fanin.losses", "fanin.metrics", "fanin.network",
    "fanin.optim", "fanin.plots", "fanin.preprocessing", "fanin.random", "fanin.schedules",
    "fanin.training", "fanin.tuning",
]  # fmt: skip


def pages() -> dict[str, dict[str, list[str]]]:
    """The names of each module's page by kind; one that an earlier page describes is only named."""
    found: dict[str, dict[str, list[str]]] = {}
    described: set[int] = set()
    for name in API:
        module = importlib.import_module(name)
        page = found[name] = {
            "Classes": [], "Functions": [], "Exceptions and warnings": [], "Constants": [],
            "elsewhere": [],
        }  # fmt: skip
        for one in sorted(module.__all__):
            item = getattr(module, one)
            if inspect.ismodule(item) or one.startswith("__"):
                continue
            kind = "Constants"
            if isinstance(item, type):
                kind = "Exceptions and warnings" if issubclass(item, Exception) else "Classes"
            elif callable(item):
                kind = "Functions"
            if kind != "Constants" and id(item) in described:
                kind = "elsewhere"
                one = f"{item.__module__}.{item.__qualname__}"
            page[kind].append(one)
            described.add(id(item))
    return found


autosummary_context = {"pages": pages()}

# The gallery
shown: WeakSet[Figure] = WeakSet()


def figures_of_axes(_: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """The figures of the axes that a block has named: `fanin.plots` leaves pyplot alone.

    Those that are too wide for a phone, or of many panels, are in a container that scrolls there.
    """
    paths, wide = [], False
    for value in block_vars["example_globals"].values():
        first = value.flat[0] if isinstance(value, np.ndarray) and value.dtype == object else value
        figure = getattr(first, "figure", None)
        if isinstance(figure, Figure) and not hasattr(figure, "number") and figure not in shown:
            shown.add(figure)
            paths.append(next(block_vars["image_path_iterator"]))
            figure.savefig(paths[-1], dpi=110)
            across = float(np.divide(*figure.get_size_inches()))
            wide |= across > 1.8 or len(figure.axes) > 2
    rst = str(figure_rst(paths, gallery_conf["src_dir"]))
    return f".. container:: wide\n\n{textwrap.indent(rst, '   ')}\n\n" if wide else rst


warnings.filterwarnings("ignore", message=".*non-interactive.*", category=UserWarning)
sphinx_gallery_conf = {
    "examples_dirs": ["examples/lecture", "examples/recipes"],
    "gallery_dirs": ["gallery/lecture", "gallery/recipes"],
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": None,
    "show_memory": False,
    "min_reported_time": 5,
    "only_warn_on_example_error": False,
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "capture_repr": ("_repr_html_", "__repr__"),
    "image_scrapers": (figures_of_axes, "matplotlib"),
    "reset_modules": ("matplotlib",),
}

# The pages
html_theme = "pydata_sphinx_theme"
html_title = "fanin"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["llms.txt"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "github_url": "https://github.com/fanin-dev/fanin",
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "start": []}
