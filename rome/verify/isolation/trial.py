"""All scenarios at all levels, and what is promised of them."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping

from rome.verify.isolation.anomalies import ANOMALIES, Anomaly
from rome.verify.isolation.play import Play, drop_table

LEVELS = ("READ COMMITTED", "SNAPSHOT", "SERIALIZABLE")

_NAMES = tuple(anomaly.name for anomaly in ANOMALIES)

PROMISED: Mapping[str, frozenset[str]] = {
    "READ COMMITTED": frozenset(_NAMES[: _NAMES.index("PMP")]),
    "SNAPSHOT": frozenset(_NAMES[: _NAMES.index("G2-item")]),
    "SERIALIZABLE": frozenset(_NAMES),
}
"""Level → names of the anomalies that it prevents. (One that it does not promise to prevent may be missing, too.)"""


class Outcome(enum.Enum):
    """What became of a scenario."""

    HAPPENS = "happens"
    REFUSED = "prevented, by a conflict"
    UNSEEN = "prevented"

    @property
    def prevented(self) -> bool:
        """Whether the anomaly did not happen."""
        return self is not Outcome.HAPPENS


Table = dict[str, dict[str, Outcome]]
"""Anomaly's name → level → outcome."""


def try_all(url: str) -> Table:
    """Play every scenario at every level on the database of `url`, in a table of their own that is dropped then.

    Raises PEP 249's errors if the database can't be used.
    """
    try:
        return {anomaly.name: {level: try_one(url, level, anomaly) for level in LEVELS} for anomaly in ANOMALIES}
    finally:
        drop_table(url)


def try_one(url: str, level: str, anomaly: Anomaly) -> Outcome:
    """Play one scenario at one level."""
    play = Play(url, level)
    try:
        if anomaly.happens(play):
            return Outcome.HAPPENS
        return Outcome.REFUSED if play.refused else Outcome.UNSEEN
    finally:
        play.close()


def differences(table: Table) -> Iterator[str]:
    """Where the table does not keep the promise, a sentence each."""
    for name, outcomes in table.items():
        for level, outcome in outcomes.items():
            if name in PROMISED[level] and not outcome.prevented:
                yield f"{level} promises to prevent {name}, and it happened"
