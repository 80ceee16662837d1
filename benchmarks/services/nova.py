"""The functions of Nova's database API that a boot, a list and a heartbeat call, with the arguments that Nova has."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from nova import context
from nova.conf import CONF
from nova.db.main import api
from sqlalchemy import Engine

from benchmarks.services import nova_rows as rows
from benchmarks.services.functions import Functions, uuid_of
from benchmarks.services.nova_rows import fill

__all__ = ["FUNCTIONS", "Api", "fill"]

_DEFAULT = ["metadata", "system_metadata", "info_cache", "security_groups"]
_SHOWN = [*_DEFAULT, "extra", "extra.flavor", "extra.numa_topology"]
_LISTED = ["info_cache", "metadata", "pci_devices", "services", "extra", "extra.flavor"]
_ORDER = {"sort_keys": ["created_at", "id"], "sort_dirs": ["desc", "desc"]}

FUNCTIONS = Functions()

_new = count(10_000_000)
_STEP = 7919
"""A prime: instances are taken in an order that has no neighbours."""


class Api:
    """Nova's API on one database, with a request's context. Its functions take the database from the context."""

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self.context = context.RequestContext("user", "project-0", is_admin=True, request_id="req-0")
        self.context.db_connection = api.create_context_manager(url)
        self.size = size
        self._taken = 0

    @property
    def engine(self) -> Engine:
        return self.context.db_connection.writer.get_engine()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let Nova's configuration name this database: filters depend on its kind."""
        CONF.set_override("connection", self._url, "database")
        yield
        CONF.clear_override("connection", "database")

    def number(self) -> int:
        """Return the number of an instance, another one each time."""
        self._taken = (self._taken + _STEP) % self.size
        return self._taken

    def uuid(self) -> str:
        """Return the UUID of an instance, another one each time."""
        return uuid_of(rows.INSTANCE, self.number())

    def host(self) -> str:
        """Return a host, another one each time."""
        return rows.host_of(self.number())

    def uuids(self) -> list[str]:
        """Return the UUIDs of a project's instances."""
        return [uuid_of(rows.INSTANCE, number) for number in range(rows.OF_PROJECT)]


# ── a boot ────────────────────────────────────────────────────────────────────────────────────────────────────────


@FUNCTIONS.of("boot")
def instance_create(nova: Api) -> None:
    extra = {"flavor": rows.FLAVOR, "keypairs": "[]", "pci_requests": "[]"}
    values = {**rows.instance(next(_new)), "vm_state": "building", "task_state": "scheduling", "host": None}
    values |= {"node": None, "metadata": {"role": "web"}, "system_metadata": rows.system_metadata(), "extra": extra}
    api.instance_create(nova.context, {**values, "security_groups": ["default"], "info_cache": {"network_info": "[]"}})


@FUNCTIONS.of("boot")
def block_device_mapping_update_or_create(nova: Api) -> None:
    values = {**rows.device(next(_new)), "instance_uuid": nova.uuid(), "device_name": None}
    api.block_device_mapping_update_or_create(nova.context, values, legacy=False)


@FUNCTIONS.of("boot")
def action_start(nova: Api) -> None:
    values = {"action": "create", "instance_uuid": nova.uuid(), "request_id": f"req-{next(_new)}", "user_id": "user"}
    api.action_start(nova.context, {**values, "project_id": "project-0", "start_time": rows.BEGAN})


@FUNCTIONS.of("boot", "action_event_start, action_event_finish")
def action_event(nova: Api) -> None:
    number = nova.number()
    event = {"event": f"event {next(_new)}", "host": rows.host_of(number), "request_id": f"req-{number}"}
    event["instance_uuid"] = uuid_of(rows.INSTANCE, number)
    api.action_event_start(nova.context, {**event, "start_time": rows.BEGAN})
    end = rows.BEGAN + dt.timedelta(seconds=1)
    api.action_event_finish(nova.context, {**event, "finish_time": end, "result": "Success"})


@FUNCTIONS.of("boot")
def instance_get_by_uuid(nova: Api) -> None:
    api.instance_get_by_uuid(nova.context, nova.uuid(), columns_to_join=list(_SHOWN))


@FUNCTIONS.of("boot")
def instance_update_and_get_original(nova: Api) -> None:
    values = {"power_state": next(_new), "expected_task_state": [None], "vm_state": "active"}
    api.instance_update_and_get_original(nova.context, nova.uuid(), values, columns_to_join=list(_DEFAULT))


@FUNCTIONS.of("boot")
def instance_extra_update_by_uuid(nova: Api) -> None:
    api.instance_extra_update_by_uuid(nova.context, nova.uuid(), {"vcpu_model": f"model {next(_new)}"})


