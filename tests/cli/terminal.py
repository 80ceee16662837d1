"""A program in a terminal emulator: keys go in, the screen is read."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Sequence

import pyte

_PATIENCE = 30.0


class Terminal:
    """A child process on a pseudo terminal of some columns and lines."""

    def __init__(self, arguments: Sequence[str], columns: int = 80, lines: int = 24, **environment: str) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            command = [sys.executable, "-m", "rome.cli", *arguments]
            inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
            os.execve(command[0], command, {**inherited, "TERM": "xterm", "PAGER": "cat", **environment})
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def send(self, keys: str) -> None:
        """Type keys."""
        os.write(self._fd, keys.encode())

    @property
    def text(self) -> str:
        """The text on the screen, without blanks at its ends."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def wait(self, is_there: str | Callable[[str], bool]) -> str:
        """Return the screen's text once it has some text, or meets a condition."""
        expected = (lambda text: is_there in text) if isinstance(is_there, str) else is_there
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if select.select([self._fd], [], [], 0.1)[0] and not self._read():
                break
            if expected(self.text) and not select.select([self._fd], [], [], 0.1)[0]:
                return self.text
        assert expected(self.text), f"the screen never had {is_there!r}:\n{self.text}"
        return self.text

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # the program has ended
            return False
        if b"\x1b[6n" in data:  # the program asks for the cursor's position
            self._stream.feed(data)
            os.write(self._fd, f"\x1b[{self.screen.cursor.y + 1};{self.screen.cursor.x + 1}R".encode())
        else:
            self._stream.feed(data)
        return bool(data)

    def close(self) -> int:
        """Wait for the end of the program, which is killed if it does not end. Return its exit code."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if select.select([self._fd], [], [], 0.05)[0]:
                self._read()
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                while select.select([self._fd], [], [], 0)[0] and self._read():
                    pass  # what the program has written last
                os.close(self._fd)
                return os.waitstatus_to_exitcode(status)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._fd)
        raise AssertionError("the program did not end")
