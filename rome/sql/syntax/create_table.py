"""The text of a CREATE TABLE, taken apart and put together again with something changed.

SQLite keeps a table's definition as the text that made it, and there is more in it than reflection tells: collations,
CHECKs, conflict clauses, AUTOINCREMENT, expressions as they were written. So a definition is changed in its text, by
the piece: what is not asked for stays as it is, to the letter.

    CREATE TABLE t (            head, to the opening parenthesis
        a INTEGER NOT NULL,     a column: its name, its type, and clauses
        CONSTRAINT u UNIQUE (a) a constraint
    ) STRICT                    tail, from the closing parenthesis on


The terms and the predicate of a CREATE INDEX statement, as SQL texts.

>>> index_terms("CREATE INDEX i ON t (lower(a), b DESC) WHERE b > 0")
(('lower(a)', 'b'), 'b > 0')
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from rome.sql.syntax.tokens import Token, after_group, tokenize

_CONSTRAINTS = ("PRIMARY", "UNIQUE", "CHECK", "FOREIGN")
_CLAUSES = ("PRIMARY", "NOT", "NULL", "UNIQUE", "CHECK", "DEFAULT", "COLLATE", "REFERENCES", "GENERATED", "AS")


@dataclass(frozen=True)
class ColumnClause:
    """A clause of a column, or a constraint of the table. `kind` is the word that it begins with, behind its name."""

    kind: str
    text: str
    name: str | None = None


@dataclass(frozen=True)
class ColumnText:
    """A column's definition. `name` is without quotes, `written` is how it stands there."""

    name: str
    written: str
    type: str
    clauses: tuple[ColumnClause, ...]

    @property
    def nullable(self) -> bool:
        """Whether there is no NOT NULL."""
        return all(clause.kind != "NOT" for clause in self.clauses)

    @property
    def generated(self) -> bool:
        """Whether its values are computed."""
        return any(clause.kind in ("GENERATED", "AS") for clause in self.clauses)

    @property
    def default(self) -> str | None:
        """The SQL of the default."""
        found = (clause.text for clause in self.clauses if clause.kind == "DEFAULT")
        return next((text[len("DEFAULT") :].strip() for text in found), None)

    def without(self, kind: str) -> ColumnText:
        """This column without its clauses of a kind."""
        return replace(self, clauses=tuple(clause for clause in self.clauses if clause.kind != kind))

    def having(self, kind: str, text: str) -> ColumnText:
        """This column with one clause of a kind, in the place of others of that kind."""
        rest = self.without(kind)
        return replace(rest, clauses=(ColumnClause(kind, text), *rest.clauses))

    @property
    def text(self) -> str:
        """The definition."""
        return " ".join(part for part in (self.written, self.type, *(clause.text for clause in self.clauses)) if part)


@dataclass(frozen=True)
class TableText:
    """A table's definition."""

    head: str
    columns: tuple[ColumnText, ...]
    constraints: tuple[ColumnClause, ...]
    tail: str = field(default=")")

    @property
    def text(self) -> str:
        """The CREATE TABLE."""
        parts = [column.text for column in self.columns] + [constraint.text for constraint in self.constraints]
        return self.head + "\n\t" + ",\n\t".join(parts) + "\n" + self.tail

    def column(self, name: str) -> ColumnText:
        """The column of that name, in any case of letters. Raises KeyError."""
        for column in self.columns:
            if column.name.lower() == name.lower():
                return column
        raise KeyError(name)

    def with_column(self, changed: ColumnText) -> TableText:
        """This table with the column of that name as given."""
        columns = (changed if column.name == changed.name else column for column in self.columns)
        return replace(self, columns=tuple(columns))

    def with_constraint(self, text: str) -> TableText:
        """This table with one more constraint."""
        return replace(self, constraints=(*self.constraints, *_constraints(tokenize(text), text)))

    def without_constraint(self, name: str) -> TableText:
        """This table without the constraint of that name, be it the table's or a column's. Raises KeyError."""
        columns = tuple(replace(column, clauses=tuple(_not_named(name, column.clauses))) for column in self.columns)
        constraints = tuple(_not_named(name, self.constraints))
        if columns == self.columns and constraints == self.constraints:
            raise KeyError(name)
        return replace(self, columns=columns, constraints=constraints)

    def without_primary_key(self) -> TableText:
        """This table without its primary key, be it the table's or a column's."""
        columns = tuple(column.without("PRIMARY") for column in self.columns)
        constraints = tuple(clause for clause in self.constraints if clause.kind != "PRIMARY")
        return replace(self, columns=columns, constraints=constraints)


