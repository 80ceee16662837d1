"""Ids of new rows that cost no round trip, because the commit takes them: in the order of allocation all the same."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import rome
from rome.cache.predictions import Predictions
from rome.errors import Conflict
from rome.storage.memory import MemoryStore
from rome.storage.store import Draw, Fetched
from rome.testing.servers import RedisServer

LONG = 3600
"""Seconds: within a test, nothing becomes so old."""


@pytest.fixture(params=["file", pytest.param("redis", marks=pytest.mark.server)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database with two tables. Processes share it."""
    if request.param == "file":
        url = f"rome+file://{tmp_path}/ids.rome"
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        url = server.url(f"ids-{uuid.uuid4().hex}")
    with closing(rome.connect(url)) as connection:
        connection.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
        connection.execute("CREATE TABLE child (id INTEGER PRIMARY KEY, parent INT REFERENCES parent)")
        connection.commit()
    yield url
    rome.drop_database(url)


@pytest.fixture
def first(address: str) -> Iterator[rome.Connection]:
    """Return a connection with a cache, which has taken some ids in a row."""
    with closing(rome.connect(f"{address}?staleness={LONG}")) as connection:
        for _ in range(6):
            insert(connection)
            connection.commit()
        warm(connection)
        yield connection


def warm(connection: rome.Connection) -> None:
    """Let the follower begin, and predictions after it."""
    cached = connection.database.cached
    assert cached is not None
    deadline = time.monotonic() + 60
    while True:
        name = absent(connection)
        if rounds(connection, lambda: (insert(connection, name), connection.commit())) == 1:  # noqa: B023
            break
        assert time.monotonic() < deadline
        time.sleep(0.01)


def absent(connection: rome.Connection) -> str:
    """Return a name which the process knows that no row has."""
    name = uuid.uuid4().hex
    assert not connection.execute("SELECT id FROM parent WHERE name = ?", (name,)).fetchall()
    connection.commit()
    return name


def insert(connection: rome.Connection, name: str = "") -> int:
    name = name or uuid.uuid4().hex
    ((rowid,),) = connection.execute("INSERT INTO parent (name) VALUES (?) RETURNING id", (name,)).fetchall()
    return int(rowid)


def rounds(connection: rome.Connection, work: Callable[[], object]) -> int:
    counts = connection.database.store.stats.of_caller()
    before = counts[0]
    work()
    return counts[0] - before


def ids(connection: rome.Connection) -> list[int]:
    found = [row[0] for row in connection.execute("SELECT id FROM parent ORDER BY id").fetchall()]
    connection.commit()
    return found


def test_an_insert_and_its_commit_are_one_round_trip(first: rome.Connection) -> None:
    made = ids(first)
    names = absent(first), absent(first)

    def work() -> None:
        for name in names:
            made.append(insert(first, name))
        first.commit()

    assert rounds(first, work) == 1
    assert made == sorted(set(made)) == ids(first)


def test_children_are_numbered_too(first: rome.Connection) -> None:
    def work(name: str = "") -> None:
        parent = insert(first, name)
        for _ in range(3):
            first.execute("INSERT INTO child (parent) VALUES (?)", (parent,))
        first.commit()

    for _ in range(6):
        work()
    name = absent(first)
    assert rounds(first, lambda: work(name)) == 1
    assert first.execute("SELECT count(DISTINCT id) FROM child").fetchall() == [(21,)]


def test_ids_of_others_lie_between(address: str, first: rome.Connection) -> None:
    """Whoever has read the last id finds all later rows after it."""
    with closing(rome.connect(address)) as other:
        made = []
        for number in range(40):
            connection = other if number % 10 == 9 else first
            try:
                rowid = insert(connection)
                connection.commit()
            except Conflict:
                connection.rollback()
                continue
            made.append(rowid)
        assert made == sorted(set(made))
        assert len(made) >= 32
        assert set(made) <= set(ids(other))


