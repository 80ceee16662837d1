"""The state of services: one row for each service, in which it reports.

    class ServiceModel(ServiceColumns, Base):
        __tablename__ = "services"

    class Service(ServiceState):
        VERSION = "1.0"
        model = ServiceModel

A service counts its reports itself, and a report carries its number. So a report that is repeated, because no answer
came, has no second effect, and one that arrives after a later one has none at all.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from rome_objects import database
from rome_objects.base import Object
from rome_objects.errors import NotFound
from rome_objects.remoting import remotable, safe_to_repeat


class ServiceColumns:
    """The columns of a table of services."""

    id: Mapped[int] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(sa.String(255))
    binary: Mapped[str] = mapped_column(sa.String(255))
    topic: Mapped[str] = mapped_column(sa.String(255))
    release: Mapped[str | None] = mapped_column(sa.String(50), index=True)
    report_count: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[dt.datetime | None]
    """When the service reported last, by the clock of the process that wrote the report."""

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> Any:
        return (sa.UniqueConstraint("host", "binary"),)


class ServiceState(Object, abstract=True):
    """The row of a service: what it is, and its reports."""

    topic: str
    release: str | None
    report_count: int
    updated_at: dt.datetime | None

    @classmethod
    @remotable
    @safe_to_repeat
    def register(cls, context: Any, host: str, binary: str, topic: str, release: str | None) -> Self:
        """Return the row of a service, which is made for its first start.

        Raise ConstraintViolated if another process makes it at the same moment: it is there then.
        """
        try:
            service = cls.get_by(context, host=host, binary=binary)
        except NotFound:
            service = cls(context, host=host, binary=binary, topic=topic, release=release)
            service.create()
        else:
            service.topic, service.release = topic, release
            service.save()
        return service

    @remotable
    @safe_to_repeat
    def report(self, number: int) -> None:
        """Write the report with this number, unless a later one is written. Raise ObjectGone if the row was deleted."""
        table = self._table
        now = dt.datetime.now(dt.UTC)
        statement = (
            sa.update(table)
            .where(*self._where({}), table.c.report_count < number)
            .values(report_count=number, updated_at=now.replace(tzinfo=None))
        )
        if database.connection().execute(statement).rowcount == 0:
            self.refresh()
            return
        self._set_loaded("report_count", number)
        self._set_loaded("updated_at", now)

    def is_up(self, down_time: float, now: dt.datetime | None = None) -> bool:
        """Return whether the service is up: whether it reported within the last `down_time` seconds."""
        return is_up(self.updated_at, down_time, now)


def is_up(reported_at: dt.datetime | None, down_time: float, now: dt.datetime | None = None) -> bool:
    """Return whether a service that reported last at this time is up.

    That is the only rule. A time of another machine, whose clock is ahead by less than `down_time` seconds, is as good
    as one in the past. A time without a zone is UTC, as in the database; `now` is the present by default.
    """
    if reported_at is None:
        return False
    if reported_at.tzinfo is None:
        reported_at = reported_at.replace(tzinfo=dt.UTC)
    return abs((now or dt.datetime.now(dt.UTC)) - reported_at) <= dt.timedelta(seconds=down_time)
