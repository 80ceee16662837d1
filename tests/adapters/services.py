"""Run checks with a real service: `python -m tests.adapters.services cinder URL`.

It prints the differences of the discovery module; a failed assertion ends it.
"""

import importlib
import inspect
import sys
from concurrent.futures import ThreadPoolExecutor

from oslo_config import cfg

MODULES = {
    "nova": ["nova.db.main.api"],
    "glance": ["glance.db.sqlalchemy.api"],
    "cinder": ["cinder.db.sqlalchemy.api", "cinder.db.api"],
}
"""The modules of the services' APIs; the first one that exists is used."""


def own_module(service):
    for name in MODULES[service]:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            pass
    raise ModuleNotFoundError(service)


def signatures(module):
    functions = inspect.getmembers(module, inspect.isfunction)
    return {name: inspect.signature(function) for name, function in functions if not name.startswith("_")}


def ported(service, url):
    """Configure and return the service's discovery module, after comparing its functions with the service's own."""
    own = signatures(own_module(service))
    api = importlib.import_module(f"rome_discovery.{service}.api")
    assert api is own_module(service)
    theirs = signatures(api)
    assert {name: theirs.get(name) for name in own} == own
    importlib.import_module("nova.conf" if service == "nova" else f"{service}.common.config")
    print(f"{service}: {len(own)} public functions with the service's own signatures; differences:")
    for name, reason in api.rome_port.differences.items():
        print(f"  {name}: {reason}")
    cfg.CONF([], default_config_files=[], default_config_dirs=[])
    cfg.CONF.set_override("connection", url, "discovery")
    return api


def call_concurrently(function, times=8):
    """Call a function in several threads and return the results, or the errors."""

    def call(_):
        try:
            return function()
        except Exception as error:
            return error

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(call, range(times)))


def names(rows, key="name"):
    return [row[key] for row in rows]


def nova(api):
    from nova import context, exception

    api.models.BASE.metadata.create_all(api.get_engine())

    def admin():
        return context.get_admin_context()

    values = {"host": "node-1", "binary": "nova-compute", "topic": "compute", "report_count": 0}
    made = call_concurrently(lambda: api.service_create(admin(), dict(values)))
    assert sorted({type(one) for one in made}, key=str) == [api.models.Service, exception.ServiceBinaryExists], made
    (service,) = api.service_get_all(admin())
    assert service.last_seen_up is None
    api.service_update(admin(), service.id, {"report_count": 1})
    seen = api.service_get(admin(), service.id).last_seen_up
    api.service_update(admin(), service.id, {"report_count": 1, "disabled": True})
    assert seen is not None
    assert api.service_get(admin(), service.id).last_seen_up == seen

    made = call_concurrently(lambda: api.security_group_ensure_default(context.RequestContext("user", "project")))
    assert len({one.id for one in made}) == 1, made
    values = {"display_name": "d", "project_id": "new"}
    made = call_concurrently(
        lambda: api.instance_create(context.RequestContext("user", "new"), dict(values)).display_name
    )
    assert made == ["d"] * 8, made
    for name in ("b", "a", "c"):
        api.instance_create(admin(), {"display_name": name, "host": "node-1", "project_id": "p", "vm_state": "active"})

    def page(**options):
        found = api.instance_get_all_by_filters_sort(admin(), {"host": "node-1"}, **options)
        return names(found, "display_name")

    assert page(sort_keys=["display_name"], sort_dirs=["desc"], limit=2) == ["c", "b"]
    marker = api.instance_get_all_by_filters(admin(), {"display_name": "^a$"})[0]["uuid"]
    assert page(sort_keys=["display_name"], sort_dirs=["asc"], marker=marker) == ["b", "c"]
    swaps = call_concurrently(
        lambda: api.instance_update(admin(), marker, {"vm_state": "stopped"}, expected={"vm_state": ["active"]})
    )
    assert sum(not isinstance(one, Exception) for one in swaps) == 1, swaps


def glance(api):
    from glance import context
    from glance.common import exception

    api.models.BASE.metadata.create_all(api.get_engine())
    admin = context.RequestContext(is_admin=True, project_id="p")
    for size, name in enumerate(("b", "a", "c")):
        values = {"name": name, "status": "queued", "size": size, "disk_format": "raw", "owner": "p", "properties": {}}
        api.image_create(admin, {**values, "visibility": "private", "min_disk": 0, "min_ram": 0})
    listed = api.image_get_all(admin, filters={"status": "queued"}, sort_key=["name"], sort_dir=["desc"], limit=2)
    assert names(listed) == ["c", "b"]
    image = api.image_get_all(admin, filters={"name": "a"})[0]["id"]
    assert names(api.image_get_all(admin, marker=image, sort_key=["name"], sort_dir=["asc"])) == ["b", "c"]
    assert names(api.image_get_all(admin, filters={"size_min": 1}, sort_key=["name"], sort_dir=["asc"])) == ["a", "c"]
    swaps = call_concurrently(lambda: api.image_update(admin, image, {"status": "saving"}, from_state="queued"))
    assert sum(not isinstance(one, Exception) for one in swaps) == 1, swaps
    swaps = call_concurrently(lambda: api.image_set_property_atomic(image, "os_glance_import_task", "t"))
    assert [type(one) for one in swaps if one is not None] == [exception.Duplicate] * 7, swaps


def cinder(api):

    from cinder import context

    api.models.BASE.metadata.create_all(api.get_engine())

    def admin():
        return context.get_admin_context()

    values = {"host": "node-1", "binary": "cinder-volume", "topic": "volume", "report_count": 0}
    made = call_concurrently(lambda: api.service_create(admin(), dict(values)).id)
    assert len(set(made)) == 1, made
    (service,) = api.service_get_all(admin())
    call_concurrently(
        lambda: api.service_update(admin(), service.id, {"report_count": api.models.Service.report_count + 1})
    )
    assert api.service_get(admin(), service.id).report_count == 8

    type_id = api.volume_type_create(admin(), {"name": "default", "extra_specs": {}})["id"]
    for size, name in enumerate(("b", "a", "c")):
        volume = {"display_name": name, "size": size, "status": "available", "host": "node-1", "project_id": "p"}
        api.volume_create(admin(), {**volume, "volume_type_id": type_id})

    def page(**options):
        return names(api.volume_get_all(admin(), **{"marker": None, "limit": None, **options}), "display_name")

    assert page(sort_keys=["display_name"], sort_dirs=["desc"], limit=2) == ["c", "b"]
    volume = api.volume_get_all(admin(), None, None, filters={"display_name": "a"})[0]["id"]
    assert page(sort_keys=["display_name"], sort_dirs=["asc"], marker=volume) == ["b", "c"]
    swaps = call_concurrently(
        lambda: api.conditional_update(
            admin(), api.models.Volume, {"status": "deleting"}, {"id": volume, "status": "available"}
        )
    )
    assert sorted(swaps) == [False] * 7 + [True], swaps


if __name__ == "__main__":
    service, url = sys.argv[1:]
    globals()[service](ported(service, url))
    print(f"{service}: as expected on {url}")
