"""A service: its table, its manager and its drivers."""

import abc

from rome_objects.services.manager import Manager, exposed
from rome_objects.services.state import ServiceColumns, ServiceState
from tests.adapters.objects.models import Base, Server


class ReportModel(ServiceColumns, Base):
    __tablename__ = "reports"


class Reporting(ServiceState):
    model = ReportModel


class Driver(abc.ABC):
    @abc.abstractmethod
    def power_on(self, name): ...


class FakeDriver(Driver):
    def power_on(self, name):
        return f"{name} is on"


class OtherDriver:
    """A driver by its methods."""

    def power_on(self, name):
        return f"{name} is on elsewhere"


class UselessDriver:
    pass


def power_on(name):
    """This module is a driver, too."""
    return f"{name} is on here"


class ComputeManager(Manager):
    driver_base = Driver

    @exposed
    def start_server(self, context, server):
        """Save an object here, and return it."""
        server.host = self.host
        server.save()
        return {"server": server, "said": self.driver.power_on(server.name), "user": context["user"]}

    @exposed
    def fail(self, context, key):
        return Server.get(context, key)

    def secret(self, context):
        """Not declared."""
