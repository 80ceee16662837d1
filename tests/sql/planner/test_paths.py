"""The access paths of statements, and the requests of access paths."""

from typing import Any

import pytest

from rome.sql.planner.bind import MAX_COMBINATIONS, bind_step
from rome.storage.keys import AFTER_NULL, encode, prefix_end
from rome.storage.store import Get, Lookup, Range, Request, Scan, index_space, rows_space
from tests.sql.schema import catalog_from, plan_reads

CATALOG = catalog_from("""
CREATE TABLE services (id INTEGER PRIMARY KEY, uuid VARCHAR(36), host TEXT, topic TEXT, deleted BOOLEAN, seen DATETIME,
    nick TEXT COLLATE NOCASE, size AS (length(host)));
CREATE UNIQUE INDEX services_uuid_idx ON services (uuid);
CREATE INDEX services_host_topic_seen_idx ON services (host, topic, seen);
CREATE INDEX services_nick_idx ON services (nick);
CREATE INDEX services_size_idx ON services (size);
CREATE INDEX services_partial_idx ON services (topic) WHERE deleted = 0;
CREATE INDEX services_mixed_idx ON services (seen, nick, host);
CREATE TABLE tags (service_id INTEGER NOT NULL REFERENCES services (id), name TEXT NOT NULL, value,
    PRIMARY KEY (service_id, name));
CREATE TABLE notes (body TEXT, tag REFERENCES tags (name));
CREATE VIEW busy AS SELECT * FROM services;
""")

SERVICES, TAGS, NOTES = "full scan of services", "full scan of tags", "full scan of notes"
BY_ID = "primary key lookup on services (id = ?1)"
BY_ID_AS_S = "primary key lookup on services AS s (id = ?1)"

