"""Replay: a conflict is hidden if all results stay identical; any other conflict surfaces."""

from __future__ import annotations

import pytest

import rome
from rome.errors import Conflict, IntegrityError, StoreUnavailable
from rome.testing import check_database


@pytest.fixture
def two(url: str) -> tuple[rome.Connection, rome.Connection]:
    one, other = rome.connect(url), rome.connect(url)
    one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, name TEXT UNIQUE)")
    one.execute("INSERT INTO t VALUES (1, 0, 'a'), (2, 0, 'b')")
    one.commit()
    return one, other


def both(two: tuple[rome.Connection, rome.Connection], *statements: str) -> None:
    for connection in two:
        for sql in statements:
            connection.execute(sql).fetchall()
    two[0].commit()


def rows(connection: rome.Connection) -> list[tuple[object, ...]]:
    connection.rollback()
    return connection.execute("SELECT id, n, name FROM t ORDER BY id").fetchall()


def test_increments_are_all_counted(two: tuple[rome.Connection, rome.Connection], url: str) -> None:
    both(two, "UPDATE t SET n = n + 1 WHERE id = 1", "INSERT INTO t (n) VALUES (7)")
    two[1].commit()
    assert rows(two[0])[:2] == [(1, 2, "a"), (2, 0, "b")]
    assert [row[1] for row in rows(two[0])[2:]] == [7, 7]
    assert two[1].database.replays == 1
    assert check_database(url) == []


def test_a_change_is_committed_after_many_lost_races(two: tuple[rome.Connection, rome.Connection]) -> None:
    one, other = two
    races = iter(range(40))

    def lose() -> int:
        if next(races, None) is not None:
            one.execute("UPDATE t SET n = n + 1 WHERE id = 1")
            one.commit()
        return 1000

    other.create_function("lose", 0, lose, deterministic=True)
    other.execute("UPDATE t SET n = n + lose() WHERE id = 1")
    other.commit()
    assert rows(one)[0][1] == 1040


def test_an_id_that_was_returned_stays(two: tuple[rome.Connection, rome.Connection]) -> None:
    one, other = two
    handed_out = other.execute("INSERT INTO t (n) VALUES (1) RETURNING id").fetchall()
    other.execute("UPDATE t SET n = n + 1 WHERE id = 1")
    one.execute("UPDATE t SET n = n + 1 WHERE id = 1")
    one.execute("INSERT INTO t (n) VALUES (1)")
    one.commit()
    other.commit()
    assert other.execute("SELECT id FROM t WHERE id = ?", handed_out[0]).fetchall() == handed_out


@pytest.mark.parametrize(
    "statements",
    [
        ("SELECT n FROM t WHERE id = 1", "UPDATE t SET n = n + 1 WHERE id = 1"),
        ("UPDATE t SET n = n + 1 WHERE id = 1 RETURNING n",),
        ("UPDATE t SET n = 1 WHERE n = 0",),
        ("DELETE FROM t WHERE id = 1",),
    ],
)
def test_a_result_that_differs_surfaces(
    two: tuple[rome.Connection, rome.Connection], statements: tuple[str, ...]
) -> None:
    both(two, *statements)
    before = rows(two[0])
    with pytest.raises(Conflict):
        two[1].commit()
    assert not two[1].in_transaction
    assert rows(two[1]) == before


def test_savepoints_are_gone_through_again(two: tuple[rome.Connection, rome.Connection]) -> None:
    both(
        two,
        "UPDATE t SET n = n + 1 WHERE id = 1",
        "SAVEPOINT s",
        "UPDATE t SET n = n + 100",
        "ROLLBACK TO s",
        "UPDATE t SET n = n + 10 WHERE id = 2",
        "RELEASE s",
    )
    two[1].commit()
    assert rows(two[0]) == [(1, 2, "a"), (2, 20, "b")]


def test_a_statement_that_failed_is_not_run_again(two: tuple[rome.Connection, rome.Connection]) -> None:
    one, other = two
    other.execute("UPDATE t SET n = n + 1 WHERE id = 1")
    with pytest.raises(rome.dbapi.IntegrityError):
        other.execute("INSERT INTO t (name) VALUES ('a')")
    one.execute("UPDATE t SET n = n + 1 WHERE id = 1")
    one.commit()
    with pytest.raises(Conflict):
        other.commit()


def test_a_function_of_the_programs_own_is_not_run_again(two: tuple[rome.Connection, rome.Connection]) -> None:
    one, other = two
    other.create_function("tick", 0, iter(range(1, 100)).__next__)
    other.execute("UPDATE t SET n = n + tick() WHERE id = 1")
    one.execute("UPDATE t SET n = n + 1 WHERE id = 1")
    one.commit()
    with pytest.raises(Conflict):
        other.commit()


def test_a_lost_answer_of_a_replayed_commit_is_no_conflict(
    two: tuple[rome.Connection, rome.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    both(two, "UPDATE t SET n = n + 1 WHERE id = 1")
    store = two[1].database.store
    commit = store.commit

    def lose_the_answer(batch: object) -> int:
        commit(batch)  # type: ignore[arg-type]
        raise StoreUnavailable("the answer was lost")

    monkeypatch.setattr(store, "commit", lose_the_answer)
    with pytest.raises((StoreUnavailable, Conflict)) as caught:
        two[1].commit()
    monkeypatch.undo()
    applied = rows(two[0])[0][1] == 2
    assert applied == (caught.type is StoreUnavailable)
    assert not two[1].in_transaction


def test_of_two_that_create_one_key_the_second_gets_an_integrity_error(url: str) -> None:
    first, second = rome.connect(url), rome.connect(url)
    first.execute("CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
    first.commit()
    for connection in (first, second):
        assert connection.execute("SELECT id FROM tag WHERE name = 'x'").fetchall() == []
        connection.execute("INSERT INTO tag (name) VALUES ('x')")
    first.commit()
    with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: tag\.name") as raised:
        second.commit()
    assert raised.value.is_race
    assert not second.in_transaction
    assert len(second.execute("SELECT id FROM tag WHERE name = 'x'").fetchall()) == 1
    first.close()
    second.close()


def test_a_parent_that_is_deleted_meanwhile(url: str) -> None:
    first, second = rome.connect(url), rome.connect(url)
    first.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)")
    first.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p)")
    first.execute("INSERT INTO p VALUES (1)")
    first.commit()
    second.execute("INSERT INTO c VALUES (1, 1)")
    first.execute("DELETE FROM p")
    first.commit()
    with pytest.raises(IntegrityError, match="FOREIGN KEY constraint failed"):
        second.commit()
    first.close()
    second.close()


def test_other_conflicts_stay_conflicts(url: str) -> None:
    first, second = rome.connect(url), rome.connect(url)
    first.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n CHECK (n < 10))")
    first.execute("INSERT INTO t VALUES (1, 1)")
    first.commit()
    for connection in (first, second):
        connection.execute("SELECT n FROM t").fetchall()
        connection.execute("UPDATE t SET n = n + 1")
    first.commit()
    with pytest.raises(Conflict):
        second.commit()
    first.close()
    second.close()
