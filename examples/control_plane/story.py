"""The steps of the demonstration, in order.

A step is a function that runs one or more transactions, each in its own `with` block, and returns what to print. Times
and ids are fixed, so each run prints the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple
from uuid import NAMESPACE_DNS, uuid5

from rich.table import Table
from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from examples.control_plane import operations
from examples.control_plane.models import Base, FixedIp, Instance, Quota
from examples.control_plane.operations import Flavor

MORNING = datetime(2030, 5, 6, 8, 0, 0)
HOSTS = ("node-1", "node-2", "node-3")
SMALL, LARGE = Flavor(vcpus=1, memory_mb=2048), Flavor(vcpus=4, memory_mb=8192)


@dataclass
class Cloud:
    """The database of the control plane, and its sessions."""

    engine: Engine

    def __post_init__(self) -> None:
        self.session: sessionmaker[Session] = sessionmaker(self.engine)


class Rows(NamedTuple):
    """Rows that a step has read."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]

    def __rich__(self) -> Table:
        """Return what rich prints."""
        table = Table(*self.columns, box=None, header_style="dim", pad_edge=False)
        for row in self.rows:
            table.add_row(*map(str, row))
        return table

    def dicts(self) -> list[dict[str, object]]:
        """Return each row by its columns: numbers, and the rest as texts."""
        plain = ([each if isinstance(each, int) else str(each) for each in row] for row in self.rows)
        return [dict(zip(self.columns, row, strict=True)) for row in plain]


class Step(NamedTuple):
    """One step of the demonstration."""

    title: str
    run: Callable[[Cloud], str | Rows]


def instance_uuid(name: str) -> str:
    """Return the id of an instance."""
    return str(uuid5(NAMESPACE_DNS, f"{name}.cloud.example"))


def create_tables(cloud: Cloud) -> str:
    """DDL is transactional: one commit creates the tables, indexes and constraints."""
    Base.metadata.create_all(cloud.engine)
    return f"{len(Base.metadata.tables)} tables: {', '.join(sorted(Base.metadata.tables))}"


def add_resources(cloud: Cloud) -> str:
    """Insert networks with their addresses, and quotas, in one transaction."""
    with cloud.session.begin() as session:
        operations.add_network(session, "office", "10.1.0", addresses=8)
        operations.add_network(session, "public", "192.0.2", addresses=4)
        session.add_all(Quota(project=project, resource="vcpus", hard_limit=20) for project in ("acme", "globex"))
    return "2 networks with 12 addresses, 20 vcpus each for the projects acme and globex"


def register_services(cloud: Cloud) -> str:
    """Each service looks up its row and inserts it, in one transaction."""
    for host in HOSTS:
        with cloud.session.begin() as session:
            operations.report_in(session, host, "compute", MORNING)
    with cloud.session.begin() as session:
        operations.report_in(session, "node-1", "scheduler", MORNING)
    return "4 services reported for the first time (4 transactions)"


def report_again(cloud: Cloud) -> str:
    """The most frequent transaction of a cloud: get by a unique key, update, commit."""
    with cloud.session.begin() as session:
        service = operations.report_in(session, "node-1", "compute", MORNING + timedelta(seconds=90))
        session.flush()
        return f"{service.binary} on {service.host}: report {service.report_count}"


def find_dead_services(cloud: Cloud) -> Rows:
    """Select the services that have not reported for 60 seconds."""
    with cloud.session() as session:
        down = operations.services_down(session, MORNING + timedelta(seconds=100))
        return Rows(("host", "binary", "last seen up"), [(s.host, s.binary, s.last_seen_up) for s in down])


def boot_one(cloud: Cloud) -> str:
    """Reserve quota, choose a host and an address, and insert the instance with its tags and metadata."""
    with cloud.session.begin() as session:
        instance = _boot(session, "web-0", "acme", SMALL, minute=0)
        session.flush()
        return f"{instance.name} got {instance.fixed_ips[0].address} on {instance.host}"


def boot_more(cloud: Cloud) -> str:
    """Boot eight more instances, one transaction each."""
    minutes = count(1)
    for name in ("web-1", "web-2", "web-3", "db-0"):
        with cloud.session.begin() as session:
            _boot(session, name, "acme", LARGE if name.startswith("db") else SMALL, minute=next(minutes))
    for name in ("mail-0", "mail-1", "shop-0", "shop-1"):
        with cloud.session.begin() as session:
            _boot(session, name, "globex", SMALL, minute=next(minutes))
    return "8 more instances (8 transactions)"


