"""Numbers for the table references of tables in a statement: how planner and evaluators speak of the same one.

A self join reads one table twice, each time by another access path: rows are fetched for a table reference, not for a
table.
"""

from __future__ import annotations

from sqlglot import exp

from rome.catalog.model import Catalog, Table
from rome.sql.syntax.ast_walk import Nodes

_MARK = "occurrence"


def number_table_refs(nodes: Nodes, catalog: Catalog) -> tuple[Table, ...]:
    """Mark every table reference of a table of the catalog in the parser's tree; the tables, by number of table
    reference.

    What has the name of a CTE is none, and what the catalog does not know as a table (a view) has no number either.
    Numbering a tree again gives the same numbers.
    """
    shadowed = {cte.alias.lower() for cte in nodes.ctes}
    found: list[Table] = []
    for node in nodes.tables:
        table = catalog.table(node.name) if isinstance(node.this, exp.Identifier) else None
        if table is not None and node.name.lower() not in shadowed and node.db.lower() in ("", "main"):
            node.meta[_MARK] = len(found)
            found.append(table)
    return tuple(found)


def table_ref_number(node: exp.Expr) -> int | None:
    """The number of a table's node, if it has one."""
    return node.meta.get(_MARK)
