"""Binding a service's transactions to ROME.

Services begin their transactions through an *enginefacade* of oslo.db, which makes its engine when the first of them
begins: after the configuration is read, and after worker processes are forked. At that moment the engine's URL is
decided here. oslo.db has no public hook there (what a service configures later overrules what is configured now), so
the method of the enginefacade that makes the engine, `_start`, is extended; nothing else of oslo.db is touched.
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
    """Let a transaction context of oslo.db make its engine for the URL of `[discovery]` when it begins to be used.

    `manager` is what `enginefacade.transaction_context()` answered, or `enginefacade.writer` for oslo.db's global one.
    Raises DiscoveryError if it is in use already. What is wrong with the options is raised at the first transaction:
    OptionError, or StoreDown.
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
            if factory.is_started:  # by another thread, meanwhile
                return
            url = read_settings(cfg.CONF).url
            factory.configure(connection=url, slave_connection=None)
            try:
                start(conf)
            except DBConnectionError as error:
                raise store_down(error) from error

    factory._start = start_on_rome


def legacy_facade(**options: Any) -> Any:
    """An EngineFacade, of the releases of oslo.db that have it, for the URL of `[discovery]`.

    Raises OptionError, StoreDown.
    """
    url = read_settings(cfg.CONF).url
    try:
        return enginefacade.LegacyEngineFacade(url, _conf=cfg.CONF, **options)
    except DBConnectionError as error:
        raise store_down(error) from error


def store_down(error: DBConnectionError) -> StoreDown:
    """What a service's log should say when the store did not answer."""
    cause = getattr(error.inner_exception, "orig", None) or error
    return StoreDown(
        f"the store of [discovery] connection does not answer: {cause}. Start it, or correct the option; how often and "
        "how long it is waited for say max_retries and retry_interval under [database]"
    )
