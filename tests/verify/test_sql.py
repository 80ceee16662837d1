"""The differential fuzzer, for a moment; and scripts that once gave other results than SQLite, each the shortest of its
kind.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rome.session import bulk_dml
from rome.verify.sql import plain
from rome.verify.sql.generator import generate
from rome.verify.sql.play import Player, play
from rome.verify.sql.races import generate_race, play_race
from rome.verify.sql.script import RECONNECT, Outcome, Script, Step

SCRIPTS = (Path(__file__).parent / "regressions.txt").read_text(encoding="utf-8")


def scripts():
    for text in SCRIPTS.strip().split("\n\n"):
        title, *lines = text.splitlines()
        name, level = re.fullmatch(r"-- (\S+) \((.+)\)", title).groups()
        steps = [_step(line) for line in lines]
        yield pytest.param(Script(level, tuple(steps)), id=name)


def _step(line: str) -> Step:
    second = line.startswith("@2 ")
    sql, locks, clause = line.removeprefix("@2 ").partition(" FOR UPDATE")
    return Step(sql, connection=int(second), ordered=" ORDER BY " in line, locking=locks + clause)


@pytest.mark.parametrize("options", ["", "?constraints=deferred", "?staleness=1"])
@pytest.mark.parametrize("script", list(scripts()))
def test_a_script_that_once_differed(script, options):
    assert play(script, f"rome+memory:///{options}") is None


@pytest.mark.parametrize("end", ["COMMIT", "SELECT count(*) FROM t", "ROLLBACK"])
def test_an_error_may_come_later_where_constraints_are_deferred(end):
    texts = ["CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE)", "INSERT INTO t VALUES (1, 1)", "COMMIT", RECONNECT]
    script = Script("SNAPSHOT", [Step(text) for text in (*texts, "INSERT INTO t VALUES (2, 1)", end)])
    assert play(script, "rome+memory:///?constraints=deferred") is None


def test_an_error_must_come_where_constraints_are_deferred(monkeypatch):
    texts = ["CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)"]
    script = Script("SNAPSHOT", [Step(text) for text in (*texts, "COMMIT", RECONNECT, texts[1], "COMMIT")])
    monkeypatch.setattr(Player, "run", lambda _player, step: Outcome(count=int(step.is_change)))
    found = play(script, "rome+memory:///?constraints=deferred")
    assert found is not None
    assert found.what == "a violated constraint is never reported"


@pytest.mark.parametrize("seed", range(40))
def test_generated_scripts(seed):
    assert play(generate(seed, 30), "rome+memory:///") is None


@pytest.mark.server
@pytest.mark.parametrize("seed", range(1000, 1010))
def test_generated_scripts_on_redis(seed, redis_server):
    assert play(generate(seed, 30), redis_server.url("")) is None


@pytest.mark.server
@pytest.mark.parametrize("seed", range(2000, 2030))
def test_all_rows_are_deleted_at_once(seed, redis_server, monkeypatch):
    monkeypatch.setattr(bulk_dml, "_MANY", 0)
    monkeypatch.setitem(plain._MAKERS, lambda _random, _schema, table: Step(f"DELETE FROM {table.name}"), 6)
    assert play(generate(seed, 40), redis_server.url("")) is None
    assert play_race(generate_race(seed), redis_server.url("")) is None


@pytest.mark.parametrize("seed", range(60))
def test_overlapping_transactions(seed):
    assert play_race(generate_race(seed), "rome+memory:///") is None
