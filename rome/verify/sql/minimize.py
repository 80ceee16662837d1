"""Shorten a script that fails, by delta debugging (Zeller and Hildebrandt, 2002): leave out ever smaller parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rome.verify.sql.script import Script


def minimize(script: Script, fails: Callable[[Script], bool], tries: int = 2000) -> Script:
    """Return a script that fails, of which no step can be left out; `tries` bounds how often `fails` is called."""
    steps = list(script.steps)
    size = max(len(steps) // 2, 1)
    while tries > 0:
        shrunk = False
        at = 0
        while at < len(steps) and tries > 0:
            shorter = steps[:at] + steps[at + size :]
            tries -= 1
            if shorter and fails(replace(script, steps=tuple(shorter))):
                steps, shrunk = shorter, True
            else:
                at += size
        if size == 1 and not shrunk:
            break
        size = max(size // 2, 1)
    return replace(script, steps=tuple(steps))
