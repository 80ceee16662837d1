"""The requests to Glance's API, in chapters. Each chapter uses what the previous ones created.

Images have fixed ids, so that those with equal sort keys are always in the same order.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from glance_api.client import ADMIN, OSTIA, ROME, Identity, Recorder

COUNT = 14
MISSING = str(uuid.uuid5(uuid.NAMESPACE_URL, "missing"))
PLACE = "/metadefs/namespaces/Rome%3A%3AForum"


def image_id(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"image {number}"))


def content(number: int) -> bytes:
    return bytes((number * 7 + place) % 251 for place in range(1000 + 333 * number))


def _owner(number: int) -> Identity:
    return (ADMIN, ROME, OSTIA)[number % 3]


def create(api: Recorder) -> None:
    for number in range(COUNT):
        image = {
            "id": image_id(number),
            "name": f"image {number % 5}",
            "disk_format": ("raw", "qcow2", "iso")[number % 3],
            "container_format": "bare",
            "min_ram": number % 4 * 512,
            "tags": ["all", f"third-{number % 3}", *(["rare"] if number == 7 else [])],
            "os_distro": ("debian", "fedora")[number % 2],
            "serial": str(number),
            "protected": number == 3,
            "os_hidden": number == 5,
        }
        if _owner(number) is ADMIN:
            image["visibility"] = ("public", "private", "community", "shared")[number // 3 % 4]
        api.post("/images", image, _owner(number))
    api.post("/images", {"id": image_id(0), "name": "again"})
    api.post("/images", {"id": "no id", "name": "again"})
    api.post("/images", {"name": "x" * 256})
    api.post("/images", {"name": "a", "disk_format": "papyrus"})
    api.post("/images", {"name": "a", "visibility": "public"}, ROME)
    api.post(
        "/images", {"name": "née 🏛", "container_format": "bare", "disk_format": "raw", "ключ": "знач", "id": MISSING}
    )
    api.delete(f"/images/{MISSING}")
    for path in (image_id(0), image_id(1), image_id(2), MISSING, "no-id"):
        for who in (ADMIN, ROME, OSTIA):
            api.get(f"/images/{path}", who)


def data(api: Recorder) -> None:
    api.get(f"/images/{image_id(0)}/file")
    for number in range(0, COUNT, 2):
        api.put(f"/images/{image_id(number)}/file", data=content(number), who=_owner(number))
        api.get(f"/images/{image_id(number)}")
        api.get(f"/images/{image_id(number)}/file", _owner(number))
    api.put(f"/images/{image_id(0)}/file", data=b"again")
    api.put(f"/images/{MISSING}/file", data=b"nowhere")
    api.put(f"/images/{image_id(2)}/file", data=b"not mine", who=ROME)


def import_data(api: Recorder) -> None:
    """Stage data, and import it by a task of the server."""
    image = f"/images/{image_id(1)}"
    api.put(f"{image}/stage", data=content(1), who=ROME)
    api.get(image)
    api.post(f"{image}/import", {"method": {"name": "glance-direct"}}, ROME)
    api.wait(image, lambda found: found["status"] == "active" and "os_glance_import_task" not in found)
    api.get(f"{image}/file", ROME)
    api.post(f"{image}/import", {"method": {"name": "glance-direct"}}, ROME)
    api.post(f"{image}/import", {"method": {"name": "by-courier"}}, ROME)


def lists(api: Recorder) -> None:
    filters = ["", "limit=3", "limit=0", "limit=-1", "limit=1000"]
    filters += ["name=image%201", "name=in:%22image%201%22,%22image%203%22", "name=none", "id=" + image_id(4)]
    filters += [
        f"id=in:{image_id(4)},{image_id(6)}",
        "status=active",
        "status=in:active,queued",
        "disk_format=in:raw,iso",
    ]
    filters += ["container_format=bare&min_ram=512", "size_min=3000", "size_min=2000&size_max=4000", "size_max=x"]
    filters += [f"visibility={each}" for each in ("public", "private", "community", "shared", "all", "odd")]
    filters += ["owner=rome", "owner=ostia&status=active", "protected=true", "protected=perhaps", "os_hidden=true"]
    filters += [
        "tag=rare",
        "tag=all&tag=third-1",
        "tag=rare&tag=third-0",
        "os_distro=debian",
        "os_distro=debian&serial=4",
    ]
    filters += ["created_at=gt:2000-01-01T00:00:00Z", "updated_at=lt:2000-01-01T00:00:00Z", "created_at=soon"]
    filters += ["member_status=all", "member_status=accepted", f"marker={MISSING}", "sort=size", "sort=papyrus"]
    filters += ["sort=name:asc,size:desc", "sort=disk_format,min_ram:desc,id:asc", "sort=name:up"]
    filters += [
        "sort_key=name&sort_dir=asc",
        "sort_key=status&sort_key=name&sort_dir=asc&sort_dir=desc",
        "sort_dir=asc",
    ]
    for text in filters:
        for who in (ADMIN, ROME):
            api.get(f"/images?{text}", who)


def pages(api: Recorder) -> None:
    for text in (
        "limit=1&sort=name:asc,size:desc",
        "limit=3",
        "limit=4&sort=size:asc",  # which some have not
        "limit=2&sort_key=min_ram&sort_dir=desc&status=active",
        "limit=5&tag=all&visibility=all&sort=name,disk_format:desc",
        "limit=3&os_distro=fedora&sort=container_format,created_at",
    ):
        for who in (ADMIN, OSTIA):
            api.pages(f"/images?{text}", who)
    for number in (0, 6, 13):
        api.get(f"/images?limit=2&marker={image_id(number)}&sort=name:asc")


def change(api: Recorder) -> None:
    image = f"/images/{image_id(4)}"
    for changes, who in (
        ([{"op": "replace", "path": "/name", "value": "changed"}], ROME),
        ([{"op": "add", "path": "/colour", "value": "red"}, {"op": "replace", "path": "/min_ram", "value": 64}], ROME),
        ([{"op": "replace", "path": "/colour", "value": "blue"}, {"op": "remove", "path": "/serial"}], ROME),
        ([{"op": "replace", "path": "/tags", "value": ["new", "newer", "new"]}], ROME),
        ([{"op": "remove", "path": "/serial"}], ROME),
        ([{"op": "add", "path": "/serial", "value": "back"}], ROME),
        ([{"op": "replace", "path": "/serial", "value": 5}], ROME),
        ([{"op": "replace", "path": "/visibility", "value": "community"}], ROME),
        ([{"op": "replace", "path": "/visibility", "value": "public"}], ROME),
        ([{"op": "replace", "path": "/name", "value": "stolen"}], OSTIA),
        ([{"op": "replace", "path": "/id", "value": MISSING}], ADMIN),
        ([{"op": "replace", "path": "/owner", "value": "ostia"}], ADMIN),
        ([{"op": "replace", "path": "/owner", "value": "rome"}], ADMIN),
        ([{"op": "fold", "path": "/name"}], ADMIN),
        ([{"op": "replace", "path": "/min_disk", "value": 2**40}], ADMIN),
        ([{"op": "replace", "path": "/name", "value": None}], ADMIN),
        ([], ADMIN),
    ):
        api.patch(image, changes, who)
    api.get(image)
    for who in (ROME, ADMIN):
        api.post(f"{image}/actions/deactivate", who=who)
        api.get(f"{image}/file", ROME)
        api.get("/images?status=deactivated", who)
    for _ in range(2):
        api.post(f"{image}/actions/reactivate")
        api.get(f"{image}/file", ROME)
    api.post(f"/images/{image_id(3)}/actions/deactivate")


def tags(api: Recorder) -> None:
    image = f"/images/{image_id(7)}"
    for tag in ("one", "two", "two", "vier%20vier", "%C3%BC", "x" * 256):
        api.put(f"{image}/tags/{tag}", who=ROME)
    api.get("/images?tag=two", ROME)
    for tag in ("one", "one", "rare", "never"):
        api.delete(f"{image}/tags/{tag}", ROME)
    api.put(f"{image}/tags/three", who=OSTIA)
    api.get(image, ROME)
    api.get("/images?tag=rare", ROME)


def members(api: Recorder) -> None:
    image = f"/images/{image_id(4)}"
    api.patch(image, [{"op": "replace", "path": "/visibility", "value": "shared"}], ROME)
    for project in ("ostia", "ostia", "tivoli", "x" * 256):
        api.post(f"{image}/members", {"member": project}, ROME)
    api.post(f"{image}/members", {"member": "ostia"}, OSTIA)
    api.post(f"/images/{image_id(0)}/members", {"member": "ostia"})
    for status in ("pending", "accepted", "rejected", "accepted", "unsure"):
        api.put(f"{image}/members/ostia", {"status": status}, OSTIA)
        for wanted in ("pending", "accepted", "rejected", "all"):
            api.get(f"/images?visibility=shared&member_status={wanted}", OSTIA)
        api.get("/images", OSTIA)
    api.put(f"{image}/members/ostia", {"status": "rejected"}, ROME)
    for who in (ADMIN, ROME, OSTIA):
        api.get(f"{image}/members", who)
        api.get(f"{image}/members/ostia", who)
        api.get(f"{image}/members/tivoli", who)
    for project in ("tivoli", "tivoli", "nobody"):
        api.delete(f"{image}/members/{project}", ROME)
    api.post(f"{image}/members", {"member": "tivoli"}, ROME)
    api.get(f"{image}/members", ROME)


def delete(api: Recorder) -> None:
    image = f"/images/{image_id(3)}"
    api.delete(image)
    api.patch(image, [{"op": "replace", "path": "/protected", "value": False}])
    for who in (ROME, ADMIN, ADMIN):
        api.delete(image, who)
    api.get(image)
    api.delete(f"/images/{image_id(8)}", _owner(8))
    api.get(f"/images/{image_id(8)}/file")
    api.post("/images", {"id": image_id(3), "name": "risen"})
    api.get("/images?sort=name")


def tasks(api: Recorder) -> None:
    inputs: list[Any] = [
        {"import_from": "http://127.0.0.1:9/none", "import_from_format": "raw", "image_properties": {}}
    ]
    inputs += [{"import_from": "http://127.0.0.1:9/none"}, {}]
    for given in inputs:
        task = api.post("/tasks", {"type": "import", "input": given})
        if task.status == 201:
            path = f"/tasks/{task.json['id']}"
            api.wait(path, lambda found: found["status"] in ("success", "failure"))
    api.post("/tasks", {"type": "conquest", "input": {}})
    api.get(f"/tasks/{MISSING}")
    for text in ("", "?status=failure", "?type=import&sort_key=status&sort_dir=asc", "?limit=1", "?status=odd"):
        api.get(f"/tasks{text}")


def metadefs(api: Recorder) -> None:
    for text in ("", "?limit=4", "?sort_key=namespace&sort_dir=asc&limit=3", "?resource_types=OS::Nova::Flavor"):
        api.pages(f"/metadefs/namespaces{text}")
    api.get("/metadefs/resource_types")
    api.get("/metadefs/namespaces/OS::Compute::Watchdog")
    space = {"namespace": "Rome::Forum", "display_name": "Forum", "visibility": "private", "protected": False}
    objects = [{"name": f"temple{number}", "required": [], "properties": {}} for number in range(3)]
    types = [{"name": "OS::Glance::Image", "prefix": "forum_"}]
    for _ in range(2):
        api.post("/metadefs/namespaces", {**space, "objects": objects, "resource_type_associations": types}, ROME)
    for who in (ROME, OSTIA, ADMIN):
        api.get(PLACE, who)
    height = {"name": "height", "title": "Height", "type": "integer", "minimum": 1}
    for _ in range(2):
        api.post(f"{PLACE}/properties", height)
        api.post(f"{PLACE}/objects", {"name": "arch", "properties": {"width": {"type": "integer", "title": "w"}}})
        api.post(f"{PLACE}/tags/marble")
        api.post(f"{PLACE}/resource_types", {"name": "OS::Nova::Server"})
    api.post(f"{PLACE}/tags", {"tags": [{"name": "brick"}, {"name": "gold"}]})
    api.put(f"{PLACE}/properties/height", {**height, "maximum": 50})
    api.put(f"{PLACE}/objects/arch", {"name": "gate", "description": "of Titus"})
    api.put(f"{PLACE}/tags/gold", {"name": "silver"})
    api.put(PLACE, {**space, "description": "In the valley", "visibility": "public"})
    for part in ("properties", "objects", "tags", "resource_types", "objects/gate", "tags/gold", "properties/height"):
        api.get(f"{PLACE}/{part}", OSTIA)
    api.get(f"{PLACE}/tags?limit=1&sort_key=name&sort_dir=asc")
    for part in ("properties/height", "objects/temple1", "tags/brick", "resource_types/OS::Nova::Server", "tags/brick"):
        api.delete(f"{PLACE}/{part}")
    api.delete("/metadefs/namespaces/OS::Compute::Watchdog")
    api.delete("/metadefs/namespaces/OS::Compute::Hypervisor/objects")
    api.get(PLACE)


CHAPTERS: tuple[Callable[[Recorder], None], ...] = (
    create, data, import_data, lists, pages, change, tags, members, delete, tasks, metadefs
)  # fmt: skip


def everything(api: Recorder) -> None:
    """Read all that the server has."""
    images = [*api.pages("/images?limit=7"), *api.pages("/images?os_hidden=true")]
    for image in images:
        api.get(f"/images/{image['id']}")
        api.get(f"/images/{image['id']}/file")
        api.get(f"/images/{image['id']}/members")
    for task in api.pages("/tasks"):
        api.get(f"/tasks/{task['id']}")
    api.get("/metadefs/resource_types")
    for space in api.pages("/metadefs/namespaces"):
        path = f"/metadefs/namespaces/{space['namespace']}"
        for part in ("", "/properties", "/objects", "/tags", "/resource_types"):
            api.get(f"{path}{part}")
