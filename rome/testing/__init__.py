"""Helpers for tests: a conformance suite for stores, a Valkey server, copies and consistency checks of databases."""

from __future__ import annotations

from rome.database import registry as _registry
from rome.testing.check import check_database
from rome.url import parse_url

__all__ = ["check_database", "clone_database"]


def clone_database(source_url: str, target_url: str) -> None:
    """Replace the database of `target_url` by a copy of the newest version of the one of `source_url`.

    Raises InterfaceError for an invalid URL and for URLs of two different kinds of store.
    """
    _registry.clone_database(parse_url(source_url), parse_url(target_url))
