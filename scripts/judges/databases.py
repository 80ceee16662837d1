"""The ROME databases that redirected tests use instead of SQLite's. A schema is built once and then copied."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import URL, Engine, make_url

import rome
from rome.testing import clone_database


class Databases:
    """Databases of one store, with generated names. A request for a SQLite database gets one of them.

    `sqlite://` gets a new database each time; a SQLite file gets the same one each time.
    """

    def __init__(self, base: str) -> None:
        """Use the store of `base`, a ROME URL; its database name is ignored."""
        self._base = make_url(base)
        self._numbers = itertools.count(1)
        self._of_file: dict[str, URL] = {}
        self._used: list[URL] = []
        self._built: dict[Any, URL] = {}
        self._schema_of: dict[str, Any] = {}

    def replacement(self, requested: str | URL) -> URL:
        """Return the URL of a ROME database if the requested URL is SQLite's, else the requested URL."""
        url = make_url(requested)
        if url.get_backend_name() != "sqlite":
            return url
        file = url.database if url.database not in (None, "", ":memory:") else None
        if file is not None and file in self._of_file:
            return self._of_file[file]
        url = self._new()
        self._used.append(url)
        if file is not None:
            self._of_file[file] = url
        return url

    def create_schema(self, engine: Engine, schema: Any, build: Callable[[], None]) -> None:
        """Create the schema of the engine's database: call `build()` the first time, and copy its result afterwards."""
        text = _text(engine.url)
        if self._schema_of.get(text) == schema:
            return
        self._schema_of[text] = schema
        model = self._built.get(schema)
        engine.dispose()
        if model is not None:
            clone_database(_text(model), text)
            return
        build()
        engine.dispose()
        self._built[schema] = self._new()
        clone_database(text, _text(self._built[schema]))

    def recreate_schema(self, engine: Engine, schema: Any, build: Callable[[], None]) -> None:
        """Drop the engine's database, which the previous test used, and create its schema."""
        self.drop(engine)
        self.create_schema(engine, schema, build)

    def drop(self, engine: Engine) -> None:
        """Drop the engine's database."""
        engine.dispose()
        rome.drop_database(_text(engine.url))
        self._schema_of.pop(_text(engine.url), None)

    def drop_used(self) -> None:
        """Drop the databases of the test that has ended."""
        for url in self._used:
            rome.drop_database(_text(url))
            self._schema_of.pop(_text(url), None)
        self._used.clear()
        self._of_file.clear()

    def drop_all(self) -> None:
        """Drop all databases at the end of the run."""
        self.drop_used()
        for url in self._built.values():
            rome.drop_database(_text(url))

    def _new(self) -> URL:
        return self._base.set(database=f"judge-{os.getpid()}-{next(self._numbers)}")


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)
