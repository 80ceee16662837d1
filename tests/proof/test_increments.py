"""Processes that increment one row."""

from __future__ import annotations

from click.testing import CliRunner

from rome.verify.increments import count
from rome.verify.increments.__main__ import main


def test_every_increment_is_counted(url: str) -> None:
    result = count(url, processes=4, times=10)
    assert (result.counted, result.gave_up) == (40, 0)


def test_the_command() -> None:
    result = CliRunner().invoke(main, ["rome+memory:///increments", "--processes", "2", "--times", "3"])
    assert result.exit_code == 0, result.output
    assert "6 of 6 increments counted" in result.output
