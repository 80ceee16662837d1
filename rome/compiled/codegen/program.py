"""The generated function: its source while it is written, and the Python function that it becomes.

    SELECT a.id, b.id FROM a JOIN b ON b.a_id = a.id WHERE a.x = ?

    def run(t, v):
        p0 = v[0][0]                            the value of a placeholder
        x0 = NEVER if p0 is None else p0        hoisted: computed once, before any row
        x1 = t[0]                               the rows of a
        x2 = t[1]
        h3 = defaultdict(list)                  the hash table of b, for the join
        for r1 in x2:
            if r1[1] is not None:
                h3[r1[1]].append(r1)
        x4 = h3.get
        return [(r0[0], r1[0]) for r0 in x1 if (r0[1] == x0) for r1 in x4(r0[0], ())]

Names: `t` rows by table reference, `v` values by placeholder, `p…` placeholders, `r…` the row of a FROM item, `c…`
constants, computed once for all runs, `x…` hoisted values, `h…` hash tables, `k…` and `g…` the key and the members of a
group, `s…` aggregates' results, `o…` what is sorted. All other names are functions of `rome.compiled.runtime`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Any

from rome.compiled.runtime import aggregates, arithmetic, rows, text, values
from rome.values import SqlValue

Row = tuple[SqlValue, ...]
GeneratedFunction = Callable[[Sequence[Sequence[Row]], Sequence[Any]], list[Row]]


class Program:
    """The source of one function.

    `exact`: whether values of different types may be compared for order. If not, comparisons are Python's own, and a
    TypeError says that the exact function is needed.
    """

    def __init__(self, *, exact: bool) -> None:
        self.exact = exact
        self._placeholders: dict[int, str] = {}
        self._lines: list[str] = []
        self._hoisted: dict[str, str] = {}
        self._constants: dict[str, str] = {}
        self._count = 0

    def fresh(self, prefix: str) -> str:
        """Return a new name."""
        self._count += 1
        return f"{prefix}{self._count - 1}"

    def placeholder(self, number: int, *, is_list: bool = False) -> str:
        """Return the name of a placeholder's value, or of the list of its values."""
        self._placeholders[number] = f"v[{number}]" if is_list else f"v[{number}][0]"
        return f"p{number}"

    def constant(self, code: str) -> str:
        """Return the name of a value that is computed once for all runs."""
        return self._constants.setdefault(code, f"c{len(self._constants)}")

    def hoist(self, code: str) -> str:
        """Return the name of a value that is computed once a run, before any row; equal code is computed once."""
        name = self._hoisted.get(code)
        if name is None:
            name = self._hoisted[code] = f"x{self._count}"
            self._count += 1
            self._lines.append(f"{name} = {code}")
        return name

    def hoist_lines(self, lines: Sequence[str], prefix: str) -> str:
        """Do as `hoist` with statements that bind the name `{name}` in them."""
        code = "\n".join(lines)
        name = self._hoisted.get(code)
        if name is None:
            name = self._hoisted[code] = self.fresh(prefix)
            self._lines += code.replace("{name}", name).split("\n")
        return name

    def source(self, result: str) -> str:
        """Return the source of the function that returns `result`."""
        lines = [f"{name} = {code}" for code, name in self._constants.items()]
        lines.append("def run(t, v):")
        lines += [f"    p{number} = {code}" for number, code in self._placeholders.items()]
        lines += [f"    {line}" for line in self._lines]
        lines.append(f"    return {result}")
        return "\n".join(lines) + "\n"


_RUNTIME: Mapping[str, Any] = {
    "islice": islice,
    "defaultdict": defaultdict,
    "itemgetter": itemgetter,
    **{
        name: value
        for module in (values, arithmetic, text, rows, aggregates)
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ or name.isupper()
    },
}
"""The names that generated code may use."""


@lru_cache(maxsize=512)
def function_of(source: str) -> GeneratedFunction:
    """Compile the source of a program, and return its function. Gets by key of most tables have the same source."""
    names: dict[str, Any] = dict(_RUNTIME)
    exec(compile(source, "<compiled statement>", "exec"), names)  # noqa: S102 - generated here, of names and constants
    function: GeneratedFunction = names["run"]
    return function
