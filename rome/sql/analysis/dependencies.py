"""Dependencies: the definitions that a plan is made from, and the tables that a statement reads and changes indirectly.

    CREATE VIEW v AS SELECT * FROM t; CREATE TRIGGER g AFTER UPDATE ON u BEGIN DELETE FROM w; END

    SELECT * FROM v             depends on v and t; t is read whole
    UPDATE u SET a = 1          depends on u, g and w; w is read whole

A plan holds under every catalog in which its tables, views and triggers have the same definitions: after a change of
other tables, and in other databases with the same schema, as test suites make them.

The analysis does not look into views and triggers: it reads every table that they mention whole. This includes views
of views, triggers fired by triggers, and triggers on tables that a foreign key changes by CASCADE.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from sqlglot import exp

from rome.catalog.model import Catalog, SchemaObject, Table
from rome.folding import fold_name
from rome.sql.analysis.context import AnalysisContext
from rome.sql.analysis.scopes import table_ref_number
from rome.sql.syntax.parse import Nodes
from rome.sql.syntax.statement import WRITES, Statement, StatementKind
from rome.sql.syntax.tokens import TokenReader, names

# ── the definitions of a plan ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Definitions:
    """Definitions by name, in lower case. `has_boolean_columns`: `true` or `false` may mean a column."""

    by_name: Mapping[str, Table | SchemaObject]
    has_boolean_columns: bool = False

    @property
    def shape(self) -> Definitions:
        """Return the same definitions without the ids of tables and indexes."""
        by_name = {name: item.shape if isinstance(item, Table) else item for name, item in self.by_name.items()}
        return Definitions(by_name, self.has_boolean_columns)


def definitions(statement: Statement, mentioned: Set[str], catalog: Catalog) -> Definitions:
    """Return the definitions that the plan of a statement depends on. `mentioned`: the names in its text."""
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
            pending += [fold_name(key.table) for key in catalog.children.get(name, ())]
            pending += [fold_name(trigger.name) for trigger in catalog.triggers.get(name, ())]
    return Definitions(found, has_boolean_columns(mentioned, catalog))


def has_boolean_columns(mentioned: Set[str], catalog: Catalog) -> bool:
    """Return True if the names include `true` or `false`, and a table has a column of that name."""
    booleans = mentioned & {"true", "false"}
    return bool(booleans) and any(not booleans.isdisjoint(table.by_name) for table in catalog.tables.values())


def has_boolean_aliases(mentioned: Set[str], nodes: Nodes) -> bool:
    """Return True if `true` or `false` may mean a column of a derived table: it is an alias in the statement."""
    booleans = mentioned & {"true", "false"}
    return bool(booleans) and any(fold_name(name.name) in booleans for name in nodes.tree.find_all(exp.Identifier))


# ── steps of the analysis ─────────────────────────────────────────────────────────────────────────────────────────────


def find_whole_tables(context: AnalysisContext) -> None:
    """Find the tables that are read whole: those of views and triggers, and those named in a form not understood.

    A name without a number may still be a table's: that of a CTE, and the `t` of `a IN t`.
    """
    nodes = context.nodes
    found = {fold_name(node.name) for node in nodes.tables if table_ref_number(node) is None}
    found.update([fold_name(node.args["field"].name) for node in nodes.ins if node.args.get("field") is not None])
    found |= context.indirect_tables
    context.whole = {name for name in found if name in context.catalog.tables}


def mark_unstable_tables(context: AnalysisContext) -> None:
    """Mark the table references whose rows the statement may change before it reads them.

    INSERT reads everything before its first change; UPDATE and DELETE find the rows that they change by FROM and WHERE.
    What they read afterwards may have been changed by them, by foreign keys or by triggers.
    """
    statement = context.statement
    if statement.kind not in WRITES:
        return
    changed = cascade_tables(statement, context.catalog) | context.indirect_tables
    read_first: set[int] = set()
    tree = context.nodes.tree
    scope = context.scopes.of(tree)
    if scope is not None and statement.kind is not StatementKind.INSERT:
        read_first.update([id(one.node) for one in scope.table_refs])
        where = tree.args.get("where")
        read_first.update([id(node) for node in (Nodes(where).tables if where else ())])
    for table_ref in context.table_refs:
        assert table_ref.table is not None
        name = fold_name(table_ref.table.name)
        is_target = name == statement.table and statement.kind is not StatementKind.INSERT
        table_ref.stable = name not in changed and (not is_target or id(table_ref.node) in read_first)


# ── views, triggers and foreign keys ──────────────────────────────────────────────────────────────────────────────────


def indirect_tables(statement: Statement, mentioned: Set[str], catalog: Catalog) -> set[str]:
    """Return the tables, in lower case, that a statement reads or changes through views and triggers.

    `mentioned`: the names in its text.
    """
    found: set[str] = set()
    pending = [item for name in mentioned if (item := catalog.objects.get(name)) and item.type == "view"]
    if statement.kind in WRITES and statement.table is not None:
        pending += _fired_triggers(statement, catalog)
    done: set[str] = set()
    while pending:
        item = pending.pop()
        if fold_name(item.name) in done:
            continue
        done.add(fold_name(item.name))
        inner = _names_in_body(item)
        found |= inner & catalog.tables.keys()
        pending += [other for name in inner if (other := catalog.objects.get(name)) and other.type == "view"]
        if item.type == "trigger":
            pending += _triggers_on(_with_children(inner, catalog), catalog)
    return found


def cascade_tables(statement: Statement, catalog: Catalog) -> set[str]:
    """Return the tables, in lower case, whose rows foreign keys change along with the statement's target."""
    found: set[str] = set()
    pending = [statement.table or ""]
    while pending:
        for key in catalog.children.get(pending.pop(), ()):
            child = fold_name(key.table)
            if child not in found and not {key.on_update, key.on_delete} <= {"NO ACTION", "RESTRICT"}:
                found.add(child)
                pending.append(child)
    return found


def _fired_triggers(statement: Statement, catalog: Catalog) -> list[SchemaObject]:
    """Return the triggers that a statement may fire, on its target and on the tables that foreign keys change."""
    target = statement.table or ""
    events = {statement.kind.name, "DELETE"}  # a row that a new one replaces is deleted
    if statement.has_upsert:
        events.add("UPDATE")
    own = [trigger for trigger in _triggers_on({target}, catalog) if _event(trigger) in events]
    return own + _triggers_on(_with_children({target}, catalog) - {target}, catalog)


def _triggers_on(tables: Set[str], catalog: Catalog) -> list[SchemaObject]:
    return [trigger for table in tables for trigger in catalog.triggers.get(table, ())] if catalog.triggers else []


def _with_children(tables: Set[str], catalog: Catalog) -> set[str]:
    """Return the tables and all whose foreign keys lead to one of them, directly or through others."""
    found: set[str] = set()
    pending = list(tables)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += [fold_name(key.table) for key in catalog.children.get(name, ())]
    return found


def _names_in_body(item: SchemaObject) -> frozenset[str]:
    """Return the names in the text of a view, or in that of a trigger after the table that it is on."""
    sql = item.sql or ""
    if item.type == "view":
        return names(sql)
    reader = TokenReader(sql)
    reader.skip_to("ON")
    reader.take("ON")
    reader.qualified_name()
    return names(sql[reader.token.start :])


def _event(trigger: SchemaObject) -> str:
    """Return INSERT, UPDATE or DELETE: the first of these words in the trigger's text."""
    reader = TokenReader(trigger.sql or "")
    reader.skip_to("INSERT", "UPDATE", "DELETE")
    return reader.token.word()
