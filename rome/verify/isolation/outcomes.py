"""Run all scenarios at all levels, and compare the outcomes with what is guaranteed."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping

from rome.verify.isolation.anomalies import ANOMALIES, Anomaly
from rome.verify.isolation.schedule import Schedule, drop_table

LEVELS = ("READ COMMITTED", "SNAPSHOT", "SERIALIZABLE")

_NAMES = tuple(anomaly.name for anomaly in ANOMALIES)

GUARANTEED: Mapping[str, frozenset[str]] = {
    "READ COMMITTED": frozenset(_NAMES[: _NAMES.index("PMP")]),
    "SNAPSHOT": frozenset(_NAMES[: _NAMES.index("G2-item")]),
    "SERIALIZABLE": frozenset(_NAMES),
}
"""Level → names of the anomalies that it prevents. (Other anomalies may be prevented, too.)"""


class Outcome(enum.Enum):
    """The outcome of a scenario."""

    HAPPENS = "happens"
    CONFLICT = "prevented, by a conflict"
    PREVENTED = "prevented"

    @property
    def prevented(self) -> bool:
        """True if the anomaly did not happen."""
        return self is not Outcome.HAPPENS


Table = dict[str, dict[str, Outcome]]
"""Name of the anomaly → level → outcome."""


def run_all(url: str) -> Table:
    """Run every scenario at every level on the database of `url`, in a table that is dropped afterwards.

    Raises PEP 249's errors if the database can't be used.
    """
    try:
        return {anomaly.name: {level: run_scenario(url, level, anomaly) for level in LEVELS} for anomaly in ANOMALIES}
    finally:
        drop_table(url)


def run_scenario(url: str, level: str, anomaly: Anomaly) -> Outcome:
    """Run one scenario at one level."""
    schedule = Schedule(url, level)
    try:
        if anomaly.happens(schedule):
            return Outcome.HAPPENS
        return Outcome.CONFLICT if schedule.aborted else Outcome.PREVENTED
    finally:
        schedule.close()


def violations(table: Table) -> Iterator[str]:
    """Yield a sentence for each anomaly that happened although its level guarantees to prevent it."""
    for name, outcomes in table.items():
        for level, outcome in outcomes.items():
            if name in GUARANTEED[level] and not outcome.prevented:
                yield f"{level} must prevent {name}, and it happened"
