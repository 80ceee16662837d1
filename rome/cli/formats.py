"""Rows as text: a table that fits the terminal, one column a line, CSV, JSON, Markdown, tabs.

A table that is too wide for the terminal has its widest columns cut off with `…`. If even that leaves too little, it is
written with one column a line. Nothing is cut off where the output is not a terminal.
"""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence

import click
from rich.cells import cell_len, set_cell_size

from rome.cli.values import jsonable, plain, printable, shown, to_json
from rome.values import SqlValue

Rows = Sequence[Sequence[SqlValue]]

_NARROWEST = 6
"""The cells that a column is cut off to at least."""


def terminal_width() -> int | None:
    """Return the width of the terminal that stdout is; None if it is none."""
    if not sys.stdout.isatty():
        return None
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def write_rows(columns: Sequence[str], rows: Rows, mode: str = "table") -> None:
    """Write rows to stdout in one of the MODES."""
    for line in MODES[mode](columns, rows):
        click.echo(line)


def table_lines(columns: Sequence[str], rows: Rows, width: int | None = None) -> Iterator[str]:
    """Yield the lines of a table that is at most `width` cells wide; of its vertical form if it can't be."""
    texts = [[shown(value) for value in row] for row in rows]
    heads = [printable(column) for column in columns]
    wanted = [max(map(cell_len, cells)) for cells in zip(heads, *texts, strict=True)]
    widths = _fitted(wanted, width)
    if widths is None:
        yield from vertical_lines(columns, rows, width)
        return
    numeric = [all(isinstance(row[at], (int, float, type(None))) for row in rows) for at in range(len(heads))]
    yield " │ ".join(click.style(cell, bold=True) for cell in _cells(heads, widths, [False] * len(heads)))
    yield "─┼─".join("─" * size for size in widths)
    for row, cells in zip(rows, texts, strict=True):
        line = _cells(cells, widths, numeric)
        yield " │ ".join(click.style(cell, dim=True) if row[at] is None else cell for at, cell in enumerate(line))
    yield f"({len(rows):,} {'row' if len(rows) == 1 else 'rows'})"


def vertical_lines(columns: Sequence[str], rows: Rows, width: int | None = None) -> Iterator[str]:
    """Yield the lines of rows that are written with one column a line."""
    heads = [printable(column) for column in columns]
    size = max(map(cell_len, heads), default=0)
    for number, row in enumerate(rows, 1):
        yield f"── row {number} ──"
        for head, value in zip(heads, row, strict=True):
            line = f"{_cell(head, size, True)}: {shown(value)}"
            yield line if width is None else _cut(line, width)
    if not rows:
        yield "(0 rows)"


def _fitted(wanted: Sequence[int], width: int | None) -> list[int] | None:
    """Return the widths of columns that fit, the widest cut off first; None if they would be too narrow."""
    widths = list(wanted)
    if width is None:
        return widths
    left = width - 3 * (len(widths) - 1)
    if sum(min(each, _NARROWEST) for each in widths) > left:
        return None
    while sum(widths) > left:
        widest = max(widths)
        places = [at for at, each in enumerate(widths) if each == widest]
        below = max([each for each in widths if each < widest], default=_NARROWEST)
        surplus = sum(widths) - left
        step = min(widest - max(below, _NARROWEST), -(-surplus // len(places))) or 1
        for at in places:
            widths[at] -= min(step, surplus)
            surplus -= min(step, surplus)
    return widths


def _cells(texts: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> list[str]:
    """Return a line's cells, padded; the last one without spaces at its end."""
    cells = [_cell(text, size, right) for text, size, right in zip(texts, widths, numeric, strict=True)]
    return [*cells[:-1], cells[-1].rstrip()]


def _cell(text: str, size: int, right: bool) -> str:
    length = cell_len(text)
    if length > size:
        return _cut(text, size)
    return " " * (size - length) + text if right else text + " " * (size - length)


def _cut(text: str, size: int) -> str:
    return text if cell_len(text) <= size else set_cell_size(text, size - 1) + "…"


def _table(columns: Sequence[str], rows: Rows) -> Iterator[str]:
    return table_lines(columns, rows, terminal_width())


def _vertical(columns: Sequence[str], rows: Rows) -> Iterator[str]:
    return vertical_lines(columns, rows, terminal_width())


def _csv(columns: Sequence[str], rows: Rows) -> Iterator[str]:
    for line in (columns, *([plain(value) for value in row] for row in rows)):
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="").writerow(line)
        yield buffer.getvalue()


def _json(columns: Sequence[str], rows: Rows) -> Iterator[str]:
    yield to_json([dict(zip(columns, map(jsonable, row), strict=True)) for row in rows])


def _markdown(columns: Sequence[str], rows: Rows) -> Iterator[str]:
    yield f"| {' | '.join(_escape_bars(printable(column)) for column in columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(_escape_bars(shown(value)) for value in row)} |"


def _escape_bars(text: str) -> str:
    return text.replace("|", "\\|")


def _tabs(_: Sequence[str], rows: Rows) -> Iterator[str]:
    for row in rows:
        yield "\t".join(map(shown, row))


MODES: dict[str, Callable[[Sequence[str], Rows], Iterator[str]]] = {
    "table": _table,
    "vertical": _vertical,
    "csv": _csv,
    "json": _json,
    "markdown": _markdown,
    "tabs": _tabs,
}
"""The modes of output."""
