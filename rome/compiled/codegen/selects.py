"""Queries as Python expressions for the list of their rows.

    SELECT a.x FROM a WHERE … ORDER BY a.y LIMIT 5
    [(r0[1],) for r0 in ordered([r0 for r0 in x0 if …], lambda r0: …, lambda r0: …, False)[:5]]

Where there is an order, rows are put in order before the result's columns are made of them, so that LIMIT spares the
work. With DISTINCT and in a compound it is the result's rows that are put in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

from rome.compiled.bind.grouping import aggregates_of
from rome.compiled.codegen.expressions import Expressions, Rows
from rome.compiled.codegen.joins import Joins, width
from rome.compiled.codegen.program import Program
from rome.compiled.ir.expressions import (
    Aggregate,
    ColumnExpr,
    Nature,
    Slot,
    Term,
    rewritten,
)
from rome.compiled.ir.queries import Compound, Order, Output, Query, Select, sources_of
from rome.fallback import UnsupportedConstruct

_FOLDS = {"NOCASE": "nocase", "RTRIM": "rtrimmed"}

_MANY = 6
"""From so many columns on, itemgetter is quicker than Python's own subscripts, and much quicker to be compiled."""


class Queries:
    """Writes the queries of a program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.terms = Expressions(program, self)
        self.joins = Joins(program, self.terms, self.rows)

    # ── queries inside of expressions ─────────────────────────────────────────────────────────────────────────────

    def exists(self, query: Query, rows: Rows) -> str:
        """An expression that is true if the query has a row."""
        if not isinstance(query, Select) or not query.is_simple:
            return f"bool({self.rows(query, rows)})"
        clauses = self.joins.clauses(query.joins, query.where, rows)
        if len(clauses) == 1 and clauses[0].lookup is not None:
            return clauses[0].lookup
        return f"any(True {_joined(clauses)})"

    def scalar(self, query: Query, rows: Rows) -> str:
        """An expression for the only value of a query; None if it has no row."""
        code = self.rows(query, rows)
        if query.limit is not None or query.offset is not None:
            return f"first_value({code})"
        always = isinstance(query, Select) and query.is_aggregate and query.group is None and not query.having
        return f"{code}[0][0]" if always else f"only_value({code})"

    def column(self, query: Query, rows: Rows) -> str:
        """An expression for the list of a query's values, which has one column."""
        if isinstance(query, Select) and query.is_simple:
            value = self.terms.value(query.outputs[0].term, rows)
            return f"[{value} {_joined(self.joins.clauses(query.joins, query.where, rows))}]"
        return f"[one for one, in {self.rows(query, rows)}]"

    def holds(self, query: Query, condition: Callable[[Term], Term], rows: Rows) -> str | None:
        """An expression that is true if the condition on its column is true of a row of the query. None: not so."""
        if not isinstance(query, Select) or not query.is_simple:
            return None
        return self.exists(replace(query, where=(*query.where, condition(query.outputs[0].term))), rows)

    # ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def rows(self, query: Query, rows: Rows) -> str:
        """An expression for the list of a query's rows, each a tuple."""
        if isinstance(query, Compound):
            return self._compound(query, rows)
        clauses = _joined(self.joins.clauses(query.joins, query.where, rows))
        if query.is_aggregate:
            return self._aggregate(query, clauses, rows)
        if query.distinct:
            code = f"list(dict.fromkeys([{self._row(query, rows)} {clauses}]))"
            return self._in_order(code, self._output_order(query.outputs, query.order), query)
        if query.order:
            return self._sorted(query, clauses, rows)
        if query.limit is None and query.offset is None:
            return f"[{self._row(query, rows)} {clauses}]"
        start, stop = self._cut(query)
        return f"list(islice(({self._row(query, rows)} {clauses}), {start}, {stop}))"

    def _row(self, query: Select, rows: Rows) -> str:
        """The tuple of a result's columns. Many columns of one row are taken at once."""
        widths = {source.id: width(source) for join in query.joins for source in sources_of(join.item)}
        codes: list[str] = []
        for source, run in groupby((output.term for output in query.outputs), _source):
            terms = list(run)
            row = rows.get(source, f"r{source}") if source is not None else ""
            places = tuple(term.at for term in terms if isinstance(term, ColumnExpr))
            if source in widths and places == tuple(range(widths[source])):
                codes.append(f"*{row}")
            elif source is not None and len(places) >= _MANY:
                codes.append(f"*{self.program.constant(f'itemgetter{places}')}({row})")
            else:
                codes += [self.terms.value(term, rows) for term in terms]
        return codes[0][1:] if len(codes) == 1 and codes[0][0] == "*" else _tuple(codes)

    def _sorted(self, query: Select, clauses: str, rows: Rows) -> str:
        ids = [source.id for join in query.joins for source in sources_of(join.item)]
        names = [f"r{number}" for number in ids]
        bound = names[0] if len(names) == 1 else f"({', '.join(names)})"
        inside = dict(rows)
        if len(names) == 1:
            argument = names[0]
        else:
            argument = self.program.fresh("o")
            inside |= {number: f"{argument}[{at}]" for at, number in enumerate(ids)}
        keys = [(order, self.terms.value(order.term, inside)) for order in query.order]
        code = self._ordered(f"[{bound if names else '()'} {clauses}]", keys, argument if names else "_")
        return f"[{self._row(query, rows)} for {bound if names else '_'} in {code}{self._slice(query)}]"

    def _output_order(self, outputs: Sequence[Output], orders: Sequence[Order]) -> list[tuple[int, Order]]:
        """Each term of ORDER BY with the position of the result's column that it is."""
        found = []
        terms = [output.term for output in outputs]
        for order in orders:
            term = order.term
            plain = getattr(term, "term", None) if term not in terms else term
            if plain not in terms:
                raise UnsupportedConstruct("DISTINCT with ORDER BY of another column")
            found.append((terms.index(plain), order))
        return found

    def _in_order(self, code: str, order: Sequence[tuple[int, Order]], query: Query) -> str:
        """Rows of a result, put in order and cut."""
        if order:
            name = self.program.fresh("o")
            code = self._ordered(code, [(one, f"{name}[{at}]") for at, one in order], name)
        return f"{code}{self._slice(query)}"

    def _ordered(self, code: str, keys: Sequence[tuple[Order, str]], argument: str) -> str:
        """A list put in order. Terms of one direction are sorted by at once, from the last to the first."""
        runs: list[list[tuple[Order, str]]] = []
        for key in keys:
            if runs and runs[-1][-1][0].descending == key[0].descending:
                runs[-1].append(key)
            else:
                runs.append([key])
        for run in reversed(runs):
            fast = _tuple_or_one([_key(order, value) for order, value in run])
            exact = _tuple_or_one([_exact_key(order, value) for order, value in run])
            descending = run[0][0].descending
            code = f"ordered({code}, lambda {argument}: {fast}, lambda {argument}: {exact}, {descending})"
        return code

    def _slice(self, query: Query) -> str:
        if query.limit is None and query.offset is None:
            return ""
        start, stop = self._cut(query)
        return f"[{start}:{stop}]"

    def _cut(self, query: Query) -> tuple[str, str]:
        """The codes of the positions between which LIMIT and OFFSET leave rows."""
        limit = "-1" if query.limit is None else self.terms.value(query.limit, {})
        offset = "0" if query.offset is None else self.terms.value(query.offset, {})
        return self.program.hoist(f"start_of({offset})"), self.program.hoist(f"stop_of({limit}, {offset})")

    # ── aggregates ────────────────────────────────────────────────────────────────────────────────────────────────

    def _aggregate(self, query: Select, clauses: str, rows: Rows) -> str:
        keys, members = self.program.fresh("k"), self.program.fresh("g")
        aggregates = aggregates_of(query)
        arguments = list(dict.fromkeys(one.argument for one in aggregates if one.argument is not None))
        slots: dict[Term, Slot] = {}
        for at, key in enumerate(query.group or ()):
            slots[key] = Slot(Nature(key.affinity, key.collation, key.nullable), f"{keys}[{at}]")
        codes = [self._aggregated(aggregate, arguments, members, rows) for aggregate in aggregates]
        names = [self.program.fresh("s") for _ in codes] if query.having else codes
        for aggregate, code in zip(aggregates, names, strict=True):
            slots[aggregate] = Slot(Nature(nullable=aggregate.nullable), code)
        member = _tuple([self.terms.value(one, rows) for one in arguments])
        if len(arguments) == 1:
            member = self.terms.value(arguments[0], rows)
        if query.group is None:
            source = f"for {members} in ([{member} {clauses}],)"
        else:
            by = _tuple([self.terms.value(one, rows) for one in query.group])
            source = f"for {keys}, {members} in grouped([({by}, {member}) {clauses}])"

        def after(term: Term) -> Term:
            return rewritten(term, slots.get)

        if query.having and codes:
            # All of them, before any group is left out: SQLite raises the error of a sum that nobody will see.
            source += f" for {_tuple(names)} in ({_tuple(codes)},)"
        having = [f"if {self.terms.true(after(term), rows)}" for term in query.having]
        outputs = [after(output.term) for output in query.outputs]
        orders = [replace(order, term=after(order.term)) for order in query.order]
        extra = [order.term for order in orders if order.term not in outputs]
        if query.distinct and extra:
            raise UnsupportedConstruct("DISTINCT with ORDER BY of another column")
        row = _tuple([self.terms.value(term, rows) for term in [*outputs, *extra]])
        code = " ".join([f"[{row}", source, *having]) + "]"
        if query.distinct:
            code = f"list(dict.fromkeys({code}))"
        positions = [([*outputs, *extra].index(order.term), order) for order in orders]
        code = self._in_order(code, positions, query)
        return f"[one[:{len(outputs)}] for one in {code}]" if extra else code

    def _aggregated(self, aggregate: Aggregate, arguments: list[Term], members: str, rows: Rows) -> str:
        """The code of an aggregate over the members of a group."""
        if aggregate.argument is None:
            return f"len({members})"
        listed = members
        if len(arguments) > 1:
            listed = f"[one[{arguments.index(aggregate.argument)}] for one in {members}]"
        if aggregate.distinct:
            listed = f"list(dict.fromkeys({listed}))"
        if aggregate.separator is not None:
            return f"{aggregate.helper}({listed}, {self.terms.value(aggregate.separator, rows)})"
        return f"{aggregate.helper}({listed})"

    # ── compounds ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _compound(self, query: Compound, rows: Rows) -> str:
        left, right = self.rows(query.left, rows), self.rows(query.right, rows)
        if query.operator == "UNION ALL":
            code = f"({left} + {right})"
        elif query.operator == "UNION":
            code = f"rows_united({left}, {right})"
        elif query.operator == "EXCEPT":
            code = f"rows_except({left}, {right})"
        else:
            code = f"rows_in_both({left}, {right})"
        return self._in_order(code, query.order, query)


