"""FROM and WHERE as the clauses of a Python comprehension: scans, hash joins and filters.

    FROM a JOIN b ON b.a_id = a.id LEFT JOIN c ON c.b_id = b.id WHERE a.x > 5

    for r0 in x0 if (r0[1] is not None and r0[1] > 5) for r1 in x3(r0[0], ()) for r2 in x6(r1[0], x7)

x3 and x6 probe hash tables of the rows of b and c, which are built before the loops; x7 is a row of NULLs. (Where a key
leads to one row at most, the hash table holds that row and no list: `for r1 in (x3(r0[0]),) if r1`.)

Each conjunct is evaluated as early as all its columns are known (predicate pushdown): one on a single item filters the
rows of that item before they are hashed. An equality between an item and anything known before it becomes a key of the
item's hash table. What is known before may also be the row of an outer query: a correlated subquery is a lookup and no
loop.

The ON of a LEFT JOIN decides which rows match; where none does, a row of NULLs takes their place. WHERE comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rome.compiled.codegen.expressions import ExpressionWriter, Operand, RowNames
from rome.compiled.codegen.program import Program
from rome.compiled.ir import BoundExpr, ColumnExpr, Compare, FromItem, Join, JoinGroup, Query, ids_of
from rome.folding import fold_name


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


class JoinWriter:
    """Writes FROM and WHERE. `query_rows` writes a derived table."""

    def __init__(
        self, program: Program, expressions: ExpressionWriter, query_rows: Callable[[Query, RowNames], str]
    ) -> None:
        self.program = program
        self.expressions = expressions
        self.query_rows = query_rows

    def clauses(self, joins: Sequence[Join], where: Sequence[BoundExpr], rows: RowNames) -> list[JoinClause]:
        """Return the clauses that yield every combination of rows that the joins and `where` let through."""
        own = ids_of(joins)
        pending = [expr for expr in where if expr.refs & own]
        first = [self._if(expr, rows) for expr in where if not expr.refs & own]
        if not joins:
            return [JoinClause("for _ in ONE_EMPTY_ROW"), *first]
        found: list[JoinClause] = []
        bound: frozenset[int] = frozenset()
        for join in joins:
            bound |= join.item.ids
            ready = [expr for expr in pending if expr.refs & own <= bound]
            pending = [expr for expr in pending if not expr.refs & own <= bound]
            if join.is_left:
                found.append(self._left_join(join, rows))
                found += [self._if(expr, rows) for expr in ready]
            else:
                found += self._inner_join(join.item, _classify(ready, join.item.ids), rows, is_first=not found)
            found += first
            first = []
        return found

    def _if(self, expr: BoundExpr, rows: RowNames) -> JoinClause:
        return JoinClause(f"if {self.expressions.is_true(expr, rows)}")

    def _inner_join(
        self, item: FromItem | JoinGroup, conjuncts: _Conjuncts, rows: RowNames, *, is_first: bool
    ) -> list[JoinClause]:
        after = [self._if(expr, rows) for expr in conjuncts.others]
        name = target(item)
        if conjuncts.keys:
            key, table, is_unique = self._hash_table(item, conjuncts, rows)
            get = self.program.hoist(f"{table}.get")
            code = f"for {name} in ({get}({key}),) if {name}" if is_unique else f"for {name} in {get}({key}, ())"
            return [JoinClause(code, f"({key} in {table})"), *after]
        if is_first:
            filters = [self._if(expr, rows) for expr in conjuncts.filters]
            return [JoinClause(f"for {name} in {self._scan(item)}"), *filters, *after]
        return [JoinClause(f"for {name} in {self._filtered(item, conjuncts.filters)}"), *after]

    def _left_join(self, join: Join, rows: RowNames) -> JoinClause:
        conjuncts = _classify(join.on, join.item.ids)
        name, null = target(join.item), _null_row(join.item)
        if conjuncts.keys:
            key, table, is_unique = self._hash_table(join.item, conjuncts, rows)
            get = self.program.hoist(f"{table}.get")
            if not conjuncts.others and is_unique:
                return JoinClause(f"for {name} in ({get}({key}, {self.program.hoist(null)}),)")
            if not conjuncts.others:
                return JoinClause(f"for {name} in {get}({key}, {self.program.hoist(f'({null},)')})")
            matches = f"filter(None, ({get}({key}),))" if is_unique else f"{get}({key}, ())"
        else:
            matches = self._filtered(join.item, conjuncts.filters)
        if conjuncts.others:
            tests = " and ".join([self.expressions.is_true(expr, rows) for expr in conjuncts.others])
            matches = f"[{name} for {name} in {matches} if {tests}]"
        return JoinClause(f"for {name} in ({matches} or {self.program.hoist(f'({null},)')})")

    def _scan(self, item: FromItem | JoinGroup) -> str:
        """Return the code of all rows of an item."""
        if isinstance(item, JoinGroup):
            clauses = " ".join(map(str, self.clauses(item.joins, item.where, {})))
            return self.program.hoist(f"[{target(item)} {clauses}]")
        if item.query is not None:
            return self.program.hoist(self.query_rows(item.query, {}))
        return self.program.hoist(f"t[{item.table_ref}]")

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
