"""Query blocks as Python expressions for the list of their rows.

    SELECT a.x FROM a WHERE … ORDER BY a.y LIMIT 5

    [(r0[1],) for r0 in ordered([r0 for r0 in x0 if …], lambda r0: …, lambda r0: …, False)[:5]]

    SELECT a.x, count(*) FROM a GROUP BY a.x HAVING count(*) > 1

    [(k1, s3) for k1, g2 in grouped_by_one(lambda d4: [d4[r0[1]].append(()) for r0 in x0])
     for (s3,) in ((len(g2),),) if (s3 > 1)]

ORDER BY sorts the rows of FROM, before the result's columns are computed of them, so that the columns of rows that
LIMIT cuts off are never computed. With DISTINCT, in a compound and after GROUP BY it sorts the result's rows.

FROM and WHERE are the clauses of the comprehension: scans, hash joins and filters.

    FROM a JOIN b ON b.a_id = a.id LEFT JOIN c ON c.b_id = b.id WHERE a.x > 5

    for r0 in x0 if (r0[1] is not None and r0[1] > 5) for r1 in x3(r0[0], ()) for r2 in x6(r1[0], x7)

x3 and x6 probe hash tables of the rows of b and c, which are built before the loops; x7 is a row of NULLs. (Where a key
leads to one row at most, the hash table holds that row and no list: `for r1 in (x3(r0[0]),) if r1`.)

Each conjunct is evaluated as early as all its columns are known (predicate pushdown): one on a single item filters the
rows of that item before they are hashed. An equality between an item and anything known before it becomes a key of the
item's hash table. What is known before may also be the row of an outer query: a correlated subquery is a lookup and no
loop.

Joins are made in the order in which they are written, except that an item without a key waits for the items that have
one, so that no product of two tables is built where a third one links them:

    FROM a, b, l WHERE l.a = a.id AND l.b = b.id

    for r0 in x0 for r2 in x3(r0[0], ()) for r1 in (x5(r2[1]),) if r1

An item that has no key at all is read whole for every combination of rows before it. If these loops would take longer
than SQLite with its indexes, `check_loops` refuses the rows before the first loop.

The ON of a LEFT JOIN decides which rows match; where none does, a row of NULLs takes their place. WHERE comes after.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rome.compiled.codegen.expressions import FOLDS, ExpressionWriter, Operand, RowNames, tuple_code
from rome.compiled.codegen.program import Program
from rome.compiled.ir import (
    NO_IDS,
    Aggregate,
    BoundExpr,
    ColumnExpr,
    Compare,
    CompoundSelect,
    ExprType,
    FromItem,
    Join,
    JoinGroup,
    OrderTerm,
    OutputColumn,
    Query,
    Select,
    Slot,
    aggregates_of,
    ids_of,
    items_of,
    rewrite,
)
from rome.fallback import UnsupportedConstruct
from rome.folding import fold_name

_MANY_COLUMNS = 6
"""From so many columns on, itemgetter is faster than subscripts, and much faster to be compiled by Python."""


def generate(query: Query, *, exact: bool) -> str:
    """Return the source of the function that evaluates a query; `exact`: see `Program`."""
    program = Program(exact=exact)
    return program.source(QueryWriter(program).rows(query, {}))


class QueryWriter:
    """Writes the queries of a program. `rows`, in all methods: the codes of the rows of outer queries."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.expressions = ExpressionWriter(program, self)
        self.joins = JoinWriter(program, self.expressions, self.rows)

    # ── subqueries in expressions ─────────────────────────────────────────────────────────────────────────────────

    def exists(self, query: Query, rows: RowNames) -> str:
        """Return Python that is true if the query has a row."""
        if not isinstance(query, Select) or not query.is_simple:
            return f"bool({self.rows(query, rows)})"
        clauses = self.joins.clauses(query.joins, query.where, rows)
        if len(clauses) == 1 and clauses[0].exists is not None:
            return clauses[0].exists
        return f"any(True {' '.join(map(str, clauses))})"

    def scalar(self, query: Query, rows: RowNames) -> str:
        """Return Python for the only value of a query; None if it has no row."""
        code = self.rows(query, rows)
        if query.limit is not None or query.offset is not None:
            return f"first_value({code})"
        has_one_row = isinstance(query, Select) and query.is_aggregate and query.group is None and not query.having
        return f"{code}[0][0]" if has_one_row else f"only_value({code})"

    def column(self, query: Query, rows: RowNames) -> str:
        """Return Python for the list of the values of a query of one column."""
        if isinstance(query, Select) and query.is_simple:
            value = self.expressions.value(query.outputs[0].expr, rows)
            return f"[{value} {self._from_where(query, rows)}]"
        return f"[one for one, in {self.rows(query, rows)}]"

    def has_match(self, query: Query, condition: Callable[[BoundExpr], BoundExpr], rows: RowNames) -> str | None:
        """Return Python that is true if a condition on its column is true of one of its rows; None if unsupported."""
        if not isinstance(query, Select) or not query.is_simple:
            return None
        return self.exists(replace(query, where=(*query.where, condition(query.outputs[0].expr))), rows)

    # ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def rows(self, query: Query, rows: RowNames) -> str:
        """Return Python for the list of a query's rows, each a tuple."""
        if isinstance(query, CompoundSelect):
            left, right = self.rows(query.left, rows), self.rows(query.right, rows)
            code = f"({left} + {right})" if query.is_all else f"rows_united({left}, {right})"
            return self._sort_result(code, query.order, query)
        clauses = self._from_where(query, rows)
        if query.is_aggregate:
            return self._grouped(query, clauses, rows)
        if query.distinct:
            code = f"list(dict.fromkeys([{self._row(query, rows)} {clauses}]))"
            return self._sort_result(code, _order_by_outputs(query.outputs, query.order), query)
        if query.order:
            return self._sorted(query, clauses, rows)
        if query.limit is None and query.offset is None:
            return f"[{self._row(query, rows)} {clauses}]"
        start, stop = self._bounds(query)
        return f"list(islice(({self._row(query, rows)} {clauses}), {start}, {stop}))"

    def _from_where(self, query: Select, rows: RowNames) -> str:
        return " ".join(map(str, self.joins.clauses(query.joins, query.where, rows)))

    def _row(self, query: Select, rows: RowNames) -> str:
        """Return the code of a result row. Adjacent columns of one item are taken at once, where there are many."""
        widths = {item.id: item.width for item in items_of(query.joins)}
        codes: list[str] = []
        for item, run in groupby([output.expr for output in query.outputs], _item_of):
            exprs = list(run)
            row = rows.get(item, f"r{item}") if item is not None else ""
            places = tuple([expr.at for expr in exprs if isinstance(expr, ColumnExpr)])
            if item in widths and places == tuple(range(widths[item])):
                codes.append(f"*{row}")
            elif item is not None and len(places) >= _MANY_COLUMNS:
                codes.append(f"*{self.program.constant(f'itemgetter{places}')}({row})")
            else:
                codes += [self.expressions.value(expr, rows) for expr in exprs]
        return codes[0][1:] if len(codes) == 1 and codes[0][0] == "*" else tuple_code(codes)

    # ── ORDER BY and LIMIT ────────────────────────────────────────────────────────────────────────────────────────

    def _sorted(self, query: Select, clauses: str, rows: RowNames) -> str:
        """Return a query's rows, for which the rows of FROM are sorted."""
        ids = [item.id for item in items_of(query.joins)]
        names = [f"r{number}" for number in ids]
        bound = names[0] if len(names) == 1 else f"({', '.join(names)})"
        inside = dict(rows)
        if len(names) == 1:
            argument = names[0]
        else:
            argument = self.program.fresh("o")
            inside |= {number: f"{argument}[{at}]" for at, number in enumerate(ids)}
        keys = [(order, self.expressions.value(order.expr, inside)) for order in query.order]
        code = _sort(f"[{bound if names else '()'} {clauses}]", keys, argument if names else "_")
        return f"[{self._row(query, rows)} for {bound if names else '_'} in {code}{self._slice(query)}]"

    def _sort_result(self, code: str, order: Sequence[tuple[int, OrderTerm]], query: Query) -> str:
        """Return a list of result rows, sorted by the columns at these positions and cut by LIMIT and OFFSET."""
        if order:
            name = self.program.fresh("o")
            code = _sort(code, [(term, f"{name}[{at}]") for at, term in order], name)
        return f"{code}{self._slice(query)}"

    def _slice(self, query: Query) -> str:
        if query.limit is None and query.offset is None:
            return ""
        start, stop = self._bounds(query)
        return f"[{start}:{stop}]"

    def _bounds(self, query: Query) -> tuple[str, str]:
        """Return the codes of the positions between which LIMIT and OFFSET keep rows."""
        limit = "-1" if query.limit is None else self.expressions.value(query.limit, {})
        offset = "0" if query.offset is None else self.expressions.value(query.offset, {})
        return self.program.hoist(f"start_of({offset})"), self.program.hoist(f"stop_of({limit}, {offset})")

    # ── GROUP BY and aggregates ───────────────────────────────────────────────────────────────────────────────────

    def _grouped(self, query: Select, clauses: str, rows: RowNames) -> str:
        """Return the rows of a query with aggregates. What is evaluated after grouping reads Slots, not rows."""
        key, members = self.program.fresh("k"), self.program.fresh("g")
        aggregates = aggregates_of(query)
        arguments = list(dict.fromkeys([one.argument for one in aggregates if one.argument is not None]))
        slots: dict[BoundExpr, Slot] = {}
        group = query.group or ()
        for at, expr in enumerate(group):
            slots[expr] = Slot(expr.type, key if len(group) == 1 else f"{key}[{at}]")
        codes = [self._aggregate(aggregate, arguments, members) for aggregate in aggregates]
        names = [self.program.fresh("s") for _ in codes] if query.having else codes
        for aggregate, code in zip(aggregates, names, strict=True):
            slots[aggregate] = Slot(ExprType(nullable=aggregate.type.nullable), code)
        values = [self.expressions.value(one, rows) for one in arguments]
        member = values[0] if len(values) == 1 else tuple_code(values)
        if query.group is None:
            source = f"for {members} in ([{member} {clauses}],)"
        else:
            keys = [self.expressions.value(one, rows) for one in group]
            function, by = ("grouped_by_one", keys[0]) if len(keys) == 1 else ("grouped", tuple_code(keys))
            found = self.program.fresh("d")
            source = f"for {key}, {members} in {function}(lambda {found}: [{found}[{by}].append({member}) {clauses}])"
        if query.having and codes:
            # Compute all aggregates before HAVING drops a group: SQLite raises the errors of their sums, too.
            source += f" for {tuple_code(names)} in ({tuple_code(codes)},)"
        return self._result_of_groups(query, source, slots, rows)

    def _result_of_groups(self, query: Select, source: str, slots: dict[BoundExpr, Slot], rows: RowNames) -> str:
        """Return the rows of HAVING, the result's columns and ORDER BY over groups; `source` yields the groups."""

        def grouped(expr: BoundExpr) -> BoundExpr:
            return rewrite(expr, slots.get)

        having = [f"if {self.expressions.is_true(grouped(expr), rows)}" for expr in query.having]
        outputs = [grouped(output.expr) for output in query.outputs]
        orders = [replace(order, expr=grouped(order.expr)) for order in query.order]
        extra = [order.expr for order in orders if order.expr not in outputs]
        if query.distinct and extra:
            raise UnsupportedConstruct("DISTINCT with ORDER BY of another column")
        columns = [*outputs, *extra]
        row = tuple_code([self.expressions.value(expr, rows) for expr in columns])
        code = " ".join([f"[{row}", source, *having]) + "]"
        if query.distinct:
            code = f"list(dict.fromkeys({code}))"
        code = self._sort_result(code, [(columns.index(order.expr), order) for order in orders], query)
        return f"[one[:{len(outputs)}] for one in {code}]" if extra else code

    def _aggregate(self, aggregate: Aggregate, arguments: list[BoundExpr], members: str) -> str:
        """Return the code of an aggregate over the members of a group."""
        if aggregate.argument is None:
            return f"len({members})"
        listed = members
        if len(arguments) > 1:
            listed = f"[one[{arguments.index(aggregate.argument)}] for one in {members}]"
        if aggregate.distinct:
            listed = f"list(dict.fromkeys({listed}))"
        return f"{aggregate.function}({listed})"


