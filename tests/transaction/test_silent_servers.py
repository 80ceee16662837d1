"""A server that accepts connections and never answers holds up nobody else; nor does a fork meanwhile."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

import rome
from rome.database.counters import Counters
from rome.errors import StoreUnavailable
from rome.storage.memory import MemoryStore


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A server that somebody is connecting to."""
    pytest.importorskip("redis")
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"rome+redis://127.0.0.1:{server.getsockname()[1]}/x?socket_timeout=3"

        def connect() -> None:
            with suppress(StoreUnavailable):
                rome.connect(url)

        connecting = threading.Thread(target=connect)
        connecting.start()
        accepted, _ = server.accept()
        yield url
        accepted.close()
        connecting.join()


def test_connections_to_other_databases_do_not_wait(silent_url: str) -> None:
    began = time.monotonic()
    rome.connect("rome+memory:///beside-a-silent-server").close()
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("database", ["beside-a-silent-server", "opened in the child"])
def test_a_forked_child_does_not_wait(silent_url: str, database: str) -> None:
    rome.connect("rome+memory:///beside-a-silent-server").close()
    child = os.fork()
    if child == 0:
        status = 1
        with suppress(BaseException):
            connection = rome.connect(f"rome+memory:///{database}")
            connection.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY)")
            connection.commit()
            status = 0
        os._exit(status)
    deadline = time.monotonic() + 2
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    if ended[0] == 0:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert ended == (child, 0)


class SlowStore(MemoryStore):
    """A store whose counter takes long."""

    def __init__(self) -> None:
        super().__init__("slow counters")
        self.asked, self.answer = threading.Event(), threading.Event()

    def allocate(self, counter: bytes, n: int) -> int:
        if counter == b"slow":
            self.asked.set()
            assert self.answer.wait(30)
        return super().allocate(counter, n)


def test_ids_of_other_tables_do_not_wait() -> None:
    store = SlowStore()
    counters = Counters(store, in_blocks=True)
    taken: list[int] = []
    taking = threading.Thread(target=lambda: taken.extend(counters.take(b"slow", 3)))
    taking.start()
    assert store.asked.wait(30)
    assert counters.take(b"fast", 2) == [1, 2]
    counters.skip(b"slow", 10)
    store.answer.set()
    taking.join()
    assert taken == [11, 12, 13]
