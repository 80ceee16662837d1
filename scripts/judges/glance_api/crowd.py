"""Concurrent clients that remember what the server has acknowledged, and check it afterwards."""

from __future__ import annotations

import http.client
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from glance_api.client import Answer, request

MOST = 12
"""The number of images that a client keeps."""


@dataclass(frozen=True)
class Image:
    name: str
    serial: str = ""
    tags: frozenset[str] = frozenset()
    size: int | None = None


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass
class Crowd:
    """The clients' shared state. They create `contested` images with equal ids, and members of a `common` image."""

    port: int
    clients: int
    common: str = field(default_factory=_new_id)
    contested: list[str] = field(default_factory=lambda: [_new_id() for _ in range(200)])
    stop: threading.Event = field(default_factory=threading.Event)
    failing: threading.Event = field(default_factory=threading.Event)
    """While it is set, requests may fail."""
    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    images: dict[str, tuple[Image | None, ...]] = field(default_factory=dict)
    """The possible states of each image: one, or several after a request without a response. None: deleted."""
    members: dict[str, bool] = field(default_factory=dict)
    """Member of the common image → True if it was acknowledged."""
    won: Counter[str] = field(default_factory=Counter)
    """Contested image → the number of clients whose creation of it was acknowledged."""

    def run(self, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Run all clients for some seconds, call `meanwhile`, and stop the clients."""
        request(self.port, "POST", "/v2/images", json_={"id": self.common, "name": "common", "visibility": "shared"})
        threads = [threading.Thread(target=_Client(self, number).work) for number in range(self.clients)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        meanwhile()
        self.stop.set()
        for thread in threads:
            thread.join()

    def check(self) -> None:
        """Compare with the server's present state, and add the differences to `wrong`."""
        listed = list(_pages(self.port, "/v2/images?limit=9"))
        found = {image["id"]: image for image in listed}
        self.wrong += [
            f"{image} is on two pages" for image, times in Counter(i["id"] for i in listed).items() if times > 1
        ]
        for image, possible in self.images.items():
            there = _as_image(found[image]) if image in found else None
            if there not in possible:
                self.wrong.append(f"{image} is {there}, but was acknowledged as {' or '.join(map(str, possible))}")
        for image, times in self.won.items():
            if times != 1 or image not in found:
                self.wrong.append(
                    f"contested {image} was created {times} times and is {'there' if image in found else 'missing'}"
                )
        self._check_members()

    def _check_members(self) -> None:
        answer = request(self.port, "GET", f"/v2/images/{self.common}/members")
        times = Counter(member["member_id"] for member in answer.json["members"])
        self.wrong += [f"member {member} exists {count} times" for member, count in times.items() if count > 1]
        self.wrong += [f"member {name} is lost" for name, sure in self.members.items() if sure and name not in times]


class _Client:
    def __init__(self, crowd: Crowd, number: int) -> None:
        self._crowd = crowd
        self._number = number
        self._random = random.Random(number)
        self._mine: list[str] = []
        self._turn = 0

    def work(self) -> None:
        while not self._crowd.stop.is_set():
            self._turn += 1
            self._forget_unknown()
            if self._turn % 5 == 0:
                self._contest(self._turn // 5)
                self._add_member()
            elif len(self._mine) < 3 or (len(self._mine) < MOST and self._random.random() < 0.3):
                self._create()
            else:
                self._random.choice((self._rename, self._rename, self._tag, self._upload, self._delete))()

    def _ask(self, what: str, accepted: tuple[int, ...], method: str, path: str, **content: Any) -> Answer | None:
        """Send a request. Return None if its outcome is unknown."""
        crowd = self._crowd
        try:
            answer = request(crowd.port, method, f"/v2/images{path}", **content)
        except (OSError, http.client.HTTPException) as error:
            if not crowd.failing.is_set():
                crowd.wrong.append(f"{what}: no response: {error!r}")
            return None
        if answer.status in accepted:
            crowd.done[what] += 1
        elif not crowd.failing.is_set():
            crowd.wrong.append(f"{what}: {answer.status} {answer.body[:300].decode()}")
        return answer if answer.status < 500 else None

    def _expect(self, image: str, answer: Answer | None, *after: Image | None) -> None:
        """Set the possible states of an image: the first of `after` after a response, else the old ones and `after`."""
        before = self._crowd.images.get(image, (None,))
        self._crowd.images[image] = after[:1] if answer is not None else (*before, *after)

    def _create(self) -> None:
        image, wanted = _new_id(), Image(f"client {self._number}")
        body = {"id": image, "name": wanted.name, "disk_format": "raw", "container_format": "bare"}
        self._expect(image, self._ask("created", (201,), "POST", "", json_=body), wanted)
        self._mine.append(image)

    def _pick(self) -> tuple[str, Image]:
        image = self._random.choice(self._mine)
        (state,) = self._crowd.images[image]
        assert state is not None
        return image, state

    def _forget_unknown(self) -> None:
        self._mine = [image for image in self._mine if len(self._crowd.images[image]) == 1]

    def _rename(self) -> None:
        image, before = self._pick()
        after = replace(before, name=f"turn {self._turn}", serial=str(self._turn))
        changes = [
            {"op": "replace", "path": "/name", "value": after.name},
            {"op": "add", "path": "/serial", "value": after.serial},
        ]
        self._expect(image, self._ask("changed", (200,), "PATCH", f"/{image}", json_=changes), after)

    def _tag(self) -> None:
        image, before = self._pick()
        tag = f"tag-{self._random.randrange(5)}"
        answer = self._ask("tagged", (204,), "PUT", f"/{image}/tags/{tag}")
        self._expect(image, answer, replace(before, tags=before.tags | {tag}))

    def _upload(self) -> None:
        image, before = self._pick()
        if before.size is None:
            data = self._random.randbytes(2000)
            answer = self._ask("uploaded", (204,), "PUT", f"/{image}/file", data=data)
            self._expect(image, answer, replace(before, size=len(data)))

    def _delete(self) -> None:
        image, before = self._pick()
        self._mine.remove(image)
        without_properties = replace(before, serial="")  # Glance deletes these first, in a separate transaction
        self._expect(image, self._ask("deleted", (204,), "DELETE", f"/{image}"), None, without_properties)

    def _contest(self, number: int) -> None:
        if number < len(self._crowd.contested):
            body = {"id": self._crowd.contested[number], "name": "contested"}
            answer = self._ask("contested", (201, 409), "POST", "", json_=body)
            if answer is not None and answer.status == 201:
                self._crowd.won[body["id"]] += 1

    def _add_member(self) -> None:
        if len(self._crowd.members) < 100:  # Glance's quota is 128
            name = f"{self._number}-{self._turn}"
            self._crowd.members[name] = False
            path = f"/{self._crowd.common}/members"
            if self._ask("member added", (200,), "POST", path, json_={"member": name}) is not None:
                self._crowd.members[name] = True


def _pages(port: int, path: str | None) -> Iterator[dict[str, Any]]:
    while path is not None:
        page = request(port, "GET", path).json
        yield from page["images"]
        path = page.get("next")


def _as_image(found: dict[str, Any]) -> Image:
    return Image(found["name"], found.get("serial", ""), frozenset(found["tags"]), found["size"])