def _item_of(expr: BoundExpr) -> int | None:
    return expr.item if isinstance(expr, ColumnExpr) else None


# ── sorting ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _order_by_outputs(outputs: Sequence[OutputColumn], orders: Sequence[OrderTerm]) -> list[tuple[int, OrderTerm]]:
    """Return the terms of ORDER BY, each with the position of the result column that it is."""
    found = []
    exprs = [output.expr for output in outputs]
    for order in orders:
        if order.expr not in exprs:
            raise UnsupportedConstruct("DISTINCT with ORDER BY of another column")
        found.append((exprs.index(order.expr), order))
    return found


def _sort(code: str, keys: Sequence[tuple[OrderTerm, str]], argument: str) -> str:
    """Return a sorted list. Adjacent terms of one direction are one sort; the last ones are sorted by first."""
    for descending, run in [(way, list(run)) for way, run in groupby(keys, _is_descending)][::-1]:
        fast = _key_of([_fast_key(order, value) for order, value in run])
        exact = _key_of([_exact_key(order, value) for order, value in run])
        code = f"ordered({code}, {_function_of(argument, fast)}, lambda {argument}: {exact}, {descending})"
    return code


def _function_of(argument: str, code: str) -> str:
    """Return the code of a function of a row that returns what `code` says; one in C, if that is columns of the row."""
    if re.fullmatch(rf"\(?({argument}\[\d+\](, )?)+\)?", code):
        places = re.findall(r"(\d+)\]", code)
        return f"itemgetter({', '.join(places)})"
    return f"lambda {argument}: {code}"