def _source(term: Term) -> int | None:
    return term.source if isinstance(term, ColumnExpr) else None


def _joined(clauses: Sequence[object]) -> str:
    return " ".join(map(str, clauses))


def _tuple(codes: Sequence[str]) -> str:
    return f"({', '.join(codes)},)" if len(codes) == 1 else f"({', '.join(codes)})"


def _tuple_or_one(codes: Sequence[str]) -> str:
    return codes[0] if len(codes) == 1 else _tuple(codes)


def _nulls_are_least(order: Order) -> bool:
    return order.nulls_first != order.descending


def _key(order: Order, value: str) -> str:
    """The code of a key that Python compares as SQLite does, if all values are of one type."""
    fold = _FOLDS.get(order.term.collation or "")
    if not order.term.nullable:
        return f"{fold}({value})" if fold else value
    test = "is not" if _nulls_are_least(order) else "is"
    return f"({value} {test} None, {fold}({value}))" if fold else f"({value} {test} None, {value})"


def _exact_key(order: Order, value: str) -> str:
    """The code of a key that Python compares as SQLite does."""
    fold = _FOLDS.get(order.term.collation or "")
    folded = f"{fold}({value})" if fold else value
    return f"{'rank' if _nulls_are_least(order) else 'rank_nulls_last'}({folded})"
