"""Errors of a configuration. Every message names the option and says what to do."""

from __future__ import annotations

from oslo_db.exception import DBConnectionError


class DiscoveryError(Exception):
    """A discovery module can't be used as configured."""


class OptionError(DiscoveryError):
    """An option is missing or has an invalid value."""


class ServiceMissing(DiscoveryError, ModuleNotFoundError):
    """The service of a discovery module is not installed, or has no database API of the expected name."""


class StoreDown(DiscoveryError, DBConnectionError):
    """The store did not answer when the service started, after `[database] max_retries` attempts.

    It is a DBConnectionError, for services that wait for their database.
    """

    def __init__(self, message: str) -> None:
        DBConnectionError.__init__(self)
        self.args = (message,)

    def __str__(self) -> str:
        return str(self.args[0])