def _is_descending(key: tuple[OrderTerm, str]) -> bool:
    return key[0].descending


def _key_of(codes: Sequence[str]) -> str:
    return codes[0] if len(codes) == 1 else tuple_code(codes)


def _nulls_are_least(order: OrderTerm) -> bool:
    return order.nulls_first != order.descending


def _fast_key(order: OrderTerm, value: str) -> str:
    """Return the code of a key that Python compares as SQLite does, if all values are of one type."""
    fold = FOLDS.get(order.expr.type.collation or "")
    if not order.expr.type.nullable:
        return f"{fold}({value})" if fold else value
    test = "is not" if _nulls_are_least(order) else "is"
    return f"({value} {test} None, {fold}({value}))" if fold else f"({value} {test} None, {value})"


def _exact_key(order: OrderTerm, value: str) -> str:
    """Return the code of a key that Python compares as SQLite does, of values of any types."""
    fold = FOLDS.get(order.expr.type.collation or "")
    folded = f"{fold}({value})" if fold else value
    return f"{'rank' if _nulls_are_least(order) else 'rank_nulls_last'}({folded})"


# ── FROM and WHERE ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class JoinClause:
    """A clause of a comprehension. `exists`: if it only looks up a key in a hash table, the test of the key."""

    code: str
    exists: str | None = None

    def __str__(self) -> str:
        return self.code