GOLDEN = [
    # conditions that narrow
    ("SELECT * FROM services", [SERVICES]),
    ("SELECT * FROM services WHERE id = ?", [BY_ID]),
    ("SELECT * FROM services WHERE ? = id", [BY_ID]),
    ("SELECT * FROM services WHERE ((id)) == (?)", [BY_ID]),
    ('SELECT * FROM main."services" AS s WHERE S.[ID] = ?', [BY_ID_AS_S]),
    ("SELECT * FROM services WHERE rowid = ?", [BY_ID]),
    ("SELECT * FROM services WHERE id = :id", ["primary key lookup on services (id = :id)"]),
    ("SELECT * FROM services WHERE id = ?2 OR id = ?1", ["primary key lookup on services (id IN (?2, ?1))"]),
    ("SELECT * FROM services WHERE id = -5", ["primary key lookup on services (id = -5)"]),
    ("SELECT * FROM services WHERE id = TRUE", ["primary key lookup on services (id = 1)"]),
    ("SELECT * FROM services WHERE id IN (1, ?, 'x')", ["primary key lookup on services (id IN (1, ?1, 'x'))"]),
    ("SELECT * FROM services WHERE id IN (1, -2)", ["primary key lookup on services (id IN (1, -2))"]),
    ("SELECT * FROM services WHERE id IN (?, ?, ?, ?)",
     ["primary key lookup on services (id IN (?1, ?2, ?3, … 4 values))"]),
    ("SELECT * FROM services WHERE id IN ()", ["primary key lookup on services (id IN ())"]),
    ("SELECT * FROM services WHERE id IS ?", ["primary key lookup on services (id IS ?1)"]),
    ("SELECT * FROM services WHERE id IS 4", ["primary key lookup on services (id = 4)"]),
    ("SELECT * FROM services WHERE uuid IS NULL", ["index lookup on services using services_uuid_idx (uuid IS NULL)"]),
    ("SELECT * FROM services WHERE id > ? AND id <= 9", ["primary key range scan on services (id > ?1 AND id <= 9)"]),
    ("SELECT * FROM services WHERE id BETWEEN ? AND ?", ["primary key range scan on services (id >= ?1 AND id <= ?2)"]),
    ("SELECT * FROM services WHERE 5 < id", ["primary key range scan on services (id > 5)"]),
    ("SELECT * FROM tags WHERE (service_id, name) = (?, 'a')",
     ["primary key lookup on tags (service_id = ?1 AND name = 'a')"]),
    ("SELECT * FROM tags WHERE value = x'00ff' AND service_id = 1", ["primary key lookup on tags (service_id = 1)"]),
    ("SELECT * FROM tags WHERE name > 'a' AND service_id = 1",
     ["primary key range scan on tags (service_id = 1 AND name > 'a')"]),
    ("SELECT * FROM tags WHERE name = 'a'", [TAGS]),
    ("SELECT * FROM notes WHERE oid = 7", ["primary key lookup on notes (rowid = 7)"]),
    ("SELECT * FROM notes WHERE tag = 'it''s'", ["index lookup on notes using index on tag (tag = 'it''s')"]),
    # the choice between paths
    ("SELECT * FROM services WHERE uuid = ? AND id > 0",
     ["index range scan on services using services_uuid_idx (uuid = ?1 AND id > 0)"]),
    ("SELECT * FROM services WHERE uuid = ?2 AND id = ?1", [BY_ID]),
    ("SELECT * FROM services WHERE topic = 't' AND host = 'h' AND uuid = 'u'",
     ["index lookup on services using services_uuid_idx (uuid = 'u')"]),
    ("SELECT * FROM services WHERE topic = 't' AND host = 'h' AND id > 1",
     ["index lookup on services using services_host_topic_seen_idx (host = 'h' AND topic = 't')"]),
    ("SELECT * FROM services WHERE host = 'h' AND topic >= 't'",
     ["index range scan on services using services_host_topic_seen_idx (host = 'h' AND topic >= 't')"]),
    ("SELECT * FROM services WHERE id IN (?, ?) AND id = ?", ["primary key lookup on services (id = ?3)"]),
    # indexes on expressions, partial indexes
    ("SELECT * FROM services WHERE topic = 't' AND deleted = 0",
     ["index lookup on services using services_partial_idx (topic = 't')"]),
    ("SELECT * FROM services WHERE size = 3", ["index lookup on services using services_size_idx (size = 3)"]),
    ("SELECT * FROM services WHERE nick = 'n'", ["index lookup on services using services_nick_idx (nick = 'n')"]),
    ("SELECT * FROM services WHERE nick > ? ORDER BY nick, id LIMIT 5",
     ["index range scan on services using services_nick_idx (nick > ?1), limit 5"]),
    ("SELECT * FROM services WHERE seen = 1 AND nick = 'n' AND host = 'h'",
     ["index lookup on services using services_mixed_idx (seen = 1 AND nick = 'n' AND host = 'h')"]),
    # conditions that do not narrow
    ("SELECT * FROM services WHERE topic = 't' AND deleted = 1", [SERVICES]),
    ("SELECT * FROM services WHERE topic = 't' AND deleted = ?", [SERVICES]),
    ("SELECT * FROM services WHERE coalesce(nick, '') = 'n'", [SERVICES]),
    ("SELECT * FROM services WHERE nick = 'n' COLLATE BINARY", [SERVICES]),
    ("SELECT * FROM services WHERE host = 'h' COLLATE NOCASE", [SERVICES]),
    ("SELECT * FROM services WHERE host COLLATE NOCASE = 'h'", [SERVICES]),
    ("SELECT * FROM services WHERE +id = 1 AND id = +1", [SERVICES]),
    ("SELECT * FROM services WHERE id = 1 + 1 OR id = 0x10 OR id = abs(1)", [SERVICES]),
    ("SELECT * FROM services WHERE id = 0x10", ["primary key lookup on services (id = 16)"]),
    ("SELECT * FROM services WHERE NOT id = 1 AND id <> 2 AND id IS NOT 3 AND id IS NOT NULL", [SERVICES]),
    ("SELECT * FROM services WHERE id IS TRUE", [SERVICES]),
    ("SELECT * FROM services WHERE id = 1 IS NULL", [SERVICES]),
    ("SELECT * FROM services WHERE id = 1 ->> 'a'", [SERVICES]),
    ("SELECT * FROM services WHERE id IN (1, id)", [SERVICES]),
    ("SELECT * FROM services WHERE id NOT IN (1)", [SERVICES]),
    ("SELECT id = 1 FROM services HAVING id = 1", [SERVICES]),
    ('SELECT * FROM services WHERE host = "h"', [SERVICES]),
    ("SELECT * FROM services WHERE id = 0.1234567890123456789", [SERVICES]),
    ("SELECT name AS id FROM services JOIN tags WHERE tags.id = 1", [SERVICES, TAGS]),
    # joins
    ("SELECT * FROM services s, tags t WHERE s.id = ? AND t.service_id = 4",
     [BY_ID_AS_S, "primary key lookup on tags AS t (service_id = 4)"]),
    ("SELECT * FROM services JOIN tags ON id = ? AND name = 'x' WHERE service_id > 3",
     [BY_ID, "primary key range scan on tags (service_id > 3)"]),
    ("SELECT * FROM services LEFT JOIN tags ON service_id = 3 AND services.id = 4",
     [SERVICES, "primary key lookup on tags (service_id = 3)"]),
    ("SELECT * FROM services LEFT JOIN tags ON 1 WHERE service_id = 3",
     [SERVICES, "primary key lookup on tags (service_id = 3)"]),
    ("SELECT * FROM services LEFT JOIN tags ON 1 WHERE service_id IS NULL", [SERVICES, TAGS]),
    ("SELECT * FROM services LEFT JOIN tags ON 1 WHERE service_id IS ?", [SERVICES, TAGS]),
    ("SELECT * FROM services LEFT JOIN tags ON service_id IS NULL",
     [SERVICES, "primary key lookup on tags (service_id IS NULL)"]),
    ("SELECT * FROM services LEFT JOIN tags ON 1 JOIN notes ON service_id IS NULL AND service_id > 1",
     [SERVICES, "primary key lookup on tags (service_id IS NULL)", NOTES]),
    ("SELECT * FROM services JOIN tags ON service_id IS NULL LEFT JOIN notes ON services.id = 4",
     [SERVICES, "primary key lookup on tags (service_id IS NULL)", NOTES]),
    ("SELECT * FROM services LEFT JOIN (tags JOIN notes ON service_id = 4) ON notes.rowid = 3 WHERE service_id IS NULL",
     [SERVICES, "primary key lookup on tags (service_id = 4)", "primary key lookup on notes (rowid = 3)"]),
    ("SELECT * FROM ((services JOIN tags ON service_id = 4) LEFT JOIN notes ON notes.rowid = 3) WHERE id = ?",
     [BY_ID, "primary key lookup on tags (service_id = 4)", "primary key lookup on notes (rowid = 3)"]),
    ("SELECT * FROM services RIGHT JOIN tags ON 1 WHERE service_id = 3 AND services.id = 1", [SERVICES, TAGS]),
    ("SELECT * FROM services FULL JOIN tags ON service_id = 3", [SERVICES, TAGS]),
    ("SELECT * FROM services NATURAL JOIN tags WHERE id = 3", [SERVICES, TAGS]),
    ("SELECT * FROM services NATURAL JOIN tags WHERE services.id = 3",
     ["primary key lookup on services (id = 3)", TAGS]),
    ("SELECT * FROM services s JOIN services o ON s.id = 1 AND o.id = 2 AND id = 3",
     ["primary key lookup on services AS s (id = 1)", "primary key lookup on services AS o (id = 2)"]),
    ("SELECT * FROM services, notes WHERE rowid = 1", [SERVICES, NOTES]),
    # scopes
    ("SELECT * FROM services WHERE id = ? UNION SELECT * FROM services WHERE 2 = id",
     [BY_ID, "primary key lookup on services (id = 2)"]),
    ("SELECT * FROM services s WHERE EXISTS (SELECT 1 FROM tags WHERE service_id = 2 AND s.id = 1)",
     ["primary key lookup on services AS s (id = 1)", "primary key lookup on tags (service_id = 2)"]),
    ("SELECT * FROM (SELECT * FROM services WHERE id = ?) q LEFT JOIN tags ON q.id = service_id WHERE q.uuid = 1",
     [BY_ID, "primary key lookup on tags (service_id = ?1)"]),
    ("WITH q AS (SELECT * FROM services WHERE id = ?) SELECT * FROM q JOIN tags WHERE q.id = 3", [BY_ID, TAGS]),
    ("WITH tags AS (SELECT 1 AS service_id) SELECT * FROM tags WHERE service_id = 1", [TAGS]),
    ("SELECT 1 IN tags FROM tags WHERE service_id = 1", [TAGS]),
    ("SELECT * FROM busy, services AS s, tags WHERE s.id = ? AND service_id = 1",
     ["full scan of services AS s", "primary key lookup on tags (service_id = 1)"]),
    ("SELECT * FROM json_each(?1) AS j, services WHERE j.id = 3", [SERVICES]),
    ("VALUES (1, (SELECT max(id) FROM services WHERE id < 3))",
     ["primary key range scan on services (id < 3), backward, limit 1"]),
    # data-modifying statements
    ("DELETE FROM services WHERE id = ?", [BY_ID]),
    ("DELETE FROM services", [SERVICES]),
    ("UPDATE OR IGNORE services AS s SET host = (SELECT max(body) FROM notes WHERE tag = 1) WHERE id = ? RETURNING id",
     [BY_ID_AS_S, "index lookup on notes using index on tag (tag = 1)"]),
    ("UPDATE services SET host = body FROM notes LEFT JOIN tags ON service_id = 1 WHERE services.id = ? AND tag = 2",
     [BY_ID, "index lookup on notes using index on tag (tag = 2)", "primary key lookup on tags (service_id = 1)"]),
    ("INSERT INTO tags VALUES (?, ?, ?)", []),
    ("INSERT INTO tags VALUES (?, 1 IN notes, ?)", [NOTES]),
    ("REPLACE INTO tags SELECT id, 'x', 1 FROM services WHERE id = ?", [BY_ID]),
    ("INSERT INTO tags SELECT * FROM tags WHERE service_id = 1 ON CONFLICT DO UPDATE SET value = (SELECT 1 FROM notes)",
     ["primary key lookup on tags (service_id = 1)", NOTES]),
    ("WITH q AS (SELECT 3) DELETE FROM tags WHERE service_id = 3", ["primary key lookup on tags (service_id = 3)"]),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), GOLDEN)
