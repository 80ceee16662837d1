"""The scenarios. Each function plays one, and answers whether the anomaly was seen among transactions that committed.

The names and interleavings are those of the Hermitage test suite (Kleppmann, after Adya's thesis), with two changes.
Where Hermitage counts on one transaction waiting for another's lock, the second goes on at once, since nobody waits
in ROME. And what is seen counts only if the transaction that saw it could commit.

`ANOMALIES` has them in the order of the table, from what every level prevents to what only SERIALIZABLE does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rome.verify.isolation.play import Play

_ALL = "SELECT id, value FROM {t} ORDER BY id"
_ONE = "SELECT value FROM {t} WHERE id = 1"
_TWO = "SELECT value FROM {t} WHERE id = 2"


def g0(play: Play) -> bool:
    """Write cycle: of two transactions that write the same two rows, each leaves one of its writes."""
    play.run(1, "UPDATE {t} SET value = 11 WHERE id = 1")
    play.run(2, "UPDATE {t} SET value = 12 WHERE id = 1")
    play.run(1, "UPDATE {t} SET value = 21 WHERE id = 2")
    play.commit(1)
    play.run(2, "UPDATE {t} SET value = 22 WHERE id = 2")
    play.commit(2)
    return play.final() not in ([(1, 11), (2, 21)], [(1, 12), (2, 22)])


def g1a(play: Play) -> bool:
    """Aborted read: what was read was never committed."""
    play.run(1, "UPDATE {t} SET value = 101 WHERE id = 1")
    before = play.run(2, _ALL)
    play.rollback(1)
    after = play.run(2, _ALL)
    return play.commit(2) and not before == after == [(1, 10), (2, 20)]


def g1b(play: Play) -> bool:
    """Intermediate read: what was read is not what its writer left in the end."""
    play.run(1, "UPDATE {t} SET value = 101 WHERE id = 1")
    before = play.run(2, _ONE)
    play.run(1, "UPDATE {t} SET value = 11 WHERE id = 1")
    play.commit(1)
    after = play.run(2, _ONE)
    return play.commit(2) and [(101,)] in (before, after)


def g1c(play: Play) -> bool:
    """Circular information flow: each of two transactions has read what the other wrote."""
    play.run(1, "UPDATE {t} SET value = 11 WHERE id = 1")
    play.run(2, "UPDATE {t} SET value = 22 WHERE id = 2")
    first = play.run(1, _TWO)
    second = play.run(2, _ONE)
    both = play.commit(1) & play.commit(2)
    return both and first == [(22,)] and second == [(11,)]


def otv(play: Play) -> bool:
    """Observed transaction vanishes: a reader sees one write of a transaction, and then not its other one."""
    play.run(1, "UPDATE {t} SET value = 11 WHERE id = 1")
    play.run(1, "UPDATE {t} SET value = 19 WHERE id = 2")
    play.run(2, "UPDATE {t} SET value = 12 WHERE id = 1")
    play.commit(1)
    play.run(3, _ONE)
    play.run(2, "UPDATE {t} SET value = 18 WHERE id = 2")
    play.run(3, _TWO)
    play.commit(2)
    two = play.run(3, _TWO)
    one = play.run(3, _ONE)
    return play.commit(3) and two == [(18,)] and one != [(12,)]


def lost_update_of_written_rows(play: Play) -> bool:
    """Lost update, written rows: both transactions have written the row when the first of them commits."""
    for transaction in (1, 2):
        play.run(transaction, _ONE)
    for transaction in (1, 2):
        play.run(transaction, "UPDATE {t} SET value = value + 1 WHERE id = 1")
    both = play.commit(1) & play.commit(2)
    return both and play.final()[0] != (1, 12)


def pmp_read(play: Play) -> bool:
    """Predicate, many preceders: a range that was read empty is not empty when it is read again."""
    play.run(1, "SELECT id FROM {t} WHERE value = 30")
    play.run(2, "INSERT INTO {t} VALUES (3, 30)")
    play.commit(2)
    found = play.run(1, "SELECT id FROM {t} WHERE value % 3 = 0")
    return play.commit(1) and found != []


def pmp_write(play: Play) -> bool:
    """The same for writes: DELETE finds other rows than the SELECT before it found."""
    play.run(1, "UPDATE {t} SET value = value + 10")
    seen = play.run(2, "SELECT id FROM {t} WHERE value = 20")
    play.commit(1)
    play.run(2, "DELETE FROM {t} WHERE value = 20")
    committed = play.commit(2)
    remaining = [(key,) for key, _ in play.final()]
    return committed and seen is not None and sorted(remaining + seen) != [(1,), (2,)]


def p4(play: Play) -> bool:
    """Lost update: the row is written from what was read before another's commit."""
    for transaction in (1, 2):
        play.run(transaction, _ONE)
    play.run(1, "UPDATE {t} SET value = 11 WHERE id = 1")
    first = play.commit(1)
    play.run(2, "UPDATE {t} SET value = 12 WHERE id = 1")
    return first & play.commit(2)


