"""Each command whose process is ended or whose output fails: a sentence, an exit code, the data as before."""

import json
import os
import shlex
import signal
import subprocess
import sys

import pytest

import rome
from rome.cli import dump as dump_module
from rome.cli.main import main
from tests.cli.commands import COMMANDS, arguments_of

SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM", signal.SIGHUP: "ended by SIGHUP"}
QUIET = {"load", "purge", "watch"}
"""The commands that write nothing on the database of these tests: it is no dump, has no old rows, and nobody writes."""


def tables_of(path):
    with rome.connect(f"rome+file://{path}") as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}
    connection.close()
    return counts


def send(number):
    """Return a function that sends a signal to its own process."""
    return lambda *_, **__: os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_ends_the_command(run, database, monkeypatch, name, number):
    monkeypatch.setattr(main.get_command(None, name), "callback", send(number))
    before = {each: signal.getsignal(each) for each in SIGNALS}
    ended = run(name, *arguments_of(name, database), code=128 + number)
    assert (ended.out, ended.err) == ("", f"Error: {SIGNALS[number]}\n")
    ended = run(name, *arguments_of(name, database), "--json", code=128 + number)
    assert json.loads(ended.err) == {"error": {"type": "Interrupted", "message": SIGNALS[number]}}
    assert {each: signal.getsignal(each) for each in SIGNALS} == before
    assert tables_of(database) == {"t": 3}


@pytest.mark.parametrize("number", SIGNALS)
def test_a_dump_that_is_ended_leaves_no_file(run, database, tmp_path, monkeypatch, number):
    monkeypatch.setattr(dump_module, "_counters", send(number))
    before = set(tmp_path.iterdir())
    run("dump", database, "out.dump", code=128 + number)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_load_that_is_ended_leaves_no_tables(run, database, monkeypatch, number):
    run("dump", database, "out.dump")
    with monkeypatch.context() as patched:
        patched.setattr(dump_module, "_advance", send(number))
        run("load", "out.dump", database.with_name("new.rome"), code=128 + number)
    assert tables_of(database.with_name("new.rome")) == {}
    run("load", "out.dump", "new.rome")
    assert tables_of(database.with_name("new.rome")) == {"t": 3}


@pytest.mark.parametrize("number", SIGNALS)
def test_a_copy_that_is_ended_tells_how_to_continue(run, database, monkeypatch, number):
    monkeypatch.setattr("rome.cli.copy.command.copied_batches", send(number))
    ended = run("copy", database, "other.rome", code=128 + number)
    assert ended.err == f"Error: {SIGNALS[number]}; --resume continues the copy\n"
    monkeypatch.undo()
    monkeypatch.chdir(database.parent)
    run("copy", database, "other.rome", "--resume")
    assert tables_of(database.with_name("other.rome")) == {"t": 3}


def run_with_output(name, path, redirection):
    """Run a command of the user's shell with its output redirected."""
    command = shlex.join([sys.executable, "-m", "rome.cli", name, *arguments_of(name, path)])
    script = f"{command} {redirection}"
    return subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_closed_output(database, name):
    """The command does not begin: the next file that it opens would get the output's descriptor."""
    ended = run_with_output(name, database, ">&-")
    assert ended.returncode == 1
    assert ended.stderr == "Error: standard output is closed; redirect it to /dev/null if it is not wanted\n"
    assert [each.name for each in database.parent.glob("[!a]*")] == []
    assert tables_of(database) == {"t": 3}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in QUIET])
def test_output_to_a_full_disk(database, name):
    ended = run_with_output(name, database, ">/dev/full")
    assert ended.returncode == 1
    assert ended.stderr.endswith("Error: the output can't be written: No space left on device\n")
    assert "Traceback" not in ended.stderr
    assert tables_of(database)["t"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in QUIET])
def test_nobody_reads_the_output(database, name):
    """The command ends without a word, as those of the operating system do."""
    ended = run_with_output(name, database, "| true; exit ${PIPESTATUS[0]}")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "Error" not in ended.stderr
    assert tables_of(database)["t"] == 3
