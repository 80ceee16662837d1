"""The URLs of several databases in one store."""

from __future__ import annotations

from posixpath import dirname, join

from sqlalchemy.engine import URL

from rome.url import parse_url


def other_database(url: URL, name: str) -> URL:
    """Return the URL of another database in the store of a URL. One in a file gets a file in the same directory."""
    if url.database and parse_url(url.render_as_string(hide_password=False)).store == "file":
        name = join(dirname(url.database), f"{name}.rome")
    return url.set(database=name)
