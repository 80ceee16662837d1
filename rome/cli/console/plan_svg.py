"""A plan as a drawing: a box for each round trip with its access paths, and one for the evaluator below them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape

_CHARACTER = 7.4
_LINE = 22
_ROUND = re.compile(r"round \d+$")


def draw_plan(lines: Sequence[str]) -> str:
    """Return the lines of an EXPLAIN PLAN FOR as SVG: data flows from the top to the bottom."""
    if not lines:
        return ""
    groups = _groups(lines[1:])
    width = max(len(line) for title, steps in groups for line in (title, *steps)) if groups else 0
    box = max(width, len(lines[0]) + 4) * _CHARACTER + 40
    parts: list[str] = []
    y = 10.0
    for title, steps in groups:
        height = _LINE * (len(steps) + 1.0) + 12
        parts.append(f'<rect x="10" y="{y:.0f}" width="{box:.0f}" height="{height:.0f}" rx="6"/>')
        parts.append(f'<text class="name" x="22" y="{y + _LINE - 3:.0f}">{escape(title)}</text>')
        for at, step in enumerate(steps):
            kind = "scan" if step.startswith("full scan") else "path"
            parts.append(f'<text class="{kind}" x="34" y="{y + _LINE * (at + 2) - 3:.0f}">{escape(step)}</text>')
        parts.append(_arrow(10 + box / 2, y + height, y + height + 24))
        y += height + 26
    parts.append(f'<rect class="evaluator" x="10" y="{y:.0f}" width="{box:.0f}" height="34" rx="6"/>')
    parts.append(f'<text class="name" x="22" y="{y + 22:.0f}">{escape(lines[0])}</text>')
    bottom = y + 46
    head = (
        f'<svg class="plan" xmlns="http://www.w3.org/2000/svg" width="{box + 20:.0f}" height="{bottom:.0f}" '
        f'viewBox="0 0 {box + 20:.0f} {bottom:.0f}" role="img" aria-label="The plan of the statement">'
    )
    return "".join([head, *parts, "</svg>"])


def _groups(lines: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the rounds with their steps; a line that is neither is a group of its own."""
    groups: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith("  ") and groups:
            groups[-1][1].append(re.sub(r" {2,}", "   ", line.strip()))
        elif _ROUND.fullmatch(line):
            groups.append((f"{line} (one round trip)", []))
        else:
            groups.append((line, []))
    return groups


def _arrow(x: float, y: float, end: float) -> str:
    return (
        f'<line x1="{x:.0f}" y1="{y:.0f}" x2="{x:.0f}" y2="{end:.0f}"/>'
        f'<path class="head" d="M{x - 5:.0f},{end - 7:.0f} L{x:.0f},{end:.0f} L{x + 5:.0f},{end - 7:.0f}"/>'
    )
