"""Glance's API server from its package: without Keystone, images in files, two processes with four threads each."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from glance_api.client import request

from rome.testing.child_processes import forget, kill_at_exit
from rome.testing.servers import free_port
from rome.verify.faults.server import wait_until

START_SECONDS = 60.0

PASTE = """
[pipeline:glance-api]
pipeline = context rootapp
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
[pipeline:glance-registry]
pipeline = everyone registryapp
[filter:everyone]
paste.filter_factory = glance.api.middleware.context:UnauthenticatedContextMiddleware.factory
[app:registryapp]
paste.app_factory = glance.registry.api:API.factory
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
"""

CONFIGURATION = """
[DEFAULT]
data_api = {data_api}
bind_host = 127.0.0.1
bind_port = {port}
registry_port = {registry}
workers = 2
log_file = {folder}/glance.log
worker_self_reference_url = http://127.0.0.1:{port}
enabled_backends = disk:file
enabled_import_methods = [glance-direct]
[paste_deploy]
flavor =
config_file = {folder}/paste.ini
[glance_store]
default_backend = disk
[disk]
filesystem_store_datadir = {folder}/images
[os_glance_staging_store]
filesystem_store_datadir = {folder}/staging
[os_glance_tasks_store]
filesystem_store_datadir = {folder}/tasks
[image_format]
require_image_format_match = False
[task]
work_dir = {folder}/tasks
[database]
connection = {connection}
"""

POLICY = """
[oslo_policy]
policy_file = {file}
"""
"""The configuration for releases that have a policy file; others have built-in policies."""

BIN = Path(sys.executable).parent
ETC = BIN.parent / "etc" / "glance"
PYTHON = (sys.executable, "-W", "ignore")
UWSGI = (BIN / "pyuwsgi", "--master", "--processes", "2", "--threads", "4", "--enable-threads", "--need-app")


@dataclass(frozen=True)
class Release:
    """How to run a release of Glance. `service`: the name of its environment in services.py.

    `discovery`: on ROME, use the discovery module as data_api. `registry`: the API gets data from a registry server.
    """

    service: str
    manage: tuple[str | Path, ...] = (BIN / "glance-manage",)
    discovery: bool = False
    registry: bool = False


_19 = Release("glance19", (*PYTHON, Path(__file__).with_name("manage19.py")), discovery=True)
RELEASES = {"glance": Release("glance"), "glance19": _19, "glance19-registry": replace(_19, registry=True)}


class Server:
    """One server, with a folder for its files."""

    def __init__(self, release: Release, folder: Path, connection: str) -> None:
        """Write the configuration files. `connection` is the SQLAlchemy URL of the database."""
        self.port = free_port()
        self.log = folder / "glance.log"
        self._release = release
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        for name in ("images", "staging", "tasks"):
            (folder / name).mkdir(parents=True)
        (folder / "paste.ini").write_text(PASTE)
        discovery = release.discovery and connection.startswith("rome")
        data_api = "rome_discovery.glance.api" if discovery else "glance.db.sqlalchemy.api"
        registry = free_port()
        self._configure("glance-registry", connection, registry, registry, data_api)
        data_api = "glance.db.registry.api" if release.registry else data_api
        self._configure("glance-api", connection, self.port, registry, data_api)

    def _configure(self, program: str, connection: str, port: int, registry: int, data_api: str) -> None:
        text = CONFIGURATION.format(
            folder=self._folder, connection=connection, port=port, registry=registry, data_api=data_api
        )
        policy = ETC / "policy.json"
        text += POLICY.format(file=policy) if policy.exists() else ""
        (self._folder / f"{program}.conf").write_text(text)

    def make_database(self) -> None:
        """Run `glance-manage db sync` and `db load_metadefs`. Raises RuntimeError with the output if one fails."""
        configuration = ["--config-file", str(self._folder / "glance-registry.conf"), "db"]
        for order in (["sync"], ["load_metadefs", str(ETC / "metadefs")]):
            command = [*self._release.manage, *configuration, *order]
            ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self._folder)
            if ended.returncode:
                raise RuntimeError(f"glance-manage db {' '.join(order)} failed:\n{ended.stderr[-3000:]}")

    def start(self) -> None:
        """Start the server and wait until it responds. Raises RuntimeError if it does not."""
        environment = {**os.environ, "OS_GLANCE_CONFIG_DIR": str(self._folder)}
        with (self._folder / "output.log").open("ab") as out:
            for command in self._commands():
                process = subprocess.Popen(
                    command, cwd=self._folder, env=environment, stdout=out, stderr=out, start_new_session=True
                )
                self._running.append(process)
                kill_at_exit(process.pid)
        try:
            wait_until(self.answers, START_SECONDS)
        except TimeoutError:
            self.kill()
            raise RuntimeError(f"glance-api does not answer:\n{self.log.read_text()[-3000:]}") from None

    def kill(self) -> None:
        """Kill all its processes with SIGKILL."""
        for process in self._running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            forget(process.pid)
        self._running.clear()

    def errors(self) -> list[str]:
        """Return the last errors in its log."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if " ERROR " in line and "stevedore" not in line][-25:]

    def _commands(self) -> Iterator[list[str | Path]]:
        if self._release.service == "glance":
            yield [*UWSGI, "--http-socket", f"127.0.0.1:{self.port}", "--module", "glance.wsgi.api:application"]
            return
        for program in ("glance-registry", "glance-api") if self._release.registry else ("glance-api",):
            yield [*PYTHON, BIN / program, "--config-file", f"{program}.conf"]

    def answers(self) -> bool:
        """Return True if it responds with data from its database."""
        with contextlib.suppress(OSError):
            return request(self.port, "GET", "/v2/images?limit=1").status == 200
        return False


@contextmanager
def glance_server(release: Release, folder: Path, connection: str) -> Iterator[Server]:
    """Create the database, run a server, and kill it at the end."""
    server = Server(release, folder, connection)
    server.make_database()
    server.start()
    try:
        yield server
    finally:
        server.kill()
