"""Bind a service's transactions to ROME.

Services begin their transactions with an *enginefacade* of oslo.db. It creates its engine when the first transaction
begins, after the service has read its configuration and forked its workers. At that moment this module sets the
engine's URL. oslo.db has no public hook for this, and configuring the enginefacade earlier does not help, because the
service's own configuration follows and overrides it. So `bind` replaces one private method, `_start`, which creates the
engine.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from oslo_config import cfg
from oslo_db.exception import DBConnectionError
from oslo_db.sqlalchemy import enginefacade

from rome_discovery.errors import DiscoveryError, StoreDown
from rome_discovery.options import read_settings


def bind(manager: Any) -> None:
    """Let a transaction context of oslo.db create its engine for the URL of `[discovery]`.

    `manager` is the result of `enginefacade.transaction_context()`, or `enginefacade.writer` for oslo.db's global one.
    Raises DiscoveryError if its engine exists already. The first transaction raises OptionError for invalid options,
    and StoreDown.
    """
    factory = manager._factory
    if factory.is_started:
        raise DiscoveryError(
            "the service's database API has connected to its database already: import its discovery module before "
            "the first transaction"
        )
    start = factory._start
    starting = Lock()

    def start_on_rome(conf: Any = False, connection: Any = None, slave_connection: Any = None) -> None:
        with starting:
            if factory.is_started:  # another thread has started it
                return
            url = read_settings(cfg.CONF).url
            factory.configure(connection=url, slave_connection=None)
            try:
                start(conf)
            except DBConnectionError as error:
                raise store_down(error) from error

    factory._start = start_on_rome


def legacy_facade(**options: Any) -> Any:
    """Return an EngineFacade for the URL of `[discovery]`, for releases of oslo.db that have that class.

    Raises OptionError and StoreDown.
    """
    url = read_settings(cfg.CONF).url
    try:
        return enginefacade.LegacyEngineFacade(url, _conf=cfg.CONF, **options)
    except DBConnectionError as error:
        raise store_down(error) from error


def store_down(error: DBConnectionError) -> StoreDown:
    """Return the error for a store that did not answer, with the cause and the options to look at."""
    cause = getattr(error.inner_exception, "orig", None) or error
    return StoreDown(
        f"the store of [discovery] connection does not answer: {cause}. Start it, or correct the option. The number "
        "of attempts and the pause between them are max_retries and retry_interval under [database]"
    )
