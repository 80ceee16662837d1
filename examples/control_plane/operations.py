"""What the control plane does, each operation a function of a SQLAlchemy session: nothing here knows about ROME.

A function reads and changes objects of the session that it is given; the caller owns the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.orm import Session, joinedload, selectinload

from examples.control_plane.models import FixedIp, Instance, InstanceMetadata, Network, Quota, Service, Tag

DOWN_AFTER = timedelta(seconds=60)
"""A service that has not reported in for this long is taken for dead."""


class OverQuota(Exception):
    """A project asked for more of a resource than it may have."""


class Flavor(NamedTuple):
    """A size of virtual machine."""

    vcpus: int
    memory_mb: int


class Usage(NamedTuple):
    """What the instances of a project add up to."""

    project: str
    instances: int
    vcpus: int
    memory_mb: int


def report_in(session: Session, host: str, binary: str, now: datetime) -> Service:
    """Note that a service lives; its first report registers it."""
    service = session.scalars(select(Service).filter_by(host=host, binary=binary)).one_or_none()
    if service is None:
        service = Service(host=host, binary=binary, report_count=0)
        session.add(service)
    service.report_count += 1
    service.last_seen_up = now
    return service


def services_down(session: Session, now: datetime) -> Sequence[Service]:
    """The services that should be up and have not reported in for a while."""
    return session.scalars(
        select(Service)
        .where(Service.disabled.is_(False), Service.last_seen_up < now - DOWN_AFTER)
        .order_by(Service.host, Service.binary)
    ).all()


def add_network(session: Session, name: str, prefix: str, addresses: int) -> Network:
    """Add a network of 256 addresses, of which the first ones may be given out."""
    network = Network(name=name, cidr=f"{prefix}.0/24")
    network.fixed_ips = [FixedIp(address=f"{prefix}.{number:d}") for number in range(2, 2 + addresses)]
    session.add(network)
    return network


def reserve(session: Session, project: str, resource: str, amount: int) -> Quota:
    """Count `amount` of a resource as used. Raises OverQuota."""
    quota = session.scalars(select(Quota).filter_by(project=project, resource=resource)).one()
    if quota.in_use + amount > quota.hard_limit:
        raise OverQuota(f"{project} uses {quota.in_use} of {quota.hard_limit} {resource} and asks for {amount} more")
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
    """Make an instance, with a free address, on the host that has the fewest. Raises OverQuota."""
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
    """One instance with everything that belongs to it."""
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
    """A page of a project's instances in some state, newest first, after `marker` (the last one of the page before)."""
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
    """The instances with a tag and a metadata value, by name."""
    return session.scalars(
        select(Instance)
        .join(Instance.tags)
        .join(Instance.details)
        .where(Tag.tag == tag, InstanceMetadata.key == key, InstanceMetadata.value == value)
        .order_by(Instance.name)
    ).all()


def usage(session: Session) -> Sequence[Usage]:
    """What the instances of each project add up to."""
    query = (
        select(Instance.project, func.count(), func.sum(Instance.vcpus), func.sum(Instance.memory_mb))
        .group_by(Instance.project)
        .order_by(Instance.project)
    )
    return [Usage(*row) for row in session.execute(query)]


def evacuate(session: Session, source: str, target: str) -> int:
    """Move the instances of a host to another; how many there were."""
    moved = session.scalars(
        update(Instance).where(Instance.host == source).values(host=target).returning(Instance.id)
    ).all()
    session.execute(update(Service).where(Service.host == source).values(disabled=True))
    return len(moved)


def delete(session: Session, uuid: str) -> None:
    """Remove an instance, give its address back, and what it used of the quota."""
    instance = show(session, uuid)
    reserve(session, instance.project, "vcpus", -instance.vcpus)
    for address in instance.fixed_ips:
        address.instance = None
    session.delete(instance)
