"""The text of CREATE TABLE and CREATE INDEX, taken apart, and put together again with a change.

SQLite stores a table's definition as the text that created it. It contains more than reflection shows: collations,
CHECKs, conflict clauses, AUTOINCREMENT, expressions as they were written. So a definition is changed by pieces of its
text, and every other piece stays as it is, to the letter.

    CREATE TABLE t (            head, to the opening parenthesis
        a INTEGER NOT NULL,     a column: its name, its type, and clauses
        CONSTRAINT u UNIQUE (a) a constraint
    ) STRICT                    tail, from the closing parenthesis on

    >>> index_terms("CREATE INDEX i ON t (lower(a), b DESC) WHERE b > 0")
    (('lower(a)', 'b'), 'b > 0')
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from rome.folding import fold_name
from rome.sql.syntax.tokens import Token, after_group, tokenize

_CONSTRAINTS = ("PRIMARY", "UNIQUE", "CHECK", "FOREIGN")
_CLAUSES = ("PRIMARY", "NOT", "NULL", "UNIQUE", "CHECK", "DEFAULT", "COLLATE", "REFERENCES", "GENERATED", "AS")


@dataclass(frozen=True)
class ColumnClause:
    """A clause of a column, or a constraint of the table. `kind`: its first word, after CONSTRAINT and its name."""

    kind: str
    text: str
    name: str | None = None


@dataclass(frozen=True)
class ColumnText:
    """The definition of a column. `name` is without quotes, `written` as in the text."""

    name: str
    written: str
    type: str
    clauses: tuple[ColumnClause, ...]

    @property
    def nullable(self) -> bool:
        """Return True if there is no NOT NULL."""
        return all(clause.kind != "NOT" for clause in self.clauses)

    @property
    def generated(self) -> bool:
        """Return True for a generated column."""
        return any(clause.kind in ("GENERATED", "AS") for clause in self.clauses)

    @property
    def default(self) -> str | None:
        """Return the SQL of the default; None without one."""
        found = (clause.text for clause in self.clauses if clause.kind == "DEFAULT")
        return next((text[len("DEFAULT") :].strip() for text in found), None)

    def without(self, kind: str) -> ColumnText:
        """Return the column without its clauses of a kind."""
        return replace(self, clauses=tuple(clause for clause in self.clauses if clause.kind != kind))

    def with_clause(self, kind: str, text: str) -> ColumnText:
        """Return the column with one clause of a kind in place of all others of that kind."""
        rest = self.without(kind)
        return replace(rest, clauses=(ColumnClause(kind, text), *rest.clauses))

    @property
    def text(self) -> str:
        """Return the SQL of the definition."""
        return " ".join(part for part in (self.written, self.type, *(clause.text for clause in self.clauses)) if part)


@dataclass(frozen=True)
class TableText:
    """The definition of a table."""

    head: str
    columns: tuple[ColumnText, ...]
    constraints: tuple[ColumnClause, ...]
    tail: str = field(default=")")

    @property
    def text(self) -> str:
        """Return the SQL of the CREATE TABLE."""
        parts = [column.text for column in self.columns] + [constraint.text for constraint in self.constraints]
        return self.head + "\n\t" + ",\n\t".join(parts) + "\n" + self.tail

    def column(self, name: str) -> ColumnText:
        """Return the column of that name, in any case of letters. Raise KeyError if there is none."""
        for column in self.columns:
            if fold_name(column.name) == fold_name(name):
                return column
        raise KeyError(name)

    def with_column(self, changed: ColumnText) -> TableText:
        """Return the table with a column in place of the one of the same name."""
        columns = (changed if column.name == changed.name else column for column in self.columns)
        return replace(self, columns=tuple(columns))

    def with_constraint(self, text: str) -> TableText:
        """Return the table with one more constraint."""
        return replace(self, constraints=(*self.constraints, *_constraints(tokenize(text), text)))

    def without_primary_key(self) -> TableText:
        """Return the table without its primary key, declared by a column or the table."""
        columns = tuple(column.without("PRIMARY") for column in self.columns)
        constraints = tuple(clause for clause in self.constraints if clause.kind != "PRIMARY")
        return replace(self, columns=columns, constraints=constraints)


def read_table_text(sql: str) -> TableText:
    """Parse the text of a CREATE TABLE that SQLite has accepted."""
    tokens = tokenize(sql)
    start = next(at for at, token in enumerate(tokens) if token.is_op("("))
    end = after_group(tokens, start) - 1
    columns: list[ColumnText] = []
    constraints: list[ColumnClause] = []
    for part in _split(tokens[start + 1 : end]):
        if constraints or part[0].word() in (*_CONSTRAINTS, "CONSTRAINT"):
            constraints.extend(_constraints(part, sql))
        else:
            columns.append(_column(part, sql))
    return TableText(sql[: tokens[start].end], tuple(columns), tuple(constraints), sql[tokens[end].start :])


def _split(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Yield the parts between commas that are outside of parentheses."""
    begin = at = 0
    while at < len(tokens):
        if tokens[at].is_op(","):
            yield tokens[begin:at]
            begin = at + 1
        at = _next(tokens, at)
    yield tokens[begin:]


