"""UNION ALL of members that differ only in values: one statement that runs once for each member.

    SELECT id FROM t WHERE id = 1 UNION ALL SELECT id FROM t WHERE id = ?

    SELECT id FROM t WHERE id = ?1        with the parameters (1,) and those of the application, and the rows together

Programs write such texts for lists of keys, with hundreds of members. So one member is parsed, analyzed and compiled,
and the time for all others is that of their tokens and rows. The workspace, if it is needed, runs the original text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rome.sql.syntax.operands import Const, Param, Parameters, Source
from rome.sql.syntax.parse import PLACEHOLDER, NormalizedStatement

FEWEST = 4
"""A statement with fewer members is compiled as a whole: it then runs in one function."""


@dataclass(frozen=True, slots=True)
class EqualMembers:
    """The members of a UNION ALL.

    `member`: the normalized text of each, whose parameters are numbered anew. `sources`: the values of these parameters
    for each member, in terms of the whole statement's. `parameter_count`: of the whole statement.
    """

    member: NormalizedStatement
    sources: tuple[tuple[Source, ...], ...]
    parameter_count: int

    def parameter_sets(self, parameters: Parameters) -> list[tuple[Any, ...]] | None:
        """Return the parameters of each member; None if SQLite reports an error about those of the statement."""
        if not isinstance(parameters, Mapping) and len(parameters) != self.parameter_count:
            return None
        try:
            return [tuple([_value(source, parameters) for source in sources]) for sources in self.sources]
        except LookupError:
            return None


def equal_members(normal: NormalizedStatement) -> EqualMembers | None:
    """Return the members of a normalized UNION ALL, if they differ only in values; None for any other statement."""
    members = _split(normal.words)
    if len(members) < FEWEST or len(normal.lists) % len(members):
        return None
    count = len(normal.lists) // len(members)
    first = members[0]
    for number, words in enumerate(members):
        if number and _numbered(words, number * count) != first:
            return None
    lists = [normal.lists[at : at + count] for at in range(0, len(normal.lists), count)] if count else []
    found = _as_parameters(lists or [()] * len(members))
    if found is None:
        return None
    listed = [source.index for sources in normal.lists for source in sources if isinstance(source, Param)]
    return EqualMembers(NormalizedStatement(tuple(first), found[0]), found[1], max(listed, default=-1) + 1)


def _split(words: Sequence[str]) -> list[list[str]]:
    """Return the words of each member of a UNION ALL; none if the statement is no such union of SELECTs."""
    if words[0] not in _SELECT:
        return []
    members: list[list[str]] = []
    begin = depth = 0
    for at, word in enumerate(words):
        if word not in _MARKS:
            continue
        if word == "(":
            depth += 1
        elif word == ")":
            depth -= 1
        elif depth == 0:
            if words[at + 1] not in _ALL or words[at + 2] not in _SELECT:
                return []
            members.append(list(words[begin:at]))
            begin = at + 2
    return [*members, list(words[begin:])]


_UNION, _ALL, _SELECT = ({word, word.lower()} for word in ("UNION", "ALL", "SELECT"))
_MARKS = {"(", ")"} | _UNION


def _numbered(words: Sequence[str], by: int) -> list[str]:
    """Return the words of a member with its placeholders numbered from 0."""
    return [f"{_MARK}{int(word[len(_MARK) :]) - by}" if word[:2] == _MARK else word for word in words]


_MARK = f":{PLACEHOLDER}"

_Lists = tuple[tuple[Source, ...], ...]


def _as_parameters(lists: Sequence[Sequence[tuple[Source, ...]]]) -> tuple[_Lists, _Lists] | None:
    """Return the sources of a member's placeholders, and the values of its parameters for each member.

    `lists`: the sources of each member's placeholders. Constants that all members share stay. None if IN lists differ
    in length.
    """
    member: list[tuple[Source, ...]] = []
    values: list[list[Source]] = [[] for _ in lists]
    count = 0
    for of_members in zip(*lists, strict=True):
        first = of_members[0]
        if all(isinstance(source, Const) for source in first) and len(set(map(repr, of_members))) == 1:
            member.append(first)
            continue
        if len(set(map(len, of_members))) != 1:
            return None
        member.append(tuple(map(Param, range(count, count + len(first)))))
        count += len(first)
        for at, sources in enumerate(of_members):
            values[at] += sources
    return tuple(member), tuple(map(tuple, values))


def _value(source: Source, parameters: Any) -> Any:
    """Return a parameter as the application gave it, or a constant. Raise LookupError for a missing parameter."""
    if isinstance(source, Const):
        return source.value
    return parameters[source.name if isinstance(parameters, Mapping) else source.index]
