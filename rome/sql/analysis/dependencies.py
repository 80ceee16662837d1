"""What of a catalog the plan of a statement depends on.

A plan is made of the tables, views and triggers that the text leads to. It holds under every catalog in which these are
the same: after a change of other tables, and in other databases with the same schema, as test suites make them.


What a statement may read behind its text: through views and triggers.

A view's text and a trigger's body are not analysed; every table that they mention is read whole. This holds for views
of views, for triggers whose statements fire triggers, and for those on tables that a foreign key changes along.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from rome.catalog.model import Catalog, SchemaObject, Table
from rome.sql.syntax.statement import WRITES, Statement
from rome.sql.syntax.tokens import TokenReader, names


@dataclass(frozen=True)
class Definitions:
    """The definitions by name, in lower case. `has_boolean_columns`: whether a column may be meant by `true` or
    `false`.
    """

    by_name: Mapping[str, Table | SchemaObject]
    has_boolean_columns: bool = False

    @property
    def shape(self) -> Definitions:
        """The same without the ids of tables and indexes."""
        by_name = {name: item.shape if isinstance(item, Table) else item for name, item in self.by_name.items()}
        return Definitions(by_name, self.has_boolean_columns)


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
    return Definitions(found, has_boolean_columns(mentioned, catalog))


def has_boolean_columns(mentioned: Set[str], catalog: Catalog) -> bool:
    """Whether `true` or `false` is mentioned, and could be a column."""
    odd = mentioned & {"true", "false"}
    return bool(odd) and any(not odd.isdisjoint(table.by_name) for table in catalog.tables.values())


def tables_behind(statement: Statement, mentioned: Set[str], catalog: Catalog) -> set[str]:
    """The tables, in lower case, that views and triggers behind a statement mention, which itself mentions names."""
    found: set[str] = set()
    pending = [item for name in mentioned if (item := catalog.objects.get(name)) and item.type == "view"]
    if statement.kind in WRITES and statement.table is not None:
        pending += _fired(statement, catalog)
    done: set[str] = set()
    while pending:
        item = pending.pop()
        if item.name.lower() in done:
            continue
        done.add(item.name.lower())
        inner = _mentioned(item)
        found |= inner & catalog.tables.keys()
        pending += [other for name in inner if (other := catalog.objects.get(name)) and other.type == "view"]
        if item.type == "trigger":
            pending += _triggers_on(_with_children(inner, catalog), catalog)
    return found


def changed_along(statement: Statement, catalog: Catalog) -> set[str]:
    """The tables, in lower case, whose rows foreign keys change along with those of the target."""
    found: set[str] = set()
    pending = [statement.table or ""]
    while pending:
        for key in catalog.children.get(pending.pop(), ()):
            child = key.table.lower()
            if child not in found and not {key.on_update, key.on_delete} <= {"NO ACTION", "RESTRICT"}:
                found.add(child)
                pending.append(child)
    return found


def _fired(statement: Statement, catalog: Catalog) -> list[SchemaObject]:
    """The triggers that a statement may fire, on its target and on tables that foreign keys change along."""
    target = statement.table or ""
    events = {statement.kind.name, "DELETE"}  # a row that a new one replaces is deleted
    if statement.has_upsert:
        events.add("UPDATE")
    own = [trigger for trigger in _triggers_on({target}, catalog) if _event(trigger) in events]
    return own + _triggers_on(_with_children({target}, catalog) - {target}, catalog)


def _triggers_on(tables: Set[str], catalog: Catalog) -> list[SchemaObject]:
    return [trigger for table in tables for trigger in catalog.triggers.get(table, ())] if catalog.triggers else []


def _with_children(tables: Set[str], catalog: Catalog) -> set[str]:
    """The tables, and all whose foreign keys lead to one of them, directly or by way of others."""
    found: set[str] = set()
    pending = list(tables)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += [key.table.lower() for key in catalog.children.get(name, ())]
    return found


def _mentioned(item: SchemaObject) -> frozenset[str]:
    """The names in a view's text, or in a trigger's behind the table that it is on."""
    sql = item.sql or ""
    if item.type == "view":
        return names(sql)
    reader = TokenReader(sql)
    while not reader.done and not reader.take("ON"):
        reader.at += 1
    reader.qualified_name()
    return names(sql[reader.token.start :])


def _event(trigger: SchemaObject) -> str:
    """INSERT, UPDATE or DELETE: the first of these words in the trigger's text."""
    reader = TokenReader(trigger.sql or "")
    while not reader.done and reader.token.word() not in ("INSERT", "UPDATE", "DELETE"):
        reader.at += 1
    return reader.token.word()
