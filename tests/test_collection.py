"""Statements that make many rows collect no garbage meanwhile, and leave the collector as they found it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import closing

import pytest

import rome
from rome.collection import MANY, collecting_later
from rome.errors import IntegrityError


@pytest.fixture
def collections() -> Iterator[list[int]]:
    """The generations that were collected, as they are."""
    found: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            found.append(info["generation"])

    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


def test_nothing_is_collected_while_many_rows_are_made(collections: list[int]) -> None:
    with collecting_later(MANY - 1):
        few = [(number, [number]) for number in range(5 * MANY)]
    assert collections
    collections.clear()
    with collecting_later(MANY):
        many = [(number, [number]) for number in range(5 * MANY)]
        assert not collections
    assert few == many


@pytest.mark.parametrize("is_enabled", [True, False])
def test_the_collector_is_as_before(is_enabled: bool) -> None:
    with closing(rome.connect("rome+memory:///collector")) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT UNIQUE)")
        rows = [(f"k{number}",) for number in range(2 * MANY)]
        if not is_enabled:
            gc.disable()
        try:
            connection.executemany("INSERT INTO t (k) VALUES (?)", rows)
            assert gc.isenabled() is is_enabled
            with pytest.raises(IntegrityError):
                connection.executemany("INSERT INTO t (k) VALUES (?)", rows)
            assert gc.isenabled() is is_enabled
        finally:
            gc.enable()
    rome.drop_database("rome+memory:///collector")
