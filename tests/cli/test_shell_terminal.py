"""`rome shell` in a terminal: completion, several lines, wide rows, errors, Ctrl-C."""

import signal
import time

import pytest

import rome
from tests.cli.terminal import Terminal

pytestmark = pytest.mark.slow

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c;"


@pytest.fixture
def start(tmp_path):
    started = []

    def begin(*arguments, columns=80):
        terminal = Terminal(["shell", *arguments], columns, 40, ROME_HISTORY=str(tmp_path / "history"), ROME_URL="")
        started.append(terminal)
        terminal.wait("rome>")
        return terminal

    yield begin
    for terminal in started:
        terminal.send("\x15\x04")
        terminal.close()


def run(terminal, text, expected):
    terminal.send(f"{text}\r")
    return terminal.wait(expected)


def test_statement_of_several_lines_and_completion(start):
    terminal = start()
    run(terminal, "CREATE TABLE towns (id INTEGER PRIMARY KEY, name TEXT);", lambda text: text.endswith("\nrome>"))
    run(terminal, "INSERT INTO towns (name) VALUES ('Roma'), ('Ostia');", "2 rows changed")
    run(terminal, "SELECT name", "...>")
    terminal.send("FROM tow\t")
    terminal.wait("FROM towns")
    assert "Ostia\n(2 rows)" in run(terminal, ";", "(2 rows)")


def test_error_keeps_the_session_and_its_transaction(start):
    terminal = start()
    run(terminal, "BEGIN;", "rome*>")
    run(terminal, "selct 1;", 'Error: near "selct": syntax error')
    run(terminal, ".nope", "Error: unknown command .nope")
    run(terminal, "SELECT 40 + 2 AS answer;", "42")
    screen = run(terminal, "ROLLBACK;", lambda text: text.endswith("\nrome>"))
    assert "rome*> ROLLBACK;" in screen


@pytest.mark.parametrize("parents", [signal.default_int_handler, signal.SIG_IGN], ids=["handled", "ignored"])
def test_ctrl_c_cancels_a_statement_and_keeps_the_session(start, parents):
    before = signal.signal(signal.SIGINT, parents)  # a program inherits what its parent ignores
    try:
        terminal = start()
    finally:
        signal.signal(signal.SIGINT, before)
    run(terminal, "BEGIN;", "rome*>")
    run(terminal, ENDLESS, "FROM c;")
    terminal.send("\x03")
    terminal.wait("cancelled")
    run(terminal, "SELECT 40 + 2 AS answer;", "42")


def test_ctrl_c_while_waiting_for_a_row_lock(start, tmp_path):
    url = f"rome+file://{tmp_path / 'locked.rome'}"
    with rome.connect(url) as holder:
        holder.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        holder.execute("INSERT INTO t VALUES (1)")
        holder.commit()
        holder.execute("SELECT * FROM t FOR UPDATE")
        terminal = start(url)
        run(terminal, "BEGIN;", "rome*>")
        terminal.send("SELECT * FROM t FOR UPDATE;\r")
        terminal.wait("FOR UPDATE;")
        time.sleep(1)
        terminal.send("\x03")
        assert "rolled back" not in terminal.wait("cancelled")
        run(terminal, "SELECT 40 + 2 AS answer;", "42")
    holder.close()


def test_ctrl_c_at_the_prompt_clears_the_input(start):
    terminal = start()
    terminal.send("SELECT wrong")
    terminal.wait("wrong")
    terminal.send("\x03")
    run(terminal, "SELECT 40 + 2 AS answer;", "42")


def test_rows_fit_a_narrow_terminal(start):
    terminal = start(columns=40)
    screen = run(terminal, "SELECT 1 AS id, replace(hex(zeroblob(50)), '0', 'x') AS note;", "(1 row)")
    assert " 1 │ xxxx" in screen
    assert "xxx…" in screen
    columns = ", ".join(f"{number} AS column_{number}" for number in range(9))
    assert "column_8: 8" in run(terminal, f"SELECT {columns};", "column_8: 8")
