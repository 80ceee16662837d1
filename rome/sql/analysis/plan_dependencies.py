"""What of a catalog the plan of a statement depends on.

A plan is made of the tables, views and triggers that the text leads to. It holds under every catalog in which these are
the same: after a change of other tables, and in other databases with the same schema, as test suites make them.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from rome.catalog.model import Catalog, SchemaObject, Table
from rome.sql.syntax.statement import WRITES, Statement
from rome.sql.syntax.tokens import names


@dataclass(frozen=True)
class Definitions:
    """The definitions by name, in lower case. `has_odd_names`: whether a column may be meant by `true` or `false`."""

    by_name: Mapping[str, Table | SchemaObject]
    has_odd_names: bool = False

    @property
    def shape(self) -> Definitions:
        """The same without the ids of tables and indexes."""
        by_name = {name: item.shape if isinstance(item, Table) else item for name, item in self.by_name.items()}
        return Definitions(by_name, self.has_odd_names)


def definitions(statement: Statement, mentioned: Set[str], catalog: Catalog) -> Definitions:
    """What the plan of a statement under a catalog depends on. `mentioned`: the names in its text (`tokens.names`)."""
    found: dict[str, Table | SchemaObject] = {}
    pending = list(mentioned)
    while pending:
        name = pending.pop()
        item = catalog.tables.get(name) or catalog.objects.get(name)
        if item is None or name in found:
            continue
        found[name] = item
        if isinstance(item, SchemaObject) and item.type != "index":
            pending += names(item.sql or "")
        if statement.kind in WRITES:
            pending += [key.table.lower() for key in catalog.children.get(name, ())]
            pending += [trigger.name.lower() for trigger in catalog.triggers.get(name, ())]
    return Definitions(found, has_odd_names(mentioned, catalog))


def has_odd_names(mentioned: Set[str], catalog: Catalog) -> bool:
    """Whether `true` or `false` is mentioned, and could be a column."""
    odd = mentioned & {"true", "false"}
    return bool(odd) and any(not odd.isdisjoint(table.by_name) for table in catalog.tables.values())
