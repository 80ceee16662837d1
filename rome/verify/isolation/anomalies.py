"""The scenarios. Each function runs one and returns True if committed transactions showed the anomaly.

Names and schedules are those of the Hermitage test suite (Kleppmann, after Adya's thesis), with two changes. Where
Hermitage expects a transaction to wait for another one's lock, the schedule goes on at once, because transactions of
ROME do not wait. And a read counts only if its transaction commits.

`ANOMALIES` has them in the order of the table, from those that every level prevents to those that only SERIALIZABLE
prevents.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rome.verify.isolation.schedule import Schedule

_ALL = "SELECT id, value FROM {t} ORDER BY id"
_ONE = "SELECT value FROM {t} WHERE id = 1"
_TWO = "SELECT value FROM {t} WHERE id = 2"


def g0(schedule: Schedule) -> bool:
    """Write cycle: two transactions write the same two rows, and one write of each remains."""
    schedule.run(1, "UPDATE {t} SET value = 11 WHERE id = 1")
    schedule.run(2, "UPDATE {t} SET value = 12 WHERE id = 1")
    schedule.run(1, "UPDATE {t} SET value = 21 WHERE id = 2")
    schedule.commit(1)
    schedule.run(2, "UPDATE {t} SET value = 22 WHERE id = 2")
    schedule.commit(2)
    return schedule.final_rows() not in ([(1, 11), (2, 21)], [(1, 12), (2, 22)])


def g1a(schedule: Schedule) -> bool:
    """Aborted read: a transaction reads a value that is never committed."""
    schedule.run(1, "UPDATE {t} SET value = 101 WHERE id = 1")
    before = schedule.run(2, _ALL)
    schedule.rollback(1)
    after = schedule.run(2, _ALL)
    return schedule.commit(2) and not before == after == [(1, 10), (2, 20)]


def g1b(schedule: Schedule) -> bool:
    """Intermediate read: a transaction reads a value that its writer overwrites before it commits."""
    schedule.run(1, "UPDATE {t} SET value = 101 WHERE id = 1")
    before = schedule.run(2, _ONE)
    schedule.run(1, "UPDATE {t} SET value = 11 WHERE id = 1")
    schedule.commit(1)
    after = schedule.run(2, _ONE)
    return schedule.commit(2) and [(101,)] in (before, after)


def g1c(schedule: Schedule) -> bool:
    """Circular information flow: each of two transactions reads what the other one wrote."""
    schedule.run(1, "UPDATE {t} SET value = 11 WHERE id = 1")
    schedule.run(2, "UPDATE {t} SET value = 22 WHERE id = 2")
    first = schedule.run(1, _TWO)
    second = schedule.run(2, _ONE)
    both = schedule.commit(1) & schedule.commit(2)
    return both and first == [(22,)] and second == [(11,)]


def otv(schedule: Schedule) -> bool:
    """Observed transaction vanishes: a reader sees one write of a transaction, but not its other one."""
    schedule.run(1, "UPDATE {t} SET value = 11 WHERE id = 1")
    schedule.run(1, "UPDATE {t} SET value = 19 WHERE id = 2")
    schedule.run(2, "UPDATE {t} SET value = 12 WHERE id = 1")
    schedule.commit(1)
    schedule.run(3, _ONE)
    schedule.run(2, "UPDATE {t} SET value = 18 WHERE id = 2")
    schedule.run(3, _TWO)
    schedule.commit(2)
    two = schedule.run(3, _TWO)
    one = schedule.run(3, _ONE)
    return schedule.commit(3) and two == [(18,)] and one != [(12,)]


def lost_increment(schedule: Schedule) -> bool:
    """Lost increment: both transactions have added to the value before one of them commits, and one is lost."""
    for transaction in (1, 2):
        schedule.run(transaction, _ONE)
    for transaction in (1, 2):
        schedule.run(transaction, "UPDATE {t} SET value = value + 1 WHERE id = 1")
    both = schedule.commit(1) & schedule.commit(2)
    return both and schedule.final_rows()[0] != (1, 12)


def same_number_twice(schedule: Schedule) -> bool:
    """Lost increment that was read: both transactions read the same value after they have added to it."""
    seen = []
    for transaction in (1, 2):
        schedule.run(transaction, "UPDATE {t} SET value = value + 1 WHERE id = 1")
        seen.append(schedule.run(transaction, _ONE))
    return (schedule.commit(1) & schedule.commit(2)) and seen[0] == seen[1]


def lost_update_of_written_rows(schedule: Schedule) -> bool:
    """Lost update of written rows: both transactions have overwritten the row before one of them commits."""
    for transaction in (1, 2):
        schedule.run(transaction, _ONE)
    schedule.run(1, "UPDATE {t} SET value = 11 WHERE id = 1")
    schedule.run(2, "UPDATE {t} SET value = 12 WHERE id = 1")
    return schedule.commit(1) & schedule.commit(2)


def pmp_read(schedule: Schedule) -> bool:
    """Predicate-many-preceders: a range is empty at the first read and not at the second."""
    schedule.run(1, "SELECT id FROM {t} WHERE value = 30")
    schedule.run(2, "INSERT INTO {t} VALUES (3, 30)")
    schedule.commit(2)
    found = schedule.run(1, "SELECT id FROM {t} WHERE value % 3 = 0")
    return schedule.commit(1) and found != []


def pmp_write(schedule: Schedule) -> bool:
    """Predicate-many-preceders with a write: DELETE matches other rows than the SELECT before it."""
    schedule.run(1, "UPDATE {t} SET value = value + 10")
    seen = schedule.run(2, "SELECT id FROM {t} WHERE value = 20")
    schedule.commit(1)
    schedule.run(2, "DELETE FROM {t} WHERE value = 20")
    committed = schedule.commit(2)
    remaining = [(key,) for key, _ in schedule.final_rows()]
    return committed and seen is not None and sorted(remaining + seen) != [(1,), (2,)]


def p4(schedule: Schedule) -> bool:
    """Lost update: a row is overwritten with a value computed before another transaction's commit."""
    for transaction in (1, 2):
        schedule.run(transaction, _ONE)
    schedule.run(1, "UPDATE {t} SET value = 11 WHERE id = 1")
    first = schedule.commit(1)
    schedule.run(2, "UPDATE {t} SET value = 12 WHERE id = 1")
    return first & schedule.commit(2)


