"""The table of anomalies: each level prevents what it promises, and the scenarios do see what is not prevented."""

from __future__ import annotations

from click.testing import CliRunner

import rome
from rome.testing import isolation
from rome.testing.isolation.__main__ import main


def test_each_level_prevents_exactly_what_it_promises(url: str) -> None:
    table = isolation.try_all(url)
    prevented = {
        level: {name for name, outcomes in table.items() if outcomes[level].prevented} for level in isolation.LEVELS
    }
    assert prevented == isolation.PROMISED


def test_the_command_prints_the_table_and_leaves_nothing_behind(url: str) -> None:
    result = CliRunner().invoke(main, [url])
    assert result.exit_code == 0, result.output
    assert "G2-item" in result.output
    connection = rome.connect(url)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()


def test_a_broken_promise_is_named() -> None:
    table = {"G2": dict.fromkeys(isolation.LEVELS, isolation.Outcome.HAPPENS)}
    assert list(isolation.differences(table)) == ["SERIALIZABLE promises to prevent G2, and it happened"]


def test_a_wrong_url_is_said_to_be_one() -> None:
    result = CliRunner().invoke(main, ["rome+nosuch:///x"])
    assert result.exit_code == 1
    assert "nosuch" in result.output
