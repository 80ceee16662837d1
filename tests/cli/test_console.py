"""`rome console`: its pages, and who may see and change what."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

import rome
from rome import metrics
from rome.database.registry import open_database, release_database
from rome.url import parse_url

pytest.importorskip("starlette")
pytest.importorskip("httpx")

from starlette.testclient import TestClient

from rome.cli.console import commits
from rome.cli.console.app import make_app
from rome.cli.console.guard import form_value
from rome.cli.console.plan_svg import draw_plan

TOKEN = "a-token-of-the-tests"
ADDRESS = "http://127.0.0.1:8021"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
HOSTILE = "<script>alert(1)</script>\"'--"


@pytest.fixture
def open_console(towns):
    """A function that makes a client of a console, logged in unless it is told otherwise."""
    clients = []

    def start(*urls, write=False, headers=BEARER):
        app = make_app(urls or (towns,), TOKEN, write=write)
        client = TestClient(app, base_url=ADDRESS, headers=headers, follow_redirects=False)
        clients.append(client.__enter__())
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)


def run_sql(client, sql, action="run", **changes):
    data = {"sql": sql, "action": action, "form": form_value(TOKEN), **changes}
    return client.post("/0/sql", data=data)


# ── pages ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tables_with_their_storage(open_console):
    page = open_console().get("/0/").text
    assert "2 tables at version" in page
    assert '<a href="/0/tables/towns">towns</a>' in page
    assert "town, name" in page
    assert '<rect class="rows"' in page


def test_rows_with_filters_and_order(open_console):
    client = open_console()
    assert {"Roma", "Ostia"} <= set(re.findall(r"<td class=\"\">(\w+)</td>", client.get("/0/tables/towns").text))
    for query, names in {
        "f.name=Roma": ["Roma"],
        "f.area=NULL": ["Ostia"],
        "f.area=!NULL": ["Roma"],
        "f.area=> 1000": ["Roma"],
        "f.id=<=2&sort=name": ["Ostia", "Roma"],
        "f.name=~%25a&sort=name&desc=1": ["Roma", "Ostia"],
        "f.nothing=1&sort=nothing": ["Roma", "Ostia"],
        "f.name=Roma&page=1": [],
        "page=nothing": ["Roma", "Ostia"],
    }.items():
        page = client.get(f"/0/tables/towns?{query}").text
        assert re.findall(r"<td class=\"\">(Roma|Ostia)</td>", page) == names, query
    assert "1 round trip:" in client.get("/0/tables/towns?f.id=1").text


def test_pages_of_many_rows(open_console, url):
    with rome.connect(url) as connection:
        connection.execute("CREATE TABLE many (n INTEGER)")
        connection.executemany("INSERT INTO many VALUES (?)", [(number,) for number in range(120)])
    connection.close()
    client = open_console()
    assert "rows 1–50" in client.get("/0/tables/many").text
    last = client.get("/0/tables/many?page=2").text
    assert "rows 101–120" in last
    assert "Next" not in last


def test_schema_diagram(open_console, towns):
    page = open_console().get("/0/schema").text
    assert "streets (town) refers to towns" in page
    assert page.count("<rect") == 2
    assert '<a href="/0/tables/towns">' in page


def test_sql_and_plans(open_console):
    client = open_console()
    assert '<td class="n">42</td>' in run_sql(client, "SELECT 40 + 2 AS answer").text
    assert "no such table: nowhere" in run_sql(client, "SELECT * FROM nowhere").text
    page = run_sql(client, "SELECT * FROM streets s JOIN towns t ON t.id = s.town WHERE s.town = 1", "explain").text
    assert '<svg class="plan"' in page
    assert "round 1" in page


def test_a_plan_is_drawn_with_its_rounds():
    lookup = "  primary key lookup on b (b.id = a.b)"
    lines = ["SELECT, compiled", "round 1", "  full scan of a    rows: 5", "round 2", lookup]
    drawing = draw_plan(lines)
    assert drawing.count("(one round trip)") == 2
    assert 'class="scan"' in drawing
    assert draw_plan([]) == ""


def test_commits_and_activity(open_console, towns):
    client = open_console()
    metrics.publish(towns, every=3600)
    try:
        page = client.get("/0/commits").text
        assert "Via Sacra" in page
        assert "the schema changed" in page
        assert "Statements by time" in client.get("/0/activity").text
    finally:
        metrics.stop()
    assert "rome.metrics.publish" in client.get("/0/activity").text


def test_the_stream_has_commits_as_they_happen(towns):
    database = open_database(parse_url(towns))
    version = database.store.version()
    with rome.connect(towns) as connection:
        connection.execute(f"UPDATE towns SET name = '{HOSTILE.replace(chr(39), chr(39) * 2)}' WHERE id = 1")
    connection.close()

    async def first_event():
        async for text in commits.stream(database, version, lambda commit: commit.changes[0][2], lambda: False):
            if text.startswith("id:"):
                return text
        return ""

    text = asyncio.run(first_event())
    assert text.startswith(f"id: {version + 1}\nevent: commit\ndata: (id=1) name: Roma → <script>")
    assert text.endswith("\n\n")
    release_database(database)


def test_several_databases(open_console, towns):
    other = "rome+memory:///console_other"
    client = open_console(towns, other)
    assert client.get("/").text.count("rome+") == 2
    assert "has no tables" in client.get("/1/").text
    assert client.get("/2/").status_code == 404
    assert open_console().get("/").headers["location"] == "/0/"


def test_what_does_not_exist(open_console):
    client = open_console()
    for path in ("/0/tables/nothing", "/7/", "/7/sql", "/nothing"):
        assert client.get(path).status_code == 404
    assert "There is no table nothing" in client.get("/0/tables/nothing").text


# ── who may see it ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_token(open_console):
    client = open_console(headers={})
    for path in ("/", "/0/", "/0/sql", "/0/commits/stream", "/static/style.css", "/?token=wrong", "/0/?token="):
        answer = client.get(path)
        assert answer.status_code == 403
        assert "towns" not in answer.text
    assert client.get("/", headers={"Authorization": "Bearer wrong"}).status_code == 403
    answer = client.get(f"/0/tables/towns?sort=id&token={TOKEN}")
    assert answer.headers["location"] == "/0/tables/towns?sort=id"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert client.get("/0/").status_code == 200
    assert client.get(f"{ADDRESS}//evil.example/?token={TOKEN}").headers["location"].startswith("/evil.example")


def test_other_host_names_are_refused(open_console):
    client = open_console()
    assert client.get("/0/", headers={"Host": "evil.example"}).status_code == 403
    assert client.get("/0/", headers={"Host": "localhost:8021"}).status_code == 200


def test_pages_load_nothing_of_others(open_console):
    policy = open_console().get("/0/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


# ── who may change what ───────────────────────────────────────────────────────────────────────────────────────────────


def name_of_town(url):
    with rome.connect(url) as connection:
        (name,) = connection.execute("SELECT name FROM towns WHERE id = 1").fetchone()
    connection.close()
    return name


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE towns SET name = 'Changed'",
        "DROP TABLE streets",
        "PRAGMA query_only = off; UPDATE towns SET name = 'Changed'",
        "EXPLAIN ANALYZE UPDATE towns SET name = 'Changed'",
        "WITH t AS (SELECT 1) UPDATE towns SET name = 'Changed'",
        "DROP DATABASE towns",
        "PRAGMA query_only = off",
        "COMMIT",
        "CREATE TEMP TABLE x (a)",
    ],
)
def test_nothing_is_changed_without_write(open_console, towns, sql):
    client = open_console()
    for action in ("run", "explain"):
        run_sql(client, sql, action)
    run_sql(client, "UPDATE towns SET name = 'Changed'")
    assert name_of_town(towns) == "Roma"
    assert "Via Appia" in client.get("/0/tables/streets").text


def test_write_changes_rows(open_console, towns):
    assert "1 rows changed" in run_sql(open_console(write=True), "UPDATE towns SET name = 'Changed' WHERE id = 1").text
    assert name_of_town(towns) == "Changed"


def test_forms_of_other_sites_are_refused(open_console, towns):
    client = open_console(write=True)
    sql = "UPDATE towns SET name = 'Changed' WHERE id = 1"
    assert run_sql(client, sql, form="wrong").status_code == 403
    assert client.post("/0/sql", data={"sql": sql, "action": "run"}).status_code == 403
    data = {"sql": sql, "action": "run", "form": form_value(TOKEN)}
    assert client.post("/0/sql", data=data, headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.get("/0/sql", params=data).status_code == 200
    assert name_of_town(towns) == "Roma"
    assert client.post("/0/sql", data=data, headers={"Origin": ADDRESS}).status_code == 200
    assert name_of_town(towns) == "Changed"


def test_what_is_in_the_database_is_only_shown(open_console, url):
    quoted = '"' + HOSTILE.replace('"', '""') + '"'
    with rome.connect(url) as connection:
        connection.execute(f"CREATE TABLE {quoted} ({quoted} TEXT PRIMARY KEY)")
        connection.execute(f"INSERT INTO {quoted} VALUES (?)", (HOSTILE,))
    connection.close()
    client = open_console()
    (path,) = set(re.findall(r'href="(/0/tables/[^"]*script[^"]*)"', client.get("/0/").text))
    pages = [client.get(each).text for each in ("/0/", "/0/schema", "/0/commits", "/0/activity", path)]
    pages.append(run_sql(client, f"SELECT * FROM {quoted}").text)
    pages.append(run_sql(client, f"SELECT * FROM {quoted}", "explain").text)
    pages.append(run_sql(client, f"SELECT '{HOSTILE}").text)
    pages.append(client.get(path, params={f"f.{HOSTILE}": HOSTILE, "sort": HOSTILE}).text)
    for page in pages:
        assert "<script>alert" not in page
        assert "alert(1)" in page or "Activity" in page
    assert "&lt;script&gt;" in client.get(path, params={f"f.{HOSTILE}": f"= {HOSTILE}"}).text


@pytest.mark.parametrize("text", ["' OR 1=1 --", '" OR 1=1 --', "1; DROP TABLE towns", "~'||x"])
def test_filters_are_values(open_console, towns, text):
    client = open_console(write=True)
    query = {"f.name": text, 'f.id" OR 1=1 --': "1", "sort": "id; DROP TABLE towns"}
    page = client.get("/0/tables/towns", params=query).text
    assert "no rows" in page
    assert name_of_town(towns) == "Roma"


# ── the command ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_wrong_arguments(run, towns, tmp_path):
    assert "16 characters" in run("console", towns, "--token", "short", code=2).err
    assert "no such file" in run("console", tmp_path / "nothing.rome", code=2).err


def test_a_port_that_is_taken(run, towns):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "--port names another" in run("console", towns, "--port", taken.getsockname()[1], code=1).err


def test_packages_that_are_missing(run, towns, monkeypatch):
    monkeypatch.setattr("rome.cli.console.command.find_spec", lambda name: None)
    assert "pip install 'rome-db[console]'" in run("console", towns, code=1).err


# ── the command ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_program_reads_the_address_and_the_token(tmp_path):
    """With --json the first line says where the console listens. Ctrl-C ends it with the exit code of interruptions."""
    path = tmp_path / "app.rome"
    rome.connect(f"rome+file://{path}").close()
    command = [sys.executable, "-m", "rome.cli", "console", str(path), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        found = json.loads(process.stdout.readline())
        request = urllib.request.Request(found["url"], headers={"Authorization": f"Bearer {found['token']}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert "app.rome" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert json.loads(process.stderr.read())["error"]["type"] == "Interrupted"
