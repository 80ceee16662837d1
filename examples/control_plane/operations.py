"""The operations of the control plane: functions of a SQLAlchemy session. Nothing here depends on ROME.

A function reads and changes objects of the given session; the caller owns the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.orm import Session, joinedload, selectinload

from examples.control_plane.models import FixedIp, Instance, InstanceMetadata, Network, Quota, Service, Tag

DOWN_AFTER = timedelta(seconds=60)
"""A service that has not reported for this time counts as down."""


class OverQuota(Exception):
    """A project requested more of a resource than its quota."""


class Flavor(NamedTuple):
    """A size of virtual machine."""

    vcpus: int
    memory_mb: int


class Usage(NamedTuple):
    """The resources that the instances of a project use."""

    project: str
    instances: int
    vcpus: int
    memory_mb: int


def report_in(session: Session, host: str, binary: str, now: datetime) -> Service:
    """Record that a service is alive. The first report inserts its row."""
    service = session.scalars(select(Service).filter_by(host=host, binary=binary)).one_or_none()
    if service is None:
        service = Service(host=host, binary=binary, report_count=0)
        session.add(service)
    service.report_count += 1
    service.last_seen_up = now
    return service


def services_down(session: Session, now: datetime) -> Sequence[Service]:
    """Return the enabled services that are down."""
    return session.scalars(
        select(Service)
        .where(Service.disabled.is_(False), Service.last_seen_up < now - DOWN_AFTER)
        .order_by(Service.host, Service.binary)
    ).all()


def add_network(session: Session, name: str, prefix: str, addresses: int) -> Network:
    """Add a network of 256 addresses, of which the first ones can be assigned."""
    network = Network(name=name, cidr=f"{prefix}.0/24")
    network.fixed_ips = [FixedIp(address=f"{prefix}.{number:d}") for number in range(2, 2 + addresses)]
    session.add(network)
    return network


def reserve(session: Session, project: str, resource: str, amount: int) -> Quota:
    """Reserve `amount` of a resource. Raise OverQuota if it exceeds the limit."""
    quota = session.scalars(select(Quota).filter_by(project=project, resource=resource)).one()
    if quota.in_use + amount > quota.hard_limit:
        raise OverQuota(f"{project} uses {quota.in_use} of {quota.hard_limit} {resource} and requests {amount} more")
    quota.in_use += amount
    return quota


def boot(
    session: Session,
    uuid: str,
    name: str,
    project: str,
    flavor: Flavor,
    now: datetime,
    details: Mapping[str, str],
    tags: Sequence[str],
) -> Instance:
    """Create an instance, with a free address, on the host with the fewest instances. Raise OverQuota."""
    reserve(session, project, "vcpus", flavor.vcpus)
    load = func.count(Instance.id)
    host = session.scalar(
        select(Service.host)
        .outerjoin(Instance, Instance.host == Service.host)
        .where(Service.binary == "compute", Service.disabled.is_(False))
        .group_by(Service.host)
        .order_by(load, Service.host)
        .limit(1)
    )
    address = session.scalars(
        select(FixedIp).where(FixedIp.instance_id.is_(None)).order_by(FixedIp.address).limit(1)
    ).one()
    instance = Instance(
        uuid=uuid,
        name=name,
        project=project,
        state="active",
        host=host,
        created_at=now,
        **flavor._asdict(),
        details=[InstanceMetadata(key=key, value=value) for key, value in details.items()],
        tags=[Tag(tag=tag) for tag in tags],
        fixed_ips=[address],
    )
    session.add(instance)
    return instance


def show(session: Session, uuid: str) -> Instance:
    """Return an instance with its metadata, tags, addresses and networks."""
    return (
        session.scalars(
            select(Instance)
            .where(Instance.uuid == uuid)
            .options(
                joinedload(Instance.details),
                joinedload(Instance.tags),
                joinedload(Instance.fixed_ips).joinedload(FixedIp.network),
            )
        )
        .unique()
        .one()
    )


def list_instances(
    session: Session, project: str, state: str, limit: int, marker: Instance | None = None
) -> Sequence[Instance]:
    """Return a page of a project's instances in a state, newest first, after `marker`, the previous page's last one."""
    query = (
        select(Instance)
        .where(Instance.project == project, Instance.state == state)
        .order_by(Instance.created_at.desc(), Instance.id.desc())
        .limit(limit)
        .options(selectinload(Instance.tags), selectinload(Instance.fixed_ips))
    )
    if marker is not None:
        same_time = and_(Instance.created_at == marker.created_at, Instance.id < marker.id)
        query = query.where(or_(Instance.created_at < marker.created_at, same_time))
    return session.scalars(query).all()


def find(session: Session, tag: str, key: str, value: str) -> Sequence[Instance]:
    """Return the instances with a tag and a metadata value, ordered by name."""
    return session.scalars(
        select(Instance)
        .join(Instance.tags)
        .join(Instance.details)
        .where(Tag.tag == tag, InstanceMetadata.key == key, InstanceMetadata.value == value)
        .order_by(Instance.name)
    ).all()


def usage(session: Session) -> Sequence[Usage]:
    """Return the usage of each project."""
    query = (
        select(Instance.project, func.count(), func.sum(Instance.vcpus), func.sum(Instance.memory_mb))
        .group_by(Instance.project)
        .order_by(Instance.project)
    )
    return [Usage(*row) for row in session.execute(query)]


def evacuate(session: Session, source: str, target: str) -> int:
    """Move the instances of a host to another host. Return their number."""
    moved = session.scalars(
        update(Instance).where(Instance.host == source).values(host=target).returning(Instance.id)
    ).all()
    session.execute(update(Service).where(Service.host == source).values(disabled=True))
    return len(moved)


def delete(session: Session, uuid: str) -> None:
    """Delete an instance, and release its address and quota."""
    instance = show(session, uuid)
    reserve(session, instance.project, "vcpus", -instance.vcpus)
    for address in instance.fixed_ips:
        address.instance = None
    session.delete(instance)
