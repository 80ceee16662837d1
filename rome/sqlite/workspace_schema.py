"""The schema of the workspace: objects of the catalog, created in SQLite when a statement first mentions them.

A database may have a hundred tables, and a connection uses a few. `ensure` creates what a statement mentions, with what
it depends on: a table's parents and children by foreign keys, its indexes and triggers, the tables that a view
mentions. They stay from one transaction to the next. If the catalog changes, `use` drops the objects whose definitions
differ.

SQLite's DDL is transactional, so an object that was created within a transaction is gone after its ROLLBACK; the names
in `created_in_transaction` keep track.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apsw

from rome.catalog.model import Catalog, SchemaObject, Table
from rome.errors import FormatError, InternalError
from rome.folding import fold_name
from rome.sql.rewrite.counter_ids import COUNTER_FUNCTION, trigger_with_counter_ids
from rome.sql.syntax.statement import classify
from rome.sql.syntax.tokens import names, quoted
from rome.sqlite.errors import translate


class WorkspaceSchema:
    """The objects of a catalog in one SQLite connection. All names of objects are in lower case."""

    def __init__(self, sqlite: apsw.Connection) -> None:
        self.sqlite = sqlite
        self.catalog = Catalog()
        self.created: dict[str, str] = {}
        """The names of the objects that exist in SQLite → the keywords of their types."""
        self._complete: set[str] = set()
        """Names that exist with everything that they depend on. Others may have lost some of it to `use`."""
        self.created_in_transaction: list[str] = []
        self._dependencies: dict[str, frozenset[str]] = {}

    def use(self, catalog: Catalog) -> None:
        """Have the objects of this catalog from now on. Only between transactions, with foreign keys not enforced.

        A table or view whose indexes or triggers differ is dropped with them: `ensure` creates all of it again.
        """
        if catalog.digest != self.catalog.digest or catalog.tables != self.catalog.tables:
            outdated = self._outdated(catalog)
            for name, kind in list(self.created.items())[::-1]:
                if name in outdated:
                    self.sqlite.execute(f"DROP {kind} IF EXISTS main.{quoted(name)}")
            self._read_created()
        self.catalog = catalog
        self._dependencies.clear()
        self._complete.clear()

    def _outdated(self, catalog: Catalog) -> set[str]:
        """Return the names of the objects that must be made anew, to be what they are in this catalog.

        These are also the tables that have a parent in common with such a table: the order in which they are made
        decides which of their foreign keys SQLite names in an error.
        """
        found = {name for name in self.created if _definition(catalog, name) != _definition(self.catalog, name)}
        for each in (catalog, self.catalog):
            for keys in each.children.values():
                tables = {fold_name(key.table) for key in keys}
                if not found.isdisjoint(tables):
                    found |= tables
        return found

    def adopt(self, catalog: Catalog) -> None:
        """Take over the catalog that results from DDL statements, or from their ROLLBACK, in SQLite."""
        self.catalog = catalog
        self._read_created()
        if catalog.triggers:
            self._renew_triggers()
        self._dependencies.clear()
        self._complete.clear()

    def _renew_triggers(self) -> None:
        """Make triggers anew if a table that they insert into is another than before, whose ids come from elsewhere.

        All triggers of a table are made anew, in their order: the newest fires first.
        """
        found: Any = self.sqlite.execute("SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger'").fetchall()
        made = dict(found)
        for triggers in self.catalog.triggers.values():
            if any(each.name in made and made[each.name] != self._text(each) for each in triggers):
                for each in sorted(triggers, key=lambda trigger: trigger.order):
                    self.sqlite.execute(f"DROP TRIGGER IF EXISTS main.{quoted(each.name)}")
                    self._create(fold_name(each.name))

    def _text(self, item: SchemaObject) -> str:
        """Return the text by which an object is made here."""
        sql = item.sql or ""
        return trigger_with_counter_ids(sql, self.catalog, counter_call) if item.type == "trigger" else sql

    def ensure(self, mentioned: Iterable[str]) -> None:
        """Create the objects of these names, with everything that they depend on, as far as they do not exist yet."""
        pending = [name for name in mentioned if name not in self._complete and self._is_in_catalog(name)]
        if not pending:
            return
        found: set[str] = set()
        while pending:
            name = pending.pop()
            if name in found or name in self._complete or not self._is_in_catalog(name):
                continue
            found.add(name)
            pending.extend(self._dependencies_of(name))
        inside = self.sqlite.in_transaction
        for name in sorted(found - self.created.keys(), key=self._creation_order):
            self._create(name)
            if inside:
                self.created_in_transaction.append(name)
        self._complete |= found

    def ensure_all(self) -> None:
        """Create all objects of the catalog, for statements about the schema."""
        self.ensure([*self.catalog.tables, *self.catalog.objects])

    def forget_created(self, start: int = 0) -> list[str]:
        """Forget the objects that were created in the transaction, from a position on: SQLite has rolled them back.

        Return their names.
        """
        lost = self.created_in_transaction[start:]
        del self.created_in_transaction[start:]
        if lost:
            self._complete.clear()
        for name in lost:
            self.created.pop(name, None)
        return lost

    def _read_created(self) -> None:
        found: list[Any] = self.sqlite.execute("SELECT name, upper(type) FROM main.sqlite_master").fetchall()
        self.created = {fold_name(name): kind for name, kind in found}

    def _is_in_catalog(self, name: str) -> bool:
        return name in self.catalog.tables or name in self.catalog.objects

    def _creation_order(self, name: str) -> tuple[int, int]:
        table = self.catalog.tables.get(name)
        return (0, table.id) if table else (1, self.catalog.objects[name].order)

    def _dependencies_of(self, name: str) -> frozenset[str]:
        """Return the names that must exist when a statement uses `name`."""
        known = self._dependencies.get(name)
        if known is not None:
            return known
        found: set[str] = set()
        table = self.catalog.tables.get(name)
        if table is not None:
            found |= {fold_name(key.parent) for key in table.foreign_keys}
            found |= {fold_name(key.table) for key in self.catalog.children.get(name, ())}
        else:
            item = self.catalog.objects[name]
            found |= names(item.sql or "") | {fold_name(item.table)}
        found |= {fold_name(item.name) for item in self.catalog.attached.get(name, ())}
        dependencies = self._dependencies[name] = frozenset(found - {name})
        return dependencies

    def _create(self, name: str) -> None:
        table = self.catalog.tables.get(name)
        if table is not None:
            sql, kind = table.sql, "TABLE"
        else:
            item = self.catalog.objects[name]
            sql, kind = self._text(item), item.type.upper()
        statement = classify(sql)
        if statement.change is None or statement.change.action != "create" or statement.tail:
            raise FormatError(f"the catalog's definition of {name} is not a single CREATE statement")
        try:
            self.sqlite.execute(sql)
        except apsw.InterruptError as error:
            raise translate(error) from error
        except apsw.Error as error:
            raise InternalError(f"the catalog's definition of {name} is refused by SQLite: {error}") from error
        self.created[name] = kind


def counter_call(table: Table) -> str:
    """Return the SQL expression for the next number of a table's sequence."""
    return f"{COUNTER_FUNCTION}({table.id})"


def _definition(catalog: Catalog, name: str) -> Any:
    """Return what an object is made of: its text, and the texts of the indexes and triggers of a table or view."""
    item = catalog.tables.get(name) or catalog.objects.get(name)
    return item and (item.sql, [(each.name, each.sql) for each in catalog.attached.get(name, ())])
