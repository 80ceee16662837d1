"""Completion at the prompt: dot commands, keywords, tables and columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apsw
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from rome.cli.formats import MODES
from rome.cli.shell.dot_commands import NAMES
from rome.cli.shell.session import ShellSession
from rome.folding import fold_name, upper_name
from rome.sql.syntax.tokens import TokenKind, names, quoted, tokenize

_KEYWORDS = sorted(map(upper_name, apsw.keywords))
_BEFORE_TABLES = frozenset({"FROM", "JOIN", "INTO", "UPDATE", "TABLE"})


class SqlCompleter(Completer):
    """Completes the word before the cursor by the catalog that the session knows."""

    def __init__(self, session: ShellSession) -> None:
        self._session = session

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield the completions: tables after FROM, INTO …, else columns, tables and keywords."""
        text = document.text_before_cursor
        word, before = _last_word(text)
        if not word and not complete_event.completion_requested:
            return
        for candidate in dict.fromkeys(self._candidates(text, word, before)):
            if fold_name(candidate).startswith(fold_name(word)):
                yield Completion(candidate, -len(word))

    def _candidates(self, text: str, word: str, before: str) -> Iterator[str]:
        if text.lstrip().startswith("."):
            yield from self._of_dot_command(text)
            return
        catalog = self._session.known_catalog
        views = [item.name for item in catalog.objects.values() if item.type == "view"]
        tables = sorted([table.name for table in catalog.tables.values()] + views)
        prefix, dot, _ = word.rpartition(".")
        if before in _BEFORE_TABLES and not dot:
            yield from map(_named, tables)
            return
        mentioned = names(text)
        for table in catalog.tables.values():
            if dot and fold_name(table.name) == fold_name(prefix):
                yield from (f"{prefix}.{_named(column.name)}" for column in table.columns)
            elif not dot and fold_name(table.name) in mentioned:
                yield from (_named(column.name) for column in table.columns)
        if not dot:
            yield from map(_named, tables)
            for table in catalog.tables.values():
                yield from (_named(column.name) for column in table.columns)
            yield from _KEYWORDS

    def _of_dot_command(self, text: str) -> Iterator[str]:
        name, blank, _ = text.lstrip().partition(" ")
        if not blank:
            yield from NAMES
        elif name == ".mode":
            yield from MODES
        else:
            yield from sorted(table.name for table in self._session.known_catalog.tables.values())


def _last_word(text: str) -> tuple[str, str]:
    """Return the word at the end of a text, with what is before its point, and the keyword before it."""
    tokens = tokenize(text)
    start, at = len(text), len(tokens)
    while at and tokens[at - 1].end == start and (tokens[at - 1].kind is TokenKind.WORD or tokens[at - 1].is_op(".")):
        at -= 1
        start = tokens[at].start
    return text[start:], tokens[at - 1].word() if at else ""


def _named(name: str) -> str:
    """Return a name as SQL needs it."""
    is_plain = [(token.kind, token.text) for token in tokenize(name)] == [(TokenKind.WORD, name)]
    return name if is_plain and upper_name(name) not in _KEYWORDS else quoted(name)
