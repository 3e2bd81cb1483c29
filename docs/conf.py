"""Sphinx: the pages are MyST Markdown, the API reference comes from the docstrings.

sphinx-build -W --keep-going docs build/docs
"""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "functrans"
author = "The functrans maintainers"
release = version = installed_version("functrans")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

# `name` in a docstring is code, and a link where it is the name of something in the reference.
default_role = "py:obj"
add_module_names = False
autodoc_member_order = "bysource"
napoleon_use_ivar = True
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"functrans {release}"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def setup(app):
    from function_tables import read_page

    app.connect("source-read", read_page)
