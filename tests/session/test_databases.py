"""CREATE DATABASE and DROP DATABASE."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

import rome
from rome.dbapi import OperationalError, connect_to_server


def name_in(url: str) -> str:
    return urlsplit(url).path[1:]


def test_databases_are_created_and_dropped(url: str) -> None:
    other = f"{name_in(url)}other"
    with rome.connect(url) as connection:
        with pytest.raises(OperationalError, match=f"database {other} does not exist"):
            connection.execute(f'DROP DATABASE "{other}"')
        connection.execute(f'DROP DATABASE IF EXISTS "{other}"')
        connection.execute(f'CREATE DATABASE "{other}"')
        with pytest.raises(OperationalError, match=f"database {other} already exists"):
            connection.execute(f'CREATE DATABASE "{other}"')
        connection.execute(f'create database if not exists "{other}";')
        with rome.connect(f"{url}other") as second:
            second.execute("CREATE TABLE t (a)")
            second.execute("INSERT INTO t VALUES (1)")
            second.commit()
            connection.execute(f'DROP DATABASE "{other}"')
            with pytest.raises(OperationalError, match="no such table: t"):
                second.execute("SELECT * FROM t")


def test_they_are_not_part_of_a_transaction(url: str) -> None:
    other = f"{name_in(url)}other"
    with rome.connect(url) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute(f'CREATE DATABASE "{other}"')
        connection.rollback()
        with pytest.raises(OperationalError, match="no such table: t"):
            connection.execute("SELECT * FROM t")
        connection.execute(f'DROP DATABASE "{other}"')


def test_query_only_refuses_them() -> None:
    with rome.connect("rome+memory:///databases") as connection:
        connection.execute("PRAGMA query_only = ON")
        for text in ("CREATE DATABASE x", "DROP DATABASE IF EXISTS x"):
            with pytest.raises(OperationalError, match="readonly"):
                connection.execute(text)


@pytest.mark.parametrize(
    "text", ["CREATE DATABASE", "DROP DATABASE x y", "CREATE DATABASE IF EXISTS x", "ALTER DATABASE x"]
)
def test_malformed_statements_are_syntax_errors(text: str) -> None:
    with rome.connect("rome+memory:///databases") as connection, pytest.raises(OperationalError, match="syntax error"):
        connection.execute(text)


def test_a_connection_to_no_database(redis_server) -> None:
    url = redis_server.url("")
    with connect_to_server(url + "?foreign_keys=off") as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
        assert not connection.foreign_keys
        connection.execute("CREATE DATABASE made")
        for text in ("CREATE TABLE t (a)", "CREATE TEMP TABLE t (a)", "PRAGMA user_version = 1"):
            with pytest.raises(OperationalError, match="names no database"):
                connection.execute(text)
        connection.execute("DROP DATABASE made")
        with pytest.raises(OperationalError, match="database made does not exist"):
            connection.execute("DROP DATABASE made")
