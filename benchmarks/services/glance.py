"""The functions of Glance's database API that an image upload and a list call, and the rows of a Glance database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from glance import context
from glance.db.sqlalchemy import api, models
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import Engine

from benchmarks.services.functions import Functions, insert_rows, uuid_of

_OF_OWNER = 100
_IMAGE = 9
_BEGAN = dt.datetime(2026, 1, 1)
_PROPERTIES = {f"hw_{name}": f"value of {name}" for name in ("disk_bus", "cdrom_bus", "vif_model", "scsi_model", "rng")}
_STEP = 7919

FUNCTIONS = Functions()

_new = count(10_000_000)


class _Policy:
    """Says who is an administrator, instead of Glance's policy, which reads files."""

    def check_is_admin(self, _: Any) -> bool:
        return False


class Api:
    """Glance's API on one database, with the context of an owner's request."""

    def __init__(self, url: str, size: int) -> None:
        self._manager = enginefacade.transaction_context()
        self._manager.configure(connection=url, sqlite_fk=True)
        self.context = context.RequestContext(user_id="user", project_id="owner-0", policy_enforcer=_Policy())
        self.administrator = context.RequestContext(user_id="admin", project_id="owner-1", is_admin=True)
        self._size = size
        self._taken = 0

    @property
    def engine(self) -> Engine:
        return self._manager.writer.get_engine()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let Glance's functions use this database: they have one for the whole process."""
        before = api._main_context_manager
        api._main_context_manager = self._manager
        try:
            yield
        finally:
            api._main_context_manager = before

    def image(self) -> str:
        """Return the key of an image, another one each time."""
        self._taken = (self._taken + _STEP) % self._size
        return uuid_of(_IMAGE, self._taken)


def _image(number: int) -> dict[str, Any]:
    return {
        "id": uuid_of(_IMAGE, number), "name": f"image {number}", "disk_format": "qcow2", "container_format": "bare",
        "min_disk": 0, "min_ram": 0, "owner": f"owner-{number // _OF_OWNER}", "protected": False, "os_hidden": False,
        "visibility": "public" if number % 50 == 0 else "shared",
    }  # fmt: skip


def _stored(number: int) -> dict[str, Any]:
    return {"status": "active", "size": number, "checksum": f"{number:032x}", "os_hash_value": f"{number:0128x}"}


def fill(engine: Engine, size: int) -> None:
    """Create the tables, and fill them with so many images."""
    models.register_models(engine)
    live = {"deleted": False, "updated_at": _BEGAN}
    times = [{**live, "created_at": _BEGAN + dt.timedelta(seconds=number)} for number in range(size)]
    images = [
        {**_image(number), **_stored(number), "os_hash_algo": "sha512", **times[number]} for number in range(size)
    ]
    insert_rows(engine, models.Image.__table__, images)
    children: dict[Any, list[dict[str, Any]]] = {
        models.ImageProperty: [],
        models.ImageTag: [],
        models.ImageLocation: [],
    }
    for number in range(size):
        of = {"image_id": uuid_of(_IMAGE, number), **times[number]}
        for name, value in _PROPERTIES.items():
            children[models.ImageProperty].append({"name": name, "value": value, **of})
        for value in ("linux", "tested"):
            children[models.ImageTag].append({"value": value, **of})
        location = {"value": f"file:///images/{number}", "meta_data": {}, "status": "active"}
        children[models.ImageLocation].append({**location, **of})
    for model, rows in children.items():
        insert_rows(engine, model.__table__, rows)


# ── an upload ─────────────────────────────────────────────────────────────────────────────────────────────────────


@FUNCTIONS.of("upload")
def image_create(glance: Api) -> None:
    values = {**_image(next(_new)), "owner": "owner-0", "status": "queued", "properties": _PROPERTIES}
    api.image_create(glance.context, values)


@FUNCTIONS.of("upload")
def image_update(glance: Api) -> None:
    values = {"status": "active", **_stored(next(_new)), "properties": _PROPERTIES}
    api.image_update(glance.administrator, glance.image(), values, purge_props=True, from_state="active")


@FUNCTIONS.of("upload")
def image_location_add(glance: Api) -> None:
    location = {"url": f"file:///images/{next(_new)}", "metadata": {"store": "file"}, "status": "active"}
    api.image_location_add(glance.administrator, glance.image(), location)


@FUNCTIONS.of("upload")
def image_set_property_atomic(glance: Api) -> None:
    api.image_set_property_atomic(glance.image(), f"os_glance_import_{next(_new)}", "1")


@FUNCTIONS.of("upload")
def image_tag_set_all(glance: Api) -> None:
    api.image_tag_set_all(glance.administrator, glance.image(), ["linux", f"tag {next(_new)}"])


@FUNCTIONS.of("upload")
def image_get(glance: Api) -> None:
    api.image_get(glance.administrator, glance.image())


@FUNCTIONS.of("upload")
def image_member_find(glance: Api) -> None:
    api.image_member_find(glance.administrator, image_id=glance.image())


@FUNCTIONS.of("upload", often=3)
def user_get_storage_usage(glance: Api) -> None:
    api.user_get_storage_usage(glance.context, "owner-0")


# ── a list ────────────────────────────────────────────────────────────────────────────────────────────────────────


@FUNCTIONS.of("list", "image_get_all: page of 25", often=3)
def image_get_all(glance: Api) -> None:
    filters = {"deleted": False}
    api.image_get_all(glance.context, filters, limit=25, sort_key=["created_at"], sort_dir=["desc"], return_tag=True)


@FUNCTIONS.of("list", "image_get_all: public, by name", often=3)
def image_get_all_public(glance: Api) -> None:
    filters = {"deleted": False, "visibility": "public", "status": "active"}
    api.image_get_all(glance.context, filters, limit=25, sort_key=["name"], sort_dir=["asc"], return_tag=True)
