"""`rome shell` without a terminal: -c, pipes, formats, dot commands."""

import json

import rome


def test_statements_of_the_command_line(run, towns):
    sql = "SELECT id, name FROM towns ORDER BY id"
    ended = run("shell", towns, "-c", sql, "-c", ".mode csv", "-c", "SELECT 1 AS a")
    assert ended.out == "id │ name\n───┼──────\n 1 │ Roma\n 2 │ Ostia\n(2 rows)\na\n1\n"


def test_pipe(run, towns):
    script = "INSERT INTO towns (name)\nVALUES ('Tivoli');\nSELECT count(*) AS n FROM towns;\n.tables\n"
    assert run("shell", "--mode", "tabs", towns, input=script).out == "3\nstreets\ntowns\n"


def test_first_error_ends_a_pipe(run, towns):
    ended = run("shell", towns, input="DELETE FROM streets;\nselct;\nDELETE FROM towns;\n", code=1)
    assert ended.err == 'Error: near "selct": syntax error\n'
    assert run("shell", "-m", "tabs", towns, "-c", "SELECT count(*) FROM towns").out == "2\n"


def test_open_transaction_of_a_pipe_is_rolled_back(run, towns):
    run("shell", towns, input="BEGIN; DELETE FROM streets;\n")
    assert run("shell", "-m", "tabs", towns, "-c", "SELECT count(*) FROM streets").out == "2\n"


def test_formats(run, towns):
    sql = "SELECT * FROM streets ORDER BY name"
    assert run("shell", towns, "--json", "-c", sql).json[0] == {
        "town": 1,
        "name": "Via Appia",
        "stone": {"hex": "00ff"},
    }
    assert run("shell", towns, "-m", "csv", "-c", sql).out == "town,name,stone\n1,Via Appia,00ff\n1,Via Sacra,\n"
    assert "| 1 | Via Appia | x'00ff' |" in run("shell", towns, "-m", "markdown", "-c", sql).out
    assert "stone: x'00ff'" in run("shell", towns, "-m", "vertical", "-c", sql).out


def test_text_cannot_control_the_terminal(run, url):
    assert r"\x1b[2J\n" in run("shell", url, "-c", "SELECT char(27) || '[2J' || char(10) AS a").out


def test_schema_and_dump(run, towns):
    assert run("shell", towns, "-c", ".schema TOWNS").out.startswith("CREATE TABLE towns")
    dumped = run("shell", towns, "-c", ".dump").out
    copy = "rome+memory:///dumped"
    run("shell", copy, input=dumped)
    rows = "SELECT * FROM streets ORDER BY name"
    assert run("shell", copy, "--json", "-c", rows).out == run("shell", towns, "--json", "-c", rows).out
    rome.drop_database(copy)


def test_import_and_export(run, towns, tmp_path):
    exported, table = tmp_path / "towns.csv", tmp_path / "new.csv"
    run("shell", towns, "-c", f".export {exported} towns")
    assert exported.read_text().splitlines() == ["id,name,area", "1,Roma,1285.0", "2,Ostia,"]
    table.write_text("id,name\n7,Tivoli\n8,\n")
    assert run("shell", towns, "-c", f".import {table} towns").out == "2 rows imported\n"
    assert (
        run("shell", "-m", "tabs", towns, "-c", "SELECT id, name FROM towns WHERE id > 6").out == "7\tTivoli\n8\tNULL\n"
    )
    table.write_text("id,name\n9,Capua\n7,Twice\n")
    assert "UNIQUE constraint failed" in run("shell", towns, "-c", f".import {table} towns", code=1).err
    assert run("shell", "-m", "tabs", towns, "-c", "SELECT count(*) FROM towns").out == "4\n"
    run("shell", towns, "-c", f".export {tmp_path / 't.json'} towns")
    assert json.loads((tmp_path / "t.json").read_text())[0]["name"] == "Roma"


def test_read_timing_and_explain(run, towns, tmp_path):
    (tmp_path / "script.sql").write_text("SELECT 7 AS a;\nSELECT 8 AS b;")
    assert "7" in run("shell", towns, "-c", f".read {tmp_path / 'script.sql'}").out
    assert "ms, 1 round trips" in run("shell", towns, "--timing", "-c", "SELECT * FROM towns").err
    assert (
        "primary key lookup"
        in run("shell", towns, "-c", ".explain SELECT * FROM towns WHERE name = 'a' AND id = 1").out
    )


def test_wrong_dot_commands(run, url, tmp_path):
    for command, message in {
        ".nope": "unknown command .nope",
        ".mode nope": "unknown mode 'nope'",
        ".import": "usage: .import FILE TABLE",
        f".read {tmp_path / 'missing'}": "No such file",
        ".schema nope": "no such table: nope",
        ".schema 'a": "No closing quotation",
    }.items():
        assert message in run("shell", url, "-c", command, code=1).err
