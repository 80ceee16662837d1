"""The rows in which the processes of both releases report."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase

from rome_objects.lists import ObjectList
from rome_objects.services.state import ServiceColumns, ServiceState


class Base(DeclarativeBase):
    """The table."""


class ServiceModel(ServiceColumns, Base):
    """A row of `services`."""

    __tablename__ = "services"


class Service(ServiceState):
    """A process of the cloud."""

    VERSION = "1.0"
    model = ServiceModel


class ServiceList(ObjectList, of=Service):
    """A page of services."""

    VERSION = "1.0"