@FUNCTIONS.of("boot")
def instance_info_cache_update(nova: Api) -> None:
    network = rows.NETWORK.replace("tap00000000", f"tap{next(_new)}")
    api.instance_info_cache_update(nova.context, nova.uuid(), {"network_info": network})


@FUNCTIONS.of("boot")
def virtual_interface_create(nova: Api) -> None:
    api.virtual_interface_create(nova.context, {**rows.interface(next(_new)), "instance_uuid": nova.uuid()})


@FUNCTIONS.of("boot")
def block_device_mapping_get_all_by_instance(nova: Api) -> None:
    api.block_device_mapping_get_all_by_instance(nova.context, nova.uuid())


@FUNCTIONS.of("boot")
def compute_node_get_by_host_and_nodename(nova: Api) -> None:
    host = nova.host()
    api.compute_node_get_by_host_and_nodename(nova.context, host, host)


@FUNCTIONS.of("boot")
def service_get_by_compute_host(nova: Api) -> None:
    api.service_get_by_compute_host(nova.context, nova.host())


@FUNCTIONS.of("boot")
def service_get_minimum_version(nova: Api) -> None:
    api.service_get_minimum_version(nova.context, ["nova-compute"])


@FUNCTIONS.of("boot", often=3)
def instance_get_all_by_host_and_node(nova: Api) -> None:
    host = nova.host()
    columns = ["extra", "extra.flavor", "extra.numa_topology"]
    api.instance_get_all_by_host_and_node(nova.context, host, host, columns_to_join=columns)


@FUNCTIONS.of("boot", "migration_get_in_progress_and_error_by_host_and_node")
def migration_get_in_progress(nova: Api) -> None:
    host = nova.host()
    api.migration_get_in_progress_and_error_by_host_and_node(nova.context, host, host)


# ── a list ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _list(nova: Api, filters: dict[str, Any], limit: int, marker: str | None = None) -> None:
    filters = {"deleted": False, **filters}
    api.instance_get_all_by_filters_sort(
        nova.context, filters, limit=limit, marker=marker, columns_to_join=list(_LISTED), **_ORDER
    )


@FUNCTIONS.of("list", "instance_get_all_by_filters_sort: 100 of a project", often=1)
def servers_of_a_project(nova: Api) -> None:
    _list(nova, {"project_id": rows.project_of(nova.number())}, 1000)


@FUNCTIONS.of("list", "instance_get_all_by_filters_sort: page of all projects", often=1)
def page_of_all_projects(nova: Api) -> None:
    _list(nova, {}, 50, marker=uuid_of(rows.INSTANCE, nova.size // 2))


@FUNCTIONS.of("list", "instance_get_all_by_filters_sort: 20 of a host", often=2)
def servers_of_a_host(nova: Api) -> None:
    _list(nova, {"host": nova.host(), "vm_state": "active"}, 1000)


@FUNCTIONS.of("list", "instance_fault_get_by_instance_uuids: 100", often=3)
def instance_fault_get_by_instance_uuids(nova: Api) -> None:
    api.instance_fault_get_by_instance_uuids(nova.context, nova.uuids(), latest=True)


@FUNCTIONS.of("list", "block_device_mapping_get_all_by_instance_uuids: 100", often=2)
def block_device_mapping_get_all_by_instance_uuids(nova: Api) -> None:
    api.block_device_mapping_get_all_by_instance_uuids(nova.context, nova.uuids())


# ── a heartbeat ───────────────────────────────────────────────────────────────────────────────────────────────────


@FUNCTIONS.of("heartbeat")
def service_get_by_host_and_binary(nova: Api) -> None:
    api.service_get_by_host_and_binary(nova.context, nova.host(), "nova-compute")


@FUNCTIONS.of("heartbeat")
def service_update(nova: Api) -> None:
    number = nova.number() // rows.OF_HOST + 1
    api.service_update(nova.context, number, {"report_count": next(_new)})


@FUNCTIONS.of("heartbeat", often=1)
def service_get_all(nova: Api) -> None:
    api.service_get_all(nova.context)


@FUNCTIONS.of("heartbeat")
def compute_node_update(nova: Api) -> None:
    number = nova.number() // rows.OF_HOST + 1
    values = {"memory_mb_used": next(_new), "stats": '{"num_instances": "20"}', "cpu_info": rows.CPU}
    api.compute_node_update(nova.context, number, values)


@FUNCTIONS.of("heartbeat")
def compute_node_get_all_by_host(nova: Api) -> None:
    api.compute_node_get_all_by_host(nova.context, nova.host())


@FUNCTIONS.of("heartbeat", often=3)
def instance_get_all_by_host(nova: Api) -> None:
    api.instance_get_all_by_host(nova.context, nova.host(), columns_to_join=["info_cache", "metadata"])
