"""`rome watch` and `rome doctor`."""

import contextlib
import json
import os

import redis

import rome
from rome.cli.doctor import _durability, _eviction
from rome.storage.redis.acl import least_rule
from rome.testing.servers import LEAST_PERMISSIONS


def test_changes_with_old_and_new_values(run, towns):
    start = run("tables", "--json", towns).json["version"]
    connection = rome.connect(towns, isolation_level="AUTOCOMMIT")
    connection.execute("UPDATE towns SET area = 1 WHERE id = 1")
    connection.execute("UPDATE towns SET area = 2, name = 'Rome' WHERE id = 1")
    connection.execute("DELETE FROM streets WHERE name = 'Via Appia'")
    connection.execute("INSERT INTO towns VALUES (3, 'Tivoli', 1)")
    connection.close()
    text = run("watch", towns, "--since", start, "--seconds", 0).out.splitlines()
    assert text == [
        f"{start + 1} UPDATE towns (id=1) area: 1285.0 → 1.0",
        f"{start + 2} UPDATE towns (id=1) name: Roma → Rome, area: 1.0 → 2.0",
        f"{start + 3} DELETE streets town=1, name=Via Appia, stone=x'00ff'",
        f"{start + 4} INSERT towns id=3, name=Tivoli, area=1.0",
    ]
    lines = run("watch", "--json", towns, "streets", "--since", start, "--seconds", 0).out.splitlines()
    assert [json.loads(line)["old"] for line in lines] == [{"town": 1, "name": "Via Appia", "stone": {"hex": "00ff"}}]
    assert json.loads(lines[0])["new"] is None


def test_watch_of_a_missing_table(run, towns):
    assert "no such table: nope" in run("watch", towns, "nope", code=1).err


def test_watch_goes_on_after_a_schema_change(run, towns):
    start = run("tables", "--json", towns).json["version"]
    with rome.connect(towns) as connection:
        connection.execute("ALTER TABLE towns ADD COLUMN river TEXT DEFAULT 'Tiber'")
        connection.execute("UPDATE towns SET area = 1 WHERE id = 1")
    connection.close()
    ended = run("watch", towns, "--since", start, "--seconds", 0)
    assert "the schema changed" in ended.err
    assert "area: 1285.0 → 1.0" in ended.out


def test_a_schema_change_is_announced_once(run, towns):
    start = run("tables", "--json", towns).json["version"]
    with rome.connect(towns) as connection:
        connection.execute("CREATE TABLE rivers (name TEXT)")
    connection.close()
    ended = run("watch", towns, "--since", start, "--seconds", 0.3, "--interval", 0.01)
    assert ended.err.count("the schema changed") == 1


def test_doctor_tells_the_reach_of_the_cache(run, towns):
    assert "cache" not in {each["name"] for each in run("doctor", "--json", towns, code=None).json}
    options = ("&" if "?" in towns else "?") + "staleness=2&cache="
    for bound, verdict, share in (("1MiB", "ok", "all"), ("1", "note", "0%")):
        found = {each["name"]: each for each in run("doctor", "--json", towns + options + bound, code=None).json}
        assert found["cache"]["value"].startswith("reads may be 2 s behind, ")
        reach = found["reach of the cache"]
        assert reach["verdict"] == verdict
        assert reach["value"].endswith(f" MiB for all rows, of which {share} fit")


def test_doctor(run, towns):
    findings = {each["name"]: each for each in run("doctor", "--json", towns, code=None).json}
    assert "format" in findings["ROME"]["value"]
    assert findings["log"]["verdict"] == "note"
    if "redis" in towns:
        assert findings["least permissions"]["value"].startswith("resetkeys ~{rome:")
    if "redis" in towns and os.environ.get(LEAST_PERMISSIONS):
        assert "INFO is refused" in findings["server"]["value"]
    elif "redis" in towns:  # it keeps nothing on disk
        assert findings["maxmemory-policy"]["verdict"] == "ok"
        assert "a restart loses everything" in run("doctor", towns, code=3).out


def test_settings_that_endanger_data():
    assert _eviction("allkeys-lru", {}).verdict == "bad"
    assert _eviction(None, {"maxmemory_policy": "noeviction"}).verdict == "ok"
    assert _durability("no", "everysec", "").verdict == "bad"
    assert _durability("no", "everysec", "3600 1").verdict == "note"
    assert _durability("yes", "everysec", "").verdict == "note"
    assert _durability("yes", "always", "").verdict == "ok"


def test_permissions_that_a_user_lacks(run, redis_server):
    name = "doctor_acl"
    rule = least_rule(f"{{rome:{name}}}:*")
    host, port = redis_server.host, redis_server.port
    with contextlib.closing(redis.Redis.from_url(f"redis://{redis_server.admin_login}{host}:{port}/")) as client:
        for user, more in (("doctor_full", ""), ("doctor_less", "-hset -xadd")):
            client.execute_command("ACL", "SETUSER", user, "on", ">pw", *rule.split(), *more.split())
        found = {}
        for user, code in (("doctor_full", 0), ("doctor_less", 3)):
            url = f"rome+redis://{user}:pw@{host}:{port}/{name}"
            findings = run("doctor", "--json", url, code=code).json
            found[user] = {each["name"]: each for each in findings}["permissions"]
        client.execute_command("ACL", "DELUSER", "doctor_full", "doctor_less")
    assert found["doctor_full"]["verdict"] == "ok"
    assert found["doctor_less"]["verdict"] == "bad"
    assert found["doctor_less"]["value"] == "lacking: hset, xadd"
