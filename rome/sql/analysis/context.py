"""The analysis context: what the steps of the analysis read and what they add to.

Each step of `analyze.STEPS` is a function of one context. The scopes and the name resolver are there from the start;
predicates and Top-N are added to the table references themselves (`scopes.TableRef`).
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from rome.catalog.model import Catalog
from rome.sql.analysis.relation import AnyOf, Conditions, Page, Predicate, Relation, TopNSource
from rome.sql.analysis.resolve_names import NameResolver, ResolvedColumn, ResolvedColumns
from rome.sql.analysis.scopes import Scope, Scopes, TableRef
from rome.sql.syntax.parse import Nodes
from rome.sql.syntax.statement import Statement


@dataclass(frozen=True, slots=True)
class Equality:
    """A row of `target` matters only if its column equals that of a row of one of the `sources`."""

    target: ResolvedColumn
    sources: ResolvedColumns


@dataclass(slots=True)
class RequiredConditions:
    """The conditions that every row of a scope fulfils. `is_complete`: there are no others."""

    conditions: list[tuple[TableRef, Predicate | AnyOf]] = field(default_factory=list)
    is_complete: bool = True

    def of_only(self, table_ref: TableRef) -> Conditions | None:
        """Return all conditions, if they are all on one table reference; None if they are not, or not all known."""
        if not self.is_complete:
            return None
        for other, _ in self.conditions:
            if other is not table_ref:
                return None
        return tuple([condition for _, condition in self.conditions])


@dataclass(slots=True)
class AnalysisContext:
    """One statement under analysis."""

    statement: Statement
    catalog: Catalog
    nodes: Nodes
    indirect_tables: Set[str]
    """The tables, in lower case, that views and triggers read and change."""
    scopes: Scopes
    names: NameResolver
    table_refs: list[TableRef]
    """All references to tables, by scope, and then those in no scope that is understood."""

    equalities: list[Equality] = field(default_factory=list)
    required: dict[int, RequiredConditions] = field(default_factory=dict)
    """By the id of the scope."""
    row_count: Relation | None = None
    """The rows whose number is the statement's result; all conditions on them are in `topn`."""
    topn: TopNSource | None = None
    page: Page | None = None
    """The derived table by whose rows other tables are looked up."""
    whole: set[str] = field(default_factory=set)
    """The tables, in lower case, that are read whole."""

    def required_of(self, scope: Scope) -> RequiredConditions:
        """Return the conditions that every row of a scope fulfils."""
        return self.required[id(scope)]
