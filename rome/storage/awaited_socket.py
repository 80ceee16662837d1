"""A socket for tasks of an event loop: what a connection needs of a socket, and each wait lets other tasks run."""

from __future__ import annotations

import asyncio
import socket
import weakref
from ssl import SSLWantReadError, SSLWantWriteError

from rome import waits


class AwaitedSocket:
    """A socket that was opened by blocking calls and is not blocking from now on. One task uses it at a time.

    The event loop watches it as long as it is open, so that a round needs no call to begin and end that. If something
    arrives that nobody waits for, as when the server closes the connection, watching ends until somebody does.
    """

    def __init__(self, opened: socket.socket) -> None:
        """The timeout of `opened` becomes that of each wait."""
        self._socket = opened
        self._timeout = opened.gettimeout()
        self._file = opened.fileno()
        self._loop = weakref.ref(asyncio.get_running_loop())
        self._is_watched = False
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        """Looks at the clock when the timeout of a wait may be over: one timer for many waits."""
        self._deadline = 0.0
        self._may_have_more = False
        """True if more may have arrived than the last call has returned."""
        opened.setblocking(False)

    def sendall(self, data: bytes | memoryview) -> None:
        """Send data. Raise TimeoutError if none of it could be sent within the timeout; OSError."""
        self._may_have_more = False
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except (BlockingIOError, SSLWantWriteError):
                self._wait_to_write()
            except SSLWantReadError:
                self._wait_to_read()

    def recv_into(self, buffer: bytearray) -> int:
        """Receive data; return how many bytes it is, 0 if the server has closed the connection.

        Raise TimeoutError if nothing arrives within the timeout; OSError.
        """
        if not self._may_have_more:
            self._wait_to_read()
        while True:
            try:
                size = self._socket.recv_into(buffer)
            except (BlockingIOError, SSLWantReadError):
                self._wait_to_read()
            except SSLWantWriteError:
                self._wait_to_write()
            else:
                self._may_have_more = True
                return size

    def close(self) -> None:
        """Close the socket. May be called from another thread than that of the event loop."""
        loop = self._loop()
        if loop is None or loop.is_closed():
            self._socket.close()
        elif loop.is_running() and asyncio._get_running_loop() is not loop:
            loop.call_soon_threadsafe(self._close)
        else:
            self._close()

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._stop_watching()
        self._socket.close()

    def __del__(self) -> None:
        """Close the socket, without the event loop: it has ended, or belongs to the parent of this process."""
        self._socket.close()

    def _wait_to_read(self) -> None:
        loop = asyncio.get_running_loop()
        if not self._is_watched:
            loop.add_reader(self._file, self._wake)
            self._is_watched = True
        self._wait(loop)

    def _wait_to_write(self) -> None:
        self._stop_watching()  # else an early reply would wake us again and again
        loop = asyncio.get_running_loop()
        loop.add_writer(self._file, self._wake)
        try:
            self._wait(loop)
        finally:
            loop.remove_writer(self._file)

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait until the event loop sees what it was asked to watch for. Raise TimeoutError."""
        waiter = self._waiter = loop.create_future()
        if self._timeout is not None:
            self._deadline = loop.time() + self._timeout
            if self._timer is None:
                self._timer = loop.call_at(self._deadline, self._look_at_clock, loop)
        try:
            waits.wait_for(waiter)
        finally:
            self._waiter = None

    def _look_at_clock(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._waiter is None:
            return
        if loop.time() < self._deadline:
            self._timer = loop.call_at(self._deadline, self._look_at_clock, loop)
        elif not self._waiter.done():
            self._waiter.set_exception(TimeoutError("timed out"))

    def _wake(self) -> None:
        if self._waiter is None:
            self._stop_watching()
        elif not self._waiter.done():
            self._waiter.set_result(None)

    def _stop_watching(self) -> None:
        loop = self._loop()
        if self._is_watched and loop is not None:
            loop.remove_reader(self._file)
        self._is_watched = False
