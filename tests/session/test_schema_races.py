"""Two transactions at once, of which at least one changes the schema, in both orders of their commits.

The outcome is that of a serial order, or one of them gets a conflict. The tables that are left are sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from rome.verify.sql.races import Race, play_race
from rome.verify.sql.script import Script, Step


class Pair(NamedTuple):
    """Two transactions, by their statements, after a setup."""

    name: str
    setup: Sequence[str]
    change: Sequence[str]
    other: Sequence[str]


PARENT = "CREATE TABLE p (id INTEGER PRIMARY KEY, a INT)"
CHILD = "CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p (id))"
FAMILY = (PARENT, CHILD, "INSERT INTO p VALUES (1, 1)")
TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)"
ROW = "INSERT INTO t VALUES (9, 10)"
FILLED = (TABLE, "INSERT INTO t VALUES (1, 1)")

PAIRS = [
    Pair("not-null", [TABLE], ["ALTER TABLE t ADD COLUMN c INT NOT NULL"], [ROW]),
    Pair(
        "not-null-after-delete",
        [*FILLED, "INSERT INTO t VALUES (2, 2)"],
        ["DELETE FROM t", "ALTER TABLE t ADD COLUMN c INT NOT NULL"],
        [ROW],
    ),
    Pair("check", FILLED, ["ALTER TABLE t ADD COLUMN c INT DEFAULT 5 CHECK (c > n)"], [ROW]),
    Pair("plain-column", FILLED, ["ALTER TABLE t ADD COLUMN c INT"], ["UPDATE t SET n = 3"]),
    Pair("references", [PARENT, TABLE], ["ALTER TABLE t ADD COLUMN c INT DEFAULT 5 REFERENCES p"], [ROW]),
    Pair("drop-parent", FAMILY, ["DROP TABLE p"], ["INSERT INTO c VALUES (1, 1)"]),
    Pair("new-parent", FAMILY, ["DROP TABLE p", PARENT], ["INSERT INTO c VALUES (1, 1)"]),
    Pair(
        "drop-parent-update-child",
        [*FAMILY, "INSERT INTO c VALUES (1, NULL)"],
        ["DROP TABLE p"],
        ["UPDATE c SET p = 1"],
    ),
    Pair("rename-parent", FAMILY, ["ALTER TABLE p RENAME TO q"], ["INSERT INTO c VALUES (1, 1)"]),
    Pair("new-child", FAMILY[:1], [CHILD, "INSERT INTO c VALUES (1, 1)"], ["INSERT INTO p VALUES (9, 9)"]),
    Pair(
        "orphans",
        [PARENT, "INSERT INTO p VALUES (1, 1)"],
        [CHILD, "INSERT INTO c VALUES (1, 1)"],
        ["DELETE FROM p"],
    ),
    Pair(
        "child-by-another-index",
        [*FAMILY, "CREATE INDEX c_p ON c (p)"],
        ["DROP INDEX c_p", "INSERT INTO c VALUES (1, 1)"],
        ["DELETE FROM p"],
    ),
    Pair(
        "unique-parent-key",
        [
            PARENT,
            "CREATE UNIQUE INDEX pa ON p (a)",
            "INSERT INTO p VALUES (1, 1)",
            "CREATE TABLE c (x REFERENCES p (a))",
        ],
        ["DROP INDEX pa"],
        ["INSERT INTO c VALUES (1)"],
    ),
    Pair("unresolved-parent", [], ["CREATE TABLE c (x REFERENCES p)"], [PARENT]),
    Pair("unique-index", FILLED, ["CREATE UNIQUE INDEX tn ON t (n)"], ["INSERT INTO t VALUES (2, 1)"]),
    Pair("view-of-renamed-column", [TABLE], ["ALTER TABLE t RENAME n TO x"], ["CREATE VIEW v AS SELECT n FROM t"]),
    Pair(
        "view-of-view",
        [TABLE, "CREATE VIEW w AS SELECT * FROM t"],
        ["ALTER TABLE t RENAME n TO x"],
        ["CREATE VIEW v AS SELECT n FROM w"],
    ),
    Pair(
        "index-of-dropped-column",
        [TABLE],
        ["ALTER TABLE t DROP n"],
        ["CREATE INDEX tn ON t (n)"],
    ),
    Pair(
        "trigger-of-renamed-column",
        [TABLE, "CREATE TABLE log (x INT)"],
        ["ALTER TABLE log RENAME x TO y"],
        ["CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO log (x) VALUES (new.n); END"],
    ),
    Pair("two-tables", [], ["CREATE TABLE a (n INT)"], ["CREATE TABLE b (n INT)"]),
    Pair("one-name", [], [TABLE], ["CREATE VIEW t AS SELECT 1 AS n"]),
]


@pytest.mark.parametrize("changes_first", [True, False])
@pytest.mark.parametrize("pair", [pytest.param(pair, id=pair.name) for pair in PAIRS])
def test_schema_changes_and_others_at_once(url: str, pair: Pair, changes_first: bool) -> None:
    steps = [Step(sql, connection=number) for number in (0, 1) for sql in pair[2 + number]]
    commits = [Step("COMMIT", connection=number) for number in ((0, 1) if changes_first else (1, 0))]
    setup = Script("SNAPSHOT", tuple(map(Step, pair.setup)))
    for level in ("SNAPSHOT", "SERIALIZABLE", "READ COMMITTED"):
        assert play_race(Race(setup, level, (*steps, *commits)), url) is None
