"""Settings of Sphinx for the reference; ``build.py`` writes the pages."""

import delta

project = "delta-node-sdk"
author = "the authors of delta-node"
copyright = author
version = release = delta.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Tasks for the Delta network, written in Python",
    "fixed_sidebar": True,
    "page_width": "1100px",
    "sidebar_width": "260px",
}
html_show_copyright = html_show_sphinx = False
napoleon_google_docstring = False
napoleon_use_ivar = True
# Types are words, "pair of arrays", and no names to link.
napoleon_use_param = napoleon_use_rtype = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = True
toc_object_entries_show_parents = "hide"
add_module_names = False
