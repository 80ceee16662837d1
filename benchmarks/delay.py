"""Simulate network latency, and count round trips: a TCP relay that forwards data to a server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import make_url

_PORTS = {"rome": 6379, "postgresql": 5432, "mysql": 3306, "mariadb": 3306}


class Relay:
    """Forwards every connection to a server. `url`: of the server, through the relay."""

    def __init__(self, host: str, port: int, seconds: float) -> None:
        """`seconds`: the delay in each direction."""
        self.url = ""
        self.round_trips = 0
        """How often a client has sent something after the server, or as the first."""
        self._host, self._port, self._seconds = host, port, seconds

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection until both sides have ended it."""
        upstream_reader, upstream_writer = await asyncio.open_connection(self._host, self._port)
        talk = _Talk()
        # asyncio's streams log an error for a cancelled handler, and for a client that is gone.
        with suppress(asyncio.CancelledError, ConnectionError):
            await asyncio.gather(
                self._forward(reader, upstream_writer, talk, of_client=True),
                self._forward(upstream_reader, writer, talk, of_client=False),
            )

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, talk: _Talk, *, of_client: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(1 << 16):
            self.round_trips += of_client and not talk.client_spoke
            talk.client_spoke = of_client
            loop.call_later(self._seconds, writer.write, data)
        loop.call_later(self._seconds, writer.close)


class _Talk:
    """One connection: who has spoken last."""

    client_spoke = False


@contextmanager
def relayed(url: str, milliseconds: float = 0.0) -> Iterator[Relay]:
    """Yield a relay to the URL's server. `milliseconds`: what it adds to each round trip."""
    parsed = make_url(url)
    port = parsed.port or _PORTS[parsed.get_backend_name()]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    relay = Relay(parsed.host or "127.0.0.1", port, milliseconds / 2000)
    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(relay, "127.0.0.1", 0), loop).result()
    relay_port = server.sockets[0].getsockname()[1]
    relay.url = parsed.set(host="127.0.0.1", port=relay_port).render_as_string(hide_password=False)
    try:
        yield relay
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def delayed(url: str, milliseconds: float) -> Iterator[str]:
    """Yield a URL whose round trips to the URL's server take so much longer; for 0, the URL itself."""
    if not milliseconds:
        yield url
        return
    with relayed(url, milliseconds) as relay:
        yield relay.url


async def _end(server: asyncio.Server) -> None:
    server.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
