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


The parser's tree of a normal text.

sqlglot parses; its tokenizer is not asked, since `normal` has cut the text into words already. Each word becomes the
token, or the few, that sqlglot's tokenizer would make of it.


The nodes of a parser's tree, level by level: an outer one before those within it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlglot import Token as ParserToken
from sqlglot import TokenType, exp
from sqlglot.dialects.dialect import Dialect

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


def parser_tokens(words: Sequence[str]) -> list[ParserToken]:
    """The tokens of the words, as they stand in their text: one space between each and the next."""
    found: list[ParserToken] = []
    start = 0
    last = ""
    for word in words:
        end = start + len(word)
        upper = word.upper()
        if last in _FIRST and (last, upper) in _PAIRS:
            text = f"{last} {upper}"
            found[-1] = ParserToken(_KEYWORDS[text], text, 1, end, found[-1].start, end - 1)
        else:
            at = start
            for kind, text, length in _parts(word):
                found.append(ParserToken(kind, text, 1, at + length, at, at + length - 1))
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


_LEAVES = frozenset({exp.Column, exp.Identifier, exp.Literal, exp.Placeholder, exp.Star, exp.Null})
"""Nodes within which there is nothing but names and values."""


def walk(root: exp.Expr) -> Iterator[exp.Expr]:
    """The node and all that are within it, but for the names that columns are made of."""
    found = [root]
    for node in found:
        yield node
        if type(node) in _LEAVES:
            continue
        for value in node.args.values():
            if isinstance(value, exp.Expression):
                found.append(value)
            elif isinstance(value, list):
                found += [each for each in value if isinstance(each, exp.Expression)]


class Nodes:
    """The nodes of a statement that its tables are read from."""

    def __init__(self, tree: exp.Expr) -> None:
        self.tree = tree
        self.tables: list[exp.Table] = []
        self.ctes: list[exp.CTE] = []
        self.ins: list[exp.In] = []
        self.blocks: list[exp.Expr] = []
        """SELECT, UPDATE and DELETE."""
        for node in walk(tree):
            if isinstance(node, exp.Table):
                self.tables.append(node)
            elif isinstance(node, exp.CTE):
                self.ctes.append(node)
            elif isinstance(node, exp.In):
                self.ins.append(node)
            elif isinstance(node, (exp.Select, exp.Update, exp.Delete)):
                self.blocks.append(node)
