"""A reader that walks over the tokens of a statement, word by word, and never raises at the end of the text."""

from __future__ import annotations

from rome.sql.syntax.tokens import Token, TokenKind, after_group, tokenize


class Reader:
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
