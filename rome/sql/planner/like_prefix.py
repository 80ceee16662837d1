"""LIKE and GLOB prefixes become ranges of index keys.

    name GLOB 'ab*'         texts from 'ab' up to 'ac'
    name LIKE '10.1%'       texts from '10.1' up to '10.2'
    name LIKE 'ab%'         texts that begin with AB, Ab, aB or ab: LIKE ignores the case of ASCII letters

A blob that holds such a text matches too, so each prefix is two ranges: one of texts, one of blobs.
"""

from __future__ import annotations

from collections.abc import Iterable

from rome.sql.syntax.operands import Parameters, Pattern, value_of
from rome.storage.keys import encode
from rome.storage.store import KeyRange

MAX_PREFIXES = 16
"""LIKE makes so many prefixes at most. The letters after them are left to the evaluator."""


def prefix_ranges(pattern: Pattern, parameters: Parameters) -> tuple[KeyRange, ...]:
    """Return the ranges of the texts and blobs that match a pattern, and perhaps of others; none if all may match.

    Raises ValueNotKnown.
    """
    ranges = []
    for prefix in _prefixes(pattern, parameters):
        start = encode((prefix,))[:-1]  # without the terminator
        ranges.append((start, start + b"\xff"))
        # A character outside of ASCII can be encoded in a blob in several ways.
        ascii_part = prefix[: next((at for at, character in enumerate(prefix) if not character.isascii()), None)]
        start = encode((ascii_part.encode(),))[:-1]
        ranges.append((start, start[:-1] + bytes([start[-1] + 1])))
    return merge_ranges(ranges)


def merge_ranges(ranges: Iterable[KeyRange]) -> tuple[KeyRange, ...]:
    """Return disjoint ranges in ascending order that hold the same keys."""
    found: list[KeyRange] = []
    for begin, end in sorted(ranges):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin, end))
    return tuple(found)


def _prefixes(pattern: Pattern, parameters: Parameters) -> list[str]:
    """Return the prefixes of the texts that match; none if any text may match."""
    value = value_of(pattern.source, parameters)
    if not isinstance(value, str):
        return []
    wildcards = "%_" if pattern.is_like else "*?["
    found = [""]
    for character in _literal_prefix(value + pattern.suffix, wildcards, pattern.escape):
        spellings = {character.lower(), character.upper()} if pattern.is_like and character.isascii() else {character}
        if len(found) * len(spellings) > MAX_PREFIXES:
            break
        found = [prefix + spelling for prefix in found for spelling in sorted(spellings)]
    return found if found != [""] else []


def _literal_prefix(pattern: str, wildcards: str, escape: str) -> str:
    """Return the characters of a pattern before its first wildcard, without escapes."""
    found = ""
    at = 0
    while at < len(pattern):
        is_escaped = pattern[at] == escape
        at += is_escaped
        if at == len(pattern) or pattern[at] == "\0" or (pattern[at] in wildcards and not is_escaped):
            break
        found += pattern[at]
        at += 1
    return found
