"""The parser's tokens of a normalized text are those that sqlglot's own tokenizer makes of it."""

from __future__ import annotations

import pytest
import sqlglot

from rome.sql.syntax.parse import normalize, parser_tokens
from tests.golden.files import find_themes

ODD = [
    "SELECT .5, 1., 1.5e-3, 1_000, x'00ff', X'', 0x1F, -1, +a, a + +b, 'it''s', \"a \"\"b\"\"\", `c`, [d e] FROM t",
    "SELECT a->>'x', a->'y', a||b, a<<1, a>>2, a<>b, a!=b, a==b, a<=b, a>=b, ~a, a%b, a&b, a|b FROM t",
    "SELECT key, uuid, date, text, Real, \"select\" FROM t ORDER  BY key COLLATE NOCASE DESC NULLS LAST",
    "SELECT * FROM t INDEXED BY i GROUP BY a, b HAVING count(*) > 1 WINDOW w AS (PARTITION BY a ORDER BY b)",
    "SELECT * FROM t /* comment */ WHERE a IN (?, ?, 'x') AND b IN (SELECT 1) -- end",
    "INSERT OR REPLACE INTO t (primary, order_, group_) SELECT 1, ?, :name FROM \"s\".t WHERE @x = $y",
    "UPDATE OR IGNORE t SET a = CASE WHEN b IS NOT NULL THEN 1 ELSE 'é' END WHERE ünï = ?7",
    "SELECT CAST(a AS character varying), CAST(a AS double precision) FROM t; ",
]  # fmt: skip


@pytest.mark.parametrize("sql", [*ODD, *(case.statement for theme in find_themes() for case in theme.cases)])
def test_tokens_are_the_parsers_own(sql: str) -> None:
    normal = normalize(sql)
    assert normal is not None
    shown = [(each.token_type, each.text, each.start, each.end) for each in parser_tokens(normal.words)]
    expected = sqlglot.tokenize(normal.text, read="sqlite")
    assert shown == [(each.token_type, each.text, each.start, each.end) for each in expected], normal.text


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("SELECT * FROM t WHERE a = 1 AND b < 'x'", "SELECT * FROM t WHERE a = 7 AND b < x'00'", True),
        ("SELECT * FROM t JOIN u ON a <> 1.5 WHERE (b = 0x1F)", "SELECT * FROM t JOIN u ON a <> 2 WHERE (b = 3)", True),
        ("SELECT CASE WHEN a = 1 THEN b END = 2 FROM t", "SELECT CASE WHEN a = 2 THEN b END = 2 FROM t", False),
        ("SELECT * FROM t WHERE a = 1 + b", "SELECT * FROM t WHERE a = 2 + b", False),
        ("SELECT * FROM t WHERE a = 'x' COLLATE NOCASE", "SELECT * FROM t WHERE a = 'y' COLLATE NOCASE", False),
        ("SELECT * FROM t WHERE 1 = 1", "SELECT * FROM t WHERE 1 = 2", False),
        ("SELECT * FROM t LIMIT 1", "SELECT * FROM t LIMIT 2", False),
    ],
)  # fmt: skip
def test_compared_literals_are_placeholders(one: str, other: str, is_same: bool) -> None:
    first, second = normalize(one), normalize(other)
    assert first is not None
    assert second is not None
    assert (first.words == second.words) is is_same