def _next(tokens: Sequence[Token], at: int) -> int:
    """Return the position after a token, or after the parenthesis that it opens."""
    return after_group(tokens, at) if tokens[at].is_op("(") else at + 1


def _text(tokens: Sequence[Token], sql: str) -> str:
    return sql[tokens[0].start : tokens[-1].end] if tokens else ""


def _column(tokens: Sequence[Token], sql: str) -> ColumnText:
    starts = [*_starts(tokens, 1, _CLAUSES), len(tokens)]
    clauses = tuple(_clause(tokens[start:end], sql) for start, end in pairwise(starts))
    type_ = _text(tokens[1 : starts[0]], sql)
    return ColumnText(tokens[0].name, tokens[0].text, type_, clauses)


def _constraints(tokens: Sequence[Token], sql: str) -> Iterator[ColumnClause]:
    """Yield the table constraints of a part; SQLite accepts several without a comma between them."""
    starts = [*_starts(tokens, 0, _CONSTRAINTS), len(tokens)]
    for start, end in pairwise(starts):
        yield _clause(tokens[start:end], sql)


def _starts(tokens: Sequence[Token], at: int, words: Sequence[str]) -> Iterator[int]:
    """Yield the positions where clauses begin: at CONSTRAINT, if they have a name."""
    named = False
    while at < len(tokens):
        if tokens[at].word() == "CONSTRAINT":
            yield at
            named = True
            at += 2
            continue
        if tokens[at].word() in words and not _continues_clause(tokens, at):
            if not named:
                yield at
            named = False
        at = _next(tokens, at)


def _continues_clause(tokens: Sequence[Token], at: int) -> bool:
    """Return True if a word continues a clause: SET NULL, NOT NULL, DEFAULT NULL, NOT DEFERRABLE …"""
    word, before = tokens[at].word(), tokens[at - 1].word() if at else ""
    after = tokens[at + 1].word() if at + 1 < len(tokens) else ""
    return (
        (word in ("NULL", "DEFAULT") and before in ("SET", "NOT", "DEFAULT"))
        or (word == "NOT" and after == "DEFERRABLE")
        or (word == "AS" and before == "ALWAYS")
    )


def _clause(tokens: Sequence[Token], sql: str) -> ColumnClause:
    if tokens[0].word() == "CONSTRAINT":
        kind = tokens[2].word() if len(tokens) > 2 else ""
        return ColumnClause(kind, _text(tokens, sql), tokens[1].name)
    return ColumnClause(tokens[0].word(), _text(tokens, sql))


def index_terms(sql: str) -> tuple[tuple[str, ...], str | None]:
    """Return the SQL of each indexed term without ASC or DESC, and that of WHERE (None without one)."""
    tokens = tokenize(sql)
    start = next(at for at, token in enumerate(tokens) if token.is_op("("))
    end = after_group(tokens, start)
    terms = tuple(_term_text(sql, term) for term in _split(tokens[start + 1 : end - 1]))
    rest = tokens[end:]
    return terms, _text(rest[1:], sql) if rest and rest[0].word() == "WHERE" else None


def _term_text(sql: str, tokens: Sequence[Token]) -> str:
    return _text(tokens[:-1] if tokens[-1].word() in ("ASC", "DESC") else tokens, sql)
