"""The form of a golden file: a title and prose, a schema with rows, and cases.

    A theme
    =======

    What it shows.

    -- schema

    CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT);
    INSERT INTO t VALUES (1, 'a');

    -- One line about the first case.

    SELECT * FROM t WHERE id = ?
        parameters [1]
        predicates
            t: id = ?1
        plan
            SELECT, compiled
            …
        rows
            1 | 'a'

All that is indented below a statement is written by `--update`, except for its parameters (JSON; none is `[]`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
_INDENT = "    "


@dataclass
class Case:
    """A statement and its parameters, the prose before it, and the lines that are expected below it."""

    prose: str
    statement: str
    parameters: list[Any]
    expected: list[str]

    @property
    def name(self) -> str:
        return " ".join(self.statement.split())


@dataclass
class Theme:
    """One golden file."""

    path: Path
    head: str
    schema: str
    cases: list[Case]


def find_themes() -> list[Theme]:
    """Return the golden files in the order of their names."""
    return [read_theme(path) for path in sorted(FOLDER.glob("*.txt"))]


def read_theme(path: Path) -> Theme:
    """Return what a golden file holds."""
    head, _, rest = path.read_text().partition("\n-- schema\n")
    schema, *cases = rest.split("\n-- ")
    return Theme(path, head.strip(), schema.strip(), [_read_case(text) for text in cases])


def _read_case(text: str) -> Case:
    prose, _, body = text.strip().partition("\n\n")
    lines = body.split("\n")
    indented = next((place for place, line in enumerate(lines) if line.startswith(_INDENT)), len(lines))
    statement, below = "\n".join(lines[:indented]).strip(), [line.removeprefix(_INDENT) for line in lines[indented:]]
    parameters: list[Any] = []
    if below and below[0].startswith("parameters "):
        parameters = json.loads(below.pop(0).removeprefix("parameters "))
    return Case(" ".join(prose.split("\n")), statement, parameters, below)


def write_theme(theme: Theme) -> None:
    """Write a golden file."""
    parts = [theme.head, "-- schema", theme.schema]
    for case in theme.cases:
        below = [f"parameters {json.dumps(case.parameters, ensure_ascii=False)}"] if case.parameters else []
        below += case.expected
        parts += [f"-- {case.prose}", "\n".join([case.statement, *(f"{_INDENT}{line}".rstrip() for line in below)])]
    theme.path.write_text("\n\n".join(parts) + "\n")
