"""How the documentation is built: `make docs`."""

from thalweg import __version__

project = "Thalweg"
author = "The Thalweg authors"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "Thalweg"
html_show_sourcelink = False
html_copy_source = False

# Names are public, and in the order of the source, as the rooms' `__all__` and files give them.
autodoc_default_options = {"members": True}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
maximum_signature_line_length = 100
napoleon_use_ivar = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True


def keep_bars(_app, _what, _name, _object, _options, lines):
    """Let |x| be an absolute value, where reStructuredText would look for a substitution."""
    math = None
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if math is not None and line.strip() and indent <= math:
            math = None
        if line.lstrip().startswith(".. math::"):
            math = indent
        if math is None and not line.lstrip().startswith((">>>", "...")):
            pieces = line.split("`")
            pieces[::2] = [piece.replace("|", r"\|") for piece in pieces[::2]]
            lines[number] = "`".join(pieces)


def setup(app):
    app.connect("autodoc-process-docstring", keep_bars, priority=100)
