"""The compiled evaluator: a SELECT as a Python function over the rows that were fetched for it.

SQLite evaluates anything, but rows must first be put into it, and that costs more than most statements' own work. So
the statements that services run all day are turned into Python, once per plan. In five steps, each a module or two:

1. `rome.sql.syntax.parse` has written the text in one form, with numbered placeholders, and sqlglot has parsed it.
   `grammar` asks of the tree, operator by operator, whether SQLite would have read the same.
2. `query_reading`, `from_clause` and `reading` turn the tree into queries and terms (`queries`, `terms`): names
   are resolved (`names`), and every term knows its affinity, its collation and whether it can be NULL.
3. `joins`, `expressions` and `selects` write the Python source (`program`): a query becomes a comprehension, FROM
   and WHERE its clauses, equalities become lookups in hashes that are built beforehand. Nothing interprets a tree
   while rows are looked at.
4. Python compiles the source; the names in it are the helpers of `values`, `arithmetic`, `text`, `rows` and
   `aggregates`.
5. A run takes the rows of each table reference of a table and the parameters, and answers with rows.

**Only what is certain.** SQLite is the definition of what is right. What this package does not know, or knows SQLite
to do in an odd way, is refused with a reason (`NotCompiled`), and the workspace runs the statement. What can't be
told before the values are seen (the text of a float, a sum that overflows) raises `UnsupportedValue` during the run, to
the same end.

**Two programs.** Values of different types have an order in SQLite (numbers before texts before blobs), but not in
Python. Columns hold mostly values of one type, so the program that is written first compares with Python's own
operators. The first TypeError brings in a second program, in which a helper makes every comparison of order.

**Order.** Without ORDER BY, rows come in the order of the first table's rows, whatever that is. Which rows a LIMIT
leaves then, and in which order group_concat puts texts, is chance, as it is in SQLite.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from operator import itemgetter
from typing import Any

from sqlglot import exp

from rome.catalog.model import Catalog
from rome.compiled.bind.expressions import Context
from rome.compiled.bind.queries import read_query
from rome.compiled.codegen.program import Program
from rome.compiled.codegen.selects import Queries
from rome.compiled.ir.queries import Compound, Query
from rome.compiled.runtime import aggregates, arithmetic, text, values
from rome.compiled.runtime import rows as row_helpers
from rome.fallback import UnsupportedConstruct, UnsupportedValue, ValueNotKnown
from rome.sql.syntax.operands import Param, Parameters, Source, value_of
from rome.values import SqlValue

Row = tuple[SqlValue, ...]
Lists = Sequence[Sequence[Source]]
"""What each placeholder stands for (`NormalizedStatement.lists`)."""

_Function = Callable[[Sequence[Sequence[Row]], Sequence[Any]], list[Row]]


_AS_THEY_ARE = frozenset({bytes, type(None)})


@dataclass(frozen=True)
class NotCompiled:
    """The workspace must run the statement, because of `reason`."""

    reason: str


@dataclass(frozen=True)
class _Code:
    """A program, ready to run."""

    source: str
    function: _Function


@dataclass(frozen=True)
class Compiled:
    """A SELECT as a Python function. Immutable as far as anyone can tell, and shared between connections."""

    query: Query = field(repr=False)
    lists: Lists
    _codes: dict[bool, _Code] = field(default_factory=dict, repr=False)
    """By exactness; the exact one is only written when it is needed."""
    _uncut_codes: dict[bool, _Code] = field(default_factory=dict, repr=False)

    @property
    def source(self) -> str:
        """The Python source of the function that is run first."""
        return self._code(exact=False).source

    @cached_property
    def uncut(self) -> Compiled:
        """A function that gives as many rows as this one would without LIMIT and OFFSET, whatever is in them."""
        return Compiled(_uncut(self.query), self.lists, self._uncut_codes)

    def with_lists(self, lists: Lists) -> Compiled:
        """The same function for a text whose placeholders stand for this (`NormalizedStatement.lists`)."""
        return replace(self, lists=lists)

    def run(self, rows: Sequence[Sequence[Row]], parameters: Parameters) -> list[Row]:
        """The statement's rows. `rows`: for each table reference of a table (`number_table_refs`), the fetched rows.

        Raises UnsupportedValue if the workspace must run the statement instead.
        """
        values = self._values(parameters)
        try:
            return self._function(rows, values)
        except TypeError:
            return self._code(exact=True).function(rows, values)

    @cached_property
    def _function(self) -> _Function:
        return self._code(exact=False).function

    @cached_property
    def _parameter_count(self) -> int:
        sources = [source for sources in self.lists for source in sources if isinstance(source, Param)]
        return max((source.index + 1 for source in sources), default=0)

    @cached_property
    def _places(self) -> tuple[int, ...] | None:
        """The place of each placeholder's parameter, if each stands for one."""
        sources = [sources[0] for sources in self.lists if len(sources) == 1]
        places = tuple(source.index for source in sources if isinstance(source, Param))
        return places if len(places) == len(self.lists) else None

    @cached_property
    def _are_in_order(self) -> bool:
        """Whether the placeholders' places are those of the parameters."""
        return self._places == tuple(range(self._parameter_count))

    def _values(self, parameters: Parameters) -> Sequence[Sequence[SqlValue]]:
        """For each placeholder, the values that it stands for."""
        if type(parameters) is tuple and self._places is not None and len(parameters) == self._parameter_count:
            for value in parameters:
                kind = type(value)
                if kind is int:
                    if not -(2**63) <= value < 2**63:
                        break
                elif not (value.isascii() if kind is str else kind in _AS_THEY_ARE):
                    break
            else:
                placed = parameters if self._are_in_order else [parameters[place] for place in self._places]
                return list(zip(placed))
        if not isinstance(parameters, Mapping) and len(parameters) != self._parameter_count:
            raise UnsupportedValue("another number of parameters than the statement has")
        try:
            return [[_checked(value_of(source, parameters)) for source in sources] for sources in self.lists]
        except ValueNotKnown:
            raise UnsupportedValue("a parameter that SQLite must judge") from None

    def _code(self, *, exact: bool) -> _Code:
        code = self._codes.get(exact)
        if code is None:
            code = self._codes[exact] = _write(self.query, exact=exact)
        return code


