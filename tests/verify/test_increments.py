"""Concurrent processes that increment one row."""

from __future__ import annotations

from click.testing import CliRunner

from rome.verify.increments import run_increments
from rome.verify.increments.__main__ import main


def test_no_increment_is_lost(url: str) -> None:
    result = run_increments(url, processes=4, times=10)
    assert (result.applied, result.failed) == (40, 0)


def test_the_command() -> None:
    result = CliRunner().invoke(main, ["rome+memory:///increments", "--processes", "2", "--times", "3"])
    assert result.exit_code == 0, result.output
    assert "6 of 6 increments applied" in result.output
