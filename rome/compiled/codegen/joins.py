"""FROM and WHERE as the clauses of a Python comprehension.

    FROM a JOIN b ON b.a_id = a.id LEFT JOIN c ON c.b_id = b.id WHERE a.x > 5

    for r0 in x0 if r0[2] > 5 for r1 in x1(r0[0], ()) for r2 in x2(r1[0], x3)

x1 and x2 look up in hashes of the rows of b and c, built beforehand; x3 is a row of NULLs. (Where a key can lead to one
row only, the hash holds that row and no list: `for r1 in (x1(r0[0]),) if r1`.) Each conjunct stands as far to the
left as what it speaks of is known: where it speaks of one item of FROM alone, already in building the hash. An
equality with something further left becomes the key of a hash, whether that is an earlier table or the row of an outer
query: a correlated subquery is a lookup and no loop.

A LEFT JOIN's ON decides which rows are found, and only then come NULLs in the place of none; WHERE comes after that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rome.compiled.codegen.expressions import Expressions, Rows, Side
from rome.compiled.codegen.program import Program
from rome.compiled.ir.expressions import ColumnExpr, Compare, Term, refs
from rome.compiled.ir.queries import Group, Join, Query, Source, ids_of, sources_of


@dataclass(frozen=True)
class JoinClause:
    """A clause of a comprehension. `lookup`: if all that it does is to look a key up in a hash, whether it is there."""

    code: str
    lookup: str | None = None

    def __str__(self) -> str:
        return self.code


@dataclass
class _Conjuncts:
    """The conjuncts that speak of an item: of it alone, the keys of its hash, and the rest."""

    own: list[Term]
    keys: list[tuple[Compare, bool]]
    """Each with whether the item's side is the left one."""
    rest: list[Term]


class Joins:
    """Writes FROM and WHERE. `rows` writes a derived table."""

    def __init__(self, program: Program, terms: Expressions, rows: Callable[[Query, Rows], str]) -> None:
        self.program = program
        self.terms = terms
        self.rows = rows

    def clauses(self, joins: Sequence[Join], where: Sequence[Term], rows: Rows) -> list[JoinClause]:
        """The clauses that let through every combination of rows that the joins and `where` do."""
        own = ids_of(tuple(joins))
        pending = [term for term in where if refs(term) & own]
        first = [self._if(term, rows) for term in where if not refs(term) & own]
        if not joins:
            return [JoinClause("for _ in ONCE"), *first]
        found: list[JoinClause] = []
        bound: frozenset[int] = frozenset()
        for join in joins:
            ids = frozenset(source.id for source in sources_of(join.item))
            bound |= ids
            ready = [term for term in pending if refs(term) & own <= bound]
            pending = [term for term in pending if not refs(term) & own <= bound]
            if join.is_left:
                found.append(self._left(join, ids, rows))
                found += [self._if(term, rows) for term in ready]
            else:
                found += self._inner(join.item, _split(ready, ids), rows, is_first=not found)
            found += first
            first = []
        return found

    def _if(self, term: Term, rows: Rows) -> JoinClause:
        return JoinClause(f"if {self.terms.true(term, rows)}")

    def _inner(self, item: Source | Group, conjuncts: _Conjuncts, rows: Rows, *, is_first: bool) -> list[JoinClause]:
        after = [self._if(term, rows) for term in conjuncts.rest]
        if conjuncts.keys:
            key, hashed, is_unique = self._hash(item, conjuncts, rows)
            name, get = target(item), self.program.hoist(f"{hashed}.get")
            code = f"for {name} in ({get}({key}),) if {name}" if is_unique else f"for {name} in {get}({key}, ())"
            return [JoinClause(code, f"({key} in {hashed})"), *after]
        if is_first:
            own = [self._if(term, rows) for term in conjuncts.own]
            return [JoinClause(f"for {target(item)} in {self._base(item)}"), *own, *after]
        return [JoinClause(f"for {target(item)} in {self._filtered(item, conjuncts.own)}"), *after]

    def _left(self, join: Join, ids: frozenset[int], rows: Rows) -> JoinClause:
        conjuncts = _split(join.on, ids)
        name, null = target(join.item), _nulls(join.item)
        if conjuncts.keys:
            key, hashed, is_unique = self._hash(join.item, conjuncts, rows)
            get = self.program.hoist(f"{hashed}.get")
            if not conjuncts.rest and is_unique:
                return JoinClause(f"for {name} in ({get}({key}, {self.program.hoist(null)}),)")
            if not conjuncts.rest:
                return JoinClause(f"for {name} in {get}({key}, {self.program.hoist(f'({null},)')})")
            found = f"filter(None, ({get}({key}),))" if is_unique else f"{get}({key}, ())"
        else:
            found = self._filtered(join.item, conjuncts.own)
        if conjuncts.rest:
            tests = " and ".join(self.terms.true(term, rows) for term in conjuncts.rest)
            found = f"[{name} for {name} in {found} if {tests}]"
        return JoinClause(f"for {name} in ({found} or {self.program.hoist(f'({null},)')})")

    def _base(self, item: Source | Group) -> str:
        """The code of an item's rows."""
        if isinstance(item, Group):
            clauses = " ".join(map(str, self.clauses(item.joins, item.where, {})))
            return self.program.hoist(f"[{target(item)} {clauses}]")
        if item.query is not None:
            return self.program.hoist(self.rows(item.query, {}))
        return self.program.hoist(f"t[{item.table_ref}]")

    def _filtered(self, item: Source | Group, own: Sequence[Term]) -> str:
        if not own:
            return self._base(item)
        name = target(item)
        return self.program.hoist(f"[{name} for {name} in {self._base(item)} if {self._tests(own)}]")

    def _tests(self, own: Sequence[Term], keys: Sequence[Side] = ()) -> str:
        tests = [self.terms.true(term, {}) for term in own]
        tests += [f"{key.code} is not None" for key in keys if key.nullable]
        return " and ".join(tests)

    def _hash(self, item: Source | Group, conjuncts: _Conjuncts, rows: Rows) -> tuple[str, str, bool]:
        """The code of the key to look up, and the name of the hash of an item's rows.

        Also whether no two rows have one key: then the hash holds the row itself, else lists of rows.
        """
        inner: list[Side] = []
        outer: list[Side] = []
        for comparison, is_left in conjuncts.keys:
            left, right = self.terms.sides(comparison.left, comparison.right, rows)
            inner.append(left if is_left else right)
            outer.append(right if is_left else left)
        name, base, tests = target(item), self._base(item), self._tests(conjuncts.own, inner)
        condition = f" if {tests}" if tests else ""
        key = _tuple([side.code for side in inner])
        is_unique = _is_unique(item, conjuncts.keys) and all(side.simple for side in inner)
        if is_unique:
            hashed = self.program.hoist(f"{{{key}: {name} for {name} in {base}{condition}}}")
        else:
            append = f"{{name}}[{key}].append({name})"
            lines = ["{name} = defaultdict(list)", f"for {name} in {base}:"]
            lines += [f"    if {tests}:", f"        {append}"] if tests else [f"    {append}"]
            hashed = self.program.hoist_lines(lines, "h")
        return _tuple([side.code for side in outer]), hashed, is_unique