def refuse_over_quota(cloud: Cloud) -> str:
    """The application raises an exception. It rolls back the transaction, and nothing is written."""
    try:
        with cloud.session.begin() as session:
            _boot(session, "giant-0", "acme", Flavor(vcpus=64, memory_mb=524288), minute=20)
    except operations.OverQuota as refusal:
        return f"refused: {refusal}"
    raise AssertionError("64 vcpus were given out of 20")


def refuse_duplicate(cloud: Cloud) -> str:
    """A UNIQUE constraint: the INSERT of an existing key raises an error."""
    try:
        with cloud.session.begin() as session:
            taken = session.scalars(select(FixedIp).filter_by(address="10.1.0.2")).one()
            session.execute(insert(FixedIp).values(address=taken.address, network_id=taken.network_id))
    except IntegrityError as refusal:
        return f"refused: {refusal.orig}"
    raise AssertionError("one address was added twice")


def show_one(cloud: Cloud) -> Rows:
    """Select an instance by its unique id, joined with four tables."""
    with cloud.session() as session:
        instance = operations.show(session, instance_uuid("web-1"))
        return Rows(
            ("name", "host", "addresses", "tags", "metadata"),
            [
                (
                    instance.name,
                    instance.host,
                    ", ".join(f"{ip.address} ({ip.network.name})" for ip in instance.fixed_ips),
                    ", ".join(sorted(tag.tag for tag in instance.tags)),
                    ", ".join(f"{item.key}={item.value}" for item in instance.details),
                )
            ],
        )


def list_first_page(cloud: Cloud) -> Rows:
    """Select a page with a filter and an order, and the tags and addresses of its instances."""
    with cloud.session() as session:
        return _instances(operations.list_instances(session, "acme", "active", limit=3))


def list_next_page(cloud: Cloud) -> Rows:
    """Keyset pagination: select the rows after the last instance of the previous page."""
    with cloud.session() as session:
        marker = operations.show(session, instance_uuid("web-2"))
        return _instances(operations.list_instances(session, "acme", "active", limit=3, marker=marker))


def find_by_tag(cloud: Cloud) -> str:
    """Join three tables."""
    with cloud.session() as session:
        found = operations.find(session, tag="web", key="tier", value="front")
        return ", ".join(instance.name for instance in found)


def add_up(cloud: Cloud) -> Rows:
    """Aggregate by project."""
    with cloud.session() as session:
        return Rows(("project", "instances", "vcpus", "memory MB"), operations.usage(session))


def evacuate_host(cloud: Cloud) -> str:
    """A bulk UPDATE: the number of round trips does not depend on the number of rows."""
    with cloud.session.begin() as session:
        moved = operations.evacuate(session, "node-3", "node-1")
    return f"{moved} instances moved from node-3 to node-1"


def delete_one(cloud: Cloud) -> Rows:
    """Delete an instance with its tags and metadata, and release its address and quota."""
    with cloud.session.begin() as session:
        operations.delete(session, instance_uuid("web-0"))
    with cloud.session() as session:
        return Rows(("project", "instances", "vcpus", "memory MB"), operations.usage(session))


STORY: tuple[Step, ...] = (
    Step("Create the tables", create_tables),
    Step("Add networks, addresses and quotas", add_resources),
    Step("Services register", register_services),
    Step("A service reports again", report_again),
    Step("Which services are down?", find_dead_services),
    Step("Boot an instance", boot_one),
    Step("Boot eight more", boot_more),
    Step("Ask for more than the quota", refuse_over_quota),
    Step("Add an address that exists", refuse_duplicate),
    Step("Show an instance", show_one),
    Step("List active instances, first page", list_first_page),
    Step("List active instances, next page", list_next_page),
    Step("Find instances by tag and metadata", find_by_tag),
    Step("Compute the usage by project", add_up),
    Step("Evacuate a host", evacuate_host),
    Step("Delete an instance", delete_one),
)


def _boot(session: Session, name: str, project: str, flavor: Flavor, minute: int) -> Instance:
    role = name.partition("-")[0]
    return operations.boot(
        session,
        instance_uuid(name),
        name,
        project,
        flavor,
        now=MORNING + timedelta(minutes=minute),
        details={"tier": "back" if role == "db" else "front", "image": "debian-12"},
        tags=(role, project),
    )


def _instances(instances: Iterable[Instance]) -> Rows:
    return Rows(
        ("name", "booted at", "host", "addresses", "tags"),
        [
            (
                instance.name,
                f"{instance.created_at:%H:%M}",
                instance.host,
                ", ".join(ip.address for ip in instance.fixed_ips),
                ", ".join(sorted(tag.tag for tag in instance.tags)),
            )
            for instance in instances
        ],
    )
