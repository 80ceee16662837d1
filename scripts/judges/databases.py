"""The databases that redirected tests get in place of SQLite's, and their schemas, built once and copied."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import URL, Engine, make_url

import rome
from rome.testing import clone_database


class Databases:
    """Databases of one store, each with a name of its own. What asks for SQLite is given one of them.

    A test that asks for `sqlite://` gets a new one each time; for the same file it gets the same one.
    """

    def __init__(self, base: str) -> None:
        """`base`: a ROME URL; the name of its database is not used."""
        self._base = make_url(base)
        self._numbers = itertools.count(1)
        self._of_file: dict[str, URL] = {}
        self._lent: list[URL] = []
        self._built: dict[Any, URL] = {}
        self._schema_of: dict[str, Any] = {}

    def instead_of(self, asked: str | URL) -> URL:
        """The URL to use for the URL that a test gives; that itself, unless it is SQLite's."""
        url = make_url(asked)
        if url.get_backend_name() != "sqlite":
            return url
        file = url.database if url.database not in (None, "", ":memory:") else None
        if file is not None and file in self._of_file:
            return self._of_file[file]
        lent = self._new()
        self._lent.append(lent)
        if file is not None:
            self._of_file[file] = lent
        return lent

    def give_schema(self, engine: Engine, schema: Any, build: Callable[[], None]) -> None:
        """Give the engine's database a schema: `build()` it the first time, and copy that afterwards."""
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

    def give_anew(self, engine: Engine, schema: Any, build: Callable[[], None]) -> None:
        """As `give_schema`, for an engine that one test after the other uses: what the last one left is lost."""
        engine.dispose()
        rome.drop_database(_text(engine.url))
        self._schema_of.pop(_text(engine.url), None)
        self.give_schema(engine, schema, build)

    def drop_lent(self) -> None:
        """A test is over: drop the databases that it got."""
        for url in self._lent:
            rome.drop_database(_text(url))
            self._schema_of.pop(_text(url), None)
        self._lent.clear()
        self._of_file.clear()

    def drop_all(self) -> None:
        """The run is over."""
        self.drop_lent()
        for url in self._built.values():
            rome.drop_database(_text(url))

    def _new(self) -> URL:
        return self._base.set(database=f"judge-{os.getpid()}-{next(self._numbers)}")


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)
