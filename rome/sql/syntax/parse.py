"""The parser's tree of a normal text.

sqlglot parses; its tokenizer is not asked, since `normal` has cut the text into words already. Each word becomes the
token, or the few, that sqlglot's tokenizer would make of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sqlglot import Token, TokenType, exp
from sqlglot.dialects.dialect import Dialect

from rome.sql.syntax.normalize import NormalizedStatement

_SQLITE = Dialect.get_or_raise("sqlite")
_KEYWORDS = _SQLITE.tokenizer_class.KEYWORDS
_SINGLE = _SQLITE.tokenizer_class.SINGLE_TOKENS
_COMMANDS = _SQLITE.tokenizer_class.COMMANDS
_PAIRS = frozenset(tuple(words.split()) for words in _KEYWORDS if words.count(" ") == 1)
_FIRST = frozenset(first for first, _ in _PAIRS)
"""GROUP, ORDER …: words that are one token with the word behind them."""


def parse(normal: NormalizedStatement) -> exp.Expr | None:
    """The parser's tree; None if it does not understand the text."""
    try:
        tokens = parser_tokens(normal.words)
        if tokens[0].token_type in _COMMANDS:
            return None  # which it would take for a text without a grammar
        tree = _SQLITE.parser().parse(tokens, normal.text)[0]
    except Exception:  # whatever the parser makes of an odd text, SQLite has the last word on it
        return None
    return None if isinstance(tree, exp.Command) else tree


def parser_tokens(words: Sequence[str]) -> list[Token]:
    """The tokens of the words, as they stand in their text: one space between each and the next."""
    found: list[Token] = []
    start = 0
    last = ""
    for word in words:
        end = start + len(word)
        upper = word.upper()
        if last in _FIRST and (last, upper) in _PAIRS:
            text = f"{last} {upper}"
            found[-1] = Token(_KEYWORDS[text], text, 1, end, found[-1].start, end - 1)
        else:
            at = start
            for kind, text, length in _parts(word):
                found.append(Token(kind, text, 1, at + length, at, at + length - 1))
                at += length
        last = upper
        start = end + 1
    return found


@lru_cache(maxsize=8192)
def _parts(word: str) -> tuple[tuple[TokenType, str, int], ...]:
    """The tokens of a word: for each its type, its text, and how long it is in the word."""
    first, length = word[0], len(word)
    if first == '"':
        return ((TokenType.IDENTIFIER, word[1:-1].replace('""', '"'), length),)
    if first == "'":
        return ((TokenType.STRING, word[1:-1].replace("''", "'"), length),)
    if first in "0123456789":
        return ((TokenType.NUMBER, word, length),)
    if first == ":":
        return (_SINGLE[":"], ":", 1), (TokenType.VAR, word[1:], length - 1)
    if first in "xX" and word[1:2] == "'":
        return ((TokenType.HEX_STRING, word[2:-1], length),)
    upper = word.upper()
    if upper in _KEYWORDS:
        return ((_KEYWORDS[upper], word, length),)
    if first in _SINGLE:
        return tuple((_SINGLE[character], character, 1) for character in word)
    return ((TokenType.VAR, word, length),)
