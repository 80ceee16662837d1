"""Generated schemas there and back by each way that copies a database, compared with what SQLite has."""

import tempfile
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings

import rome
from tests.cli.schemas import SCHEMAS, content, fill

WAYS = ["copy", "dump", "shell", "read"]


def copy_by(way, run, source, target, folder):
    """Copy a database of ROME to another one."""
    if way == "copy":
        run("copy", source, target)
    elif way == "dump":
        run("dump", source, folder / "all.dump")
        run("load", folder / "all.dump", target)
    else:
        script = run("shell", source, "-c", ".dump").out
        if way == "shell":
            run("shell", target, input=script)
        else:
            (folder / "all.sql").write_bytes(script.encode())
            run("shell", target, "-c", f".read {folder / 'all.sql'}")


def content_of(url, schema):
    with rome.connect(url) as connection:
        found = content(connection, schema)
    connection.close()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_from_rome_to_rome(run, way):
    @settings(max_examples=40)
    @given(SCHEMAS)
    def check(schema):
        oracle = apsw.Connection(":memory:")
        fill(oracle, schema)
        with tempfile.TemporaryDirectory() as folder:
            source, target = f"rome+memory:///{way}_source", f"rome+memory:///{way}_target"
            try:
                with rome.connect(source) as connection:
                    fill(connection, schema)
                connection.close()
                copy_by(way, run, source, target, Path(folder))
                assert content_of(target, schema) == content(oracle, schema)
                assert "no faults" in run("check", target).out
            finally:
                oracle.close()
                rome.drop_database(source)
                rome.drop_database(target)

    check()


@pytest.mark.slow
def test_from_sqlite_and_back(run):
    @settings(max_examples=40)
    @given(SCHEMAS)
    def check(schema):
        with tempfile.TemporaryDirectory() as folder:
            first, last = Path(folder, "first.sqlite"), Path(folder, "last.sqlite")
            oracle = apsw.Connection(str(first))
            fill(oracle, schema)
            url = "rome+memory:///from_sqlite"
            try:
                run("copy", first, url)
                assert content_of(url, schema) == content(oracle, schema)
                run("copy", url, f"sqlite:///{last}")
                copied = apsw.Connection(str(last))
                assert content(copied, schema) == content(oracle, schema)
                copied.close()
            finally:
                oracle.close()
                rome.drop_database(url)

    check()


@pytest.mark.slow
def test_sqlite_reads_what_the_shell_dumps(run):
    @settings(max_examples=40)
    @given(SCHEMAS)
    def check(schema):
        url = "rome+memory:///to_sqlite"
        oracle, target = apsw.Connection(":memory:"), apsw.Connection(":memory:")
        fill(oracle, schema)
        try:
            with rome.connect(url) as connection:
                fill(connection, schema)
            connection.close()
            target.execute(run("shell", url, "-c", ".dump").out)
            assert content(target, schema) == content(oracle, schema)
        finally:
            oracle.close()
            target.close()
            rome.drop_database(url)

    check()