def test_a_number_that_others_have_taken_is_refused(address: str, first: rome.Connection) -> None:
    first.execute("SELECT 1 FROM child WHERE id = 0").fetchall()
    first.commit()
    for _ in range(8):
        first.execute("INSERT INTO child (parent) VALUES (NULL)")
        first.commit()
    with closing(rome.connect(address)) as other:
        first.execute("INSERT INTO child (parent) VALUES (NULL)")
        other.execute("INSERT INTO child (parent) VALUES (NULL)")
        other.commit()
        with pytest.raises(Conflict, match="ids that this transaction has used were given to others"):
            first.commit()
        first.execute("INSERT INTO child (parent) VALUES (NULL)")
        first.commit()
        assert other.execute("SELECT count(*) FROM child").fetchall() == [(10,)]


def test_a_single_statement_gets_another_number(address: str, first: rome.Connection) -> None:
    """Under AUTOCOMMIT the application has not seen the number yet."""
    with closing(rome.connect(f"{address}?staleness={LONG}", isolation_level="AUTOCOMMIT")) as single:
        for _ in range(8):
            single.execute("INSERT INTO child (parent) VALUES (NULL)")
        single.execute("SELECT 1")
        with closing(rome.connect(address)) as other:
            made = []
            for number in range(30):
                connection = other if number % 7 == 6 else single
                made += connection.execute("INSERT INTO child (parent) VALUES (NULL) RETURNING id").fetchone()
                other.commit()
    assert made == sorted(set(made))


def test_transactions_of_a_process_are_not_refused(address: str, first: rome.Connection) -> None:
    with closing(rome.connect(f"{address}?staleness={LONG}")) as second:
        for _ in range(5):
            made = [insert(first), insert(second), insert(first), insert(second)]
            second.commit()
            made.append(insert(second))
            first.commit()
            second.commit()
            assert len(set(made)) == 5
            assert set(made) <= set(ids(second))


def test_ids_after_a_rollback_and_explicit_ones(address: str, first: rome.Connection) -> None:
    made = ids(first)
    insert(first)
    first.rollback()
    made.append(insert(first))
    first.execute("SAVEPOINT s")
    insert(first)
    first.execute("ROLLBACK TO s")
    made.append(insert(first))
    first.commit()
    first.execute("INSERT INTO parent (id) VALUES (1000)")
    made += [1000, insert(first)]
    first.commit()
    for _ in range(6):
        made.append(insert(first))
        first.commit()
    assert made == sorted(set(made)) == ids(first)


class Numbers:
    """A transaction that uses predicted numbers, beside a store."""

    def __init__(self) -> None:
        self.store = MemoryStore(uuid.uuid4().hex)
        self.predictions = Predictions()
        for _ in range(5):
            self.draw()

    def draw(self) -> int:
        return int(self.predictions.draw([(b"t1", 1)], self.fetch).drawn[0])

    def fetch(self, draws: list[Draw] | tuple[Draw, ...] | object) -> Fetched:
        assert isinstance(draws, list)
        return self.store.fetch([], None, draws)


def test_a_draw_takes_predicted_numbers_along() -> None:
    numbers = Numbers()
    own: dict[bytes, object] = {}
    assert numbers.predictions.predict(own, [(b"t1", 2)]) == [6]  # type: ignore[arg-type]
    assert numbers.predictions.predict({}, [(b"t1", 1)]) is None
    assert numbers.draw() == 8
    prediction = own[b"t1"]
    assert numbers.predictions.is_drawn(b"t1", prediction)  # type: ignore[arg-type]


def test_nothing_is_predicted_while_a_number_is_drawn() -> None:
    numbers = Numbers()

    def fetch(draws: object) -> Fetched:
        assert numbers.predictions.predict({}, [(b"t1", 1)]) is None
        return numbers.fetch(draws)

    assert numbers.predictions.draw([(b"t1", 1)], fetch).drawn == [6]
    assert numbers.predictions.predict({}, [(b"t1", 1)]) == [7]


def test_more_is_needed_after_a_refusal() -> None:
    numbers = Numbers()
    numbers.predictions.note_refusal(b"t1")
    drawn = 0
    while numbers.predictions.predict({}, [(b"t1", 1)]) is None:
        numbers.draw()
        drawn += 1
    assert drawn == 7
