"""A statement's text made ready for the parser of sqlglot: the same meaning in words that it can't misread.

SQLite's own words are cut by `tokens`, so that comments, quotes and parameters are read as SQLite reads them, and are
written out again in one form. Where sqlglot does not know a form, or drops what matters here, it is written around:

    ?  ?7  :name                    :_0, :_1 …: the parser sees which parameter it is, whatever the way it is written
    IN (?, ?, ?)  IN (1, 'x')       IN (:_0): one placeholder for the whole list, so that long lists are not parsed
    UPDATE OR x … INSERT OR x …     without the action, which says nothing about what is read
    REPLACE INTO                    INSERT INTO
    +a                              + ~a: a unary plus takes the affinity from a column, and sqlglot drops it
    0x1F                            (~0): an expression instead of a constant
    .5                              0.5
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rome.sql.syntax.operands import Const, Param, Source, literal, number_parameters
from rome.sql.syntax.tokens import Token, TokenKind, tokenize

PLACEHOLDER = "_"
"""What the names of placeholders begin with; then comes the position in `NormalizedStatement.lists`."""

_REWRITTEN = frozenset({"INSERT", "UPDATE", "REPLACE", "IN"})
_ACTIONS = frozenset({"ABORT", "FAIL", "IGNORE", "REPLACE", "ROLLBACK"})


@dataclass(frozen=True, slots=True)
class NormalizedStatement:
    """The text for the parser, and what each of its placeholders stands for: one source, or a whole IN list."""

    words: tuple[str, ...]
    """The text, cut into what are words for the parser too, with a space between each and the next."""
    lists: tuple[tuple[Source, ...], ...]

    @property
    def text(self) -> str:
        """The text for the parser."""
        return " ".join(self.words)


def normalize(sql: str) -> NormalizedStatement | None:
    """The text for the parser; None if SQLite's tokenizer would refuse the statement."""
    tokens = tokenize(sql)
    if any(token.kind is TokenKind.ILLEGAL for token in tokens):
        return None
    return _Writer(tokens).write()


class _Writer:
    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self.tokens = tokens
        self.params = number_parameters(tokens)
        self.lists: list[tuple[Source, ...]] = []
        self.at = 0

    def write(self) -> NormalizedStatement:
        words: list[str] = []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            self.at += 1
            if token.kind is TokenKind.WORD:
                upper = token.text.upper()
                words += self._keyword(token, upper) if upper in _REWRITTEN else (token.text,)
            elif token.kind is TokenKind.OP:
                words += ("+", "~") if token.text == "+" else (token.text,)
            else:
                words += self._value(token)
        return NormalizedStatement(tuple(words), tuple(self.lists))

    def _value(self, token: Token) -> Sequence[str]:
        """The words for a parameter, a literal or a name in quotes."""
        if token.kind is TokenKind.PARAM:
            return (self._placeholder((self.params[self.at - 1],)),)
        if token.kind is TokenKind.QUOTED:
            return ('"' + token.name.replace('"', '""') + '"',)
        if token.kind is TokenKind.NUMBER:
            if token.text[:2] in ("0x", "0X"):
                return ("(", "~", "0", ")")
            text = token.text.replace("_", "")
            return ("0" + text if text[0] == "." else text,)
        return (token.text,)

    def _keyword(self, token: Token, word: str) -> Sequence[str]:
        """The words for one of `_REWRITTEN` at the place before this; steps behind what they stand for."""
        following = [self._word(self.at), self._word(self.at + 1)]
        if word in ("INSERT", "UPDATE") and following[0] == "OR" and following[1] in _ACTIONS:
            self.at += 2
        elif word == "REPLACE" and following[0] == "INTO":
            return ("INSERT",)
        elif word == "IN":
            listed = self._list()
            if listed is not None:
                return "IN", "(", self._placeholder(listed), ")"
        return (token.text,)

    def _word(self, at: int) -> str:
        return self.tokens[at].word() if at < len(self.tokens) else ""

    def _placeholder(self, sources: tuple[Source, ...]) -> str:
        self.lists.append(sources)
        return f":{PLACEHOLDER}{len(self.lists) - 1}"

    def _list(self) -> tuple[Source, ...] | None:
        """Step over a parenthesis with nothing but parameters and literals in it."""
        at = self.at + 1
        found: list[Source] = []
        if at >= len(self.tokens) or not self.tokens[self.at].is_op("("):
            return None
        while at < len(self.tokens) - 1:
            source = self._constant(at)
            if source is None:
                return None
            found.append(source)
            at += 2
            if self.tokens[at - 1].is_op(")"):
                self.at = at
                return tuple(found)
            if not self.tokens[at - 1].is_op(","):
                return None
        return None

    def _constant(self, at: int) -> Const | Param | None:
        return self.params.get(at) or literal(self.tokens[at : at + 1])
