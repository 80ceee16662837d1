"""Each command with wrong input: a sentence that names the thing, an exit code other than 0, and the data as before."""

import json
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

import rome
from tests.cli.commands import COMMANDS, CREATE, FILE, arguments_of
from tests.cli.terminal import Terminal


def rows_of(path):
    connection = rome.connect(f"rome+file://{path}")
    rows = connection.execute("SELECT count(*) FROM t").fetchone()[0]
    connection.close()
    return rows


def expect_sentence(ended, *words):
    assert ended.code in (1, 2), ended
    assert "Traceback" not in ended.err
    last = ended.err.strip().splitlines()[-1].lower()
    assert all(word.lower() in last for word in words), ended.err


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in CREATE])
def test_no_such_file(run, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    ended = run(name, *arguments_of(name, tmp_path / "nothing.rome"), code=None)
    expect_sentence(ended, "nothing.rome")
    assert not list(tmp_path.iterdir()), "no file is made"


@pytest.mark.parametrize("name", COMMANDS)
def test_wrong_arguments_with_json(run, tmp_path, name):
    """An error is JSON, too, wherever --json is among the arguments."""
    path = tmp_path / "nothing.rome"
    path.mkdir()
    arguments = arguments_of(name, path)
    cases = {"--wrong": (["--wrong", *arguments, "--json"], ["--json", *arguments, "--wrong"])}
    cases["nothing.rome"] = (["--json", *arguments], [*arguments, "--json"])
    for word, calls in cases.items():
        for call in calls:
            ended = run(name, *call, code=None)
            error = json.loads(ended.err)["error"]
            assert word in error["message"]
            assert (ended.out, ended.code) == ("", 2 if error["type"] == "UsageError" else 1)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "bench"])  # which uses another file
def test_another_format(run, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "text.rome"
    path.write_text("This is the text of a letter.\n" * 100)
    expect_sentence(run(name, *arguments_of(name, path), code=None), "text.rome")
    assert path.read_text().startswith("This is")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("copy", "demo", "load")])
def test_file_of_sqlite(run, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "plain.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    before = path.read_bytes()
    expect_sentence(run(name, *arguments_of(name, path), code=None), f"rome copy {path} plain.rome")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("keys", FILE, "nope"), ("nope", "tables of")),
        (("watch", FILE, "nope"), ("nope",)),
        (("purge", FILE, "nope", "--before", "2026-01-01"), ("nope",)),
        (("copy", FILE, "other.rome", "--tables", "nope"), ("nope",)),
        (("shell", FILE, "-c", "SELECT * FROM nope"), ("no such table", "nope")),
        (("explain", FILE, "SELECT * FROM nope"), ("no such table", "nope")),
        (("shell", FILE, "-c", "SELEKT 1"), ("SELEKT", "syntax error")),
        (("explain", FILE, "SELECT FROM WHERE"), ("syntax error",)),
        (("shell", FILE, "-c", "INSERT INTO t (id) VALUES (1)"), ("UNIQUE", "t.id")),
        (("shell", FILE, "-c", ".read nothing.sql"), ("nothing.sql",)),
        (("dump", FILE, "no/folder/out.dump"), ("no/folder",)),
        (("copy", FILE, "nonsense+x://"), ("nonsense",)),
        (("tables", "postgresql://localhost/x"), ("rome copy",)),
        (("tables", "rome+redis://127.0.0.1:1/app"), ("127.0.0.1:1",)),
        (("tables", "rome+redis://localhost:port/app"), ("port",)),
    ],
)
def test_missing_tables_and_broken_sql(run, database, arguments, words):
    given = [str(database) if each is FILE else each for each in arguments]
    expect_sentence(run(*given, code=None), *words)
    assert rows_of(database) == 3
    ended = run(*given, "--json", code=None)
    if ended.code == 1:  # wrong arguments are click's affair
        assert json.loads(ended.err or ended.out)["error"]["message"]


@pytest.mark.parametrize("command", [".read", ".import"])
def test_files_that_are_not_text(run, database, tmp_path, command):
    (tmp_path / "picture").write_bytes(b"\xff\xd8\xff\xe0")
    ended = run("shell", database, "-c", f"{command} picture{' t' * (command == '.import')}", code=1)
    expect_sentence(ended, "not text in UTF-8", "at byte 0")
    assert rows_of(database) == 3


