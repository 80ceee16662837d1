"""One case from its seed to its minimized script."""

from __future__ import annotations

from dataclasses import replace

from rome.verify.campaign import Played
from rome.verify.minimize import minimize
from rome.verify.sql.generator import generate
from rome.verify.sql.play import Difference, play
from rome.verify.sql.races import Race, generate_race, play_race
from rome.verify.sql.script import Step


def case_or_race(seed: int, store: str, length: int, level: str | None, only_races: bool) -> Played:
    """Play the case of a seed, or its race; minimize it if it fails. `level`: one isolation level for all cases."""
    if only_races or (level is None and seed % 4 == 0):
        return _race(seed, store)
    return _case(seed, length, store, level)


def _case(seed: int, length: int, store: str, level: str | None) -> Played:
    script = generate(seed, length, level)
    difference = play(script, store)
    if difference is None:
        return Played(seed, len(script.steps))
    kind = kind_of(difference)

    def fails(steps: tuple[Step, ...]) -> bool:
        found = play(replace(script, steps=steps), store)
        return found is not None and kind_of(found) == kind

    least = replace(script, steps=minimize(script.steps, fails))
    return Played(seed, len(script.steps), str(least), str(play(least, store) or difference))


def kind_of(difference: Difference) -> str:
    """Return what must stay the same while a script is minimized."""
    if difference.at is None:
        return difference.what.partition(":")[0] + difference.ours.partition(":")[0][:30] * (
            "Error" in difference.ours[:30]
        )
    return ("error" if "Error" in difference.theirs else "rows") + "/" + difference.ours.partition(":")[0][:30]


def _race(seed: int, store: str) -> Played:
    generated = generate_race(seed)
    difference = play_race(generated, store)
    count = len(generated.setup.steps) + len(generated.steps)
    if difference is None:
        return Played(seed, count)
    kind = kind_of(difference)

    def fails_with(other: Race) -> bool:
        found = play_race(other, store)
        return found is not None and kind_of(found) == kind

    def with_setup(steps: tuple[Step, ...]) -> Race:
        return replace(generated, setup=replace(generated.setup, steps=steps))

    least = with_setup(minimize(generated.setup.steps, lambda steps: fails_with(with_setup(steps))))
    least = replace(least, steps=minimize(least.steps, lambda steps: fails_with(replace(least, steps=steps))))
    return Played(seed, count, str(least), str(play_race(least, store) or difference))
