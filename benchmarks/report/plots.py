"""Plots as SVG: bars of ratios around 1, and lines over a logarithmic or evenly spaced axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH = 860
_BAR = 22
_LABEL = 300
_COLOURS = ("#0b6e4f", "#2f6fb3", "#b3541e", "#7a4fa3", "#8a8a00", "#a8324a", "#3d8b8b", "#666666")

Points = Sequence[tuple[float, float]]


def ratio_bars(rows: Sequence[tuple[str, float, tuple[float, float], str]]) -> str:
    """Return bars of ratios on a logarithmic axis: to the right of 1 ROME is faster.

    A row is label, ratio, the ends of the line that shows how the ratio spreads, and note.
    """
    most = max([2.0, *(max(each, 1 / each) for _, ratio, spread, _ in rows for each in (ratio, *spread))])
    half = (WIDTH - _LABEL - 190) / 2
    middle = _LABEL + half
    parts = []
    for place, (label, ratio, spread, note) in enumerate(rows):
        top = place * _BAR + 26
        length = abs(math.log(ratio)) / math.log(most) * half
        left = middle if ratio >= 1 else middle - length
        low, high = (middle + math.log(each) / math.log(most) * half for each in spread)
        kind = "win" if ratio >= 1 else "loss"
        parts.append(f'<text x="{_LABEL - 8}" y="{top + 14}" class="label">{escape(label)}</text>')
        parts.append(f'<rect x="{left:.1f}" y="{top + 3}" width="{max(length, 1):.1f}" height="14" class="{kind}"/>')
        parts.append(f'<line x1="{low:.1f}" y1="{top + 10}" x2="{high:.1f}" y2="{top + 10}" class="axis"/>')
        edge = max(middle, middle + length if ratio >= 1 else middle, high) + 6
        parts.append(
            f'<text x="{edge:.1f}" y="{top + 14}" class="value">{ratio:.2f} <tspan class="note">{escape(note)}'
        )
        parts.append("</tspan></text>")
    height = len(rows) * _BAR + 34
    for tick in _ticks_of_ratios(most):
        x = middle + math.log(tick) / math.log(most) * half
        parts.append(
            f'<line x1="{x:.1f}" y1="20" x2="{x:.1f}" y2="{height - 8}" class="{"axis" if tick == 1 else "grid"}"/>'
        )
        parts.append(f'<text x="{x:.1f}" y="14" class="tick">{tick:g}×</text>')
    return _svg(height, parts)


def _ticks_of_ratios(most: float) -> list[float]:
    above = [tick for tick in (2.0, 5.0, 10.0, 20.0, 50.0, 100.0) if tick <= most]
    return [*(1 / tick for tick in reversed(above)), 1.0, *above]


def lines(series: Mapping[str, Points], x_title: str, y_title: str, *, log_y: bool = True, log_x: bool = True) -> str:
    """Return one line for each series. Points are (x, y), in the order of x."""
    left, right, top, bottom, height = 70, 210, 14, 44, 300
    xs = sorted({x for points in series.values() for x, _ in points})
    ys = [y for points in series.values() for _, y in points if y > 0]
    if not xs or not ys:
        return ""
    low_y, high_y = (min(ys) * 0.8, max(ys) * 1.25) if log_y else (0.0, max(ys) * 1.1)

    def at_x(x: float) -> float:
        span = WIDTH - left - right
        if len(xs) == 1:
            return left + span / 2
        if log_x:
            return left + (math.log(x) - math.log(xs[0])) / (math.log(xs[-1]) - math.log(xs[0])) * span
        return left + (x - xs[0]) / (xs[-1] - xs[0]) * span

    def at_y(y: float) -> float:
        share = math.log(y / low_y) / math.log(high_y / low_y) if log_y else (y - low_y) / (high_y - low_y)
        return height - bottom - share * (height - top - bottom)

    low = height - bottom + 18
    parts = [f'<text x="{at_x(each):.1f}" y="{low}" class="tick">{each:,g}</text>' for each in xs]
    for tick in _ticks(low_y, high_y, log_y):
        y = at_y(tick)
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{WIDTH - right}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" class="label">{tick:,g}</text>')
    labels: list[float] = []
    for place, (name, points) in enumerate(series.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in points if y > 0)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3" fill="{colour}"/>' for x, y in points if y > 0]
        y = _free(at_y(points[-1][1]) + 4, labels)
        parts.append(f'<text x="{WIDTH - right + 10}" y="{y:.1f}" fill="{colour}" class="name">{escape(name)}</text>')
    parts.append(f'<text x="{left}" y="{height - 6}" class="title">{escape(x_title)} → · {escape(y_title)} ↑</text>')
    return _svg(height, parts)


def _free(y: float, taken: list[float]) -> float:
    """Return the place nearest to `y` where a label covers no other. Note it."""
    offsets = (sign * step * 4 for step in range(60) for sign in (1, -1))
    place = next(y + offset for offset in offsets if all(abs(y + offset - other) >= 13 for other in taken))
    taken.append(place)
    return place


def _ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    if not logarithmic:
        step = 10 ** math.floor(math.log10(high)) / 2
        step *= math.ceil(high / step / 6)
        return [step * number for number in range(int(high / step) + 1)]
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    within = [tick for tick in ticks if low <= tick <= high]
    return within if len(within) <= 8 else [tick for tick in within if f"{tick:e}".startswith("1")]


def _svg(height: float, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img">{"".join(parts)}</svg>'