def rome_command(*arguments, limit=None, **options):
    """Run the command in a process of its own, whose files may have `limit` bytes."""

    def restrict():
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, "-m", "rome.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, preexec_fn=restrict, check=False, **options)


@pytest.fixture
def large(tmp_path, monkeypatch):
    """An SQLite file with rows of 3 MB."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "large.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE big (id INTEGER PRIMARY KEY, data BLOB)")
        connection.executemany("INSERT INTO big VALUES (?, randomblob(1000))", [(at,) for at in range(1, 3001)])
    connection.close()
    return path


@pytest.mark.slow
def test_full_disk(run, database, large, tmp_path):
    """The disk is full when a file has reached its limit."""
    limit = 1_000_000
    ended = rome_command("copy", large, database, limit=limit)
    assert ended.returncode == 1, ended
    assert "Traceback" not in ended.stderr
    assert "app.rome" in ended.stderr
    assert rows_of(database) == 3
    assert "differs" not in run("copy", large, database, "--resume").err, "the copy goes on when there is space again"
    shutil.copy(database, tmp_path / "kept.rome")
    ended = rome_command("dump", database, tmp_path / "out.dump", limit=limit)
    assert ended.returncode == 1, ended
    assert "out.dump" in ended.stderr
    assert not list(tmp_path.glob("out.dump*"))
    run("dump", database, tmp_path / "out.dump")
    ended = rome_command("load", tmp_path / "out.dump", tmp_path / "new.rome", limit=limit)
    assert ended.returncode == 1, ended
    assert "new.rome" in ended.stderr
    run("load", tmp_path / "out.dump", tmp_path / "new.rome")
    assert "no faults" in run("check", tmp_path / "new.rome").out


@pytest.mark.slow
def test_killed_copy_is_resumed(run, large, tmp_path):
    """A copy is killed twice; the third run has the checksums of an undisturbed one."""
    target = tmp_path / "copy.rome"
    url = f"rome+file://{target}"
    for number in (1, 2):
        command = [sys.executable, "-m", "rome.cli", "copy", str(large), str(target), "--batch", "5", "--resume"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = count_of(url) if number > 1 else 0
        while process.poll() is None:
            process.send_signal(signal.SIGSTOP)  # so that it does not end while its rows are counted
            if count_of(url) > before:
                break
            process.send_signal(signal.SIGCONT)
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert before < count_of(url)
    resumed = run("copy", "--json", large, target, "--resume").json["tables"]
    undisturbed = run("copy", "--json", large, tmp_path / "other.rome").json["tables"]
    assert not resumed[0]["differs"]
    assert resumed[0]["checksum"] == undisturbed[0]["checksum"]
    assert "no faults" in run("check", target).out


def count_of(url):
    connection = rome.connect(url)
    try:
        return connection.execute("SELECT count(*) FROM big").fetchone()[0]
    except rome.dbapi.OperationalError:  # no table yet
        return 0
    finally:
        connection.close()


@pytest.mark.slow
def test_no_terminal_at_all(database):
    """Without a terminal, and without standard input, a pipe that nobody reads any more, and an unknown TERM."""
    ended = rome_command("shell", database, stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin"}, cwd="/")
    assert (ended.returncode, ended.stdout) == (0, ""), ended
    script = f'"{sys.executable}" -m rome.cli shell "{database}" -c "SELECT * FROM t" | true; exit ${{PIPESTATUS[0]}}'
    ended = subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_of_40_columns(name):
    """click itself writes no help that is narrower than 50 columns."""
    terminal = Terminal([*name.split(), "--help"], columns=40, lines=100)
    assert terminal.close() == 0
    assert all(len(line) < 40 for line in terminal.text.splitlines()), terminal.text


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("copy", "app.rome", "other.rome"), ("tables", "app.rome")])
def test_terminal_of_40_columns(database, arguments):
    """The report fits. The progress bar, which was on the same screen, has left nothing."""
    terminal = Terminal(arguments, columns=40)
    assert terminal.close() == 0
    lines = terminal.text.splitlines()
    assert any(line.split()[-1] == "3" or " 3 " in line for line in lines), terminal.text
    assert all(len(line) <= 40 for line in lines)
    assert "━" not in terminal.text
