"""The objects of services for benchmarks.state_reports, whose conductors import this module."""

from sqlalchemy.orm import DeclarativeBase

from rome_objects.services.state import ServiceColumns, ServiceState


class Base(DeclarativeBase):
    pass


class ServiceModel(ServiceColumns, Base):
    __tablename__ = "services"


class Service(ServiceState):
    model = ServiceModel
