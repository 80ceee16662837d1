"""The table of anomalies: each level prevents what it guarantees, and the scenarios show what is not prevented."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

import rome
from rome.verify import isolation
from rome.verify.isolation.__main__ import main


def test_each_level_prevents_exactly_what_it_guarantees(url: str) -> None:
    table = isolation.run_all(url)
    prevented = {
        level: {name for name, outcomes in table.items() if outcomes[level].prevented} for level in isolation.LEVELS
    }
    assert prevented == isolation.GUARANTEED


def test_the_command_prints_the_table_and_leaves_nothing_behind(url: str) -> None:
    result = CliRunner().invoke(main, [url])
    assert result.exit_code == 0, result.output
    assert "G2-item" in result.output
    connection = rome.connect(url)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()


def test_a_violation_is_reported() -> None:
    table = {"G2": dict.fromkeys(isolation.LEVELS, isolation.Outcome.HAPPENS)}
    assert list(isolation.violations(table)) == ["SERIALIZABLE must prevent G2, and it happened"]


def test_an_invalid_url_is_reported() -> None:
    result = CliRunner().invoke(main, ["rome+nosuch:///x"])
    assert result.exit_code == 1
    assert "nosuch" in result.output


@pytest.mark.parametrize("level", isolation.LEVELS)
def test_a_statement_that_changes_no_value_causes_no_conflict(url: str, level: str) -> None:
    first, second = rome.connect(url, isolation_level=level), rome.connect(url)
    first.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    first.execute("INSERT INTO t VALUES (1, 10), (2, 20)")
    first.commit()
    first.execute("UPDATE t SET v = v WHERE id = 1")
    second.execute("UPDATE t SET v = 11 WHERE id = 1")
    second.commit()
    first.commit()
    assert second.execute("SELECT v FROM t WHERE id = 1").fetchall() == [(11,)]
    first.close()
    second.close()