def g_single(play: Play) -> bool:
    """Read skew: one row as it was before another's commit, one as it was after."""
    one = play.run(1, _ONE)
    play.run(2, "UPDATE {t} SET value = 12 WHERE id = 1")
    play.run(2, "UPDATE {t} SET value = 18 WHERE id = 2")
    play.commit(2)
    two = play.run(1, _TWO)
    return play.commit(1) and (one, two) == ([(10,)], [(18,)])


def g_single_predicate(play: Play) -> bool:
    """Read skew between two predicates: the second finds what another's commit brought."""
    play.run(1, "SELECT id FROM {t} WHERE value % 5 = 0")
    play.run(2, "UPDATE {t} SET value = 12 WHERE value = 10")
    play.commit(2)
    found = play.run(1, "SELECT id FROM {t} WHERE value % 3 = 0")
    return play.commit(1) and found != []


def g_single_write_predicate(play: Play) -> bool:
    """Read skew with a write: the rows that a DELETE looks for are gone since the read before it."""
    play.run(1, _ONE)
    play.run(2, _ALL)
    play.run(2, "UPDATE {t} SET value = 12 WHERE id = 1")
    play.run(2, "UPDATE {t} SET value = 18 WHERE id = 2")
    play.commit(2)
    play.run(1, "DELETE FROM {t} WHERE value = 20")
    return play.commit(1)


def g2_item(play: Play) -> bool:
    """Write skew: each of two transactions reads both rows, and writes the one that the other does not."""
    for transaction in (1, 2):
        play.run(transaction, _ALL)
    play.run(1, "UPDATE {t} SET value = 11 WHERE id = 1")
    play.run(2, "UPDATE {t} SET value = 21 WHERE id = 2")
    return play.commit(1) & play.commit(2)


def g2(play: Play) -> bool:
    """Write skew over a predicate: each reads an empty range, and inserts into the other's."""
    for transaction in (1, 2):
        play.run(transaction, "SELECT id FROM {t} WHERE value % 3 = 0")
    play.run(1, "INSERT INTO {t} VALUES (3, 30)")
    play.run(2, "INSERT INTO {t} VALUES (4, 42)")
    return play.commit(1) & play.commit(2)


def g2_two_edges(play: Play) -> bool:
    """The same with a reader: it sees one write and not yet the other, which was made from before the first."""
    play.run(1, _ALL)
    play.run(2, "UPDATE {t} SET value = value + 5 WHERE id = 2")
    play.commit(2)
    seen = play.run(3, _ALL)
    read = play.commit(3)
    play.run(1, "UPDATE {t} SET value = 0 WHERE id = 1")
    return play.commit(1) and read and seen == [(1, 10), (2, 25)]


class Anomaly(NamedTuple):
    """A name, and the scenario that shows whether it happens."""

    name: str
    happens: Callable[[Play], bool]

    @property
    def meaning(self) -> str:
        """What it is, in a sentence."""
        return " ".join((self.happens.__doc__ or "").split())


ANOMALIES = (
    Anomaly("G0", g0),
    Anomaly("G1a", g1a),
    Anomaly("G1b", g1b),
    Anomaly("G1c", g1c),
    Anomaly("OTV", otv),
    Anomaly("P4, written rows", lost_update_of_written_rows),
    Anomaly("PMP", pmp_read),
    Anomaly("PMP, write", pmp_write),
    Anomaly("P4", p4),
    Anomaly("G-single", g_single),
    Anomaly("G-single, predicate", g_single_predicate),
    Anomaly("G-single, write predicate", g_single_write_predicate),
    Anomaly("G2-item", g2_item),
    Anomaly("G2", g2),
    Anomaly("G2, two edges", g2_two_edges),
)