def compile_select(select: exp.Expr, catalog: Catalog) -> Compiled | NotCompiled:
    """The function of a SELECT, or why there is none. What its placeholders stand for is told by `with_lists`.

    `select`: what sqlglot has parsed of the normal text, with table references numbered.
    """
    try:
        compiled = Compiled(read_query(Context(catalog, read_query), select, None), ())
        assert compiled.source
    except UnsupportedConstruct as refused:
        return NotCompiled(refused.reason)
    except (RecursionError, SyntaxError, MemoryError):
        return NotCompiled("too deep")
    return compiled


def _uncut(query: Query) -> Query:
    if isinstance(query, Compound) or query.is_aggregate or query.distinct:
        return replace(query, limit=None, offset=None)
    return replace(query, limit=None, offset=None, order=(), outputs=())  # cheaper


def _checked(value: SqlValue) -> SqlValue:
    """A parameter's value, if SQLite would take it as it is."""
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UnsupportedValue("a text that is no Unicode") from None
    return value


_HELPERS: Mapping[str, Any] = {
    "islice": islice,
    "defaultdict": defaultdict,
    "itemgetter": itemgetter,
    **{
        name: value
        for module in (values, arithmetic, text, row_helpers, aggregates)
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ or name.isupper()
    },
}


def _write(query: Query, *, exact: bool) -> _Code:
    program = Program(exact=exact)
    source = program.source(Queries(program).rows(query, {}))
    names: dict[str, Any] = dict(_HELPERS)
    exec(compile(source, "<compiled statement>", "exec"), names)  # noqa: S102 - names and constants of our own making
    return _Code(source, names["run"])
