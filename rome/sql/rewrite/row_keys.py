"""Row keys in a SELECT: columns in front of its own that identify the rows of tables each row of the result comes from.

    >>> key_select("SELECT a FROM t AS x WHERE b = ?", catalog).sql
    'SELECT "x"."id", a FROM t AS x WHERE b = ?'

SELECT … FOR UPDATE locks the rows with these keys. Each row of the result must come from one row of each table, or
none: a SELECT with GROUP BY, DISTINCT, aggregates or UNION has no row keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlglot import exp

from rome.catalog.model import Catalog, Table
from rome.errors import ProgrammingError
from rome.folding import fold_name
from rome.sql.syntax.operands import Source, literal, number_parameters
from rome.sql.syntax.parse import normalize, parse
from rome.sql.syntax.tokens import Token, TokenKind, quoted, tokenize


@dataclass(frozen=True, slots=True)
class KeyedSelect:
    """A SELECT with the key columns (or the rowid) of each of its tables, in their order, before its own columns.

    `unlimited`: the same without its `limit` and `offset`, but with the parameters of these.
    """

    sql: str
    tables: tuple[Table, ...]
    unlimited: str
    limit: Source | None = None
    offset: Source | None = None


def key_select(sql: str, catalog: Catalog, of: Sequence[str] = ()) -> KeyedSelect | None:
    """Return a SELECT (without a locking clause) with row keys; None if a row may come from several of a table.

    `of`: the folded names or aliases of the tables whose keys are needed, if not of all. Raise ProgrammingError if FROM
    has no such item.
    """
    layout = _layout(sql)
    if layout is None:
        return None
    columns: list[str] = []
    tables: list[Table] = []
    for name, alias in _chosen(layout.tables, of):
        if not name:
            return None
        table = catalog.tables.get(name)
        if table is None:
            return None
        tables.append(table)
        columns += [f"{quoted(alias)}.{quoted(column)}" for column in table.key or ("rowid",)]
    keys = ", ".join(columns) + ","
    head, tail = sql[: layout.columns], sql[layout.columns :]
    unlimited = sql[layout.columns : layout.limit_at] + layout.no_limit
    return KeyedSelect(f"{head} {keys}{tail}", tuple(tables), f"{head} {keys}{unlimited}", layout.limit, layout.offset)


def _chosen(tables: Sequence[tuple[str, str]], of: Sequence[str]) -> Sequence[tuple[str, str]]:
    """Return the items of FROM that OF names; all of them without OF."""
    if not of:
        return tables
    named = {fold_name(alias): (name, alias) for name, alias in tables}
    missing = next((name for name in of if name not in named), None)
    if missing is not None:
        raise ProgrammingError(f'relation "{missing}" in FOR UPDATE clause not found in FROM clause')
    return [named[name] for name in dict.fromkeys(of)]


def without_limit(sql: str) -> str | None:
    """Return a SELECT without its LIMIT and OFFSET, but with their parameters; None for a form that is not known."""
    limits = _limits(tokenize(sql))
    return None if limits is None else sql[: limits[0]] + limits[-1]


@dataclass(frozen=True, slots=True)
class _SelectLayout:
    """The layout of a text: where its columns begin, its tables with their aliases, where LIMIT begins."""

    columns: int
    tables: tuple[tuple[str, str], ...]
    limit_at: int
    limit: Source | None = None
    offset: Source | None = None
    no_limit: str = ""


@lru_cache(maxsize=256)
def _layout(sql: str) -> _SelectLayout | None:
    normal = normalize(sql)
    tree = None if normal is None else parse(normal)
    tokens = tokenize(sql)
    if not isinstance(tree, exp.Select) or tokens[0].word() != "SELECT" or not _is_row_by_row(tree):
        return None
    start = tokens[1] if tokens[1].word() == "ALL" else tokens[0]
    tables = tuple(_tables(tree))
    if not tables:
        return None
    layout = _limits(tokens)
    return None if layout is None else _SelectLayout(start.end, tables, *layout)


def _is_row_by_row(tree: exp.Select) -> bool:
    """Return True if each row of the result comes from one row of each table."""
    if any(tree.args.get(part) for part in ("with_", "with", "distinct", "group", "having", "windows", "qualify")):
        return False
    shown = [*tree.expressions, *([tree.args["order"]] if tree.args.get("order") else ())]
    if any(node.find(exp.AggFunc, exp.Window) for node in shown):
        return False
    terms = [term.this for term in tree.args["order"].expressions] if tree.args.get("order") else []
    return not any(isinstance(term, exp.Literal) for term in terms)  # ORDER BY 2 refers to a column by its position


def _tables(tree: exp.Select) -> Iterator[tuple[str, str]]:
    """Yield the folded name and the alias of each item of FROM; an item that is no table has no name."""
    first = tree.args.get("from_") or tree.args.get("from")
    sources = [first.this] if first is not None else []
    sources += [join.this for join in tree.args.get("joins") or ()]
    for source in sources:
        named = isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier)
        if named and not source.db and not source.args.get("joins"):
            yield fold_name(source.name), source.alias_or_name
        else:
            yield "", source.alias_or_name


def _limits(tokens: tuple[Token, ...]) -> tuple[int, Source | None, Source | None, str] | None:
    """Return the position, count and offset of LIMIT, and a LIMIT of all rows; None for a form that is not known."""
    depth = 0
    for at, token in enumerate(tokens):
        depth += token.is_op("(") - token.is_op(")")
        if depth == 0 and token.word() == "LIMIT":
            return _read_limits(tokens, at)
    return tokens[-1].end, None, None, ""


def _read_limits(tokens: tuple[Token, ...], at: int) -> tuple[int, Source | None, Source | None, str] | None:
    rest = tokens[at + 1 :]
    params = number_parameters(tokens)

    def source(place: int) -> Source | None:
        token = tokens[place]
        return params[place] if token.kind is TokenKind.PARAM else literal([token])

    # SQLite has no limit if it is negative. The parameters stay in the text, so that all others keep their numbers.
    if len(rest) == 1 and source(at + 1) is not None:
        return tokens[at].start, source(at + 1), None, f"LIMIT min(-1, {rest[0].text})"
    if len(rest) == 3 and rest[1].word() == "OFFSET" and source(at + 1) is not None and source(at + 3) is not None:
        text = f"LIMIT min(-1, {rest[0].text}) OFFSET min(0, {rest[2].text})"
        return tokens[at].start, source(at + 1), source(at + 3), text
    return None