@dataclass
class _Conjuncts:
    """The conjuncts that are evaluated with an item: filters on it alone, equalities for its hash table, the others."""

    filters: list[BoundExpr]
    keys: list[tuple[Compare, bool]]
    """Each with whether the item's side is the left one."""
    others: list[BoundExpr]


@dataclass
class _JoinStep:
    """One join in the order in which they are made. `after`: the conjuncts of WHERE that come after a LEFT JOIN."""

    join: Join
    conjuncts: _Conjuncts
    after: Sequence[BoundExpr] = ()


class JoinWriter:
    """Writes FROM and WHERE. `query_rows` writes a derived table."""

    def __init__(
        self, program: Program, expressions: ExpressionWriter, query_rows: Callable[[Query, RowNames], str]
    ) -> None:
        self.program = program
        self.expressions = expressions
        self.query_rows = query_rows
        self._scans: dict[int, str] = {}
        """By the id of an item: the code of its rows."""

    def clauses(self, joins: Sequence[Join], where: Sequence[BoundExpr], rows: RowNames) -> list[JoinClause]:
        """Return the clauses that yield every combination of rows that the joins and `where` let through."""
        own = ids_of(joins)
        first = [self._if(expr, rows) for expr in where if not expr.refs & own]
        if not joins:
            return [JoinClause("for _ in ONE_EMPTY_ROW"), *first]
        steps = _join_steps(joins, [expr for expr in where if expr.refs & own])
        has_loops = self._check_loops(steps, NO_IDS.union(*[expr.refs for expr in where]) - own)
        found: list[JoinClause] = []
        for step in steps:
            if step.join.is_left:
                found.append(self._left_join(step, rows))
            else:
                found += self._inner_join(step, rows, is_streamed=not found and not has_loops)
            found += [self._if(expr, rows) for expr in step.after]
            found += first
            first = []
        return found

    def _check_loops(self, steps: Sequence[_JoinStep], outer: frozenset[int]) -> bool:
        """Check the number of combinations before the first loop, if several items are read without a key.

        `outer`: the items of outer queries, for each of whose rows these loops run. Return True if there is a check.
        """
        scans = [self._scans[number] for number in sorted(outer) if number in self._scans]
        loops = [step for step in steps if not step.conjuncts.keys]
        if not loops or len(scans) + len(loops) == 1:
            return False
        scans += [self._filtered(step.join.item, step.conjuncts.filters) for step in loops]
        self.program.hoist(f"check_loops({', '.join(scans)})")
        return True

    def _if(self, expr: BoundExpr, rows: RowNames) -> JoinClause:
        return JoinClause(f"if {self.expressions.is_true(expr, rows)}")

    def _inner_join(self, step: _JoinStep, rows: RowNames, *, is_streamed: bool) -> list[JoinClause]:
        """Return the clauses of an inner join. `is_streamed`: do not make a list of the item's filtered rows."""
        item, conjuncts = step.join.item, step.conjuncts
        name = target(item)
        if conjuncts.keys:
            key, table, is_unique = self._hash_table(item, conjuncts, rows)
            get = self.program.hoist(f"{table}.get")
            code = f"for {name} in ({get}({key}),) if {name}" if is_unique else f"for {name} in {get}({key}, ())"
            found = [JoinClause(code, f"({key} in {table})")]
        elif is_streamed:
            found = [JoinClause(f"for {name} in {self._scan(item)}")]
            found += [self._if(expr, rows) for expr in conjuncts.filters]
        else:
            found = [JoinClause(f"for {name} in {self._filtered(item, conjuncts.filters)}")]
        return [*found, *[self._if(expr, rows) for expr in conjuncts.others]]

    def _left_join(self, step: _JoinStep, rows: RowNames) -> JoinClause:
        item, conjuncts = step.join.item, step.conjuncts
        name, null = target(item), _null_row(item)
        if conjuncts.keys:
            key, table, is_unique = self._hash_table(item, conjuncts, rows)
            get = self.program.hoist(f"{table}.get")
            if not conjuncts.others and is_unique:
                return JoinClause(f"for {name} in ({get}({key}, {self.program.hoist(null)}),)")
            if not conjuncts.others:
                return JoinClause(f"for {name} in {get}({key}, {self.program.hoist(f'({null},)')})")
            matches = f"filter(None, ({get}({key}),))" if is_unique else f"{get}({key}, ())"
        else:
            matches = self._filtered(item, conjuncts.filters)
        if conjuncts.others:
            tests = " and ".join([self.expressions.is_true(expr, rows) for expr in conjuncts.others])
            matches = f"[{name} for {name} in {matches} if {tests}]"
        return JoinClause(f"for {name} in ({matches} or {self.program.hoist(f'({null},)')})")

    def _scan(self, item: FromItem | JoinGroup) -> str:
        """Return the code of all rows of an item."""
        known = self._scans.get(item.items[0].id)
        if known is not None:
            return known
        if isinstance(item, JoinGroup):
            clauses = " ".join(map(str, self.clauses(item.joins, item.where, {})))
            code = f"[{target(item)} {clauses}]"
        elif item.query is not None:
            code = self.query_rows(item.query, {})
        else:
            code = f"t[{item.table_ref}]"
        name = self.program.hoist(code)
        self._scans.update(dict.fromkeys(item.ids, name))
        return name

    def _filtered(self, item: FromItem | JoinGroup, filters: Sequence[BoundExpr]) -> str:
        """Return the code of the rows of an item that pass all filters."""
        if not filters:
            return self._scan(item)
        name = target(item)
        return self.program.hoist(f"[{name} for {name} in {self._scan(item)} if {self._tests(filters)}]")

    def _tests(self, filters: Sequence[BoundExpr], keys: Sequence[Operand] = ()) -> str:
        tests = [self.expressions.is_true(expr, {}) for expr in filters]
        tests += [f"{key.code} is not None" for key in keys if key.nullable]
        return " and ".join(tests)

    def _hash_table(self, item: FromItem | JoinGroup, conjuncts: _Conjuncts, rows: RowNames) -> tuple[str, str, bool]:
        """Return the code of the key to probe with, the name of the hash table, and whether its keys are unique.

        If no two rows have the same key, the hash table holds the rows themselves, else lists of rows.
        """
        build: list[Operand] = []
        probe: list[Operand] = []
        for comparison, is_left in conjuncts.keys:
            left, right = self.expressions.operands(comparison.left, comparison.right, rows)
            build.append(left if is_left else right)
            probe.append(right if is_left else left)
        name, scan, tests = target(item), self._scan(item), self._tests(conjuncts.filters, build)
        key = _key_code(build)
        is_unique = _is_unique(item, conjuncts.keys) and all(operand.simple for operand in build)
        if is_unique:
            condition = f" if {tests}" if tests else ""
            table = self.program.hoist(f"{{{key}: {name} for {name} in {scan}{condition}}}")
        else:
            append = f"{{name}}[{key}].append({name})"
            lines = ["{name} = defaultdict(list)", f"for {name} in {scan}:"]
            lines += [f"    if {tests}:", f"        {append}"] if tests else [f"    {append}"]
            table = self.program.hoist_lines(lines, "h")
        return _key_code(probe), table, is_unique


