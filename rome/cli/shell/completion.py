"""Completion at the prompt: dot commands, keywords, tables and columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import apsw
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from rome.cli.formats import MODES
from rome.cli.shell.dot_commands import NAMES
from rome.cli.shell.session import ShellSession
from rome.folding import fold_name
from rome.sql.syntax.tokens import names, quoted

_WORD = re.compile(r"[\w.]+$")
_PLAIN = re.compile(r"[A-Za-z_]\w*$")
_KEYWORDS = sorted(keyword.upper() for keyword in apsw.keywords)
_OF_TABLES = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+[\w]*$", re.IGNORECASE)


class SqlCompleter(Completer):
    """Completes the word before the cursor by the catalog that the session knows."""

    def __init__(self, session: ShellSession) -> None:
        self._session = session

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield the completions: tables after FROM, INTO …, else columns, tables and keywords."""
        text = document.text_before_cursor
        match = _WORD.search(text)
        word = match.group() if match else ""
        if not word and not complete_event.completion_requested:
            return
        for candidate in dict.fromkeys(self._candidates(text, word)):
            if candidate.lower().startswith(word.lower()):
                yield Completion(candidate, -len(word))

    def _candidates(self, text: str, word: str) -> Iterator[str]:
        if text.lstrip().startswith("."):
            yield from self._of_dot_command(text)
            return
        catalog = self._session.known_catalog
        views = [item.name for item in catalog.objects.values() if item.type == "view"]
        tables = sorted([table.name for table in catalog.tables.values()] + views)
        if _OF_TABLES.search(text):
            yield from map(_named, tables)
            return
        prefix, dot, _ = word.rpartition(".")
        mentioned = names(text)
        for table in catalog.tables.values():
            if dot and table.name.lower() == prefix.lower():
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


def _named(name: str) -> str:
    """Return a name as SQL needs it."""
    return name if _PLAIN.match(name) and name.upper() not in _KEYWORDS else quoted(name)
