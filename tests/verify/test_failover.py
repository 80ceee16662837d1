"""Failovers by Sentinels, while clients commit: what is lost, what is doubled, and what clients get."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from click.testing import CliRunner

import rome
from rome.errors import HistoryLost, NotReplicated
from rome.verify.failover import FAULTS, run_failover
from rome.verify.failover.__main__ import main
from rome.verify.faults.sentinels import SentinelGroup, sentinel_group

pytestmark = [pytest.mark.slow, pytest.mark.server]


@pytest.fixture(scope="module")
def group() -> Iterator[SentinelGroup]:
    with sentinel_group() as group:
        yield group


@pytest.fixture
def url(group: SentinelGroup) -> Iterator[str]:
    """The URL of a database with one row."""
    url = group.url("app")
    with closing(rome.connect(url)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)")
        connection.execute("INSERT INTO t VALUES (1, 0)")
        connection.commit()
    yield url
    group.wait_until_whole()
    rome.drop_database(url)


@pytest.mark.parametrize("replicas", [0, 1])
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_doubled_or_damaged(group: SentinelGroup, fault: str, replicas: int) -> None:
    """With `replicas=1` nothing is lost that was acknowledged, either."""
    found = run_failover(group, fault, replicas)
    assert (found.doubled, found.findings) == (0, [])
    assert found.acknowledged_lost == 0 or not replicas
    if fault == "partition":
        # Of the client that goes on with the former primary.
        assert (found.not_replicated_lost if replicas else found.acknowledged_lost) > 0


def test_the_command() -> None:
    found = CliRunner().invoke(main, ["--fault", "kill", "--replicas", "1", "--clients", "1"])
    assert found.exit_code == 0, found.output
    assert "unsafe" in found.output


def test_what_was_read_of_a_primary_that_was_cut_off(group: SentinelGroup, url: str) -> None:
    """`HistoryLost` reports it, to a transaction that wants to write. The commit itself was known not to be safe."""
    former = group.primary
    beside = group.url_of(former, "app", "replicas=1&replicas_timeout=0.2")
    with closing(rome.connect(beside)) as writer, closing(rome.connect(group.url_of(former, "app"))) as reader:
        group.proxies[former].part()
        group.wait_for_another(former)
        writer.execute("UPDATE t SET n = 1")
        with pytest.raises(NotReplicated):
            writer.commit()
        assert reader.execute("SELECT n FROM t").fetchall() == [(1,)]
        group.proxies[former].join()
        group.wait_until_whole()
        reader.execute("UPDATE t SET n = n + 1")
        # The server is a replica now; its reads already have the new primary's past.
        with pytest.raises((HistoryLost, rome.errors.StoreUnavailable)):
            reader.commit()
    with closing(rome.connect(url)) as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(0,)]


def test_reads_go_on_during_a_failover(group: SentinelGroup, url: str) -> None:
    """At a replica that the Sentinels know; at the other one, when that one has become the primary."""
    with closing(rome.connect(group.url("app", "&read_from=replica&staleness=3600"))) as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(0,)]
        connection.rollback()
        former = group.primary
        group.servers[former].kill()
        while group.primary == former:
            assert connection.execute("SELECT n FROM t").fetchall() == [(0,)]
            connection.rollback()
        connection.execute("UPDATE t SET n = n + 1")
        connection.commit()
        assert connection.execute("SELECT n FROM t").fetchall() == [(1,)]
        connection.rollback()
        group.servers[former].start()


def test_a_commit_goes_to_the_new_primary(group: SentinelGroup, url: str) -> None:
    """The former one hangs, and goes on when the commit has been sent again. It is there once.

    The client does not wait for `socket_timeout`, which is longer than this test may take.
    """
    with closing(rome.connect(f"{url}&socket_timeout=3600")) as connection:
        group.wait_until_whole()
        connection.execute("UPDATE t SET n = n + 1")
        former = group.primary
        group.servers[former].hang()
        connection.commit()
        assert connection.execute("SELECT n FROM t").fetchall() == [(1,)]
        connection.rollback()
        group.wait_for_another(former)
        group.servers[former].resume()
        group.wait_until_whole()
        assert connection.execute("SELECT n FROM t").fetchall() == [(1,)]
