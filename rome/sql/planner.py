"""The planner: from a statement's text to its rounds of reads.

The steps, each a module:

1. `normal` writes the text so that the parser reads it as SQLite does, with numbered placeholders; sqlglot parses it.
2. `scopes` finds the occurrences of tables in every query block, and the conditions on them; `names` tells which
   column a name stands for.
3. `facts` reads the conditions: `predicates` on single columns, and equalities between columns.
4. `propagate` carries what is known of one column over to those that are equal to it.
5. `paging` tells where only the first rows of an occurrence are wanted, or their number.
6. `rounds` takes the cheapest path for each occurrence, of those that `choose` finds, and orders them.
7. `binding`, when the statement runs, makes requests of the steps and the values.

A step may lead to more rows than the statement needs, never to fewer: the statement runs over what was fetched, and
what is missing is a wrong answer. So everything here narrows only what it understands. What it does not (a parse that
fails, an unknown clause, a name of two meanings) is read whole, and so is what views and triggers mention (`behind`).
What foreign keys and other constraints look at is no concern of plans.

    >>> print(plan_reads("SELECT * FROM services JOIN tags ON service_id = id WHERE uuid = ?", catalog))
    round 1
      services by services_uuid_idx (uuid = ?1)
    round 2
      tags by key (service_id = services.id)
"""

from __future__ import annotations

from collections.abc import Callable, Set

from sqlglot import exp

from rome.catalog.model import Catalog
from rome.sql.behind import changed_along, tables_behind
from rome.sql.binding import bind_count
from rome.sql.binding import bind_step as bind
from rome.sql.choose import exact_paths, worth
from rome.sql.facts import Facts
from rome.sql.normal import NormalText, normal_text
from rome.sql.occurrences import number_occurrences, occurrence_of
from rome.sql.parsing import parse
from rome.sql.paging import counted, want_parts
from rome.sql.propagate import propagate
from rome.sql.read_plan import ReadPlan, Step
from rome.sql.rounds import arrange
from rome.sql.scopes import Occurrence, Scopes
from rome.sql.statement import ABOUT_ROWS, WRITES, Kind, Statement, classify
from rome.sql.statistics import Basis, Statistics
from rome.sql.tokens import names

__all__ = ["ReadPlan", "Statistics", "Step", "bind", "bind_count", "plan_reads"]


def plan_reads(sql: str, catalog: Catalog, statistics: Statistics | None = None) -> ReadPlan:
    """The plan of SELECT, INSERT, UPDATE or DELETE (the target of an INSERT has no step, since it is not read).

    `catalog` must not have tables that are hidden by temporary ones of the same name.
    """
    statement = classify(sql)
    normal = normal_text(sql)
    if statement.kind not in ABOUT_ROWS or statement.tail or normal is None or has_odd_names(sql, catalog):
        return ReadPlan(parsed=False)
    behind = tables_behind(statement, sql, catalog)
    if statement.kind is Kind.INSERT and names(sql).isdisjoint(_READ_WORDS):
        return ReadPlan(whole=tuple(catalog.tables[name] for name in sorted(behind)))
    tree = parse(normal)
    if tree is None:
        return ReadPlan(parsed=False)
    return _plan(statement, tree, normal, catalog, behind, Basis(statistics or Statistics()))


_READ_WORDS = frozenset({"select", "in"})
"""Without one of these words, an INSERT reads no table: many rows of VALUES are not parsed."""


def _plan(
    statement: Statement,
    tree: exp.Expr,
    normal: NormalText,
    catalog: Catalog,
    behind: Set[str],
    basis: Basis,
) -> ReadPlan:
    number_occurrences(tree, catalog)
    scopes = Scopes(tree, catalog)
    occurrences = [one for scope in scopes for one in scope.occurrences if one.table is not None]
    occurrences += _without_scope(tree, catalog, occurrences)
    facts = Facts(scopes, normal.lists)
    is_steady = _steadiness(statement, tree, scopes, catalog, behind)
    propagate(facts.equalities, is_steady)
    want_parts(scopes, facts, normal.lists, is_steady)
    whole = {name for name in behind | _named_otherwise(tree) if name in catalog.tables}
    return ReadPlan(
        tree=tree,
        lists=normal.lists,
        rounds=arrange(occurrences, whole, basis),
        whole=tuple(catalog.tables[name] for name in sorted(whole)),
        counted=_counted(tree, scopes, facts),
        basis=basis,
    )


def _counted(tree: exp.Expr, scopes: Scopes, facts: Facts) -> Step | None:
    """The step whose rows the statement counts, if they can be counted without being fetched."""
    found = counted(tree, scopes, facts)
    if found is None or found[0].table is None:
        return None
    occurrence, exactly = found
    path = max(exact_paths(found[0].table, exactly), key=worth, default=None)
    return None if path is None else Step(occurrence.number, found[0].table, path, 0.0)


def _without_scope(tree: exp.Expr, catalog: Catalog, seen: list[Occurrence]) -> list[Occurrence]:
    """The occurrences of tables in scopes that are unclear, or in none. Nothing is known of them."""
    nodes = {id(occurrence.node) for occurrence in seen}
    target = tree.this if isinstance(tree, exp.Insert) else None
    nodes.add(id(target.this if isinstance(target, exp.Schema) else target))
    return [
        Occurrence(node.alias_or_name.lower(), catalog.table(node.name), node)
        for node in tree.find_all(exp.Table)
        if occurrence_of(node) is not None and id(node) not in nodes
    ]


def _named_otherwise(tree: exp.Expr) -> set[str]:
    """Names, in lower case, that may be a table's but have no number: those of CTEs, and the `t` of `a IN t`."""
    found = {node.name.lower() for node in tree.find_all(exp.Table) if occurrence_of(node) is None}
    fields = [node.args.get("field") for node in tree.find_all(exp.In)]
    return found | {field.name.lower() for field in fields if field is not None}


def _steadiness(
    statement: Statement, tree: exp.Expr, scopes: Scopes, catalog: Catalog, behind: Set[str]
) -> Callable[[Occurrence], bool]:
    """Tells whether a statement finds an occurrence's rows as they were fetched, though it changes rows on its way.

    An INSERT has read all before it changes anything, UPDATE and DELETE have found the rows that they change by what is
    in FROM and WHERE. What they look at afterwards may be changed already, by them, by foreign keys or by triggers.
    """
    if statement.kind not in WRITES:
        return lambda _: True
    changed = changed_along(statement, catalog) | behind
    found_before: set[int] = set()
    outermost = scopes.of(tree)
    if outermost is not None and statement.kind is not Kind.INSERT:
        found_before.update(id(one.node) for one in outermost.occurrences)
        where = tree.args.get("where")
        found_before.update(id(node) for node in (where.find_all(exp.Table) if where else ()))

    def is_steady(occurrence: Occurrence) -> bool:
        assert occurrence.table is not None
        name = occurrence.table.name.lower()
        is_target = name == statement.table and statement.kind is not Kind.INSERT
        return name not in changed and (not is_target or id(occurrence.node) in found_before)

    return is_steady


def has_odd_names(sql: str, catalog: Catalog) -> bool:
    """Whether `true` or `false` stands in the text, and could be a column."""
    odd = names(sql) & {"true", "false"}
    return bool(odd) and any(not odd.isdisjoint(table.by_name) for table in catalog.tables.values())
