"""The compiled evaluator: a SELECT as a Python function over the rows that were fetched for it.

SQLite evaluates any statement, but rows must be inserted into it first, and that costs more than most statements' own
work. So the statements that services run all day are compiled to Python, once per plan:

    SELECT id, name FROM t WHERE n >= ?1 ORDER BY name LIMIT 5

1. **bind** (`rome.compiled.bind`). `rome.sql.syntax.parse` has written the statement in one form, with numbered
   placeholders (?1 is placeholder 0 here), sqlglot has parsed it, and the analysis has resolved its names. The binder
   infers types, checks that the tree means the same to SQLite, and returns

2. **ir** (`rome.compiled.ir`), the bound query:

       Select(joins=(Join(FromItem(0, t, 0)),), where=(Compare(">=", ColumnExpr(t.n), Parameter(0)),),
              outputs=(id, name), order=(OrderTerm(ColumnExpr(t.name)),), limit=Constant(5))

3. **codegen** (`rome.compiled.codegen`) writes the source of a function. A query becomes a comprehension, FROM and
   WHERE its clauses, equalities between tables hash joins. Nothing interprets a tree while rows are read:

       def run(t, v):
           p0 = v[0][0]
           x0 = p0 if p0.__class__ is int else as_number(p0)
           x1 = NEVER if x0 is None else x0
           x2 = t[0]
           x3 = start_of(0)
           x4 = stop_of(5, 0)
           return [(r0[0], r0[1]) for r0 in ordered([r0 for r0 in x2 if (r0[2] is not None and r0[2] >= x1)],
                   lambda r0: (r0[1] is not None, r0[1]), lambda r0: rank(r0[1]), False)[x3:x4]]

4. **runtime** (`rome.compiled.runtime`) has the functions that generated code calls: SQLite's conversions, operators
   and functions over Python values (`as_number`, `rank`, …).

`Compiled.run` calls the function with the rows of each table reference and the values of the placeholders.

**Certainty.** SQLite is the definition of what is right. A construct that is not supported, or that SQLite is known to
treat in an unusual way, is refused with a reason (`NotCompiled`), and the workspace runs the statement. What depends on
the values (the text of a float, a sum that overflows) raises `UnsupportedValue` during the run, with the same effect.

**Two programs.** Values of different types have an order in SQLite (numbers before texts before blobs), but not in
Python. A column mostly holds values of one type, so the program that runs first compares with Python's own operators.
The first TypeError brings in a second program, in which runtime functions compare.

**Order.** Without ORDER BY, rows come in the order of the first table's rows. Which rows a LIMIT keeps then
is not defined, as in SQLite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import Any

from sqlglot import exp

from rome.compiled.bind.from_clause import BindContext
from rome.compiled.bind.queries import bind_query
from rome.compiled.codegen.program import GeneratedFunction, Row, function_of
from rome.compiled.codegen.queries import generate
from rome.compiled.ir import ColumnExpr, Compare, CompoundSelect, Parameter, Query, items_of
from rome.fallback import UnsupportedConstruct, UnsupportedValue, ValueNotKnown
from rome.sql.analysis.resolve_names import NameResolver
from rome.sql.syntax.operands import Const, Param, Parameters, Source, listed_parameters, value_of
from rome.values import GREATEST_INTEGER, LEAST_INTEGER, Affinity, SqlValue, has_surrogates

Lists = Sequence[Sequence[Source]]
"""The operands of each placeholder (`NormalizedStatement.lists`)."""

_NO_CHECK = frozenset({bytes, type(None)})
"""The classes of parameters that need no check."""


@dataclass(frozen=True)
class NotCompiled:
    """The workspace must run the statement, because of `reason`."""

    reason: str


@dataclass(frozen=True)
class Compiled:
    """A SELECT as a Python function. Connections share it: it never changes, but for programs generated later."""

    query: Query = field(repr=False)
    lists: Lists
    may_have_surrogates: bool = False
    """True if a table has stored generated columns: a text of one may not be UTF-8."""
    _functions: dict[bool, GeneratedFunction] = field(default_factory=dict, repr=False)
    """By exactness; the exact function is generated when it is needed first."""
    _unlimited_functions: dict[bool, GeneratedFunction] = field(default_factory=dict, repr=False)

    def run(self, rows: Sequence[Sequence[Row]], parameters: Parameters) -> list[Row]:
        """Return the statement's rows; `rows`: the fetched rows of each table reference (`number_table_refs`).

        Raise UnsupportedValue if the workspace must run the statement instead.
        """
        values: Sequence[Sequence[SqlValue]] | None = None
        if type(parameters) is tuple and len(parameters) == self._simple_count:
            for value in parameters:
                kind = type(value)
                if kind is int:
                    if not LEAST_INTEGER <= value <= GREATEST_INTEGER:
                        break
                elif not (value.isascii() if kind is str else kind in _NO_CHECK):
                    break
            else:
                order = self._parameter_order
                if order is None:
                    values = list(zip(parameters))
                else:
                    known = parameters + self._constants
                    values = [(known[place],) for place in order]
        if values is None:
            values = self._checked_values(parameters)
        try:
            return self._function(rows, values)
        except TypeError:
            return self._generated(exact=True)(rows, values)

    @property
    def source(self) -> str:
        """The source of the function that runs first."""
        return generate(self.query, exact=False)

    @cached_property
    def unlimited(self) -> Compiled:
        """A function that returns as many rows as this one would without LIMIT and OFFSET; their values may differ."""
        return Compiled(_without_limit(self.query), self.lists, self.may_have_surrogates, self._unlimited_functions)

    def with_lists(self, lists: Lists) -> Compiled:
        """Return the same function for a statement whose placeholders have these operands."""
        return replace(self, lists=lists)

    def equality(self, parameters: Parameters) -> tuple[int, SqlValue] | None:
        """Return the place of a column, and the value that rows of the only table must have there to be in the result.

        Return None if the statement has no such condition, or if SQLite does not compare the values as Python does.
        """
        if self._compared is None:
            return None
        column, operand = self._compared
        try:
            value = value_of(operand, parameters)
        except ValueNotKnown:
            return None  # `run` tells why
        of_texts = column.type.affinity is Affinity.TEXT
        if type(value) is not (str if of_texts else int) or (of_texts and column.type.collation != "BINARY"):
            return None
        return column.at, value

    @cached_property
    def _compared(self) -> tuple[ColumnExpr, Source] | None:
        """The first column of the only table that a condition compares with a placeholder of one value."""
        query = self.query
        if isinstance(query, CompoundSelect):
            return None
        items = items_of(query.joins)
        if len(items) != 1 or items[0].table is None:
            return None
        for condition in query.where:
            if isinstance(condition, Compare) and condition.op == "=":
                column, value = condition.left, condition.right
                if isinstance(column, ColumnExpr) and isinstance(value, Parameter):
                    operands = self.lists[value.placeholder]
                    return (column, operands[0]) if len(operands) == 1 else None
        return None

    # ── parameters ────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _parameter_count(self) -> int:
        operands = [operand for operands in self.lists for operand in operands if isinstance(operand, Param)]
        return max([operand.index + 1 for operand in operands], default=0)

    @cached_property
    def _constants(self) -> tuple[SqlValue, ...]:
        """The values of the placeholders that are constants, which follow the parameters."""
        operands = [operand for operands in self.lists for operand in operands]
        return tuple([operand.value for operand in operands if isinstance(operand, Const)])

    @cached_property
    def _parameter_order(self) -> tuple[int, ...] | None:
        """The position of each placeholder's value; None if the placeholders are the parameters, in order."""
        constants = count(self._parameter_count)
        places = tuple([each.index if isinstance(each, Param) else next(constants) for (each,) in self.lists])
        return None if places == tuple(range(self._parameter_count)) else places

    @cached_property
    def _simple_count(self) -> int:
        """The number of parameters, if every placeholder has one value; else -1."""
        return self._parameter_count if all(len(operands) == 1 for operands in self.lists) else -1

    def _checked_values(self, parameters: Parameters) -> Sequence[Sequence[SqlValue]]:
        """Return the values of each placeholder. Raise UnsupportedValue if SQLite may take another value."""
        if not isinstance(parameters, Mapping) and len(parameters) != self._parameter_count:
            raise UnsupportedValue("a wrong number of parameters")
        try:
            return [_values_of(operands, parameters) for operands in self.lists]
        except ValueNotKnown:
            raise UnsupportedValue("a missing parameter, or one of an unusual type") from None

    # ── functions ─────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _function(self) -> GeneratedFunction:
        return self._generated(exact=False)

    def _generated(self, *, exact: bool) -> GeneratedFunction:
        function = self._functions.get(exact)
        if function is None:
            function = function_of(generate(self.query, exact=exact))
            function = self._functions[exact] = _checking_rows(function) if self.may_have_surrogates else function
        return function


