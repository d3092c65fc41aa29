"""How Sphinx makes a book of these pages; it needs no network."""

from gridcord import __version__

project = "Gridcord"
release = __version__
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Gridcord {release}"
myst_heading_anchors = 3
# Pages link to files of the repository as well, which are no pages of the book.
suppress_warnings = ["myst.xref_missing"]