def target(item: FromItem | JoinGroup) -> str:
    """Return the variables that an item's rows are bound to."""
    names = [f"r{each.id}" for each in item.items]
    return names[0] if isinstance(item, FromItem) else f"({', '.join(names)},)"


def _null_row(item: FromItem | JoinGroup) -> str:
    """Return the code of the row of NULLs that a LEFT JOIN yields where nothing matches."""
    nulls = [f"(None,) * {each.width}" for each in item.items]
    return nulls[0] if isinstance(item, FromItem) else f"({', '.join(nulls)},)"


def _join_steps(joins: Sequence[Join], where: Sequence[BoundExpr]) -> list[_JoinStep]:
    """Return the joins in the order in which they are made, each with the conjuncts that are evaluated with it."""
    own = ids_of(joins)
    left = list(joins)
    bound = NO_IDS
    found = []
    while left:
        join = left.pop(_next_join(left, where, own, bound))
        bound |= join.item.ids
        ready = [expr for expr in where if expr.refs & own <= bound]
        where = [expr for expr in where if not expr.refs & own <= bound]
        if join.is_left:
            found.append(_JoinStep(join, _classify(join.on, join.item.ids), ready))
        else:
            found.append(_JoinStep(join, _classify(ready, join.item.ids)))
    return found