def target(item: Source | Group) -> str:
    """The variables that an item's rows are bound to."""
    names = [f"r{source.id}" for source in sources_of(item)]
    return names[0] if isinstance(item, Source) else f"({', '.join(names)},)"


def _nulls(item: Source | Group) -> str:
    """What is bound to the variables where a LEFT JOIN finds nothing."""
    nulls = [f"(None,) * {width(source)}" for source in sources_of(item)]
    return nulls[0] if isinstance(item, Source) else f"({', '.join(nulls)},)"


def width(source: Source) -> int:
    """How many values a source's rows have."""
    return len(source.table.stored) if source.table is not None else len(source.columns)


def _split(terms: Sequence[Term], ids: frozenset[int]) -> _Conjuncts:
    found = _Conjuncts([], [], [])
    for term in terms:
        spoken = refs(term)
        if spoken and spoken <= ids:
            found.own.append(term)
        elif isinstance(term, Compare) and term.op == "=":
            left, right = refs(term.left), refs(term.right)
            if left and left <= ids and right and not right & ids:
                found.keys.append((term, True))
            elif right and right <= ids and left and not left & ids:
                found.keys.append((term, False))
            else:
                found.rest.append(term)
        else:
            found.rest.append(term)
    return found


def _is_unique(item: Source | Group, keys: Sequence[tuple[Compare, bool]]) -> bool:
    """Whether no two rows of an item can have the same key."""
    if isinstance(item, Group) or item.table is None or not item.table.key:
        return False
    terms = [comparison.left if is_left else comparison.right for comparison, is_left in keys]
    positions = {term.at for term in terms if isinstance(term, ColumnExpr)}
    return positions.issuperset(item.table.position[name.lower()] for name in item.table.key)


def _tuple(codes: Sequence[str]) -> str:
    return codes[0] if len(codes) == 1 else f"({', '.join(codes)})"
