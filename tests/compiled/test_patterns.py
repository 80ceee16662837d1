"""LIKE of compiled code: SQLite's results, and no exponential time with many wildcards."""

from __future__ import annotations

import random
import time

import apsw
import pytest

from rome.compiled.runtime.text import like_matcher


def test_patterns_match_as_in_sqlite() -> None:
    sqlite = apsw.Connection(":memory:")
    pick = random.Random("LIKE")
    for _ in range(6000):
        pattern = "".join(pick.choices("aBs%_%\n.^]éÉ", k=pick.randrange(9)))
        text = "".join(pick.choices("abAS\n.^]éÉſ", k=pick.randrange(12)))
        expected = sqlite.execute("SELECT ? LIKE ?", (text, pattern)).get
        assert like_matcher(pattern)(text) == expected, (text, pattern)


@pytest.mark.parametrize("piece", ["a", "_a", "aa", "aaab", "a_"])
@pytest.mark.parametrize("end", ["", "b", "_b", "b%"])
def test_thirty_wildcards_take_no_longer(piece: str, end: str) -> None:
    """A backtracking matcher needs about 20,000 ** 30 steps."""
    pattern = f"{'%'.join(['', *[piece] * 30])}%{end}"
    began = time.process_time()
    like_matcher(pattern)("a" * 20_000)
    assert time.process_time() - began < 2
