"""The schema as a diagram: tables as boxes in columns, parents left of their children, foreign keys as curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from rome.catalog.model import Catalog, Table
from rome.cli.values import printable
from rome.folding import fold_name

_LINE = 18
_CHARACTER = 7.4
_GAP_X = 90
_GAP_Y = 26
_HIGHEST = 1100
"""A level that is higher than this goes on in a further column."""


class _Box(NamedTuple):
    table: Table
    x: float
    y: float
    width: float
    height: float


def draw_schema(catalog: Catalog, link: str) -> str:
    """Return the diagram as SVG. `link`: the address of a table's page without its name."""
    tables = sorted(catalog.tables.values(), key=lambda table: table.name)
    boxes = {fold_name(box.table.name): box for box in _placed(_levels(tables))}
    width = max((box.x + box.width for box in boxes.values()), default=0) + 20
    height = max((box.y + box.height for box in boxes.values()), default=0) + 20
    head = (
        f'<svg class="schema" xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="Tables and their foreign keys">'
    )
    parts = [head]
    parts += [_edges(box, boxes) for box in boxes.values()]
    parts += [_drawn(box, link) for box in boxes.values()]
    return "".join([*parts, "</svg>"])


def _levels(tables: Sequence[Table]) -> list[list[Table]]:
    """Return the tables by level: each one right of its parents; circles of foreign keys are cut somewhere."""
    by_name = {fold_name(table.name): table for table in tables}
    found: dict[str, int] = {}

    def level(name: str, path: tuple[str, ...]) -> int:
        if name not in found:
            parents = {fold_name(key.parent) for key in by_name[name].foreign_keys} - {*path, name}
            found[name] = max((level(each, (*path, name)) + 1 for each in parents if each in by_name), default=0)
        return found[name]

    levels: list[list[Table]] = []
    for name, table in by_name.items():
        while len(levels) <= level(name, ()):
            levels.append([])
        levels[found[name]].append(table)
    return levels


def _placed(levels: Sequence[Sequence[Table]]) -> list[_Box]:
    boxes: list[_Box] = []
    x = 10.0
    for tables in levels:
        y, widest = 10.0, 0.0
        for table in tables:
            height = _LINE * (len(table.columns) + 1) + 14
            if y > 10 and y + height > _HIGHEST:
                x, y, widest = x + widest + _GAP_X / 2, 10.0, 0.0
            width = max(len(table.name) + 2, *(len(column.name) + 7 for column in table.columns)) * _CHARACTER + 20
            boxes.append(_Box(table, x, y, width, height))
            y, widest = y + height + _GAP_Y, max(widest, width)
        x += widest + _GAP_X
    return boxes


def _edges(box: _Box, boxes: dict[str, _Box]) -> str:
    parts = []
    for key in box.table.foreign_keys:
        parent = boxes.get(fold_name(key.parent))
        if parent is None or not key.columns:
            continue
        y = _column_y(box, key.columns[0])
        parent_y = _column_y(parent, key.parent_columns[0]) if key.parent_columns else parent.y + _LINE
        start, end = parent.x + parent.width, box.x
        bend = max(30.0, abs(end - start) / 2)
        end_bend = end - bend
        if parent is box:
            end = start
            end_bend = start + bend
        curve = f"C{start + bend:.0f},{parent_y:.0f} {end_bend:.0f},{y:.0f} {end:.0f},{y:.0f}"
        path = f"M{start:.0f},{parent_y:.0f} {curve}"
        title = f"{box.table.name} ({', '.join(key.columns)}) refers to {key.parent}"
        parts.append(f'<path d="{path}"><title>{escape(printable(title))}</title></path>')
        parts.append(f'<circle cx="{end:.0f}" cy="{y:.0f}" r="3"/>')
    return "".join(parts)


def _column_y(box: _Box, name: str) -> float:
    names = [fold_name(column.name) for column in box.table.columns]
    at = names.index(fold_name(name)) if fold_name(name) in names else 0
    return box.y + _LINE * (at + 2) + 2


def _drawn(box: _Box, link: str) -> str:
    table = box.table
    keyed = {fold_name(name) for name in table.key}
    children = {fold_name(name) for key in table.foreign_keys for name in key.columns}
    unique = {fold_name(index.columns[0] or "") for index in table.indexes if index.unique and len(index.columns) == 1}
    x, y, right = round(box.x), round(box.y), round(box.x + box.width)
    parts = [
        f"<a href={quoteattr(link + quote(table.name, safe=''))}>",
        f'<rect x="{x}" y="{y}" width="{box.width:.0f}" height="{box.height:.0f}" rx="6"/>',
        f'<text class="name" x="{x + 10}" y="{y + _LINE}">{escape(printable(table.name))}</text>',
        f'<line x1="{x}" y1="{y + _LINE + 7}" x2="{right}" y2="{y + _LINE + 7}"/>',
    ]
    for at, column in enumerate(table.columns):
        name, line = fold_name(column.name), y + _LINE * (at + 2) + 6
        marks = [("PK", name in keyed), ("FK", name in children), ("U", name in unique and name not in keyed)]
        mark = " ".join(text for text, holds in marks if holds)
        parts.append(f'<text x="{x + 10}" y="{line}">{escape(printable(column.name))}</text>')
        if mark:
            parts.append(f'<text class="mark" x="{right - 8}" y="{line}">{mark}</text>')
    return "".join([*parts, "</a>"])
