"""The planner: from a statement's text to its rounds of reads.

The steps, each a module:

1. `normal` writes the text so that the parser reads it as SQLite does, with numbered placeholders; in `parsing`,
   sqlglot parses it.
2. `scopes` finds the table references of tables in every query block, and the conditions on them; `names` tells which
   column a name stands for.
3. `facts` reads the conditions: `predicates` on single columns, and equalities between columns.
4. `propagate` carries what is known of one column over to those that are equal to it.
5. `paging` tells where only the first rows of a table reference are needed, or their number.
6. `analysis` is what comes of it up to here. It is the same for all texts that differ in their IN lists only, and
   whatever is known of the number of rows.
7. `rounds` takes the cheapest path for each table reference, of those that `choose` finds, and orders them.
8. `pages` finds out whether it may be less to fetch rows in their order until enough have come out.
9. `binding`, when the statement runs, makes requests of the steps and the values.

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

from rome.catalog.model import Catalog
from rome.sql.analysis.analyze import Analysis, analyze, needs_parse
from rome.sql.analysis.relation import Lists, Relation
from rome.sql.planner.bind import bind_count
from rome.sql.planner.bind import bind_step as bind
from rome.sql.planner.candidate_paths import exact_paths, path_rank
from rome.sql.planner.order_fetches import arrange
from rome.sql.planner.read_plan import ReadPlan, Step
from rome.sql.planner.statistics import Basis, Statistics
from rome.sql.planner.topn_fetch import plan_page
from rome.sql.syntax.parse import normalize
from rome.sql.syntax.statement import classify
from rome.sql.syntax.tokens import names

__all__ = ["ReadPlan", "Statistics", "Step", "bind", "bind_count", "plan_reads", "read_plan"]


def plan_reads(sql: str, catalog: Catalog, statistics: Statistics | None = None) -> ReadPlan:
    """The plan of SELECT, INSERT, UPDATE or DELETE (the target of an INSERT has no step, since it is not read).

    `catalog` must not have tables that are hidden by temporary ones of the same name.
    """
    statement, mentioned = classify(sql), names(sql)
    normal = normalize(sql) if needs_parse(statement, mentioned) else None
    analysis = analyze(statement, mentioned, normal, catalog)
    return read_plan(analysis, normal.lists if normal else (), catalog, statistics or Statistics())


def read_plan(analysis: Analysis, lists: Lists, catalog: Catalog, statistics: Statistics) -> ReadPlan:
    """The plan of a text of which this is the analysis, perhaps under another catalog with tables of the same shape.

    `lists`: what its placeholders stand for.
    """
    basis = Basis(statistics)
    relations = [each.with_lists(lists, catalog) for each in analysis.relations]
    rounds = arrange(relations, analysis.whole, basis)
    page = analysis.topn
    return ReadPlan(
        parsed=analysis.parsed,
        rounds=rounds,
        whole=tuple(catalog.tables[name] for name in sorted(analysis.whole)),
        counted=_counted(analysis.row_count.with_lists(lists, catalog)) if analysis.row_count else None,
        page=plan_page(page, page.relation.with_lists(lists, catalog), relations, analysis.whole, basis, rounds)
        if page
        else None,
        basis=basis,
    )


def _counted(relation: Relation) -> Step | None:
    """The step whose rows a statement counts, if they can be counted without being fetched."""
    assert relation.topn is not None
    path = max(exact_paths(relation.table, relation.topn.conditions), key=path_rank, default=None)
    return None if path is None else Step(relation.number, relation.table, path, 0.0)
