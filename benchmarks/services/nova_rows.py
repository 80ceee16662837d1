"""The rows of a Nova database: 20 instances on each host, 100 in each project, and what belongs to them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

from nova.db.main import models
from sqlalchemy import Engine, text

from benchmarks.services.functions import insert_rows, uuid_of

Row = dict[str, Any]

OF_HOST, OF_PROJECT = 20, 100

INSTANCE, DEVICE, INTERFACE, SERVICE, NODE = range(5)
"""The kinds of UUIDs."""

FLAVOR = json.dumps(
    {
        "cur": {
            "nova_object.name": "Flavor",
            "nova_object.version": "1.2",
            "nova_object.data": {
                "id": 1, "name": "m1.small", "memory_mb": 2048, "vcpus": 1, "root_gb": 20, "ephemeral_gb": 0,
                "flavorid": "1", "swap": 0, "rxtx_factor": 1.0, "vcpu_weight": 0, "disabled": False, "is_public": True,
                "extra_specs": {"hw:cpu_policy": "shared", "hw:mem_page_size": "any"}, "description": None,
            },
        },
        "old": None,
        "new": None,
    }
)  # fmt: skip
NETWORK = json.dumps(
    [
        {
            "id": uuid_of(INTERFACE, 1), "address": "fa:16:3e:00:00:01", "type": "ovs", "active": True,
            "network": {
                "id": uuid_of(INTERFACE, 2), "bridge": "br-int", "label": "private",
                "subnets": [
                    {
                        "cidr": "10.0.0.0/24", "version": 4, "dns": [{"address": "10.0.0.2", "type": "dns"}],
                        "gateway": {"address": "10.0.0.1", "type": "gateway"},
                        "ips": [{"address": "10.0.0.17", "type": "fixed", "floating_ips": [], "meta": {}}],
                    }
                ],
                "meta": {"injected": False, "tenant_id": "project", "mtu": 1442},
            },
            "details": {"port_filter": True, "connectivity": "l2"}, "devname": "tap00000000-00", "profile": {},
        }
    ]
)  # fmt: skip
CPU = json.dumps({"arch": "x86_64", "model": "Nehalem", "features": [f"feature-{number}" for number in range(60)]})
BEGAN = dt.datetime(2026, 1, 1)


def host_of(number: int) -> str:
    """Return the host of the instance with this number."""
    return f"host-{number // OF_HOST}"


def project_of(number: int) -> str:
    """Return the project of the instance with this number."""
    return f"project-{number // OF_PROJECT}"


def system_metadata() -> dict[str, str]:
    """Return the properties of an instance's image."""
    names = ("container_format", "disk_format", "min_disk", "min_ram", "hw_disk_bus", "os_distro", "base_image_ref")
    return {"owner_project_name": "demo", **{f"image_{name}": f"value of {name}" for name in names}}


def instance(number: int) -> Row:
    """Return the columns of an instance, as a boot has them."""
    return {
        "uuid": uuid_of(INSTANCE, number), "user_id": "user", "project_id": project_of(number), "image_ref": "image",
        "hostname": f"vm-{number}", "display_name": f"vm-{number}", "display_description": None, "launch_index": 0,
        "vm_state": "active", "task_state": None, "power_state": 1, "memory_mb": 2048, "vcpus": 1, "root_gb": 20,
        "ephemeral_gb": 0, "instance_type_id": 1, "reservation_id": f"r-{number:08x}", "availability_zone": "nova",
        "key_name": "key", "host": host_of(number), "node": host_of(number), "root_device_name": "/dev/vda",
        "created_at": BEGAN + dt.timedelta(seconds=number), "launched_at": BEGAN + dt.timedelta(seconds=number + 9),
        "locked": False, "config_drive": "", "os_type": "linux", "hidden": False, "cleaned": 0,
    }  # fmt: skip


def service(number: int) -> Row:
    """Return the columns of a host's service."""
    return {
        "uuid": uuid_of(SERVICE, number), "host": f"host-{number}", "binary": "nova-compute", "topic": "compute",
        "report_count": 0, "disabled": False, "version": 70, "last_seen_up": BEGAN,
    }  # fmt: skip


