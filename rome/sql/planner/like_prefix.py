"""What LIKE and GLOB say of the beginning of a text.

    name GLOB 'ab*'         texts that begin with ab
    name LIKE '10.1%'       texts that begin with 10.1
    name LIKE 'ab%'         texts that begin with AB, Ab, aB or ab: LIKE takes ASCII letters in both cases

A blob that holds such a text matches too.
"""

from __future__ import annotations

from rome.sql.syntax.operands import Parameters, Pattern, value_of

MOST_SPELLINGS = 16
"""Of how many beginnings LIKE is made at most; letters behind them are left to the evaluator."""


def beginnings(pattern: Pattern, parameters: Parameters) -> list[str]:
    """The beginnings of the texts that match; none if that can't be told, or anything matches. Raises ValueNotKnown."""
    value = value_of(pattern.source, parameters)
    if not isinstance(value, str):
        return []
    wild = "%_" if pattern.is_like else "*?["
    found = [""]
    for character in _literal_part(value + pattern.suffix, wild, pattern.escape):
        spellings = {character.lower(), character.upper()} if pattern.is_like and character.isascii() else {character}
        if len(found) * len(spellings) > MOST_SPELLINGS:
            break
        found = [beginning + spelling for beginning in found for spelling in sorted(spellings)]
    return found if found != [""] else []


def _literal_part(pattern: str, wild: str, escape: str) -> str:
    """The characters that a pattern begins with and that stand for themselves."""
    found = ""
    at = 0
    while at < len(pattern):
        is_escaped = pattern[at] == escape
        at += is_escaped
        if at == len(pattern) or pattern[at] == "\0" or (pattern[at] in wild and not is_escaped):
            break
        found += pattern[at]
        at += 1
    return found
