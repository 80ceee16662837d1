"""Golden plans: `plans.txt` has statements, each with its read plan.

`python -m tests.sql.test_plans` writes the file again; the diff is the review.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sql.schema import catalog_from, plan_reads

GOLDEN = Path(__file__).with_name("plans.txt")

CATALOG = catalog_from("""
CREATE TABLE p (id INTEGER PRIMARY KEY, uuid TEXT, host TEXT, n);
CREATE UNIQUE INDEX p_uuid ON p (uuid);
CREATE INDEX p_host ON p (host);
CREATE INDEX p_n ON p (n);
CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES p (id), name TEXT, puuid TEXT);
CREATE INDEX c_pid ON c (pid);
CREATE INDEX c_puuid ON c (puuid);
CREATE INDEX c_name ON c (name);
CREATE TABLE g (id INTEGER PRIMARY KEY, cid INTEGER REFERENCES c (id), v);
CREATE TABLE k (a INTEGER NOT NULL, b TEXT NOT NULL, v, PRIMARY KEY (a, b));
CREATE TABLE w (size REAL, nick TEXT COLLATE NOCASE);
CREATE INDEX w_size ON w (size);
CREATE INDEX w_nick ON w (nick);
CREATE TABLE x (id INTEGER PRIMARY KEY, name TEXT, gone INT, born TEXT, twice AS (gone * 2));
CREATE INDEX x_lower ON x (lower(name));
CREATE INDEX x_alive ON x (name) WHERE gone = 0;
CREATE INDEX x_twice ON x (twice);
CREATE INDEX x_born ON x (born) WHERE born IS NOT NULL;
CREATE VIEW busy AS SELECT * FROM p;
""")


def blocks() -> Iterator[tuple[str, str]]:
    """Yield each statement or heading, and the indented text below it."""
    for block in GOLDEN.read_text().strip().split("\n\n"):
        lines = block.splitlines()
        under = [line for line in lines if line.startswith("    ")]
        yield "\n".join(lines[: len(lines) - len(under)]), "\n".join(under)


def is_statement(text: str) -> bool:
    return not text.startswith(("--", "=="))


def shown(statement: str) -> str:
    plan = plan_reads(statement, CATALOG)
    text = str(plan) if plan.parsed else "not parsed"
    return "\n".join(f"    {line}" for line in text.splitlines())


@pytest.mark.parametrize(("statement", "plan"), [block for block in blocks() if is_statement(block[0])])
def test_golden(statement: str, plan: str) -> None:
    assert shown(statement) == plan


if __name__ == "__main__":
    texts = [f"{text}\n{shown(text)}" if is_statement(text) else text for text, _ in blocks()]
    GOLDEN.write_text("\n\n".join(texts) + "\n")
