"""LIKE and GLOB of compiled code: SQLite's results, and no exponential time with many wildcards."""

from __future__ import annotations

import random
import time

import apsw
import pytest

from rome.compiled.runtime.text import glob_matcher, like_matcher

MATCHERS = {"LIKE": (like_matcher, "%_"), "GLOB": (glob_matcher, "*?")}


@pytest.mark.parametrize("operator", MATCHERS)
def test_patterns_match_as_in_sqlite(operator: str) -> None:
    sqlite = apsw.Connection(":memory:")
    maker, wildcards = MATCHERS[operator]
    pick = random.Random(operator)
    for _ in range(4000):
        pattern = "".join(pick.choices(f"aB{wildcards}{wildcards[0]}\n.", k=pick.randrange(9)))
        text = "".join(pick.choices("abA\n.", k=pick.randrange(12)))
        expected = sqlite.execute(f"SELECT ? {operator} ?", (text, pattern)).get
        assert maker(pattern)(text) == expected, (text, pattern)


@pytest.mark.parametrize("operator", MATCHERS)
@pytest.mark.parametrize("piece", ["a", "_a", "aa", "aaab", "a_"])
@pytest.mark.parametrize("end", ["", "b", "_b", "b%"])
def test_thirty_wildcards_take_no_longer(operator: str, piece: str, end: str) -> None:
    """A backtracking matcher needs about 20,000 ** 30 steps."""
    maker, wildcards = MATCHERS[operator]
    pattern = f"{'%'.join(['', *[piece] * 30])}%{end}".translate(str.maketrans("%_", wildcards))
    began = time.process_time()
    maker(pattern)("a" * 20_000)
    assert time.process_time() - began < 2
