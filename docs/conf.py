"""The documentation site: ``sphinx-build -W docs site``, with vgsim's extra [docs] installed."""

import os
import re
from pathlib import Path

import vgsim

os.environ.setdefault("MPLBACKEND", "Agg")
ROOT = Path(__file__).parents[1]

project = "vgsim"
author = "The vgsim developers"
copyright = "the vgsim developers"
version = release = vgsim.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
]
exclude_patterns = ["gallery/**/*.ipynb", "gallery/**/*.py", "results", "figures"]
templates_path = ["_templates"]

# Pages
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Reference
autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say it in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
maximum_signature_line_length = 88
python_use_unqualified_type_names = True

# Gallery
sphinx_gallery_conf = {
    "examples_dirs": str(ROOT / "examples" / "gallery"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"__init__\.py",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "capture_repr": (),
    "min_reported_time": 0,
    "write_computation_times": False,
    "matplotlib_animations": False,
    "image_scrapers": ("matplotlib",),
    "reset_modules": ("matplotlib",),
}
suppress_warnings = ["config.cache"]  # of sphinx-gallery's objects, which cannot be pickled

# Site
html_theme = "pydata_sphinx_theme"
html_title = f"vgsim {version}"
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars = {page: [] for page in ("index", "tutorial", "changelog", "contributing")}

# Links to files are checked; those to other sites need a network.
linkcheck_ignore = [] if os.environ.get("VGSIM_DOCS_ONLINE") else [r"https?://"]
linkcheck_anchors = False


def without_last_blank_lines(app, page, source):
    """Leave out the blank line that ends the output of a doctest, where it ends a block."""
    source[0] = re.sub(r"\n\n```$", "\n```", source[0], flags=re.M)


def setup(app):
    """Connect what changes the sources."""
    app.connect("source-read", without_last_blank_lines)