def node(number: int) -> Row:
    """Return the columns of a host's compute node."""
    name = f"host-{number}"
    return {
        "uuid": uuid_of(NODE, number), "service_id": number + 1, "host": name, "hypervisor_hostname": name,
        "vcpus": 64, "memory_mb": 262144, "local_gb": 2000, "vcpus_used": 20, "memory_mb_used": 40960,
        "local_gb_used": 400, "hypervisor_type": "QEMU", "hypervisor_version": 8000000, "cpu_info": CPU,
        "free_ram_mb": 221184, "free_disk_gb": 1600, "current_workload": 0, "running_vms": 20, "host_ip": "10.1.0.1",
        "supported_instances": json.dumps([["x86_64", "kvm", "hvm"]] * 10), "stats": "{}", "mapped": 1, "metrics": "[]",
        "ram_allocation_ratio": 1.5, "cpu_allocation_ratio": 16.0, "disk_allocation_ratio": 1.0,
    }  # fmt: skip


def interface(number: int) -> Row:
    """Return the columns of an instance's network interface, without the instance."""
    return {"address": f"fa:16:3e:{number:06x}", "uuid": uuid_of(INTERFACE, number), "network_id": None}


def device(number: int) -> Row:
    """Return the columns of an instance's disk, without the instance."""
    return {
        "uuid": uuid_of(DEVICE, number), "source_type": "image", "destination_type": "local", "device_type": "disk",
        "boot_index": 0, "device_name": "/dev/vda", "delete_on_termination": True, "image_id": "image",
    }  # fmt: skip


def of_instance(number: int) -> Iterator[tuple[type[Any], Row]]:
    """Yield the rows that belong to an instance, with their models."""
    uuid = uuid_of(INSTANCE, number)
    yield models.InstanceExtra, {"flavor": FLAVOR, "keypairs": "[]", "pci_requests": "[]", "numa_topology": None}
    yield models.InstanceInfoCache, {"network_info": NETWORK}
    yield models.BlockDeviceMapping, device(number)
    yield models.VirtualInterface, interface(number)
    yield models.InstanceIdMapping, {"uuid": uuid}
    for key in ("role", "owner"):
        yield models.InstanceMetadata, {"key": key, "value": f"{key} of {number}"}
    for key, value in system_metadata().items():
        yield models.InstanceSystemMetadata, {"key": key, "value": value}
    yield models.InstanceAction, {"action": "create", "request_id": f"req-{number}", "user_id": "user"}
    if number % 10 == 0:
        yield models.InstanceFault, {"code": 500, "message": "it failed", "details": "a traceback\n" * 20}


def fill(engine: Engine, size: int) -> None:
    """Create the tables, and fill them with so many instances."""
    if engine.dialect.name == "mysql":
        _shorten_for_mysql(engine)
    models.BASE.metadata.create_all(engine)
    hosts = range(-(-size // OF_HOST))
    insert_rows(engine, models.Service.__table__, [_live(service(number)) for number in hosts])
    insert_rows(engine, models.ComputeNode.__table__, [_live(node(number)) for number in hosts])
    insert_rows(engine, models.Instance.__table__, [_live(instance(number)) for number in range(size)])
    tables: dict[Any, list[Row]] = {}
    for number in range(size):
        for model, row in of_instance(number):
            owner = {} if model is models.InstanceIdMapping else {"instance_uuid": uuid_of(INSTANCE, number)}
            tables.setdefault(model.__table__, []).append(_live({**row, **owner}))
    for table, rows in tables.items():
        insert_rows(engine, table, rows)


def _shorten_for_mysql(engine: Engine) -> None:
    """Let the indexes be short enough, as Nova's migrations do, but its models do not."""
    with engine.begin() as connection:
        connection.execute(text("ALTER DATABASE CHARACTER SET utf8mb3"))
    columns = ("source_compute", "dest_compute", "source_node", "dest_node")
    for index in models.Migration.__table__.indexes:
        if index.name == "migrations_by_host_nodes_and_status_idx":
            index.dialect_options["mysql"]["length"] = dict.fromkeys(columns, 100)


def _live(row: Row) -> Row:
    return {"created_at": BEGAN, **row, "deleted": 0}
