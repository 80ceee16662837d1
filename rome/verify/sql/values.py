"""Values, from a small pool whose members compare in surprising ways, so that equal ones meet often."""

from __future__ import annotations

from random import Random

from rome.values import SqlValue

_POOL: tuple[SqlValue, ...] = (
    None, 0, 1, 2, 3, 4, 5, -1, 10, 1.0, 2.5, -0.5, 2**53 + 1, 9007199254740993.0,
    "1", "2", "10", "1.0", "a", "A", "b", "B ", "ab", "", " a", "é", b"a", b"", b"\x00\xff",
)  # fmt: skip
_NUMBERS: tuple[SqlValue, ...] = (0, 1, 1, 2, 2, 3, 4, 5)
_TEXTS: tuple[SqlValue, ...] = ("a", "b", "A", "1", "2", "ab", "")


def value(random: Random, type_: str = "") -> SqlValue:
    """Return a value that a column of this declared type might hold."""
    draw = random.random()
    if draw < 0.12:
        return None
    if draw < 0.75:
        return random.choice(_TEXTS if "TEXT" in type_ or "CHAR" in type_ else _NUMBERS)
    return random.choice(_POOL)


def literal(given: SqlValue) -> str:
    """Return a value as SQL."""
    if given is None:
        return "NULL"
    if isinstance(given, bytes):
        return f"x'{given.hex()}'"
    if isinstance(given, str):
        return "'" + given.replace("'", "''") + "'"
    return repr(given)


class Arguments:
    """Collects the parameters of a statement while its text is written."""

    def __init__(self, random: Random, share: float | None = None) -> None:
        """`share`: how many of the values become placeholders."""
        self._random = random
        self.values: list[SqlValue] = []
        self._share = random.choice((0.0, 0.5, 1.0)) if share is None else share

    def __call__(self, given: SqlValue) -> str:
        """Return a value as a placeholder or as a literal."""
        if self._random.random() < self._share:
            self.values.append(given)
            return "?"
        return literal(given)