def test_golden(sql: str, expected: list[str]) -> None:
    plan = plan_reads(sql, CATALOG)
    assert plan.parsed
    assert sorted([*dict.fromkeys(map(str, plan.steps)), *map(str, plan.other_scans)]) == sorted(expected)


@pytest.mark.parametrize(
    "sql",
    [
        "PRAGMA table_info(services)",
        "SELECT 'open",
        "SELECT FROM WHERE",
        "SELECT 1; SELECT 2",
        "CREATE TABLE t (a)",
        "",
    ],
)
def test_unsupported_syntax_has_no_paths(sql: str) -> None:
    plan = plan_reads(sql, CATALOG)
    assert not plan.parsed
    assert not plan.rounds


def test_true_may_be_a_column() -> None:
    assert not plan_reads("SELECT * FROM t WHERE a = TRUE", catalog_from("CREATE TABLE t (a UNIQUE, true)")).parsed


INDIRECT = catalog_from("""
CREATE TABLE p (id INTEGER PRIMARY KEY, a);
CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p (id) ON DELETE CASCADE);
CREATE TABLE log (id INTEGER PRIMARY KEY, a);
CREATE TABLE far (id INTEGER PRIMARY KEY, a);
CREATE VIEW inner_view AS WITH q AS (SELECT max(a) FROM p) SELECT * FROM q;
CREATE VIEW outer_view AS SELECT * FROM inner_view;
CREATE TRIGGER u AFTER UPDATE OF a ON p BEGIN INSERT INTO log (a) SELECT max(a) FROM p; END;
CREATE TRIGGER l BEFORE INSERT ON log WHEN (SELECT 1 FROM c) BEGIN SELECT 1; END;
CREATE TRIGGER d AFTER DELETE ON c BEGIN DELETE FROM far WHERE a = old.id; END;
""")


