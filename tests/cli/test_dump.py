"""`rome dump` and `rome load`."""

import gzip

import pytest

import rome


@pytest.fixture
def other():
    url = "rome+memory:///loaded"
    yield url
    rome.drop_database(url)


@pytest.fixture
def dumped(run, towns, tmp_path):
    with rome.connect(towns) as connection:
        connection.execute("CREATE TABLE loose (a, double GENERATED ALWAYS AS (a * 2) STORED)")
        connection.execute("INSERT INTO loose (rowid, a) VALUES (7, 1), (9, 'x')")
        connection.execute("CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT)")
        connection.execute("INSERT INTO counted VALUES (50)")
        connection.execute("DELETE FROM counted")
        connection.execute("CREATE INDEX by_area ON towns (area DESC)")
        connection.execute("CREATE VIEW large AS SELECT * FROM towns WHERE area > 100")
        connection.execute("CREATE TRIGGER t AFTER INSERT ON towns BEGIN INSERT INTO loose (a) VALUES (new.name); END")
    connection.close()
    file = tmp_path / "towns.dump"
    run("dump", towns, file)
    return file


def test_there_and_back(run, towns, other, dumped):
    assert run("load", "--json", dumped, other).json["tables"] == {"towns": 2, "streets": 2, "loose": 2}
    run("check", other)
    for table in ("streets", "loose", "large"):
        sql = f"SELECT {'rowid, ' * (table == 'loose')}* FROM {table}"
        assert run("shell", other, "--json", "-c", sql).json == run("shell", towns, "--json", "-c", sql).json
    with rome.connect(other) as connection:
        connection.execute("INSERT INTO counted DEFAULT VALUES")
        assert connection.execute("SELECT id > 50 FROM counted").fetchone() == (1,)
    connection.close()


def test_names_with_capital_letters_beyond_ascii(run, towns, other, tmp_path):
    """Only ASCII letters have two cases in SQLite's names."""
    with rome.connect(towns) as connection:
        connection.execute('CREATE TABLE Ärea ("Ä" TEXT, ä TEXT)')
        connection.execute("INSERT INTO Ärea VALUES ('one', 'two')")
    connection.close()
    run("dump", towns, tmp_path / "names.dump")
    run("load", tmp_path / "names.dump", other)
    with rome.connect(other) as connection:
        assert connection.execute("SELECT Ä, ä FROM Ärea").fetchall() == [("one", "two")]
    connection.close()


def test_existing_files_and_databases_stay(run, towns, dumped):
    before = dumped.read_bytes()
    assert "exists; --force replaces it" in run("dump", towns, dumped, code=1).err
    assert "has tables already" in run("load", dumped, towns, code=1).err
    assert dumped.read_bytes() == before
    run("dump", "--force", towns, dumped)
    assert not list(dumped.parent.glob("*.partial"))


def test_damaged_files_are_refused_before_anything_is_written(run, other, dumped, tmp_path):
    data = dumped.read_bytes()
    content = gzip.decompress(data)
    damaged = tmp_path / "damaged"
    for broken, message in {
        data[:-20]: "is damaged",
        gzip.compress(content[:-60]): "is incomplete",
        gzip.compress(content.replace(b"Via Appia", b"Via Aurea")): "its rows are not those that were dumped",
        b"CREATE TABLE": "not a dump of ROME",
        gzip.compress(b"\x01"): "is not a dump of ROME",
        gzip.compress(content.replace(b"rome dump\x01", b"rome dump\x09", 1)): "has format 9",
    }.items():
        damaged.write_bytes(broken)
        assert message in run("load", damaged, other, code=1).err
    assert "has no tables" in run("tables", other).out
    run("load", tmp_path / "missing", other, code=2)
