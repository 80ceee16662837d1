"""Savepoints, and what else takes a transaction back, or over to another state of the schema.

A savepoint marks the workspace, the undo log of the row cache, and the write set; ROLLBACK TO takes all of them back.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple

from rome.catalog.model import Catalog
from rome.errors import Conflict, OperationalError
from rome.folding import fold_name
from rome.storage.store import Fetched
from rome.transaction.deferral import Deferral
from rome.transaction.reads.row_cache import RowCache
from rome.transaction.snapshot import CatalogChanged, RunAgain


class Savepoint(NamedTuple):
    """A savepoint, and the marks to which ROLLBACK TO takes back what goes with it."""

    name: str
    workspace: tuple[int, int]
    undo_log: int
    write_set: tuple[int, int]
    catalog: Catalog


class Savepoints(Deferral):
    """The savepoints of a transaction."""

    savepoints: Sequence[Savepoint] = ()

    def mark(self, name: str) -> Savepoint:
        """Open a savepoint in the workspace. Return it."""
        self.settle()
        self.workspace.begin()
        self.sequences.mark()
        workspace = self.workspace.open_savepoint(name)
        return Savepoint(name, workspace, self.row_cache.undo_log.mark(), self.write_set.mark(), self.catalog)

    def roll_back_to(self, savepoint: Savepoint) -> None:
        """Undo everything since the savepoint, which stays open. Ids allocated since then are allocated again."""
        self.sequences.roll_back_to_mark()
        self.workspace.rollback_to(savepoint.name, savepoint.workspace)
        self.row_cache.roll_back_to(savepoint.undo_log, savepoint.catalog.by_id)
        self.row_cache.note_unwritten(self.write_set.roll_back_to(savepoint.write_set))
        if self.catalog is not savepoint.catalog:
            for table in savepoint.catalog.tables.values():
                self.row_cache.forget_other_layouts(table)
            self.catalog = savepoint.catalog
            self.workspace.adopt(savepoint.catalog)

    def savepoint(self, name: str) -> None:
        """SAVEPOINT name"""
        self.savepoints = [*self.savepoints, self.mark(name)]

    def rollback_to(self, name: str) -> None:
        """ROLLBACK TO name. Raise OperationalError if there is no such savepoint."""
        at = self._find_savepoint(name)
        self.roll_back_to(self.savepoints[at])
        self.savepoints = self.savepoints[: at + 1]

    def release(self, name: str) -> None:
        """RELEASE name. Raise OperationalError if there is no such savepoint."""
        at = self._find_savepoint(name)
        self.workspace.release(self.savepoints[at].name)
        self.savepoints = self.savepoints[:at]

    def is_outermost(self, name: str) -> bool:
        """Return True if RELEASE name would release all savepoints. Raise OperationalError if there is no such."""
        return self._find_savepoint(name) == 0

    def _find_savepoint(self, name: str) -> int:
        for at in range(len(self.savepoints) - 1, -1, -1):
            if fold_name(self.savepoints[at].name) == fold_name(name):
                return at
        raise OperationalError(f"no such savepoint: {name}")

    def _extend_catalogs(self, newer: Catalog, later: Set[str]) -> bool:
        """Add tables that only a newer catalog has to the present one, and to those of savepoints.

        Return False, with nothing done, if the transaction itself has created or dropped something of such a name.
        """
        catalogs = [each.catalog for each in self.savepoints] + [self.catalog]
        extended = [each.with_tables_of(newer, later) for each in catalogs]
        if any(new.tables.keys() - old.tables.keys() != later for new, old in zip(extended, catalogs, strict=True)):
            return False
        self.catalog = extended.pop()
        pairs = zip(self.savepoints, extended, strict=True)
        self.savepoints = [savepoint._replace(catalog=catalog) for savepoint, catalog in pairs]
        return True

    def _change_catalog(self, fetched: Fetched) -> None:
        """Go on with the newest catalog. Raise CatalogChanged; after a change, RunAgain or Conflict."""
        if 0 < fetched.catalog_version <= self.initial_catalog.version:
            # Catalog versions only grow: the server has lost the one that we had.
            self.database.forget()
        if self.write_set or self.blocks or self.schema_changed or (self.savepoints and self.workspace.temporary):
            if self.is_blind:
                raise RunAgain
            raise Conflict("the schema was changed by another transaction; nothing was written, run it again")
        self.workspace.end(keep=self.workspace.temporary)
        self.row_cache = RowCache(self.workspace)
        self.catalog = self.initial_catalog = self.database.catalog(fetched)
        self.workspace.use(self.catalog)
        # Nothing has happened since the savepoints were opened.
        self.savepoints = [self.mark(savepoint.name) for savepoint in self.savepoints]
        raise CatalogChanged
