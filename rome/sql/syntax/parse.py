"""Parse: a statement's text in one normalized form, its tree by sqlglot, and the nodes of the tree.

    SELECT a FROM t WHERE b IN (?, 5) AND c = +:d -- comment

    SELECT a FROM t WHERE b IN ( :_0 ) AND c = + ~ :_1          with :_0 = (?1, 5), :_1 = (:d)

`normalize` writes the text so that sqlglot reads it as SQLite does. Comments, quotes and parameters are those of
SQLite's own grammar (`tokens`). A form that sqlglot does not know, or of which it drops what matters here, is replaced:

    ?  ?7  :name                    :_0, :_1 …: numbered placeholders, however the parameter is written
    IN (?, ?, ?)  IN (1, 'x')       IN (:_0): one placeholder for the whole list, so that long lists need no parse
    a = 5 AND b < 'x'               a = :_0 AND b < :_1, so that texts with other values need no parse
    UPDATE OR x … INSERT OR x …     without the action, which does not affect what is read
    REPLACE INTO                    INSERT INTO
    +a                              + ~a: a unary plus takes the affinity from a column, and sqlglot drops it
    0x1F                            (~0): an expression instead of a constant
    .5                              0.5

`parse` gives sqlglot's parser these words as its tokens; sqlglot's own tokenizer is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter

from sqlglot import Token as ParserToken
from sqlglot import TokenType, exp
from sqlglot.dialects.dialect import Dialect

from rome.folding import upper_name
from rome.sql.syntax.operands import Const, Param, Source, literal, number_parameters
from rome.sql.syntax.tokens import Token, TokenKind, quoted, tokenize

# ── normalized text ───────────────────────────────────────────────────────────────────────────────────────────────────

PLACEHOLDER = "_"
"""The beginning of a placeholder's name; its position in `NormalizedStatement.lists` follows."""

_WORD, _OP = TokenKind.WORD, TokenKind.OP
_NAMES = (TokenKind.WORD, TokenKind.QUOTED)
_LITERALS = (TokenKind.STRING, TokenKind.NUMBER, TokenKind.BLOB)
_COMPARISONS = frozenset({"=", "==", "<", ">", "<=", ">=", "<>", "!="})
_AFTER_CONDITION = frozenset(
    {"AND", "OR", "UNION", "INTERSECT", "EXCEPT", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "RETURNING"}
    | {"JOIN", "LEFT", "INNER", "CROSS"}
)
"""Keywords that may follow a condition; after them, the position is not within an operand of the comparison."""

_REWRITTEN = frozenset({"INSERT", "UPDATE", "REPLACE", "IN", "CASE", "END"})
_ACTIONS = frozenset({"ABORT", "FAIL", "IGNORE", "REPLACE", "ROLLBACK"})


@dataclass(frozen=True, slots=True)
class NormalizedStatement:
    """A normalized text, and what each of its placeholders stands for: one source, or those of a whole IN list."""

    words: tuple[str, ...]
    """The words of the text, separated by one space each."""
    lists: tuple[tuple[Source, ...], ...]
    places: tuple[tuple[int, ...], ...]
    """The position of each source among the tokens of the statement."""

    @property
    def text(self) -> str:
        """Return the text."""
        return " ".join(self.words)


def normalize(sql: str) -> NormalizedStatement | None:
    """Return the normalized form of a text; None if SQLite's tokenizer refuses it."""
    return normalize_tokens(tokenize(sql))


def normalize_tokens(tokens: Sequence[Token]) -> NormalizedStatement | None:
    """Return the normalized form of the text that consists of these tokens."""
    return None if TokenKind.ILLEGAL in map(_kind_of, tokens) else _Normalizer(tokens).normalize()


_kind_of = itemgetter(0)


