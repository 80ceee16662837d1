"""Sphinx configuration of the documentation: `python -m sphinx -W docs build/docs`."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes

import rome

project = "ROME"
copyright = "the authors of ROME"  # noqa: A001 - the name is Sphinx's
release = rome.__version__
html_theme = "furo"
html_title = f"ROME {release}"
extensions = ["sphinx.ext.autodoc"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
default_role = "code"
exclude_patterns: list[str] = []

REPOSITORY_FILES = ("README.rst", "CHANGELOG.rst", "CONTRIBUTING.rst", "SECURITY.md")


def resolve_links(app: Any, doctree: nodes.document) -> None:
    """Turn links to `page.rst`, which work where the sources are read, into links to pages."""
    page = PurePosixPath(app.env.docname)
    for link in list(doctree.findall(nodes.reference)):
        target = urlsplit(link.get("refuri", ""))
        if target.scheme or not target.path.endswith(".rst") or PurePosixPath(target.path).name in REPOSITORY_FILES:
            continue
        path = _normalized(page.parent / target.path)
        if path.removesuffix(".rst") not in app.env.found_docs:
            raise ValueError(f"{page}: link to {target.path}, which is no page")
        link["refuri"] = app.builder.get_relative_uri(str(page), path.removesuffix(".rst")) + (
            f"#{target.fragment}" if target.fragment else ""
        )


def _normalized(path: PurePosixPath) -> str:
    """Return a path without `..`."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def mark_tables(_app: Any, what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Show the indented tables and examples of a module's docstring as they are written."""
    if what != "module":
        return
    for place in range(len(lines) - 1, 1, -1):
        if lines[place].startswith(" ") and not lines[place - 1] and not lines[place - 2].startswith(" "):
            lines[place:place] = ["::", ""]


def setup(app: Any) -> None:
    """Register the event handlers of this configuration."""
    app.connect("autodoc-process-docstring", mark_tables)
    app.connect("doctree-read", resolve_links)
