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

from rome.sql.syntax.operands import Const, Param, Parameters, Source, literal, number_parameters
from rome.sql.syntax.parse import NormalizedStatement, normalize_tokens
from rome.sql.syntax.tokens import Token, tokenize

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


def equal_members(sql: str) -> EqualMembers | None:
    """Return the members of a UNION ALL, if they differ only in values; None for any other statement.

    Equal members have as many tokens, so each token of the first has its counterparts at equal distances.
    """
    tokens = tokenize(sql)
    length = _length_of_first(tokens)
    distance = length + 2  # UNION ALL
    if length * FEWEST >= len(tokens) or (len(tokens) + 2) % distance:
        return None
    member = normalize_tokens(tokens[:length])
    if member is None:
        return None
    texts = [text for _, text, _, _ in tokens]
    places = {place for each in member.places for place in each}
    same = [at for at in range(distance) if len(set(texts[at::distance])) == 1]
    if len(places.union(same)) < distance:
        return None
    params = number_parameters(tokens)
    lists: list[tuple[Source, ...]] = []
    columns: list[list[Source]] = []
    """The values of each parameter of the member, by member."""
    for listed in member.places:
        found = [_sources(tokens[at::distance], range(at, len(tokens), distance), params) for at in listed]
        if not all(found):
            return None
        if all(at in same and isinstance(column[0], Const) for at, column in zip(listed, found, strict=True)):
            lists.append(tuple([column[0] for column in found]))
        else:
            lists.append(tuple(map(Param, range(len(columns), len(columns) + len(found)))))
            columns += found
    sources = tuple(zip(*columns, strict=True)) or ((),) * len(tokens[::distance])
    count = max([param.index for param in params.values()], default=-1) + 1
    return EqualMembers(NormalizedStatement(member.words, tuple(lists), member.places), sources, count)


def _length_of_first(tokens: Sequence[Token]) -> int:
    """Return the number of tokens before the first UNION ALL SELECT of a SELECT; all, if there is none."""
    depth = 0
    for at, token in enumerate(tokens):
        if token.is_op("("):
            depth += 1
        elif token.is_op(")"):
            depth -= 1
        elif depth == 0 and token.word() == "UNION":
            words = [each.word() for each in (tokens[0], *tokens[at + 1 : at + 3])]
            return at if words == ["SELECT", "ALL", "SELECT"] else len(tokens)
    return len(tokens)


def _sources(tokens: Sequence[Token], places: Sequence[int], params: Mapping[int, Param]) -> list[Source]:
    """Return the sources that these tokens are; none unless all are parameters, or the first is a literal.

    (After a comparison or in an IN list, where the first is a literal, others may be parameters.)
    """
    found = [params.get(at) or literal((token,)) for at, token in zip(places, tokens, strict=True)]
    known = [source for source in found if source is not None]
    is_mixed = isinstance(found[0], Param) and not all(isinstance(source, Param) for source in known)
    return [] if is_mixed or len(known) < len(found) else known


def _value(source: Source, parameters: Any) -> Any:
    """Return a parameter as the application gave it, or a constant. Raise LookupError for a missing parameter."""
    if isinstance(source, Const):
        return source.value
    return parameters[source.name if isinstance(parameters, Mapping) else source.index]
