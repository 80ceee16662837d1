"""The suite on the store of the URL in an environment variable, for `python -m rome.testing.store_suite`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rome.testing.store_suite import StoreSuite
from rome.url import parse_url

VARIABLE = "ROME_STORE_SUITE_URL"


class TestStoreOfURL(StoreSuite):
    """The suite."""

    @pytest.fixture
    def store_url(self) -> Iterator[Callable[[str], str]]:
        """Return a function from a database's name to its URL: that of the variable, with the name appended."""
        address, mark, query = os.environ[VARIABLE].partition("?")
        urls: list[str] = []

        def url_of(database: str) -> str:
            urls.append(f"{address}-{database}{mark}{query}")
            return urls[-1]

        yield url_of
        # An empty database in a file is a file.
        for parsed in map(parse_url, urls):
            if parsed.store == "file":
                path = parsed.database if parsed.host == "." else f"/{parsed.database}"
                for name in (path, f"{path}-lock", f"{path}-wal", f"{path}-shm"):
                    Path(name).unlink(missing_ok=True)
