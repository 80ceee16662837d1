"""The terms and the predicate of a CREATE INDEX statement, as SQL texts.

>>> index_terms("CREATE INDEX i ON t (lower(a), b DESC) WHERE b > 0")
(('lower(a)', 'b'), 'b > 0')
"""

from __future__ import annotations

from rome.sql.syntax.tokens import Token, tokenize


def index_terms(sql: str) -> tuple[tuple[str, ...], str | None]:
    """The SQL of each indexed term without ASC or DESC, and of the WHERE clause (None without one)."""
    tokens = tokenize(sql)
    depth, start, terms, end = 0, -1, [], len(tokens)
    for at, token in enumerate(tokens):
        if token.text == "(":
            depth += 1
            if depth == 1:
                start = at + 1
        elif token.text == ")":
            depth -= 1
            if depth == 0:
                terms.append(_text(sql, tokens[start:at]))
                end = at + 1
                break
        elif token.text == "," and depth == 1:
            terms.append(_text(sql, tokens[start:at]))
            start = at + 1
    rest = tokens[end:]
    where = sql[rest[1].start : rest[-1].end] if rest and rest[0].text.upper() == "WHERE" else None
    return tuple(terms), where


def _text(sql: str, tokens: tuple[Token, ...]) -> str:
    if tokens[-1].text.upper() in ("ASC", "DESC"):
        tokens = tokens[:-1]
    return sql[tokens[0].start : tokens[-1].end]