def read_table_text(sql: str) -> TableText:
    """Take the text of a CREATE TABLE apart, one that SQLite has taken."""
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


def _not_named(name: str, clauses: Sequence[ColumnClause]) -> Iterator[ColumnClause]:
    return (clause for clause in clauses if (clause.name or "").lower() != name.lower())


def _split(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """The parts between commas that stand in no parentheses."""
    begin = at = 0
    while at < len(tokens):
        if tokens[at].is_op(","):
            yield tokens[begin:at]
            begin = at + 1
        at = _next(tokens, at)
    yield tokens[begin:]


def _next(tokens: Sequence[Token], at: int) -> int:
    """The place behind a token, or behind the parenthesis that it opens."""
    return after_group(tokens, at) if tokens[at].is_op("(") else at + 1


def _text(tokens: Sequence[Token], sql: str) -> str:
    return sql[tokens[0].start : tokens[-1].end] if tokens else ""


def _column(tokens: Sequence[Token], sql: str) -> ColumnText:
    starts = [*_starts(tokens, 1, _CLAUSES), len(tokens)]
    clauses = tuple(_clause(tokens[start:end], sql) for start, end in pairwise(starts))
    type_ = _text(tokens[1 : starts[0]], sql)
    return ColumnText(tokens[0].name, tokens[0].text, type_, clauses)


def _constraints(tokens: Sequence[Token], sql: str) -> Iterator[ColumnClause]:
    """The constraints of the table in a part; SQLite takes several without a comma between them."""
    starts = [*_starts(tokens, 0, _CONSTRAINTS), len(tokens)]
    for start, end in pairwise(starts):
        yield _clause(tokens[start:end], sql)


def _starts(tokens: Sequence[Token], at: int, words: Sequence[str]) -> Iterator[int]:
    """Where clauses begin: at their name, if they have one."""
    named = False
    while at < len(tokens):
        if tokens[at].word() == "CONSTRAINT":
            yield at
            named = True
            at += 2
            continue
        if tokens[at].word() in words and not _goes_on(tokens, at):
            if not named:
                yield at
            named = False
        at = _next(tokens, at)


def _goes_on(tokens: Sequence[Token], at: int) -> bool:
    """Whether this word belongs to the clause before: SET NULL, NOT NULL, DEFAULT NULL, NOT DEFERRABLE …"""
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
    """The SQL of each indexed term without ASC or DESC, and of the WHERE clause (None without one)."""
    tokens = tokenize(sql)
    depth, start, terms, end = 0, -1, [], len(tokens)
    for at, token in enumerate(tokens):
        if token.text == "(":
            depth += 1
            if depth == 1:
                start = at + 1
        elif token.text == ")":
            depth -= 1
            if depth == 0:
                terms.append(_term_text(sql, tokens[start:at]))
                end = at + 1
                break
        elif token.text == "," and depth == 1:
            terms.append(_term_text(sql, tokens[start:at]))
            start = at + 1
    rest = tokens[end:]
    where = sql[rest[1].start : rest[-1].end] if rest and rest[0].text.upper() == "WHERE" else None
    return tuple(terms), where


def _term_text(sql: str, tokens: tuple[Token, ...]) -> str:
    if tokens[-1].text.upper() in ("ASC", "DESC"):
        tokens = tokens[:-1]
    return sql[tokens[0].start : tokens[-1].end]
