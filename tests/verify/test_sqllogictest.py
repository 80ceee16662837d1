"""Files in the format of sqllogictest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rome.verify.sqllogictest.play import FilePlayer
from rome.verify.sqllogictest.records import FileError, read_records

ONE = "b026324c6904b2a9cb4b88d6d61c81d1"
"""The digest of a result with the single value 1."""

EXAMPLE = Path(__file__).parent / "example.test"


def failures(text: str, url: str = "rome+memory:///") -> list[str]:
    player = FilePlayer(url)
    try:
        return [f"{failure.record.line}: {failure.expected} | {failure.found}" for failure in player.play(text)]
    finally:
        player.close()


def test_the_example_plays_on_each_store(url: str) -> None:
    player = FilePlayer(url)
    assert [str(failure) for failure in player.play(EXAMPLE.read_text(encoding="utf-8"))] == []
    assert (player.played, player.skipped) == (12, 2)
    player.close()


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("statement ok\nSELECT missing", "1: no error | OperationalError: no such column: missing"),
        ("\nstatement error\nSELECT 1", "2: an error | no error"),
        ("query I\nSELECT 1\n----\n2", "1: 2 | 1"),
        ("query I\nSELECT 1, 2\n----\n1\n2", "1: 1 columns | 2 columns"),
        ("query II\nSELECT 2, 1\n----\n1\n2", "1: 1 2 | 2 1"),
        ("query I nosort x\nSELECT 1\n\nquery I nosort x\nSELECT 2", "4: the first result of label x | 2"),
        (
            f"query I\nSELECT 1\n----\n2 values hashing to {ONE}",
            f"1: 2 values hashing to {ONE} | 1 values hashing to {ONE}",
        ),
    ],
)
def test_a_result_that_differs(text: str, failure: str) -> None:
    assert failures(text) == [failure]


@pytest.mark.parametrize(
    "text", ["what is this", "statement perhaps\nSELECT 1", "query X\nSELECT 1", "query I anysort\nSELECT 1"]
)
def test_a_file_in_another_format(text: str) -> None:
    with pytest.raises(FileError, match="line 1: "):
        list(read_records(text))


def test_lines_end_as_on_any_system() -> None:
    assert failures("query I\r\nSELECT 1\r\n----\r\n1\r\n") == []


def test_the_command_line(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.test"
    wrong.write_text("query I\nSELECT 1\n----\n2\n", encoding="utf-8")
    command = [sys.executable, "-m", "rome.verify.sqllogictest"]
    played = subprocess.run([*command, EXAMPLE], capture_output=True, text=True, check=True)
    assert played.stdout.endswith("example.test: 12 records, 2 skipped, 0 failures\n")
    failed = subprocess.run([*command, EXAMPLE, wrong], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert "wrong.test, line 1: SELECT 1" in failed.stdout
    missing = subprocess.run([*command, tmp_path / "missing"], capture_output=True, text=True, check=False)
    assert missing.returncode == 2
    assert "No such file" in missing.stderr
