"""The processes of the cloud: started, replaced by those of another release, and killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

RELEASES = ("v1", "v2")
COMPUTES = ("compute-1", "compute-2", "compute-3")
NAMES = ("conductor", "scheduler", *COMPUTES, "api")

READY = "accepts calls"
"""Each process logs this when it is ready."""

PATIENCE = 300
"""Seconds within which a process has to be ready."""

_WITHOUT_GAP = ("api", "conductor")
"""Two of these may run side by side: an old conductor serves the others as long as they are old."""

_ROOT = Path(__file__).parents[2]
_MANAGERS = {"scheduler": "scheduler:SchedulerManager", "compute": "compute:ComputeManager", "api": "api:ApiManager"}
_FILE = """\
[DEFAULT]
transport_url = {transport}
[database]
connection = {database}
[objects]
direct = {direct}
modules = examples.fleet.{release}.objects,examples.fleet.services
topic = {prefix}conductor
call_timeout = 10
call_attempts = 20
workers = 2
[schema]
scripts = {scripts}
[upgrade_levels]
objects = {pin}
[service]
release = {release}
host = {host}
topic = {prefix}{kind}
manager = examples.fleet.{manager}
driver = {driver}
report_interval = 2
[fleet]
prefix = {prefix}
listen_fd = {descriptor}
"""


class CloudError(Exception):
    """A process of the cloud has failed."""


@dataclass
class Cloud:
    """The processes of the cloud, and where their data and messages are."""

    folder: Path
    database: str
    transport: str
    direct: bool
    prefix: str
    listener: socket.socket
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    releases: dict[str, str] = field(default_factory=dict)
    logs: dict[str, Path] = field(default_factory=dict)
    starts: int = 0

    def start(self, name: str, release: str, pin: str = "") -> None:
        """Start a process, which becomes ready later. `pin` are the versions of objects that it sends."""
        self.starts += 1
        self.releases[name] = release
        self.logs[name] = self.folder / f"{self.starts:02}-{name}-{release}.log"
        file = self.logs[name].with_suffix(".conf")
        file.write_text(self._configuration(name, release, pin))
        program = "rome_objects.conductor" if name == "conductor" else "rome_objects.services"
        with self.logs[name].open("wb") as log:
            self.running[name] = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", program, "--config-file", str(file)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(),
                pass_fds=[self.listener.fileno()] if name == "api" else [],
                start_new_session=True,
            )

    def wait(self, *names: str) -> None:
        """Wait until processes are ready. Raise CloudError if one ends instead."""
        end = time.monotonic() + PATIENCE
        while waiting := [name for name in names if READY not in self._log_of(name)]:
            for name in waiting:
                if self.running[name].poll() is not None or time.monotonic() > end:
                    raise CloudError(f"{name} did not start:\n{self._log_of(name)[-3000:]}")
            time.sleep(0.05)

    def replace(self, names: Sequence[str], release: str, pin: str = "") -> None:
        """Replace processes by those of a release. The API is replaced without a gap, others are stopped first."""
        before = {name: self.running.pop(name) for name in names}
        stopped = [process for name, process in before.items() if name != "api"]
        for process in stopped:
            process.terminate()
        for process in stopped:
            _stop(process)
        for name in names:
            self.start(name, release, pin)
        self.wait(*names)
        if "api" in before:
            _stop(before["api"])

    def kill(self, name: str) -> None:
        """Kill a process and its workers, without a warning, and start it again."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.start(name, self.releases[name])
        self.wait(name)

    def stop(self) -> None:
        """Stop all processes, the conductor last: the others may wait for its answers."""
        conductor = self.running.pop("conductor", None)
        for process in self.running.values():
            process.terminate()
        for process in [*self.running.values(), *([conductor] if conductor else [])]:
            _stop(process)
        self.running.clear()

    def schema(self, release: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `rome-schema` of a release."""
        command = [sys.executable, "-m", "rome_objects.schema", "--url", self.database]
        for place in _scripts(release):
            command += ["--scripts", place]
        command += arguments
        return subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)  # noqa: S603

    def _log_of(self, name: str) -> str:
        return self.logs[name].read_text(errors="replace")

    def _configuration(self, name: str, release: str, pin: str) -> str:
        kind = name.partition("-")[0]
        return _FILE.format(
            transport=self.transport,
            database=self.database if self.direct or name == "conductor" else "",
            direct=self.direct,
            prefix=self.prefix,
            release=release,
            scripts=",".join(_scripts(release)),
            pin=pin,
            host=name,
            kind=kind,
            manager=_MANAGERS.get(kind, ""),
            driver="examples.fleet.compute:FakeDriver" if kind == "compute" else "",
            descriptor=self.listener.fileno(),
        )


def _scripts(release: str) -> list[str]:
    return [f"examples.fleet.{name}:migrations" for name in RELEASES[: RELEASES.index(release) + 1]]


def _environment() -> dict[str, str]:
    path = [str(_ROOT), str(_ROOT / "adapters"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process; kill it if it does not stop."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
