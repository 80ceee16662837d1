"""A RabbitMQ node of the tests' own, which they stop, kill and start again."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from rome.testing.child_processes import forget, kill_at_exit
from rome.testing.servers import free_port

SCRIPT = shutil.which("rabbitmq-server", path="/usr/lib/rabbitmq/bin:" + os.environ["PATH"])
"""Debian's command on PATH starts the node as another user; the one below /usr/lib does not."""

_START_SECONDS = 300


class Node:
    """A node with its data in a folder. `address` is its transport_url."""

    def __init__(self, folder: Path) -> None:
        self._port, self._names = free_port(), free_port()
        self.address = f"rabbit://guest:guest@127.0.0.1:{self._port}/"
        self._log = folder / "output"
        (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self._port}\n")
        (folder / "plugins").write_text("[].")
        self._environment = {
            **os.environ,
            "HOME": str(folder),  # the cookie
            "RABBITMQ_NODENAME": f"rome-{self._port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RUNNING_UNDER_SYSTEMD": "1",  # the script becomes the node, so that signals reach it
            "ERL_EPMD_PORT": str(self._names),
        }
        self._node: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the node, and wait until it accepts connections."""
        with self._log.open("wb") as log:
            self._node = subprocess.Popen([SCRIPT], env=self._environment, stdout=log, stderr=log)
        kill_at_exit(self._node.pid)
        end = time.monotonic() + _START_SECONDS
        while "Starting broker... completed" not in self._log.read_text():
            assert self._node.poll() is None, self._log.read_text()
            assert time.monotonic() < end, self._log.read_text()
            time.sleep(0.1)

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Stop the node, or kill it by SIGKILL, and wait for its end."""
        self._node.send_signal(how)
        self._node.wait(_START_SECONDS)
        forget(self._node.pid)

    def close(self) -> None:
        """Kill the node, and the daemon that it has started for the names of nodes."""
        if self._node is not None and self._node.poll() is None:
            self.stop(signal.SIGKILL)
        subprocess.run(["epmd", "-port", str(self._names), "-relaxed_command_check", "-kill"], check=False)
