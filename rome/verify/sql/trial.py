"""One case from its seed to its minimized script."""

from __future__ import annotations

from dataclasses import replace

from rome.verify.sql.generator import generate
from rome.verify.sql.minimize import minimize
from rome.verify.sql.play import Difference, play
from rome.verify.sql.races import Race, generate_race, play_race
from rome.verify.sql.script import Script

Played = tuple[int, int, Script | Race | None, Difference | None]
"""Seed, number of statements, and the minimized script that fails with its difference."""


def case(seed: int, length: int, store: str, level: str | None) -> Played:
    """Generate and play the case of a seed; minimize it if it fails."""
    script = generate(seed, length, level)
    difference = play(script, store)
    if difference is None:
        return seed, len(script.steps), None, None
    kind = kind_of(difference)

    def fails(shorter: Script) -> bool:
        found = play(shorter, store)
        return found is not None and kind_of(found) == kind

    least = minimize(script, fails)
    return seed, len(script.steps), least, play(least, store) or difference


def kind_of(difference: Difference) -> str:
    """Return what must stay the same while a script is minimized."""
    if difference.at is None:
        return difference.what.partition(":")[0] + difference.ours.partition(":")[0][:30] * (
            "Error" in difference.ours[:30]
        )
    return ("error" if "Error" in difference.theirs else "rows") + "/" + difference.ours.partition(":")[0][:30]


def race(seed: int, store: str) -> Played:
    """Generate and play the race of a seed; return as `case` does."""
    generated = generate_race(seed)
    difference = play_race(generated, store)
    count = len(generated.setup.steps) + len(generated.steps)
    if difference is None:
        return seed, count, None, None
    kind = kind_of(difference)

    def setup_fails(shorter: Script) -> bool:
        found = play_race(replace(generated, setup=shorter), store)
        return found is not None and kind_of(found) == kind

    least = replace(generated, setup=minimize(generated.setup, setup_fails))

    def fails(shorter: Script) -> bool:
        found = play_race(replace(least, steps=tuple(shorter.steps)), store)
        return found is not None and kind_of(found) == kind

    steps = minimize(Script(least.level, least.steps), fails).steps
    least = replace(least, steps=tuple(steps))
    return seed, count, least, play_race(least, store) or difference
