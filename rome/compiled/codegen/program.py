"""The Python function that a statement becomes, while it is written.

    def run(t, v):
        p0 = v[0][0]                            the value of a placeholder
        x0 = as_number(p0)                      hoisted: computed once, since no row has a part in it
        h1 = defaultdict(list)                  a hash of rows
        for r1 in t[1]:
            h1[r1[2]].append(r1)
        x2 = h1.get
        return [(r0[0], r1[1]) for r0 in t[0] if r0[3] == x0 for r1 in x2(r0[0], ())]

Names: `t` rows by table reference, `v` values by placeholder, `p…` placeholders, `r…` the row of a source, `c…`
constants, which stand before the function, `x…` hoisted values, `h…` hashes, `k…` and `g…` the key and the members of a
group. All else is a helper of `values`, `arithmetic`, `text`, `rows` or `aggregates`.
"""

from __future__ import annotations

from collections.abc import Sequence


class Program:
    """The lines of one function.

    `exact`: whether values of any types may be compared. If not, comparisons are Python's own, and a TypeError says
    that the exact function is needed.
    """

    def __init__(self, *, exact: bool) -> None:
        self.exact = exact
        self._placeholders: dict[int, str] = {}
        self._lines: list[str] = []
        self._hoisted: dict[str, str] = {}
        self._constants: dict[str, str] = {}
        self._count = 0

    def fresh(self, prefix: str) -> str:
        """A name that nothing has yet."""
        self._count += 1
        return f"{prefix}{self._count - 1}"

    def placeholder(self, number: int, *, is_list: bool = False) -> str:
        """The name of a placeholder's value, or of the tuple of values of its list."""
        self._placeholders[number] = f"v[{number}]" if is_list else f"v[{number}][0]"
        return f"p{number}"

    def constant(self, code: str) -> str:
        """The name of a value that is computed once for all runs."""
        return self._constants.setdefault(code, f"c{len(self._constants)}")

    def hoist(self, code: str) -> str:
        """The name of a value that is computed once, before any rows. The same code is computed once only."""
        if code not in self._hoisted:
            self._hoisted[code] = name = self.fresh("x")
            self._lines.append(f"{name} = {code}")
        return self._hoisted[code]

    def hoist_lines(self, lines: Sequence[str], name: str) -> str:
        """As `hoist`, for statements that bind the name `{name}` in them."""
        code = "\n".join(lines)
        if code not in self._hoisted:
            fresh = self._hoisted[code] = self.fresh(name)
            self._lines += code.replace("{name}", fresh).split("\n")
        return self._hoisted[code]

    def source(self, result: str) -> str:
        """The text of the function that returns `result`."""
        lines = [f"{name} = {code}" for code, name in self._constants.items()]
        lines.append("def run(t, v):")
        lines += [f"    p{number} = {code}" for number, code in self._placeholders.items()]
        lines += [f"    {line}" for line in self._lines]
        lines.append(f"    return {result}")
        return "\n".join(lines) + "\n"
