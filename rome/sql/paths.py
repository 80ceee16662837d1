"""Access paths of a statement: for every occurrence of a table, the narrowest way to all rows that can matter.

The steps, each a module:

1. `normal` writes the text so that the parser reads it as SQLite does, with numbered placeholders.
2. sqlglot parses it.
3. `scopes` finds the occurrences of tables in every query block, and the `predicates` that narrow each of them.
4. `choose` takes the best path for each.
5. `binding`, when the statement runs, makes requests of the paths and the values.

A path may lead to more rows than the statement needs, never to fewer: the statement runs over what was fetched, and
what is missing is a wrong answer. So everything here narrows only what it understands. What it does not (a parse that
fails, an unknown clause, a name of two meanings) is read whole, and so is what views and triggers mention (`behind`).
What foreign keys and other constraints look at is no concern of paths.

    >>> print(access_paths("SELECT * FROM services WHERE uuid = ? AND deleted IS NULL", catalog))
    services by services_uuid_idx (uuid = ?1)
"""

from __future__ import annotations

from sqlglot import exp

from rome.catalog.model import Catalog
from rome.sql.access import KeyPath, Path, Paths, Scan
from rome.sql.behind import tables_behind
from rome.sql.binding import bind
from rome.sql.choose import choose
from rome.sql.facts import Facts
from rome.sql.normal import NormalText, normal_text
from rome.sql.planner import has_odd_names, parse
from rome.sql.scopes import Scopes
from rome.sql.statement import Kind, classify
from rome.sql.tokens import names

__all__ = ["KeyPath", "Path", "Paths", "Scan", "access_paths", "bind"]

_READING = frozenset({Kind.SELECT, Kind.INSERT, Kind.UPDATE, Kind.DELETE})


def access_paths(sql: str, catalog: Catalog) -> Paths:
    """The paths of SELECT, INSERT, UPDATE or DELETE (the target of an INSERT has none, since it is not read)."""
    statement = classify(sql)
    normal = normal_text(sql)
    if statement.kind not in _READING or statement.tail or normal is None or has_odd_names(sql, catalog):
        return Paths(parsed=False)
    found: dict[str, list[Path]] = {}
    unseen: set[str] = set()
    if statement.kind is not Kind.INSERT or not names(sql).isdisjoint(_READ_WORDS):
        tree = parse(normal)
        if tree is None:
            return Paths(parsed=False)
        found, unseen = _paths_of(tree, catalog, normal)
    for name in unseen | tables_behind(statement, sql, catalog):
        table = catalog.table(name)
        if table is not None:
            found[name] = [Scan(table.name)]
    return Paths({name: tuple(paths) for name, paths in found.items()})


_READ_WORDS = frozenset({"select", "in"})
"""Without one of these words, an INSERT reads no table: many rows of VALUES are not parsed."""


def _paths_of(tree: exp.Expr, catalog: Catalog, normal: NormalText) -> tuple[dict[str, list[Path]], set[str]]:
    """Table name in lower case → the paths of its occurrences; and the names of what is to be read whole."""
    scopes = Scopes(tree, catalog)
    Facts(scopes, normal.lists)
    found: dict[str, list[Path]] = {}
    seen: set[int] = set()
    for scope in scopes:
        for occurrence in scope.occurrences:
            table = occurrence.table
            if table is not None:
                found.setdefault(table.name.lower(), []).append(choose(table, occurrence.predicates))
                seen.add(id(occurrence.node))
    return found, _unseen(tree, seen)


def _unseen(tree: exp.Expr, seen: set[int]) -> set[str]:
    """The names, in lower case, of tables that no scope has spoken for; also the `t` of `a IN t`."""
    target = tree.this if isinstance(tree, exp.Insert) else None
    if isinstance(target, exp.Schema):
        target = target.this
    unseen = {node.name.lower() for node in tree.find_all(exp.Table) if id(node) not in seen and node is not target}
    for node in tree.find_all(exp.In):
        field = node.args.get("field")
        if field is not None:
            unseen.add(field.name.lower())
    return unseen
