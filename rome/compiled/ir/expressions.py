"""Terms: the expressions of a statement with their names resolved, and what SQLite's rules need to know of each.

Four things are known of a term, whatever it is:

* `affinity`: that of SQLite's `sqlite3ExprAffinity`. None is no affinity at all, which is not the same as BLOB.
* `collation`: the one that it brings into a comparison; None if it brings none. `forced`, if by a COLLATE operator.
* `nullable`: whether it can be NULL. False only where that is certain.

Terms are compared by value: `GROUP BY lower(a)` makes one group key of each `lower(a)` in the statement.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from rome.values import Affinity, SqlValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from rome.compiled.ir.queries import Query


@dataclass(frozen=True)
class Nature:
    """What is known of a term: see above."""

    affinity: Affinity | None = None
    collation: str | None = None
    nullable: bool = True
    forced: bool = False


_PLAIN = Nature()
_NEVER_NULL = Nature(nullable=False)


@dataclass(frozen=True)
class Term:
    """An expression. A kind of term says in `_nature` what is known of it."""

    def _nature(self) -> Nature:
        return _PLAIN

    @property
    def affinity(self) -> Affinity | None:
        """The affinity that it lends to a comparison."""
        return self._nature().affinity

    @property
    def collation(self) -> str | None:
        """The collation that it brings into a comparison."""
        return self._nature().collation

    @property
    def forced(self) -> bool:
        """Whether the collation stems from a COLLATE operator."""
        return self._nature().forced

    @property
    def nullable(self) -> bool:
        """Whether it can be NULL."""
        return self._nature().nullable


@dataclass(frozen=True)
class _Natured(Term):
    nature: Nature

    def _nature(self) -> Nature:
        return self.nature


@dataclass(frozen=True)
class ColumnExpr(_Natured):
    """The value at a position in the rows of a source (`Source.id`)."""

    source: int
    at: int


@dataclass(frozen=True)
class Slot(_Natured):
    """A value that the generated code has under a name already: a group key or an aggregate."""

    code: str


@dataclass(frozen=True)
class Constant(Term):
    """A value that stands in the text. `kind` tells 1 from 1.0."""

    value: SqlValue
    kind: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", type(self.value).__name__)

    def _nature(self) -> Nature:
        return _PLAIN if self.value is None else _NEVER_NULL


NULL = Constant(None)


@dataclass(frozen=True)
class Parameter(Term):
    """The value of a placeholder (by its position in `NormalizedStatement.lists`)."""

    placeholder: int


@dataclass(frozen=True)
class Plain(Term):
    """A term without its affinity and collation, as a member of an IN list."""

    term: Term

    def _nature(self) -> Nature:
        return Nature(nullable=self.term.nullable)


@dataclass(frozen=True)
class Collated(Term):
    """`term COLLATE name`."""

    term: Term
    name: str

    def _nature(self) -> Nature:
        return replace(self.term._nature(), collation=self.name, forced=True)


@dataclass(frozen=True)
class Cast(Term):
    """`CAST(term AS …)`."""

    term: Term
    to: Affinity

    def _nature(self) -> Nature:
        return replace(self.term._nature(), affinity=self.to)


@dataclass(frozen=True)
class Arithmetic(Term):
    """`left op right`, where `op` names the helper that does it."""

    op: str
    left: Term
    right: Term


@dataclass(frozen=True)
class Call(Term):
    """A scalar function, under the name of the helper that does it."""

    helper: str
    arguments: tuple[Term, ...]
    never_null: bool = False

    def _nature(self) -> Nature:
        return _NEVER_NULL if self.never_null else _PLAIN


@dataclass(frozen=True)
class Case(Term):
    """`CASE WHEN condition THEN term … ELSE default END`."""

    branches: tuple[tuple[Term, Term], ...]
    default: Term


@dataclass(frozen=True)
class Truth(Term):
    """A term whose value is 1, 0 or NULL."""


@dataclass(frozen=True)
class Compare(Truth):
    """`left op right`, op being one of = <> < <= > >=."""

    op: str
    left: Term
    right: Term

    def _nature(self) -> Nature:
        return _PLAIN if self.left.nullable or self.right.nullable else _NEVER_NULL


@dataclass(frozen=True)
class Same(Truth):
    """`left IS right`."""

    left: Term
    right: Term

    def _nature(self) -> Nature:
        return _NEVER_NULL


@dataclass(frozen=True)
class IsTrue(Truth):
    """`term IS TRUE`, or `term IS FALSE`."""

    term: Term
    wanted: bool

    def _nature(self) -> Nature:
        return _NEVER_NULL


@dataclass(frozen=True)
class Like(Truth):
    """`term LIKE pattern ESCAPE escape`, or GLOB."""

    helper: str
    term: Term
    pattern: Term
    escape: Term | None = None


@dataclass(frozen=True)
class Not(Truth):
    """`NOT term`."""

    term: Term

    def _nature(self) -> Nature:
        return Nature(nullable=self.term.nullable)


@dataclass(frozen=True)
class And(Truth):
    """All of them."""

    parts: tuple[Term, ...]


@dataclass(frozen=True)
class Or(Truth):
    """Any of them."""

    parts: tuple[Term, ...]


@dataclass(frozen=True)
class InList(Truth):
    """`term IN (…)`: a list of parameters and literals behind one placeholder, or none at all (placeholder None)."""

    term: Term
    placeholder: int | None


@dataclass(frozen=True)
class InRows(Truth):
    """`(term, …) IN (VALUES (…), …)` or `IN (SELECT …)`: `rows` of constants, or a query."""

    terms: tuple[Term, ...]
    rows: tuple[tuple[Term, ...], ...]
    query: Query | None = None


@dataclass(frozen=True)
class InQuery(Truth):
    """`term IN (SELECT …)`."""

    term: Term
    query: Query


@dataclass(frozen=True)
class Exists(Truth):
    """`EXISTS (SELECT …)`."""

    query: Query

    def _nature(self) -> Nature:
        return _NEVER_NULL


@dataclass(frozen=True)
class Scalar(Term):
    """`(SELECT …)` as a value."""

    query: Query

    def _nature(self) -> Nature:
        return Nature(self.query.outputs[0].term.affinity)


_NEVER_NULL_AGGREGATES = frozenset({"count_rows", "count_values", "total_of"})


@dataclass(frozen=True)
class Aggregate(Term):
    """An aggregate function over the rows of a group, under the name of the helper that does it."""

    helper: str
    argument: Term | None
    distinct: bool = False
    separator: Term | None = None

    def _nature(self) -> Nature:
        return _NEVER_NULL if self.helper in _NEVER_NULL_AGGREGATES else _PLAIN


# ── walking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


_parts_of: dict[type[Term], tuple[str, ...]] = {}


def _names(term: Term) -> tuple[str, ...]:
    kind = type(term)
    if kind not in _parts_of:
        _parts_of[kind] = tuple(each.name for each in fields(term) if each.name != "nature")
    return _parts_of[kind]


def parts(term: Term) -> Iterator[Any]:
    """The terms and queries that a term is directly made of."""
    pending: list[Any] = [getattr(term, name) for name in _names(term)]
    while pending:
        part = pending.pop()
        if isinstance(part, tuple):
            pending += part
        elif isinstance(part, Term) or hasattr(part, "free"):
            yield part


def refs(term: Term) -> frozenset[int]:
    """The sources whose rows a term depends on; for a subquery, those outside of it."""
    if isinstance(term, ColumnExpr):
        return frozenset((term.source,))
    found: frozenset[int] = frozenset()
    for part in parts(term):
        found |= refs(part) if isinstance(part, Term) else part.free
    return found


def any_term(term: Term, test: Callable[[Term], bool]) -> bool:
    """Whether the test holds for a term or any that it is made of, subqueries left out."""
    return test(term) or any(any_term(part, test) for part in parts(term) if isinstance(part, Term))


def rewritten(term: Term, change: Callable[[Term], Term | None]) -> Term:
    """A term with all parts, from the outside in, put through `change`: None leaves a part to be looked into."""
    changed = change(term)
    if changed is not None:
        return changed
    values = {name: getattr(term, name) for name in _names(term) if name != "kind"}
    replaced = {name: _rewritten_part(value, change) for name, value in values.items()}
    if replaced == values:
        return term
    return replace(term, **replaced)


def _rewritten_part(part: Any, change: Callable[[Term], Term | None]) -> Any:
    if isinstance(part, Term):
        return rewritten(part, change)
    if isinstance(part, tuple):
        return tuple(_rewritten_part(one, change) for one in part)
    return part
