"""An HTTP client, and a record of requests and responses that can be compared with another one."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

TIMEOUT = 60.0
PATCH = "application/openstack-images-v2.1-json-patch"

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)?")
_HEADERS = ("location", "content-type", "content-md5", "content-range")
"""The headers of a response that are compared."""

_UNORDERED = ("tags", "members", "objects", "resource_type_associations")
"""Lists that Glance reads without ORDER BY: SQLite returns them in the order of an index, and on ROME the ids of
several processes interleave."""


@dataclass(frozen=True)
class Identity:
    """The user of a request. The client sends the headers that Keystone's middleware would add."""

    project: str
    role: str = "member"

    @property
    def headers(self) -> dict[str, str]:
        return {
            "X-Identity-Status": "Confirmed",
            "X-User-Id": f"{self.project}-{self.role}",
            "X-Project-Id": self.project,
            "X-Roles": "admin,member,reader" if self.role == "admin" else "member,reader",
        }


ADMIN = Identity("rome", "admin")
ROME, OSTIA = Identity("rome"), Identity("ostia")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The text that is compared, with ids and times."""
        if self.headers.get("content-type", "").startswith("application/json"):
            body = json.dumps(_in_order(self.json), sort_keys=True)
        elif self.headers.get("content-type") == "application/octet-stream":
            body = f"{len(self.body)} bytes, SHA-1 {hashlib.sha1(self.body).hexdigest()}"
        else:
            body = self.body.decode()
        return f"{self.status} { {name: self.headers.get(name) for name in _HEADERS} } {body}"


def request(
    port: int, method: str, path: str, who: Identity = ADMIN, *, json_: Any = None, data: bytes | None = None
) -> Answer:
    """Send one request on a new connection. Raises OSError or HTTPException if there is no response."""
    headers = dict(who.headers)
    if json_ is not None:
        data = json.dumps(json_).encode()
        headers["Content-Type"] = PATCH if method == "PATCH" and isinstance(json_, list) else "application/json"
    elif data is not None:
        headers["Content-Type"] = "application/octet-stream"
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)) as connection:
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


@dataclass
class Recorder:
    """Send requests to one server and record its responses."""

    port: int
    entries: list[tuple[str, str, Answer]] = field(default_factory=list)
    """(chapter, request, answer)"""
    chapter: str = ""

    def ask(self, method: str, path: str, who: Identity = ADMIN, **content: Any) -> Answer:
        answer = request(self.port, method, f"/v2{path}", who, **content)
        self.entries.append((self.chapter, f"{who.project}/{who.role} {method} {path} {content or ''}", answer))
        return answer

    def get(self, path: str, who: Identity = ADMIN) -> Answer:
        return self.ask("GET", path, who)

    def post(self, path: str, json_: Any = None, who: Identity = ADMIN) -> Answer:
        return self.ask("POST", path, who, json_=json_)

    def put(self, path: str, json_: Any = None, who: Identity = ADMIN, data: bytes | None = None) -> Answer:
        return self.ask("PUT", path, who, json_=json_, data=data)

    def patch(self, path: str, changes: list[dict[str, Any]], who: Identity = ADMIN) -> Answer:
        return self.ask("PATCH", path, who, json_=changes)

    def delete(self, path: str, who: Identity = ADMIN) -> Answer:
        return self.ask("DELETE", path, who)

    def pages(self, path: str, who: Identity = ADMIN) -> list[Any]:
        """Return the items of all pages of a list, following each page's link to the next one.

        It stops at a page that fails or repeats: if the sort key can be NULL, Glance's links form a cycle.
        """
        found: list[Any] = []
        following: str | None = path
        seen: set[str | None] = set()
        while following is not None and following not in seen:
            seen.add(following)
            answer = self.get(following, who)
            page = answer.json if answer.status == 200 else {}
            found += next((value for value in page.values() if isinstance(value, list)), [])
            following = page["next"].removeprefix("/v2") if "next" in page else None
        return found

    def wait(self, path: str, until: Callable[[Any], bool], seconds: float = 30.0) -> Answer:
        """Repeat a request until `until` accepts the response or the time is over; record only the last response."""
        end = time.monotonic() + seconds
        while True:
            answer = self.get(path)
            if time.monotonic() > end or (answer.status == 200 and until(answer.json)):
                return answer
            self.entries.pop()
            time.sleep(0.1)

    def comparable(self) -> list[tuple[str, str, str]]:
        """Return (chapter, request, response), with placeholders for ids, times and the server's address."""
        numbers: dict[str, str] = {}

        def number(match: re.Match[str]) -> str:
            return numbers.setdefault(match[0], f"(id {len(numbers) + 1})")

        def clean(text: str) -> str:
            text = text.replace(f"127.0.0.1:{self.port}", "(server)")
            return _TIME.sub("(time)", _UUID.sub(number, text))

        return [(chapter, clean(asked), clean(answer.text)) for chapter, asked, answer in self.entries]


def _in_order(value: Any) -> Any:
    """Return a JSON value with its unordered lists sorted."""
    if isinstance(value, list):
        return [_in_order(each) for each in value]
    if isinstance(value, dict):
        return {name: sorted(each, key=str) if name in _UNORDERED else _in_order(each) for name, each in value.items()}
    return value
