"""The API: HTTP for customers. The socket comes from the parent process, so that two releases can share it."""

from __future__ import annotations

import json
import logging
import socket
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from oslo_config import cfg

from examples.fleet.openapi import DOCUMENT
from examples.fleet.options import GROUP, objects, topic
from examples.fleet.scheduler import SchedulerManager
from examples.fleet.surely import surely
from rome_objects.errors import ConstraintViolated, NotFound
from rome_objects.services.client import ManagerClient
from rome_objects.services.manager import Manager

_LOG = logging.getLogger(__name__)
_SIZES = ("cores", "memory")


class BadRequest(Exception):
    """A request that is not valid."""


class Api:
    """The operations of the OpenAPI document."""

    def __init__(self) -> None:
        self._scheduler = ManagerClient(cfg.CONF, topic("scheduler"), SchedulerManager)

    def list(self, context: Any, query: dict[str, str]) -> list[dict[str, Any]]:
        """Return a page of instances."""
        try:
            limit = min(int(query.get("limit", "100")), 100)
        except ValueError as error:
            raise BadRequest("limit is a number") from error
        page = objects().InstanceList.list(context, limit=limit, marker=query.get("marker"))
        return [
            {"id": found.uuid, "name": found.name_text(), **dict(zip(_SIZES, found.size_pair(), strict=True))}
            for found in page
        ]

    def create(self, context: Any, body: dict[str, Any]) -> dict[str, Any]:
        """Request an instance. The customer chooses its id, so a repeated request makes one instance."""
        name, cores, memory = _checked(body)
        try:
            number = str(uuid.UUID(body.get("id")))
        except (ValueError, TypeError, AttributeError) as error:
            raise BadRequest("id is a UUID") from error
        kind = objects().Instance

        def request() -> None:
            try:
                kind.request(context, number, name, cores, memory)
            except ConstraintViolated:
                kind.get(context, number)

        surely(request, lambda: _exists(kind, context, number))
        instance = kind.get(context, number)
        self._scheduler.cast(context, "place", instance=instance)
        return dict(instance.describe())

    def show(self, context: Any, number: str) -> dict[str, Any]:
        """Return an instance."""
        return dict(objects().Instance.get(context, number).describe())

    def change(self, context: Any, number: str, body: dict[str, Any]) -> dict[str, Any]:
        """Rename and resize an instance."""
        name, cores, memory = _checked(body)
        instance = objects().Instance.get(context, number)
        instance.change(name, cores, memory)
        return dict(instance.describe())

    def delete(self, context: Any, number: str) -> None:
        """Delete an instance."""
        kind = objects().Instance
        instance = kind.get(context, number)
        surely(instance.destroy, lambda: not _exists(kind, context, number))


def _exists(kind: Any, context: Any, number: str) -> bool:
    """Return whether an object exists."""
    try:
        kind.get(context, number)
    except NotFound:
        return False
    return True


def _checked(body: dict[str, Any]) -> tuple[str, int, int]:
    name, cores, memory = (body.get(field) for field in ("name", *_SIZES))
    if not isinstance(name, str) or not 0 < len(name) <= 80:
        raise BadRequest("name is a text of at most 80 characters")
    if type(cores) is not int or type(memory) is not int or cores < 1 or memory < 1:
        raise BadRequest("cores and memory are numbers from 1")
    return name, cores, memory


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: ApiServer

    def _respond(self) -> None:
        try:
            status, answer = self._route()
        except BadRequest as error:
            status, answer = 400, {"error": str(error)}
        except NotFound as error:
            status, answer = 404, {"error": str(error)}
        except Exception as error:
            _LOG.exception("%s %s", self.command, self.path)
            status, answer = 500, {"error": f"{type(error).__name__}: {error}"}
        text = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = _respond  # noqa: N815 - the names of http.server

    def _route(self) -> tuple[int, Any]:
        """Return the status and the answer."""
        api, url = self.server.api, urlsplit(self.path)
        context = {"user": self.headers.get("X-User", "nobody")}
        match self.command, url.path.strip("/").split("/"):
            case "GET", ["openapi.json"]:
                return 200, DOCUMENT
            case "GET", ["instances"]:
                return 200, api.list(context, {name: values[0] for name, values in parse_qs(url.query).items()})
            case "POST", ["instances"]:
                return 202, api.create(context, self._body())
            case "GET", ["instances", number]:
                return 200, api.show(context, number)
            case "PUT", ["instances", number]:
                return 200, api.change(context, number, self._body())
            case "DELETE", ["instances", number]:
                api.delete(context, number)
                return 204, None
        return 404, {"error": f"{self.command} {url.path} does not exist, see /openapi.json"}

    def _body(self) -> dict[str, Any]:
        try:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        except ValueError as error:
            raise BadRequest(f"the body is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise BadRequest("the body is no object")
        return body

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of http.server
        """Log nothing: customers count."""


class ApiServer(ThreadingHTTPServer):
    """A server on the socket of the parent process. It finishes the requests that it has accepted."""

    daemon_threads = False
    api: Api

    def __init__(self, descriptor: int) -> None:
        shared = socket.socket(fileno=descriptor)
        super().__init__(shared.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = shared
        self.socket.setblocking(False)  # another process may accept the connection first


class ApiManager(Manager):
    """The service `api`. Other processes call nothing of it."""

    def __init__(self, host: str, driver: Any = None) -> None:
        super().__init__(host, driver)
        self._server = ApiServer(cfg.CONF[GROUP].listen_fd)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def start(self) -> None:
        """Accept requests."""
        self._server.api = Api()
        self._thread.start()

    def stop(self) -> None:
        """Accept no more requests, and finish those that have begun."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
