"""`rome copy`: schema, rows, counters, views; resumed after an interruption; verified."""

import sqlite3
from collections import Counter

import pytest

import rome
from rome.cli.copy import command, databases

pytestmark = pytest.mark.slow

SCHEMA = """
CREATE TABLE artist (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL);
CREATE TABLE album (id INTEGER PRIMARY KEY, artist INTEGER REFERENCES artist, price NUMERIC(10, 2), at DATETIME);
CREATE TABLE listed (list TEXT NOT NULL, album INTEGER NOT NULL REFERENCES album, PRIMARY KEY (list, album));
CREATE TABLE person (id INTEGER PRIMARY KEY, boss INTEGER REFERENCES person, state TEXT DEFAULT 'it''s',
    age INT DEFAULT -1, code TEXT DEFAULT (lower('X')));
CREATE TABLE loose (a, b BLOB);
CREATE INDEX album_artist ON album (artist);
CREATE VIEW dear AS SELECT * FROM album WHERE price > 5;
CREATE TRIGGER note AFTER INSERT ON artist BEGIN INSERT INTO loose VALUES (new.name, NULL); END;
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(SCHEMA)
        connection.executemany(
            "INSERT INTO artist VALUES (?, ?)", [(number, f"artist {number}") for number in range(1, 31)]
        )
        connection.execute("DELETE FROM artist WHERE id > 25")
        albums = [(number, number % 25 + 1, number / 4, "2020-01-02 03:04:05.000000") for number in range(1, 201)]
        connection.executemany("INSERT INTO album VALUES (?, ?, ?, ?)", albums)
        connection.executemany("INSERT INTO listed VALUES (?, ?)", [(f"list {n % 7}", n) for n in range(1, 101)])
        connection.execute("INSERT INTO person (id, boss) VALUES (1, 2), (2, NULL), (3, 1)")
        connection.execute("INSERT INTO loose VALUES (1.5, x'00ff'), (NULL, 'text')")
    connection.close()
    return path


def dumped(path):
    connection = sqlite3.connect(path)
    lines = sorted(connection.iterdump())
    connection.close()
    return lines


def test_there_and_back(run, source, url, tmp_path):
    report = run("copy", "--json", source, url).json["tables"]
    assert {each["table"]: each["rows"] for each in report} == {
        "artist": 25,
        "album": 200,
        "listed": 100,
        "person": 3,
        "loose": 32,
    }
    assert not any(each["differs"] for each in report)
    run("check", url)
    back = tmp_path / "back.db"
    again = run("copy", "--json", url, f"sqlite:///{back}").json["tables"]
    assert {each["table"]: each["checksum"] for each in again} == {each["table"]: each["checksum"] for each in report}
    assert dumped(back) == dumped(source)


def test_counters_views_and_triggers(run, source, url):
    run("copy", source, url)
    with rome.connect(url) as connection:
        connection.execute("INSERT INTO artist (name) VALUES ('new')")
        assert connection.execute("SELECT max(id) FROM artist").fetchone()[0] > 30, "ids 26 to 30 were given before"
        assert connection.execute("SELECT count(*) FROM dear").fetchone() == (180,)
        assert connection.execute("SELECT count(*) FROM loose WHERE a = 'new'").fetchone() == (1,)
    connection.close()


def rows_read(monkeypatch, dialect):
    """Return the numbers of rows by table that are read from databases of a dialect, counted from now on."""
    read, whole = Counter(), databases.Side.batches

    def counted(side, table, *arguments, **options):
        for rows in whole(side, table, *arguments, **options):
            if side.connection.dialect.name == dialect:
                read[table.name] += len(rows)
            yield rows

    monkeypatch.setattr(databases.Side, "batches", counted)
    return read


def test_interrupted_copy_is_resumed(run, source, url, monkeypatch):
    whole = command.copied_batches

    def interrupted(copy, *arguments):
        for number, rows in enumerate(whole(copy, *arguments)):
            if copy.name == "album" and number == 3:
                raise KeyboardInterrupt
            yield rows

    monkeypatch.setattr(command, "copied_batches", interrupted)
    assert "--resume continues the copy" in run("copy", "--batch", 10, source, url, code=130).err
    assert "--resume continues" in run("copy", source, url, code=1).err
    monkeypatch.undo()
    read = rows_read(monkeypatch, "sqlite")
    report = {each["table"]: each for each in run("copy", "--json", "--resume", source, url).json["tables"]}
    assert not any(each["differs"] for each in report.values())
    assert report["album"]["copied"] == 160
    assert read == {name: each["rows"] for name, each in report.items()}, "the source is read once"
    run("check", url)


def test_row_that_differs_is_found(run, source, url):
    run("copy", source, url)
    with rome.connect(url) as connection:
        connection.execute("UPDATE album SET price = 99 WHERE id = 7")
    connection.close()
    assert "differs: album\n" in run("copy", "--resume", source, url, code=3).err


def test_some_tables_and_dry_run(run, source, url):
    assert len(run("copy", "--dry-run", "--json", source, url).json["tables"]) == 5
    assert run("shell", url, "-c", ".tables").out == ""
    run("copy", "--tables", "artist, loose", source, url)
    assert {each["table"] for each in run("tables", "--json", url).json["tables"]} == {"artist", "loose"}
    assert "no such table in the source: nope" in run("copy", "--tables", "nope", source, url, code=1).err


def test_wrong_databases(run, source, tmp_path):
    assert "not a database URL" in run("copy", source, "nonsense+x://", code=1).err
    assert "unable to open database file" in run("copy", source, f"sqlite:///{tmp_path}/no/folder.db", code=1).err


def test_converted_copy(run, source, url, monkeypatch):
    """The way to and from other databases, shown with two that SQLAlchemy knows here."""
    monkeypatch.setattr(command, "is_native", lambda engine: False)
    ended = run("copy", "--json", "--tables", "artist,album,listed,person", source, url)
    assert not any(each["differs"] for each in ended.json["tables"])
    assert "views are not copied with --tables: dear" in ended.json["notes"]
    assert "triggers are not copied: note" in ended.json["notes"]
    assert "the default of person.code is not copied: lower('X')" in ended.json["notes"]
    run("check", url)
    with rome.connect(url) as connection:
        connection.execute("INSERT INTO person (id) VALUES (9)")
        assert connection.execute("SELECT state, age, code FROM person WHERE id = 9").fetchone() == ("it's", -1, None)
        connection.execute("INSERT INTO artist (id, name) VALUES (99, 'parent')")
        with pytest.raises(rome.dbapi.IntegrityError):
            connection.execute("INSERT INTO album (artist) VALUES (100)")
    connection.close()


def test_the_path_of_a_rome_file_is_not_taken_for_an_sqlite_file(run, tmp_path):
    first, second = tmp_path / "first.rome", tmp_path / "second.rome"
    with rome.connect(f"rome+file://{first}") as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        connection.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(5)])
    connection.close()
    assert run("copy", "--json", first, second).json["tables"][0]["rows"] == 5
    assert run("copy", "--json", "--resume", first, second).json["tables"][0]["copied"] == 0
    assert "no faults" in run("check", second).out


@pytest.fixture
def disturbed(monkeypatch):
    """A function after which each batch of a copy is followed by a change of its source."""

    def disturb(change):
        whole = command.copied_batches

        def changing(*arguments):
            for number, batch in enumerate(whole(*arguments)):
                change(number)
                yield batch

        monkeypatch.setattr(command, "copied_batches", changing)

    return disturb


def test_a_rome_database_is_read_as_of_one_moment(run, source, url, tmp_path, disturbed):
    run("copy", source, url)
    connection = rome.connect(url, isolation_level="AUTOCOMMIT")

    def change(number):
        connection.execute("DELETE FROM listed WHERE album = ?", (100 - number,))
        connection.execute("INSERT INTO album (price) VALUES (1)")
        connection.execute("UPDATE album SET price = 1000 WHERE id = ?", (200 - number,))

    disturbed(change)
    report = run("copy", "--json", "--batch", 20, url, tmp_path / "copy.rome").json["tables"]
    connection.close()
    assert {each["table"]: each["rows"] for each in report}["listed"] == 100
    assert not any(each["differs"] for each in report)
    with rome.connect(f"rome+file://{tmp_path}/copy.rome") as copied:
        assert copied.execute("SELECT count(*), max(price) FROM album").fetchone() == (200, 50)
    copied.close()


def test_an_sqlite_file_in_wal_mode_is_read_as_of_one_moment(run, source, tmp_path, disturbed):
    connection = sqlite3.connect(source, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")

    def change(number):
        connection.execute("DELETE FROM listed WHERE album = ?", (100 - number,))
        connection.execute("INSERT INTO album (price) VALUES (1)")

    disturbed(change)
    report = run("copy", "--json", "--batch", 20, source, tmp_path / "copy.rome").json["tables"]
    connection.close()
    assert {each["table"]: each["rows"] for each in report}["listed"] == 100
    assert {each["table"]: each["rows"] for each in report}["album"] == 200
    assert not any(each["differs"] for each in report)


def test_a_rome_source_whose_log_is_too_short(run, source, tmp_path, disturbed):
    url = f"rome+file://{tmp_path}/source.rome?log_commits=2"
    run("copy", source, url)
    connection = rome.connect(url, isolation_level="AUTOCOMMIT")

    def change(number):
        for _ in range(5):
            connection.execute("UPDATE album SET price = price + 1 WHERE id = 7")

    disturbed(change)
    ended = run("copy", "--batch", 20, url, tmp_path / "copy.rome", code=1)
    connection.close()
    assert "log" in ended.err