def compile_select(select: exp.Expr, names: NameResolver) -> Compiled | NotCompiled:
    """Return the function of a SELECT, or the reason why there is none.

    `select`: the syntax tree of the normalized statement, or of a query in it; `names`: the statement's names, as the
    analysis has resolved them. The operands of its placeholders are given by `Compiled.with_lists`.
    """
    try:
        context = BindContext(names, bind_query)
        query = bind_query(context, select)
        tables = [item.table for item in context.items.values()]
        may_have_surrogates = any(table.has_stored_generated for table in tables if table is not None)
        compiled = Compiled(query, (), may_have_surrogates)
        compiled._generated(exact=False)
    except UnsupportedConstruct as unsupported:
        return NotCompiled(unsupported.reason)
    except (RecursionError, SyntaxError, MemoryError):
        return NotCompiled("too deep")
    return compiled


def _without_limit(query: Query) -> Query:
    if isinstance(query, CompoundSelect) or query.is_aggregate or query.distinct:
        return replace(query, limit=None, offset=None)
    return replace(query, limit=None, offset=None, order=(), outputs=())  # cheaper


def _values_of(operands: Sequence[Source], parameters: Parameters) -> Sequence[SqlValue]:
    """Return the values of a placeholder. Raise UnsupportedValue, or ValueNotKnown."""
    listed = listed_parameters(operands, parameters)
    kinds = set() if listed is None else set(map(type, listed))
    if listed is not None and (
        (kinds == {str} and all(map(str.isascii, listed)))
        or (kinds == {int} and min(listed) >= LEAST_INTEGER and max(listed) <= GREATEST_INTEGER)
    ):
        return listed
    return [_checked(value_of(operand, parameters)) for operand in operands]


def _checked(value: Any) -> SqlValue:
    """Return a parameter's value, if SQLite would take it unchanged. Raise UnsupportedValue if not."""
    if has_surrogates(value):
        raise UnsupportedValue("a text that is not valid Unicode")
    checked: SqlValue = value
    return checked


def _checking_rows(function: GeneratedFunction) -> GeneratedFunction:
    """Return a function that raises UnsupportedValue if a row has a text that is not UTF-8."""

    def run(rows: Sequence[Sequence[Row]], values: Any) -> Any:
        if any(has_surrogates(value) for of_table in rows for row in of_table for value in row):
            raise UnsupportedValue("a text that is not UTF-8")
        return function(rows, values)

    return run
