"""What can be wrong with a configuration: every message names the option, and the way out."""

from __future__ import annotations

from oslo_db.exception import DBConnectionError


class DiscoveryError(Exception):
    """A discovery module can't do what the configuration asks of it."""


class OptionError(DiscoveryError):
    """An option is missing or has a value that can't be used."""


class ServiceMissing(DiscoveryError, ModuleNotFoundError):
    """A discovery module is configured whose service is not installed, or is there without this module."""


class StoreDown(DiscoveryError, DBConnectionError):
    """The store did not answer at the service's start. A DBConnectionError, for services that wait for their database.

    It is raised after as many tries as `[database] max_retries` says.
    """

    def __init__(self, message: str) -> None:
        DBConnectionError.__init__(self)
        self.args = (message,)

    def __str__(self) -> str:
        return str(self.args[0])