def _next_join(joins: Sequence[Join], where: Sequence[BoundExpr], own: frozenset[int], bound: frozenset[int]) -> int:
    """Return the position of the join to make next: the first one; if it has no key yet, the first one that has."""
    if len(joins) > 1 and where:
        for at, join in enumerate(joins):
            known = bound | join.item.ids
            ready = [expr for expr in where if expr.refs & own <= known]
            if (join.is_left and at == 0) or (not join.is_left and _classify(ready, join.item.ids).keys):
                return at
    return 0


def _classify(conjuncts: Sequence[BoundExpr], ids: frozenset[int]) -> _Conjuncts:
    found = _Conjuncts([], [], [])
    for expr in conjuncts:
        if expr.refs and expr.refs <= ids:
            found.filters.append(expr)
        elif isinstance(expr, Compare) and expr.op == "=":
            left, right = expr.left.refs, expr.right.refs
            if left and left <= ids and right and not right & ids:
                found.keys.append((expr, True))
            elif right and right <= ids and left and not left & ids:
                found.keys.append((expr, False))
            else:
                found.others.append(expr)
        else:
            found.others.append(expr)
    return found


def _is_unique(item: FromItem | JoinGroup, keys: Sequence[tuple[Compare, bool]]) -> bool:
    """Return True if no two rows of an item can have the same key."""
    if isinstance(item, JoinGroup) or item.table is None or not item.table.key:
        return False
    own = [comparison.left if is_left else comparison.right for comparison, is_left in keys]
    positions = {expr.at for expr in own if isinstance(expr, ColumnExpr)}
    return positions.issuperset([item.table.position[fold_name(name)] for name in item.table.key])


def _key_code(operands: Sequence[Operand]) -> str:
    """Return the code of a hash table's key: a value, or a tuple of several."""
    codes = [operand.code for operand in operands]
    return codes[0] if len(codes) == 1 else f"({', '.join(codes)})"
