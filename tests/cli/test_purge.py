"""`rome purge`: soft-deleted rows, and the rows that refer to them."""

import threading

import pytest

import rome
from rome.cli import purge as module

OLD, NEW = "2026-01-01 00:00:00.000000", "2026-03-01 00:00:00.000000"


@pytest.fixture
def servers(url):
    """Servers 1 to 4 deleted long ago, 5 lately, 6 not; disks of servers 1 (deleted) and 2 (not deleted)."""
    with rome.connect(url) as connection:
        connection.execute("CREATE TABLE servers (id INTEGER PRIMARY KEY, deleted_at DATETIME)")
        connection.execute(
            "CREATE TABLE disks (server INTEGER REFERENCES servers ON DELETE CASCADE, name TEXT, deleted_at DATETIME, "
            "PRIMARY KEY (server, name))"
        )
        rows = [(number, OLD if number < 5 else NEW if number == 5 else None) for number in range(1, 7)]
        connection.executemany("INSERT INTO servers VALUES (?, ?)", rows)
        connection.executemany("INSERT INTO disks VALUES (?, ?, ?)", [(1, "a", OLD), (1, "b", OLD), (2, "a", None)])
    connection.close()
    return url


def rows(url, sql):
    with rome.connect(url) as connection:
        found = connection.execute(sql).fetchall()
    connection.close()
    return found


def test_rows_that_are_referred_to_are_refused(run, servers):
    ended = run("purge", servers, "servers", "--before", "2026-02-01", code=1)
    assert "2 of the rows can't be purged, because rows of disks refer to them" in ended.err
    assert "--children" in ended.err
    assert len(rows(servers, "SELECT * FROM servers")) == 6


def test_children_first(run, servers):
    dry = run("purge", "--json", servers, "servers", "--before", "2026-02-01", "--children", "--dry-run").json
    assert len(rows(servers, "SELECT * FROM servers")) == 6
    assert len(rows(servers, "SELECT * FROM disks")) == 3
    done = run("purge", "--json", servers, "servers", "--before", "2026-02-01", "--children", "--batch", "1").json
    assert done["tables"] == dry["tables"]
    assert dry["dry run"]
    assert done["tables"] == [
        {"table": "disks", "purged": 2, "kept": 0, "kept for": []},
        {"table": "servers", "purged": 3, "kept": 1, "kept for": ["disks"]},
    ]
    assert rows(servers, "SELECT id FROM servers ORDER BY id") == [(2,), (5,), (6,)]
    assert rows(servers, "SELECT * FROM disks") == [(2, "a", None)]
    assert "no faults" in run("check", servers).out


def test_report_as_a_table(run, servers):
    text = run("purge", servers, "disks", "--before", "2026-02-01").out
    assert text.splitlines()[2].split() == ["disks", "│", "2", "│", "0", "│"]


def test_a_table_that_refers_to_itself(run, url):
    with rome.connect(url) as connection:
        connection.execute(
            "CREATE TABLE parts (id INTEGER PRIMARY KEY, whole INTEGER REFERENCES parts, gone_at DATETIME)"
        )
        connection.executemany("INSERT INTO parts VALUES (?, ?, ?)", [(1, None, OLD), (2, 1, OLD), (3, 2, OLD)])
        connection.executemany("INSERT INTO parts VALUES (?, ?, ?)", [(4, 4, OLD), (5, None, OLD), (6, 5, None)])
    connection.close()
    options = ("parts", "--before", "2026-02-01", "--column", "gone_at", "--json")
    dry = run("purge", url, *options, "--children", "--dry-run").json
    assert run("purge", url, *options, "--children").json["tables"] == dry["tables"]
    assert dry["tables"] == [{"table": "parts", "purged": 4, "kept": 1, "kept for": ["parts"]}]
    assert rows(url, "SELECT id FROM parts ORDER BY id") == [(5,), (6,)]


def test_table_without_a_key(run, url):
    with rome.connect(url) as connection:
        connection.execute("CREATE TABLE notes (text TEXT, deleted_at DATETIME)")
        connection.executemany("INSERT INTO notes VALUES (?, ?)", [("a", OLD), ("b", None), ("c", OLD), ("d", 7)])
    connection.close()
    assert run("purge", url, "notes", "--before", "30d", "--json").json["tables"][0]["purged"] in (0, 2)
    assert run("purge", url, "notes", "--before", "2027-01-01", "--json").json["tables"][0]["purged"] in (0, 2)
    assert rows(url, "SELECT text FROM notes ORDER BY text") == [("b",), ("d",)]


def test_an_interruption_keeps_what_is_done_and_loses_nothing(run, servers, monkeypatch):
    purge_page = module._Purge._purge_page

    def interrupted(self, table, last):
        if last is not None and last >= (4,):
            raise KeyboardInterrupt
        return purge_page(self, table, last)

    rows_before = rows(servers, "SELECT * FROM disks")
    with rome.connect(servers) as connection:
        connection.execute("DELETE FROM disks")
    connection.close()
    assert rows_before
    monkeypatch.setattr(module._Purge, "_purge_page", interrupted)
    monkeypatch.setattr(module, "_demand_unreferenced", lambda *_: None)
    ended = run("purge", servers, "servers", "--before", "2026-02-01", "--batch", "2", code=130)
    assert "4 rows are purged" in ended.err
    assert rows(servers, "SELECT id FROM servers ORDER BY id") == [(5,), (6,)]


def test_while_others_write(run, servers):
    ended = threading.Event()

    def work():
        connection = rome.connect(servers, isolation_level="AUTOCOMMIT")
        while not ended.is_set():
            connection.execute("UPDATE servers SET deleted_at = deleted_at WHERE id = 6")
            connection.execute("INSERT INTO servers (deleted_at) VALUES (NULL)")
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        run("purge", servers, "servers", "--before", "2026-02-01", "--children")
    finally:
        ended.set()
        thread.join()
    assert rows(servers, "SELECT id FROM servers WHERE id < 7 ORDER BY id") == [(2,), (5,), (6,)]


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("nothing", "--before", "2026-01-01"), "nothing", 1),
        (("servers", "--before", "2026-01-01", "--column", "gone"), "has no column gone; --column", 1),
        (("servers", "--before", "soon"), "write 2026-01-31", 2),
        (("servers",), "--before", 2),
    ],
)
def test_wrong_arguments(run, servers, arguments, message, code):
    assert message in run("purge", servers, *arguments, code=code).err
    assert len(rows(servers, "SELECT * FROM servers")) == 6