def g_single(schedule: Schedule) -> bool:
    """Read skew: one row is read as before another transaction's commit, the other row as after it."""
    one = schedule.run(1, _ONE)
    schedule.run(2, "UPDATE {t} SET value = 12 WHERE id = 1")
    schedule.run(2, "UPDATE {t} SET value = 18 WHERE id = 2")
    schedule.commit(2)
    two = schedule.run(1, _TWO)
    return schedule.commit(1) and (one, two) == ([(10,)], [(18,)])


def g_single_predicate(schedule: Schedule) -> bool:
    """Read skew with predicates: the second query finds what another transaction committed in between."""
    schedule.run(1, "SELECT id FROM {t} WHERE value % 5 = 0")
    schedule.run(2, "UPDATE {t} SET value = 12 WHERE value = 10")
    schedule.commit(2)
    found = schedule.run(1, "SELECT id FROM {t} WHERE value % 3 = 0")
    return schedule.commit(1) and found != []


def g_single_write_predicate(schedule: Schedule) -> bool:
    """Read skew with a write: the rows of a DELETE were changed after the read before it."""
    schedule.run(1, _ONE)
    schedule.run(2, _ALL)
    schedule.run(2, "UPDATE {t} SET value = 12 WHERE id = 1")
    schedule.run(2, "UPDATE {t} SET value = 18 WHERE id = 2")
    schedule.commit(2)
    schedule.run(1, "DELETE FROM {t} WHERE value = 20")
    return schedule.commit(1)


def g2_item(schedule: Schedule) -> bool:
    """Write skew: two transactions read both rows, and each writes another one of them."""
    for transaction in (1, 2):
        schedule.run(transaction, _ALL)
    schedule.run(1, "UPDATE {t} SET value = 11 WHERE id = 1")
    schedule.run(2, "UPDATE {t} SET value = 21 WHERE id = 2")
    return schedule.commit(1) & schedule.commit(2)


def g2(schedule: Schedule) -> bool:
    """Write skew with predicates: two transactions read the same empty range, and each inserts a row into it."""
    for transaction in (1, 2):
        schedule.run(transaction, "SELECT id FROM {t} WHERE value % 3 = 0")
    schedule.run(1, "INSERT INTO {t} VALUES (3, 30)")
    schedule.run(2, "INSERT INTO {t} VALUES (4, 42)")
    return schedule.commit(1) & schedule.commit(2)


def g2_two_edges(schedule: Schedule) -> bool:
    """Write skew with a third transaction, which reads one write before the other one is made."""
    schedule.run(1, _ALL)
    schedule.run(2, "UPDATE {t} SET value = value + 5 WHERE id = 2")
    schedule.commit(2)
    seen = schedule.run(3, _ALL)
    read = schedule.commit(3)
    schedule.run(1, "UPDATE {t} SET value = 0 WHERE id = 1")
    return schedule.commit(1) and read and seen == [(1, 10), (2, 25)]


class Anomaly(NamedTuple):
    """An anomaly: its name and its scenario."""

    name: str
    happens: Callable[[Schedule], bool]

    @property
    def description(self) -> str:
        """The anomaly in one sentence: the docstring of its scenario."""
        return " ".join((self.happens.__doc__ or "").split())


ANOMALIES = (
    Anomaly("G0", g0),
    Anomaly("G1a", g1a),
    Anomaly("G1b", g1b),
    Anomaly("G1c", g1c),
    Anomaly("OTV", otv),
    Anomaly("P4, increments", lost_increment),
    Anomaly("P4, increments read", same_number_twice),
    Anomaly("PMP", pmp_read),
    Anomaly("PMP, write", pmp_write),
    Anomaly("P4", p4),
    Anomaly("P4, written rows", lost_update_of_written_rows),
    Anomaly("G-single", g_single),
    Anomaly("G-single, predicate", g_single_predicate),
    Anomaly("G-single, write predicate", g_single_write_predicate),
    Anomaly("G2-item", g2_item),
    Anomaly("G2", g2),
    Anomaly("G2, two edges", g2_two_edges),
)
