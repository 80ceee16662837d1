"""Simulate network latency: a TCP relay that forwards data to a server with a delay."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import make_url

_PORTS = {"rome": 6379, "postgresql": 5432, "mysql": 3306, "mariadb": 3306}


@contextmanager
def delayed(url: str, milliseconds: float) -> Iterator[str]:
    """Yield a URL of a relay whose round trips to the URL's server take so much longer; for 0, the URL itself."""
    if not milliseconds:
        yield url
        return
    parsed = make_url(url)
    port = parsed.port or _PORTS[parsed.get_backend_name()]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    relay = _Relay(parsed.host or "127.0.0.1", port, milliseconds / 2000)
    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(relay, "127.0.0.1", 0), loop).result()
    relay_port = server.sockets[0].getsockname()[1]
    try:
        yield parsed.set(host="127.0.0.1", port=relay_port).render_as_string(hide_password=False)
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Relay:
    """Forward every connection to the server."""

    def __init__(self, host: str, port: int, seconds: float) -> None:
        self._host, self._port, self._seconds = host, port, seconds

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(self._host, self._port)
        # asyncio's streams log an error for a cancelled handler.
        with suppress(asyncio.CancelledError):
            await asyncio.gather(self._forward(reader, upstream_writer), self._forward(upstream_reader, writer))

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(1 << 16):
            loop.call_later(self._seconds, writer.write, data)
        loop.call_later(self._seconds, writer.close)
