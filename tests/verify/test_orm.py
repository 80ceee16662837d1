"""The fuzzer of SQLAlchemy's ORM, for a moment."""

from __future__ import annotations

import pytest

from rome.dbapi.connection import Cursor
from rome.testing.servers import RedisServer
from rome.verify.orm.play import Step, case, play


@pytest.mark.parametrize("seed", range(8))
def test_generated_sessions(seed: int) -> None:
    assert case(seed, "rome+memory:///", 40).difference is None


@pytest.mark.server
@pytest.mark.parametrize("seed", range(1000, 1002))
def test_generated_sessions_on_redis(seed: int, redis_server: RedisServer) -> None:
    assert case(seed, redis_server.url(""), 40).difference is None


def test_a_difference_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that writes another number."""
    execute = Cursor.execute

    def falsify(self: Cursor, sql: str, *arguments: object) -> object:
        return execute(self, sql.replace("UPDATE nodes SET number=", "UPDATE nodes SET number=1+"), *arguments)

    steps = [Step("add_nodes", 1), Step("update_in_bulk", 3), Step("commit", 1)]
    assert play(steps, "rome+memory:///") is None
    monkeypatch.setattr(Cursor, "execute", falsify)
    assert play(steps, "rome+memory:///") is not None