@pytest.mark.parametrize(
    ("sql", "whole"),
    [
        ("SELECT * FROM p, outer_view WHERE p.id = 1", {"p"}),
        ("UPDATE p SET a = 1 WHERE id = 1", {"p", "log", "c", "far"}),
        ("INSERT INTO p VALUES (1, 2)", {"far"}),
        ("INSERT INTO p VALUES (1, 2) ON CONFLICT DO UPDATE SET a = 3", {"p", "log", "c", "far"}),
        ("INSERT INTO log VALUES (1, 2)", {"c", "far"}),
        ("DELETE FROM p WHERE id = 1", {"far"}),
        ("DELETE FROM c WHERE id = 1", {"far"}),
        ("DELETE FROM far WHERE id = 1", set()),
    ],
)
def test_tables_of_views_and_triggers_get_full_scans(sql: str, whole: set[str]) -> None:
    assert {table.name for table in plan_reads(sql, INDIRECT).full_scans} == whole


def bound(sql: str, parameters: Any = ()) -> tuple[Request, ...]:
    (step,) = plan_reads(sql, CATALOG).steps
    found = bind_step(step, parameters, lambda _: ())
    if step.point_lookup is not None and Scan not in map(type, found):
        assert step.point_lookup.request(tuple(parameters)) in (None, *found)
    return found


