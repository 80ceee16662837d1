"""`rome tables`, `rome keys`, `rome explain`, and what all commands have in common."""

import os
from contextlib import closing

import pytest
from rich.cells import cell_len

import rome
from rome.cli.formats import table_lines
from rome.cli.main import main
from rome.database.registry import open_database, release_database
from rome.locks import LockManager
from rome.storage.store import Batch, Write, rows_space
from rome.url import parse_url


@pytest.mark.parametrize("name", main.list_commands(None))
def test_help_describes_every_command(run, name):
    assert f"\n  {name} " in run("--help").out
    assert f"Usage: main {name} " in run(name, "--help").out


def test_tables(run, towns):
    ended = run("tables", towns)
    assert "towns   │    2" in ended.out
    assert ended.out.endswith("(2 rows)\n")
    found = {each["table"]: each for each in run("tables", "--json", towns).json["tables"]}
    assert found["towns"]["rows"] == 2
    assert found["streets"]["key"] == ["town", "name"]
    assert [index["columns"] for index in found["towns"]["indexes"]] == [["name"]]


def test_bytes_of_tables_are_estimated_or_counted(run, url):
    with rome.connect(url) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(number, "x" * 50) for number in range(1000)])
    connection.close()
    (estimated,) = run("tables", "--json", url).json["tables"]
    (counted,) = run("tables", "--json", "--exact", url).json["tables"]
    assert estimated["rows"] == counted["rows"] == 1000
    assert abs(estimated["bytes"] - counted["bytes"]) < counted["bytes"] * 0.05


def test_database_without_tables(run, url):
    rome.connect(url).close()
    assert "has no tables" in run("tables", url).out


def test_keys(run, towns):
    out = run("keys", towns, "towns").out
    assert "(1) → id=1, name='Roma', area=1285.0  [schema 1]" in out
    assert "('Ostia') → row (2)" in out
    rows = [each for each in run("keys", "--json", towns, "streets").json if "row" in each]
    assert rows[0]["row"] == {"town": 1, "name": "Via Appia", "stone": {"hex": "00ff"}}
    assert rows[0]["key"] == [1, "Via Appia"]


def test_keys_shows_a_row_that_does_not_decode(run, towns):
    database = open_database(parse_url(towns))
    table = database.catalog(database.store.fetch([])).table("towns")
    database.store.commit(Batch(b"damage", writes=[Write(rows_space(table.id), table.row_codec.encode((2,)), b"\xff")]))
    release_database(database)
    assert "does not decode: row (2,) of table towns" in run("keys", towns, "towns").out


def test_keys_of_a_missing_table_or_index(run, towns):
    assert "no such table: villages; tables of" in run("keys", towns, "villages", code=1).err
    assert "has no index nope" in run("keys", towns, "towns", "--index", "nope", code=1).err


def test_locks(run, towns):
    assert run("locks", towns).out == "no locks are held\n"
    manager = LockManager(towns)
    with manager.lock("resize", ttl=30), closing(rome.connect(towns)) as connection:
        connection.execute("SELECT * FROM streets WHERE name LIKE 'Via%' FOR UPDATE").fetchall()
        out = run("locks", towns).out
        assert "named resize" in out
        assert "row (1, Via Appia) of streets" in out
        found = run("locks", "--json", towns).json
        assert [each.get("key", each["lock"]) for each in found] == ["named resize", [1, "Via Appia"], [1, "Via Sacra"]]
        assert f":{os.getpid()}:" in found[0]["owner"]
        assert 20 < found[0]["seconds left"] <= 30
    manager.close()


def test_explain(run, towns):
    assert "primary key lookup on towns (id = 1)" in run("explain", towns, "SELECT * FROM towns WHERE id = 1;").out
    out = run("explain", towns, "SELECT * FROM towns WHERE id = ?", "-p", "1", "--analyze").out
    assert "actual rows: 1, round trips: 1" in out
    run("explain", towns, "DELETE FROM streets", "--analyze")
    assert [each["rows"] for each in run("tables", "--json", towns).json["tables"]] == [2, 2]
    assert run("explain", "--json", towns, "SELECT 1").json["plan"][0].startswith("SELECT")


def test_errors_are_sentences_with_exit_codes(run, towns):
    assert run("explain", towns, "selct", code=1).err.startswith("Error: ")
    assert '"type": "OperationalError"' in run("explain", "--json", towns, "SELECT * FROM nope", code=1).err
    assert "is not a valid" not in run("tables", "rome+nope://", code=2).err
    assert "unknown store 'nope'" in run("tables", "rome+nope://", code=2).err
    assert "rome copy" in run("tables", "postgresql://localhost/app", code=2).err
    assert "unknown option 'colour'" in run("tables", "rome+memory:///x?colour=red", code=1).err
    message = run("tables", "rome+redis://localhost:1/app?connect_timeout=1", code=1).err
    assert "localhost:1" in message


@pytest.mark.parametrize("width", [40, 20, 12])
def test_table_fits_its_width(width):
    rows = [(1, "a" * 100, "b" * 30), (1000, None, "ü漢字" * 9)]
    lines = list(table_lines(("id", "a name", "b"), rows, width))
    plain = [line.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "") for line in lines]
    assert all(cell_len(line) <= width for line in plain), plain


def test_path_of_a_file(run, tmp_path):
    path = tmp_path / "new towns.rome"
    for command in ("tables", "check", "doctor", "watch"):
        assert f"no such file: {path}" in " ".join(run(command, path, code=2).err.split())
    assert not path.exists(), "looking does not create it"
    run("shell", path, "-c", "CREATE TABLE t (a)")
    assert [each["table"] for each in run("tables", "--json", path).json["tables"]] == ["t"]
    (tmp_path / "text").write_text("no database")
    assert "is not a ROME database" in run("tables", tmp_path / "text", code=1).err
