"""What ROME offers to tests: a conformance suite for stores, a server, copies and checks of databases."""

from __future__ import annotations

from rome.database import registry as _registry
from rome.testing.check import check_database
from rome.url import parse_url

__all__ = ["check_database", "clone_database"]


def clone_database(source_url: str, target_url: str) -> None:
    """Make the database of `target_url` a copy of the newest version of that of `source_url`; both are of one store.

    What the target held before is lost. Raises InterfaceError for a wrong URL or for URLs of two kinds of store.
    """
    _registry.clone_database(parse_url(source_url), parse_url(target_url))