def rows_of(name: str) -> bytes:
    return rows_space(CATALOG.tables[name].id)


def index_of(table: str, name: str) -> bytes:
    return index_space(next(index.id for index in CATALOG.tables[table].indexes if index.name == name))


WHOLE = (Scan(rows_space(CATALOG.tables["services"].id)),)


@pytest.mark.parametrize(
    ("condition", "parameters", "keys"),
    [
        ("id = ?", [3], [3]),
        ("id = ?", ["3"], [3]),
        ("id = ?", [3.0], [3]),
        ("id = ?", [True], [1]),
        ("id = :n", {"n": "3.5"}, [3.5]),
        ("id IN (?, 5, ?, '4', NULL)", [5, None], [4, 5]),
        ("id = ?1 AND id IN (?1, ?2)", [9, 8], [9]),
    ],
)
def test_row_keys(condition: str, parameters: Any, keys: list[Any]) -> None:
    sql = f"SELECT * FROM services WHERE {condition}"
    assert bound(sql, parameters) == (Get(rows_of("services"), tuple(encode((key,)) for key in keys)),)


@pytest.mark.parametrize(
    ("condition", "parameters"),
    [
        ("id = ?", [None]),
        ("id = NULL", []),
        ("id IN (NULL)", []),
        ("id IN ()", []),
        ("id > ?", [None]),
        ("host = 'h' AND topic < NULL", []),
        ("id BETWEEN 5 AND 3", []),
        ("host = 'h' AND topic BETWEEN 'b' AND 'a'", []),
        ("id = ?", [float("nan")]),
    ],
)
def test_conditions_that_no_row_matches_need_no_request(condition: str, parameters: Any) -> None:
    assert bound(f"SELECT * FROM services WHERE {condition}", parameters) == ()


@pytest.mark.parametrize(
    ("condition", "parameters"),
    [
        ("host = ?", [1.5]),
        ("id = ?", []),
        ("id = :a", {"b": 1}),
        ("id = ?", {"b": 1}),
        ("id = ?", [2**63]),
        ("id = ?", [object()]),
        ("host = ?", ["\ud800"]),
    ],
)
def test_values_that_lead_to_a_full_scan(condition: str, parameters: Any) -> None:
    assert bound(f"SELECT * FROM services WHERE {condition}", parameters) == WHOLE


def test_ranges_of_rows() -> None:
    rows, one, two = rows_of("services"), encode((1,)), encode((2,))
    select = "SELECT * FROM services WHERE "
    assert bound(select + "id >= 1 AND id < 2") == (Range(rows, one, two),)
    assert bound(select + "id > 1 AND id <= 2") == (Range(rows, prefix_end(one), prefix_end(two)),)
    assert bound(select + "id < 2") == (Range(rows, AFTER_NULL, two),)
    assert bound(select + "id > 1") == (Range(rows, prefix_end(one), prefix_end(b"")),)
    tags = "SELECT * FROM tags WHERE service_id IN (2, 1)"
    assert bound(tags) == tuple(Range(rows_of("tags"), key, prefix_end(key)) for key in (one, two))