class _Normalizer:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.params = number_parameters(tokens)
        self.lists: list[tuple[Source, ...]] = []
        self.places: list[tuple[int, ...]] = []
        self.at = 0
        self.open_cases = 0

    def normalize(self) -> NormalizedStatement:
        words: list[str] = []
        for at, token in enumerate(self.tokens):
            if at < self.at:
                continue
            self.at = at + 1
            kind, text, _, _ = token
            if kind is _WORD:
                upper = upper_name(text)
                if upper in _REWRITTEN:
                    words += self._keyword(token, upper)
                else:
                    words.append(text)
            elif kind is _OP:
                words.append(text)
                if text in _COMPARISONS:
                    words += self._compared_literal()
                elif text == "+":
                    words.append("~")
            else:
                words += self._value(token)
        return NormalizedStatement(tuple(words), tuple(self.lists), tuple(self.places))

    def _value(self, token: Token) -> Sequence[str]:
        """Return the words for a parameter, a literal or a quoted name."""
        if token.kind is TokenKind.PARAM:
            return (self._placeholder((self.params[self.at - 1],), (self.at - 1,)),)
        if token.kind is TokenKind.QUOTED:
            return (quoted(token.name),)
        if token.kind is TokenKind.NUMBER:
            if token.text[:2] in ("0x", "0X"):
                return ("(", "~", "0", ")")
            text = token.text.replace("_", "")
            return ("0" + text if text[0] == "." else text,)
        return (token.text,)

    def _keyword(self, token: Token, word: str) -> Sequence[str]:
        """Return the words for one of `_REWRITTEN`, which the position has passed; step over what they replace."""
        following = [self._word(self.at), self._word(self.at + 1)]
        if word in ("INSERT", "UPDATE") and following[0] == "OR" and following[1] in _ACTIONS:
            self.at += 2
        elif word == "REPLACE" and following[0] == "INTO":
            return ("INSERT",)
        elif word == "IN":
            listed = self._in_list()
            if listed is not None:
                return "IN", "(", listed, ")"
        elif word == "CASE":
            self.open_cases += 1
        elif word == "END":
            self.open_cases -= 1
        return (token.text,)

    def _compared_literal(self) -> Sequence[str]:
        """Step over a literal that a whole condition ends with, and return its placeholder; nothing for other operands.

        `name = 5 AND …`. A comparison within a CASE may be a part of an indexed expression, which must stay as it is.
        """
        at, tokens = self.at, self.tokens
        if at == 1 or at >= len(tokens) or tokens[at].kind not in _LITERALS or self.open_cases:
            return ()
        before = tokens[at - 2]
        if before.kind not in _NAMES and not before.is_op(")"):
            return ()
        if at + 1 < len(tokens) and self._word(at + 1) not in _AFTER_CONDITION and not tokens[at + 1].is_op(")"):
            return ()
        value = literal(tokens[at : at + 1])
        if value is None:
            return ()
        self.at = at + 1
        return (self._placeholder((value,), (at,)),)

    def _word(self, at: int) -> str:
        return self.tokens[at].word() if at < len(self.tokens) else ""

    def _placeholder(self, sources: tuple[Source, ...], places: tuple[int, ...]) -> str:
        self.lists.append(sources)
        self.places.append(places)
        return f":{PLACEHOLDER}{len(self.lists) - 1}"

    def _in_list(self) -> str | None:
        """Step over a parenthesis of only parameters and literals, and return its placeholder; None for any other."""
        at = self.at + 1
        found: list[Source] = []
        if at >= len(self.tokens) or not self.tokens[self.at].is_op("("):
            return None
        while at < len(self.tokens) - 1:
            source: Const | Param | None = self.params.get(at) or literal(self.tokens[at : at + 1])
            if source is None:
                return None
            found.append(source)
            at += 2
            if self.tokens[at - 1].is_op(")"):
                first, self.at = self.at + 1, at
                return self._placeholder(tuple(found), tuple(range(first, at, 2)))
            if not self.tokens[at - 1].is_op(","):
                return None
        return None


# ── sqlglot's parser ──────────────────────────────────────────────────────────────────────────────────────────────────

_SQLITE = Dialect.get_or_raise("sqlite")
_KEYWORDS = _SQLITE.tokenizer_class.KEYWORDS
_SINGLE = _SQLITE.tokenizer_class.SINGLE_TOKENS
_COMMANDS = _SQLITE.tokenizer_class.COMMANDS
_PAIRS = frozenset(tuple(words.split()) for words in _KEYWORDS if words.count(" ") == 1)
_PAIR_STARTS = frozenset(first for first, _ in _PAIRS)
"""GROUP, ORDER …: words that are one token of sqlglot together with the next word."""


def parse(normal: NormalizedStatement) -> exp.Expr | None:
    """Parse a normalized text; return None if sqlglot does not understand it."""
    try:
        tokens = parser_tokens(normal.words)
        if tokens[0].token_type in _COMMANDS:
            return None  # sqlglot would take the rest for a text without a grammar
        tree = _SQLITE.parser().parse(tokens, normal.text)[0]
    except Exception:  # whatever sqlglot raises for an unusual text, SQLite decides if it is an error
        return None
    return None if isinstance(tree, exp.Command) else tree


def parser_tokens(words: Sequence[str]) -> list[ParserToken]:
    """Return sqlglot's tokens of a normalized text, with their positions in it."""
    found: list[ParserToken] = []
    start = 0
    last = ""
    for word in words:
        end = start + len(word)
        upper = upper_name(word)
        if last in _PAIR_STARTS and (last, upper) in _PAIRS:
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
    """Return sqlglot's tokens of a word: the type, the text and the length in the word of each."""
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
    upper = upper_name(word)
    if upper in _KEYWORDS:
        return ((_KEYWORDS[upper], word, length),)
    if first in _SINGLE:
        return tuple((_SINGLE[character], character, 1) for character in word)
    return ((TokenType.VAR, word, length),)


# ── nodes of the tree ─────────────────────────────────────────────────────────────────────────────────────────────────

_LEAVES = frozenset({exp.Column, exp.Identifier, exp.Literal, exp.Placeholder, exp.Star, exp.Null})
"""Nodes that contain only names and values."""


def walk(root: exp.Expr) -> list[exp.Expr]:
    """Return a node and all nodes below it, level by level, without the names that columns consist of."""
    found = [root]
    for node in found:
        if type(node) in _LEAVES:
            continue
        for value in node.args.values():
            if isinstance(value, exp.Expression):
                found.append(value)
            elif isinstance(value, list):
                found += [each for each in value if isinstance(each, exp.Expression)]
    return found


class Nodes:
    """The nodes of a statement's tree by kind; an outer one comes before those within it."""

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
