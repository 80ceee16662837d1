"""Tokens: the words of an SQL text, cut by SQLite's own lexical grammar, and a reader that walks over them.

    >>> [token.text for token in tokenize("SELECT a /* b */ FROM t")]
    ['SELECT', 'a', 'FROM', 't']

Everything in `rome.sql` that must not depend on a full parse works on these tokens: the kind of a statement, the names
that it mentions, the positions where the rewriter inserts a function call. Their positions lead back into the text, so
that a statement is never rendered anew: SQLite runs what the application wrote, except for the inserted pieces.

The grammar is that of SQLite's tokenize.c, as one regular expression. A text that SQLite's tokenizer refuses (an
unterminated string, `12abc`) gives a token of kind ILLEGAL; nothing is raised here, since SQLite reports the error.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from rome.fast_tuples import tuple_maker
from rome.folding import ascii_lower, fold_name, upper_name


class TokenKind(enum.Enum):
    """The lexical kind of a token."""

    WORD = "word"
    """A keyword or a plain identifier; which of them depends on its position in the grammar."""
    QUOTED = "quoted"
    """An identifier in double quotes, square brackets or backticks."""
    STRING = "string"
    NUMBER = "number"
    BLOB = "blob"
    PARAM = "param"
    """`?`, `?7`, `:name`, `@name` or `$name`."""
    OP = "op"
    ILLEGAL = "illegal"


_WORD, _OP = TokenKind.WORD, TokenKind.OP
_NAMES = (TokenKind.WORD, TokenKind.QUOTED, TokenKind.STRING)


class Token(NamedTuple):
    """One token; `sql[start:end] == text`."""

    kind: TokenKind
    text: str
    start: int
    end: int

    @property
    def name(self) -> str:
        """Return the text without quotes: the identifier that a WORD, QUOTED or STRING token stands for."""
        if self.kind is _WORD or self.kind not in _NAMES:
            return self.text
        if self.text[0] == "[":
            return self.text[1:-1]
        quote = self.text[0]
        return self.text[1:-1].replace(quote * 2, quote)

    @property
    def is_name(self) -> bool:
        """Return True if the token may be a name. (SQLite accepts 'strings' as names.)"""
        return self.kind in _NAMES

    def word(self) -> str:
        """Return the keyword in upper case; the empty string if this is no WORD."""
        return upper_name(self.text) if self.kind is _WORD else ""

    def is_op(self, text: str) -> bool:
        """Return True if this is the operator `text`."""
        return self.kind is _OP and self.text == text


_SPACES = r"[ \t\n\f\r\ufeff]*+"
_ID = r"[A-Za-z0-9_$\u0080-\U0010ffff]"
_DIGITS = r"[0-9](?:_?[0-9])*"
_VARIABLE = rf"[$@:\#](?:::)*{_ID}(?:{_ID}|::)*+"

# Three groups: the spaces and comments before a token, the token, and in its place what SQLite refuses. The commonest
# tokens come first. An unterminated comment reaches to the end of the text, as in SQLite.
_GRAMMAR = re.compile(
    rf"""
    ( {_SPACES} (?: (?: --[^\n]* | /\*(?=.) .*? (?: \*/ | \Z ) ) {_SPACES} )*+ )
    (?:
      ( (?: [A-WYZa-wyz_\u0080-\U0010ffff] | [xX](?!') ) {_ID}*+
      | ->> | -> | \|\| | << | >> | <= | >= | <> | != | == | [-+*/%&|~<>=,;()] | \.(?![0-9])
      | '[^']*+(?:''[^']*+)*+'
      | "[^"]*+(?:""[^"]*+)*+" | `[^`]*+(?:``[^`]*+)*+` | \[[^\]]*\]
      | \?[0-9]* | {_VARIABLE}(?: \([^\s)]*\) | (?!\() )
      | (?> 0[xX][0-9a-fA-F](?:_?[0-9a-fA-F])*
          | (?: {_DIGITS}(?:\.(?:{_DIGITS})?)? | \.{_DIGITS} ) (?: [eE][+-]?{_DIGITS} )? ) (?!{_ID})
      | [xX]'(?:[0-9a-fA-F]{{2}})*'
      )
    | ( ['"`\[].* | [xX]'[^']*'? | \.?[0-9](?:\.|{_ID})* | {_VARIABLE}\([^\s)]* | . )
    | \Z )
    """,
    re.VERBOSE | re.DOTALL,
)

_KINDS = {
    **dict.fromkeys("+-*/%&|~<>=!,;()", TokenKind.OP),
    **dict.fromkeys("0123456789", TokenKind.NUMBER),
    **dict.fromkeys("?$@:#", TokenKind.PARAM),
    **dict.fromkeys('"`[', TokenKind.QUOTED),
    "'": TokenKind.STRING,
}
"""The kinds of tokens by their first character. All others are words, but for some that begin with `x` or a point."""

_token = tuple_maker(Token)


@lru_cache(maxsize=512)
def tokenize(sql: str) -> tuple[Token, ...]:
    """Return the tokens of a text, without spaces and comments."""
    found = []
    end = 0
    kind_of, token, word = _KINDS.get, _token, _WORD
    for space, text, refused in _GRAMMAR.findall(sql):
        if text:
            start = end + len(space) if space else end
            end = start + len(text)
            first = text[0]
            kind = kind_of(first, word)
            if kind is word and first in "xX.":
                kind = _kind_of_odd(text)
            found.append(token((kind, text, start, end)))
        elif refused:
            start = end + len(space)
            end = start + len(refused)
            found.append(token((TokenKind.ILLEGAL, refused, start, end)))
    return tuple(found)


def _kind_of_odd(text: str) -> TokenKind:
    """Return the kind of a token that begins with `x` or a point."""
    if text[0] == ".":
        return TokenKind.NUMBER if len(text) > 1 else _OP
    return TokenKind.BLOB if text[1:2] == "'" else _WORD


@lru_cache(maxsize=1024)
def names(sql: str) -> frozenset[str]:
    """Return every word of a text that may be a name, without quotes, in lower case: a superset of what it mentions."""
    found = {token.text if token.kind is _WORD else token.name for token in tokenize(sql) if token.kind in _NAMES}
    return frozenset([each.lower() for each in found] if sql.isascii() else map(ascii_lower, found))


def after_group(tokens: Sequence[Token], at: int) -> int:
    """Return the position after the parenthesis that closes the one at `at`; after the last token, if none does."""
    depth = 0
    for position in range(at, len(tokens)):
        if tokens[position].is_op("("):
            depth += 1
        elif tokens[position].is_op(")"):
            depth -= 1
            if depth == 0:
                return position + 1
    return len(tokens)


def quoted(name: str) -> str:
    """Return a name as an SQL identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def split_script(sql: str) -> list[str]:
    """Split a script into its statements, each without its semicolon; a trigger's body stays in one piece.

    As in `sqlite3_complete`, a CREATE TRIGGER ends only at `; END ;`.
    """
    statements: list[str] = []
    current: list[Token] = []
    for token in tokenize(sql):
        if token.is_op(";") and (not _opens_trigger(current) or _closes_trigger(current)):
            if current:
                statements.append(sql[current[0].start : current[-1].end])
            current = []
        else:
            current.append(token)
    if current:
        statements.append(sql[current[0].start : current[-1].end])
    return statements


def _opens_trigger(tokens: Sequence[Token]) -> bool:
    """Return True if a statement begins with [EXPLAIN [QUERY PLAN]] CREATE [TEMP] TRIGGER."""
    words = [token.word() for token in tokens[:6]]
    if words[:1] == ["EXPLAIN"]:
        words = words[3:] if words[1:3] == ["QUERY", "PLAN"] else words[1:]
    if words[:1] != ["CREATE"]:
        return False
    return words[1:2] == ["TRIGGER"] or (words[1:2] in (["TEMP"], ["TEMPORARY"]) and words[2:3] == ["TRIGGER"])


def _closes_trigger(tokens: Sequence[Token]) -> bool:
    """Return True if the last two tokens of a statement are `; END`."""
    return len(tokens) > 1 and tokens[-1].word() == "END" and tokens[-2].is_op(";")


class TokenReader:
    """The tokens of a text and a position in them. Reading past the last token gives an empty OP, never an error."""

    def __init__(self, sql: str, at: int = 0) -> None:
        self.sql = sql
        self.tokens = tokenize(sql)
        self.at = at

    @property
    def token(self) -> Token:
        """Return the token at the position."""
        return self.look(0)

    @property
    def done(self) -> bool:
        """Return True if the position is after the last token."""
        return self.at >= len(self.tokens)

    def look(self, ahead: int) -> Token:
        """Return the token that many positions further on."""
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else Token(TokenKind.OP, "", len(self.sql), len(self.sql))

    def sees(self, *words: str) -> bool:
        """Return True if these keywords (upper case) or operators come next."""
        tokens, at = self.tokens, self.at
        if at + len(words) > len(tokens):
            return False
        for word in words:
            kind, text, _, _ = tokens[at]
            if (upper_name(text) if kind is _WORD else text if kind is _OP else None) != word:
                return False
            at += 1
        return True

    def take(self, *words: str) -> bool:
        """Step over these keywords or operators and return True, if they come next."""
        if self.sees(*words):
            self.at += len(words)
            return True
        return False

    def take_any(self, *words: str) -> str:
        """Step over one of these keywords and return it in upper case; return "" if none comes next."""
        word = self.token.word()
        if word and word in words:
            self.at += 1
            return word
        return ""

    def name(self) -> str | None:
        """Step over a name and return it without its quotes; return None if none comes next."""
        if self.done or not self.token.is_name:
            return None
        self.at += 1
        return self.tokens[self.at - 1].name

    def qualified_name(self) -> tuple[str | None, str | None]:
        """Step over `[schema.]name`; return the schema in lower case, and the name."""
        first = self.name()
        if first is not None and self.take("."):
            return fold_name(first), self.name()
        return None, first

    def skip_to(self, *words: str) -> None:
        """Step to the next of these keywords or operators, within parentheses too; else to the end."""
        while not self.done and not any(map(self.sees, words)):
            self.at += 1

    def skip_group(self) -> None:
        """Step over a parenthesis with everything in it, if one opens here; else over one token."""
        self.at = after_group(self.tokens, self.at) if self.sees("(") else self.at + 1

    def skip_with(self) -> bool:
        """Step over a WITH clause, if one comes next; return False if it is malformed."""
        if not self.take("WITH"):
            return True
        self.take("RECURSIVE")
        while self.name() is not None:
            if self.sees("("):
                self.skip_group()
            if not self.take("AS"):
                return False
            self.take("NOT")
            self.take("MATERIALIZED")
            if not self.sees("("):
                return False
            self.skip_group()
            if not self.take(","):
                return True
        return False
