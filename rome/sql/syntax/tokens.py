"""The words of an SQL text, by SQLite's own lexical grammar, as one regular expression.

Everything in `rome.sql` that must not depend on a full parse (what kind of statement is this, which names does it
mention, where do I splice a function call in) works on these tokens. Their positions lead back into the text, so that a
statement is never rendered anew: what SQLite runs is what the application wrote, but for the spliced places.

Source: SQLite's tokenize.c. A text that SQLite's tokenizer refuses (an unterminated string, `12abc`) gives a token of
kind ILLEGAL; nothing is raised here, since SQLite itself reports the error better.


A reader that walks over the tokens of a statement, word by word, and never raises at the end of the text.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from rome.fast_tuples import tuple_maker


class TokenKind(enum.Enum):
    """What a token is."""

    WORD = "word"
    """A keyword or a plain identifier; only the place in the grammar tells which."""
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
        """The text without its quotes: the identifier that a WORD, QUOTED or STRING token stands for."""
        if self.kind is _WORD or self.kind not in _NAMES:
            return self.text
        if self.text[0] == "[":
            return self.text[1:-1]
        quote = self.text[0]
        return self.text[1:-1].replace(quote * 2, quote)

    @property
    def is_name(self) -> bool:
        """Whether the grammar could take this token for a name. (SQLite takes 'strings' for names, too.)"""
        return self.kind in _NAMES

    def word(self) -> str:
        """The keyword in upper case; the empty string when this is no WORD."""
        return self.text.upper() if self.kind is _WORD else ""

    def is_op(self, text: str) -> bool:
        """Whether this is the operator `text`."""
        return self.kind is _OP and self.text == text


_ID = r"[A-Za-z0-9_$\u0080-\U0010ffff]"
_DIGITS = r"[0-9](?:_?[0-9])*"
_VARIABLE = rf"[$@:\#](?:::)*{_ID}(?:{_ID}|::)*+"

# The order matters: longer and more special alternatives first. A group's name is the kind in lower case; before it
# stand spaces and comments. An unterminated comment reaches to the end of the text, as in SQLite.
_GRAMMAR = re.compile(
    rf"""
    (?: [ \t\n\f\r\ufeff]+ | --[^\n]* | /\*(?=.) .*? (?: \*/ | \Z ) )*+
    (?:
      (?P<string> '[^']*+(?:''[^']*+)*+' )
    | (?P<quoted> "[^"]*+(?:""[^"]*+)*+" | `[^`]*+(?:``[^`]*+)*+` | \[[^\]]*\] )
    | (?P<blob> [xX]'(?:[0-9a-fA-F]{{2}})*' )
    | (?P<number> (?> 0[xX][0-9a-fA-F](?:_?[0-9a-fA-F])*
                    | (?: {_DIGITS}(?:\.(?:{_DIGITS})?)? | \.{_DIGITS} ) (?: [eE][+-]?{_DIGITS} )? ) (?!{_ID}) )
    | (?P<param> \?[0-9]* | {_VARIABLE}(?: \([^\s)]*\) | (?!\() ) )
    | (?P<illegal> ['"`\[].* | [xX]'[^']*'? | \.?[0-9](?:\.|{_ID})* | {_VARIABLE}\([^\s)]* | [$@:\#] | !(?!=) )
    | (?P<word> {_ID}+ )
    | (?P<op> ->> | -> | \|\| | << | >> | <= | >= | <> | != | == | [-+*/%&|~<>=.,;()] )
    | (?P<stray> . )
    | \Z )
    """,
    re.VERBOSE | re.DOTALL,
)

_KINDS = {
    number: TokenKind.ILLEGAL if name == "stray" else TokenKind(name) for name, number in _GRAMMAR.groupindex.items()
}
"""By the number of the group."""

_token = tuple_maker(Token)


@lru_cache(maxsize=512)
def tokenize(sql: str) -> tuple[Token, ...]:
    """The tokens of a text, without spaces and comments."""
    return tuple(
        _token((_KINDS[group], match[group], *match.span(group)))
        for match in _GRAMMAR.finditer(sql)
        if (group := match.lastindex) is not None
    )


@lru_cache(maxsize=1024)
def names(sql: str) -> frozenset[str]:
    """Every word of a text that could be a name, without quotes, in lower case: a superset of what it mentions."""
    return frozenset(token.name.lower() for token in tokenize(sql) if token.kind in _NAMES)


def after_group(tokens: Sequence[Token], at: int) -> int:
    """The position behind the parenthesis that closes the one at `at` (behind the last token, if none does)."""
    depth = 0
    for position in range(at, len(tokens)):
        if tokens[position].is_op("("):
            depth += 1
        elif tokens[position].is_op(")"):
            depth -= 1
            if depth == 0:
                return position + 1
    return len(tokens)


def split_script(sql: str) -> list[str]:
    """The statements of a script, each without its semicolon; a trigger's body stays whole.

    The rule is that of `sqlite3_complete`: a CREATE TRIGGER ends only at `; END ;`.
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
    """Whether a statement begins like CREATE [TEMP] TRIGGER (also behind EXPLAIN [QUERY PLAN])."""
    words = [token.word() for token in tokens[:6]]
    if words[:1] == ["EXPLAIN"]:
        words = words[3:] if words[1:3] == ["QUERY", "PLAN"] else words[1:]
    if words[:1] != ["CREATE"]:
        return False
    return words[1:2] == ["TRIGGER"] or (words[1:2] in (["TEMP"], ["TEMPORARY"]) and words[2:3] == ["TRIGGER"])


def _closes_trigger(tokens: Sequence[Token]) -> bool:
    """Whether the statement's last two tokens are `; END`."""
    return len(tokens) > 1 and tokens[-1].word() == "END" and tokens[-2].is_op(";")


class TokenReader:
    """The tokens of one text, or a part of them, and a place in them."""

    def __init__(self, sql: str, at: int = 0) -> None:
        self.sql = sql
        self.tokens = tokenize(sql)
        self.at = at

    @property
    def token(self) -> Token:
        """The token at the reader's place; behind the last, an empty OP."""
        return self.look(0)

    @property
    def done(self) -> bool:
        """Whether the reader is behind the last token."""
        return self.at >= len(self.tokens)

    def look(self, ahead: int) -> Token:
        """The token so many places further on; behind the last, an empty OP."""
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else Token(TokenKind.OP, "", len(self.sql), len(self.sql))

    def sees(self, *words: str) -> bool:
        """Whether these keywords (upper case) or operators come next."""
        for ahead, word in enumerate(words):
            token = self.look(ahead)
            if token.word() != word and not token.is_op(word):
                return False
        return True

    def take(self, *words: str) -> bool:
        """Step over these keywords or operators, if they come next; whether they did."""
        if self.sees(*words):
            self.at += len(words)
            return True
        return False

    def take_any(self, *words: str) -> str:
        """Step over one of these keywords; which it was, in upper case ("" for none)."""
        word = self.token.word()
        if word and word in words:
            self.at += 1
            return word
        return ""

    def name(self) -> str | None:
        """Step over a name, if one comes next; without its quotes."""
        if self.done or not self.token.is_name:
            return None
        self.at += 1
        return self.tokens[self.at - 1].name

    def qualified_name(self) -> tuple[str | None, str | None]:
        """Step over `[schema.]name`; (schema in lower case, name)."""
        first = self.name()
        if first is not None and self.take("."):
            return first.lower(), self.name()
        return None, first

    def skip_group(self) -> None:
        """Step over a parenthesis and all that is in it, if one opens here; else over one token."""
        self.at = after_group(self.tokens, self.at) if self.sees("(") else self.at + 1

    def skip_with(self) -> bool:
        """Step over a WITH clause, if one comes next. False: it is not formed as one."""
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
