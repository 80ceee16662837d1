"""Statements of SQLAlchemy and of services: all of them must be compiled, and return the rows of SQLite."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.compiled.harness import Database

DDL = """
CREATE TABLE services (
    id INTEGER NOT NULL, host VARCHAR(255), topic VARCHAR(255), disabled BOOLEAN, report_count INTEGER NOT NULL,
    deleted INTEGER, deleted_at DATETIME, created_at DATETIME, uuid VARCHAR(36), PRIMARY KEY (id)
);
CREATE TABLE instances (
    id INTEGER NOT NULL, uuid VARCHAR(36) NOT NULL, display_name VARCHAR(255), project_id VARCHAR(255),
    host VARCHAR(255), vm_state VARCHAR(255), memory_mb INTEGER, vcpus INTEGER, created_at DATETIME,
    deleted INTEGER, deleted_at DATETIME, flavor_id INTEGER, PRIMARY KEY (id), UNIQUE (uuid)
);
CREATE TABLE instance_metadata (
    id INTEGER NOT NULL, "key" VARCHAR(255), value VARCHAR(255), instance_uuid VARCHAR(36), deleted INTEGER,
    PRIMARY KEY (id), FOREIGN KEY (instance_uuid) REFERENCES instances (uuid)
);
CREATE TABLE tags (resource_id VARCHAR(36) NOT NULL, tag VARCHAR(80) NOT NULL, PRIMARY KEY (resource_id, tag));
CREATE TABLE flavors (id INTEGER NOT NULL, name VARCHAR(255), is_public BOOLEAN, disabled BOOLEAN, PRIMARY KEY (id));
CREATE TABLE flavor_projects (id INTEGER NOT NULL, flavor_id INTEGER NOT NULL, project_id VARCHAR(255),
    PRIMARY KEY (id), UNIQUE (flavor_id, project_id));
"""


def _database() -> Database:
    chosen = random.Random(5)
    uuids = [f"uuid-{number}" for number in range(20)]
    times = ["2024-01-01 00:00:00", "2024-02-01 10:00:00.000000", None]
    pick = chosen.choice
    rows: dict[str, list[tuple[Any, ...]]] = {
        "services": [
            (n, pick(["h1", "h2", None]), pick(["compute", "api"]), pick([0, 1]), n % 3, pick([0, 0, n]), pick(times),
             pick(times), pick(uuids)) for n in range(1, 12)
        ],
        "instances": [
            (n, uuids[n], pick(["a", "B", "vm%", None]), pick(["p1", "p2", None]), pick(["h1", "h2", None]),
             pick(["active", "error"]), pick([512, 1024, None]), pick([1, 2]), pick(times), pick([0, 0, n]),
             pick(times), pick([1, 2, 3, None])) for n in range(1, 20)
        ],
        "instance_metadata": [
            (n, pick(["k1", "k2"]), pick(["v1", "v2", None]), pick(uuids), pick([0, n])) for n in range(1, 30)
        ],
        "tags": [(uuid, tag) for uuid in uuids for tag in ("blue", "red") if chosen.random() < 0.5],
        "flavors": [(n, f"flavor{n}", pick([0, 1]), pick([0, 1, None])) for n in range(1, 5)],
        "flavor_projects": [(n, pick([1, 2, 3]), pick(["p1", "p2", "p3"])) for n in range(1, 9)],
    }  # fmt: skip
    return Database(DDL, rows)


DATA = _database()


def _statements() -> dict[str, tuple[str, Any]]:
    """Return the statements of services.txt: for each name the text, which is indented there, and the parameters as
    JSON after `--`.
    """
    found = {}
    for part in Path(__file__).with_name("services.txt").read_text().split("\n\n"):
        name, _, body = part.partition("\n")
        sql, _, parameters = body.rpartition("    -- ")
        found[name] = (sql.strip(), json.loads(parameters))
    return found


STATEMENTS = _statements()


@pytest.mark.parametrize("name", STATEMENTS)
def test_statement(name: str) -> None:
    sql, parameters = STATEMENTS[name]
    DATA.check(sql, parameters, ordered="ORDER BY" in sql and name != "usage")
    assert DATA.expected(sql, parameters) or name == "empty IN", "nothing to compare"
