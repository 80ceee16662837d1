"""JupyterHub: users, groups, tokens and servers by its REST API, and a hub that is started again.

Users' servers are small programs instead of notebooks, and no proxy is started: neither has to do with the database.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

USERS = 24
CLIENTS = 6
TOKEN = "0123456789abcdef" * 4

CONFIGURATION = """
from jupyterhub.proxy import Proxy
from jupyterhub.spawner import SimpleLocalProcessSpawner


class NoProxy(Proxy):
    should_start = False
    routes = {{}}

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {{"routespec": routespec, "target": target, "data": data}}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return dict(self.routes)


c.JupyterHub.db_url = {url!r}
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.hub_port = {port}
c.JupyterHub.spawner_class = SimpleLocalProcessSpawner
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.allow_named_servers = True
c.JupyterHub.cleanup_servers = False
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {{"root"}}
c.Spawner.cmd = [{python!r}, {server!r}]
c.JupyterHub.services = [{{"name": "judge", "api_token": {token!r}}}]
c.JupyterHub.load_roles = [
    {{
        "name": "judge",
        "scopes": ["admin:users", "admin:servers", "admin:groups", "tokens", "list:users", "list:groups", "read:hub"],
        "services": ["judge"],
    }}
]
"""

SERVER = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlparse


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()


address = urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
HTTPServer((address.hostname, address.port), Handler).serve_forever()
"""


def run(url: str, folder: Path) -> dict[str, Any]:
    """Return the answers of a hub, and of the hub that follows it."""
    (folder / "server.py").write_text(SERVER)
    with _hub(url, folder) as hub:
        seen = {**_use(hub), "users": _users(hub)}
    done = subprocess.run(
        [sys.executable, "-m", "jupyterhub", "upgrade-db", "-f", "config.py"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    seen["upgrade"] = done.returncode, "" if done.returncode == 0 else done.stderr.decode()
    with _hub(url, folder) as hub:
        seen["users again"] = _users(hub)
        seen["stopped"] = [hub("DELETE", f"/users/user{number}/server")[0] for number in range(4)]
        seen["stopped too"] = [hub("DELETE", f"/users/user5/servers/s{number}")[0] for number in range(2)]
        seen["deleted"] = [hub("DELETE", f"/users/user{number}")[0] for number in range(20, USERS)]
        seen["users then"] = _users(hub)
        seen["groups then"] = [(each["name"], sorted(each["users"])) for each in hub("GET", "/groups")[1]]
    return seen


def _use(hub: Any) -> dict[str, Any]:
    seen: dict[str, Any] = {"version": sorted(hub("GET", "/")[1])}
    with ThreadPoolExecutor(CLIENTS) as pool:
        seen["created"] = [hub("POST", f"/users/user{number}")[0] for number in range(4)]
        seen["created at once"] = list(pool.map(lambda number: hub("POST", f"/users/user{number}")[0], range(4, USERS)))
        seen["created again"] = hub("POST", "/users", {"usernames": ["user1", "extra"]})[0]
        seen["groups"] = [hub("POST", f"/groups/{name}")[0] for name in ("red", "blue", "green")]
        members = [("red", 0), ("blue", 1), ("red", 2), ("blue", 3)]
        answers = pool.map(
            lambda each: hub("POST", f"/groups/{each[0]}/users", {"users": [f"user{each[1]}"]})[0], members
        )
        seen["members"] = list(answers)
        tokens = list(pool.map(lambda number: hub("POST", f"/users/user{number}/tokens", {"note": "n"}), range(6)))
        seen["tokens"] = [(status, answer["note"]) for status, answer in tokens]
        seen["started"] = list(pool.map(lambda number: _start(hub, f"user{number}", ""), range(4)))
        seen["named"] = list(pool.map(lambda number: _start(hub, "user5", f"s{number}"), range(2)))
    seen["as a user"] = [hub("GET", "/user", token=answer["token"])[1]["name"] for _, answer in tokens[:2]]
    seen["revoked"] = hub("DELETE", f"/users/user0/tokens/{tokens[0][1]['id']}")[0]
    seen["after that"] = hub("GET", "/user", token=tokens[0][1]["token"])[0]
    seen["page"] = [each["name"] for each in hub("GET", "/users?offset=1&limit=4")[1]]
    seen["active"] = sorted(each["name"] for each in hub("GET", "/users?state=active")[1])
    seen["missing"] = hub("GET", "/users/nobody")[0]
    return seen


def _start(hub: Any, user: str, name: str) -> bool:
    """Start a server; return whether it is ready."""
    hub("POST", f"/users/{user}/servers/{name}" if name else f"/users/{user}/server")
    for _ in range(600):
        servers = hub("GET", f"/users/{user}")[1]["servers"]
        if servers.get(name, {}).get("ready"):
            return True
        time.sleep(0.1)
    return False


def _users(hub: Any) -> Any:
    """Return the users by name: those that were created at once have ids in any order."""
    return sorted(
        [each["name"], each["admin"], sorted(each["groups"]), sorted(each["servers"])]
        for each in hub("GET", "/users")[1]
    )


@contextlib.contextmanager
def _hub(url: str, folder: Path) -> Iterator[Any]:
    """Run a hub; yield a function that sends it a request and returns status and answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    values = {"url": url, "port": port, "python": sys.executable, "server": str(folder / "server.py"), "token": TOKEN}
    (folder / "config.py").write_text(CONFIGURATION.format(**values))
    log = folder / "hub.log"
    with log.open("w") as output:
        hub = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", "config.py"],
            cwd=folder,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def request(method: str, path: str, body: Any = None, token: str = TOKEN) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {token}"}
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/hub/api{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=120) as response:
                status, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
            if status >= 500:
                print(method, path, text.decode(), log.read_text()[-6000:])
        return status, json.loads(text) if text else None

    try:
        while True:
            with contextlib.suppress(OSError):
                request("GET", "/")
                break
            if hub.poll() is not None:
                raise RuntimeError(f"the hub has ended: {log.read_text()[-6000:]}")
            time.sleep(0.2)
        yield request
    except BaseException:
        print(log.read_text()[-6000:])
        raise
    finally:
        hub.terminate()
        hub.wait()
