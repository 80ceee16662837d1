"""Run the command in this process, so that it sees the memory databases of the tests."""

import json
import signal
from typing import NamedTuple

import pytest
from click.testing import CliRunner

import rome
from rome.cli.main import main


class Ended(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture(autouse=True, scope="session")
def default_signals():
    """Let signals end commands also where they are ignored: a shell starts what runs in the background so."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture
def run():
    """A function that runs the command with some arguments."""

    def invoke(*arguments, input=None, code=0):  # noqa: A002
        result = CliRunner().invoke(main, [str(each) for each in arguments], input=input, env={"ROME_URL": None})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert code in (None, result.exit_code), result.output
        return Ended(result.exit_code, result.stdout, result.stderr)

    return invoke


@pytest.fixture
def database(tmp_path, monkeypatch):
    """The path of a database with a table of three rows, in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "app.rome"
    with rome.connect(f"rome+file://{path}") as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, deleted_at DATETIME)")
        connection.execute("INSERT INTO t VALUES (1, 'one', NULL), (2, 'two', NULL), (3, 'three', NULL)")
    connection.close()
    return path


@pytest.fixture
def towns(url):
    """The URL of a database with a table of towns and one of their streets."""
    with rome.connect(url) as connection:
        connection.execute("CREATE TABLE towns (id INTEGER PRIMARY KEY, name TEXT UNIQUE, area REAL)")
        connection.execute(
            "CREATE TABLE streets (town INTEGER NOT NULL REFERENCES towns, name TEXT NOT NULL, stone BLOB, "
            "PRIMARY KEY (town, name))"
        )
        connection.execute("INSERT INTO towns VALUES (1, 'Roma', 1285.0), (2, 'Ostia', NULL)")
        connection.execute("INSERT INTO streets VALUES (1, 'Via Appia', x'00ff'), (1, 'Via Sacra', NULL)")
    connection.close()
    return url