def test_lookups() -> None:
    index = index_of("services", "services_host_topic_seen_idx")
    host, both = encode(("h",)), encode(("h", "t"))
    select = "SELECT * FROM services WHERE "
    assert bound(select + "host = ?", ["h"]) == (Lookup(index, rows_of("services"), ((host, prefix_end(host)),)),)
    assert bound(select + "host = ? AND topic = 't' AND seen < ?", ["h", "2020-01-01"]) == (
        Lookup(index, rows_of("services"), ((both + AFTER_NULL, both + encode(("2020-01-01",))),)),
    )
    null = encode((None,))
    assert bound("SELECT * FROM services WHERE uuid IS ?", [None]) == (
        Lookup(index_of("services", "services_uuid_idx"), rows_of("services"), ((null, prefix_end(null)),)),
    )


@pytest.mark.parametrize(
    ("condition", "parameters", "prefixes"),
    [
        ("host GLOB 'ab*'", [], ["ab"]),
        ("host GLOB ?", ["ab[c]d*"], ["ab"]),
        ("host LIKE '10.1%'", [], ["10.1"]),
        ("host LIKE ? || '%'", ["é_"], ["é"]),
        ("host LIKE 'ab%'", [], ["AB", "Ab", "aB", "ab"]),
        ("host LIKE '1/%%' ESCAPE '/'", [], ["1%"]),
        ("host LIKE '1_2'", [], ["1"]),
        ("host LIKE '-abcdef%'", [], [f"-{a}{b}{c}{d}" for a in "Aa" for b in "Bb" for c in "Cc" for d in "Dd"]),
    ],
)
def test_patterns(condition: str, parameters: Any, prefixes: list[str]) -> None:
    """A pattern finds the texts and blobs that begin with its prefixes."""
    (lookup,) = bound(f"SELECT * FROM services WHERE {condition}", parameters)
    assert isinstance(lookup, Lookup)

    def has(value: str | bytes) -> bool:
        key = encode((value,))
        return any(begin <= key < end for begin, end in lookup.ranges)

    for text in prefixes:
        assert has(text) and has(text + "x") and has(text + "\U0010ffff") and has(text + "\0")  # noqa: PT018
        assert has(text.encode()) and has(text.encode() + b"\xff")  # noqa: PT018
        assert not has(text[:-1])
    assert len([one for one in lookup.ranges if one[0][:1] == b"\x20"]) == len(prefixes)


@pytest.mark.parametrize(
    ("condition", "parameters"),
    [
        ("host LIKE '%a'", []),
        ("host LIKE ?", [None]),
        ("host GLOB ?", [5]),
        ("seen GLOB '2*'", []),
        ("nick LIKE '1%'", []),
        ("host NOT LIKE '1%'", []),
        ("host LIKE '1%' ESCAPE ''", []),
    ],
)
def test_patterns_that_lead_to_a_full_scan(condition: str, parameters: Any) -> None:
    assert bound(f"SELECT * FROM services WHERE {condition}", parameters) == WHOLE


def test_keys_of_rows_that_may_change_are_not_used() -> None:
    plan = plan_reads("SELECT * FROM services JOIN tags ON service_id = services.id WHERE uuid = ?", CATALOG)
    (step,) = (step for step in plan.steps if step.depends_on)
    assert bind_step(step, ["u"], None) == (Scan(rows_of("tags")),)


def test_many_combinations_leave_columns_out() -> None:
    marks = ", ".join("?" * (MAX_COMBINATIONS // 2))
    sql = f"SELECT * FROM services WHERE host IN ({marks}) AND topic IN ('a', 'b', 'c') AND seen > 1"
    (request,) = bound(sql, [str(number) for number in range(MAX_COMBINATIONS // 2)])
    assert isinstance(request, Lookup)
    assert len(request.ranges) == MAX_COMBINATIONS // 2
    assert request.ranges[0] == (encode(("0",)), prefix_end(encode(("0",))))


def test_a_long_list_is_one_request() -> None:
    marks = ", ".join("?" * 20_000)
    (request,) = bound(f"SELECT * FROM services WHERE id IN ({marks})", list(range(20_000)))
    assert isinstance(request, Get)
    assert len(request.keys) == 20_000
