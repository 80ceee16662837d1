"""The options of `[discovery]`.

`oslo-config-generator --namespace rome.discovery` generates `discovery.conf.sample` in this folder.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from oslo_config import cfg
from oslo_db.options import database_opts
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from rome.database.registry import CONNECTION_OPTIONS, DATABASE_OPTIONS
from rome.errors import InterfaceError
from rome.storage.registry import store_options
from rome.url import parse_url
from rome_discovery.errors import OptionError

GROUP = "discovery"

EXAMPLE = "rome+redis://localhost:6379/nova"

OPTS = [
    cfg.StrOpt(
        "connection",
        secret=True,
        help="The ROME URL of the service's database. The default is [database] connection, if that is a ROME URL. "
        "(The options of [database] set the number of connection attempts at start and the pool size.)",
        sample_default=EXAMPLE,
    ),
    cfg.StrOpt(
        "isolation_level",
        choices=[
            ("SNAPSHOT", "all statements of a transaction read one version of the database"),
            ("SERIALIZABLE", "as SNAPSHOT, and the commit fails if something that was read has changed since"),
            ("READ COMMITTED", "each statement reads the newest version"),
        ],
        help="The isolation level of the service's transactions. The default is the URL's, or else SNAPSHOT.",
    ),
    cfg.BoolOpt(
        "foreign_keys",
        help="Enforce foreign keys. The default is the URL's, or else true.",
    ),
    cfg.FloatOpt(
        "lock_ttl",
        default=30.0,
        min=1.0,
        help="Seconds after which the lock of a process that died expires. A live process renews its locks.",
    ),
    cfg.FloatOpt(
        "lock_timeout",
        default=60.0,
        min=0.0,
        help="Seconds that a function which must create a row only once waits for another process that creates it.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the options for oslo.config's generator, which finds this by the entry point `rome.discovery`."""
    return [(GROUP, OPTS)]


@dataclass(frozen=True)
class Settings:
    """The resolved options. The URL includes the options of the connection."""

    url: str
    lock_ttl: float
    lock_timeout: float


def read_settings(conf: cfg.ConfigOpts) -> Settings:
    """Return the settings of a configuration. Raises OptionError, which names the option."""
    conf.register_opts(OPTS, GROUP)
    options = conf[GROUP]
    option, text = _find_connection(conf)
    url = _check_url(option, text)
    for name, value in _connection_options(options):
        if name in url.query:
            raise OptionError(f"{name} is set both in {option} and by [{GROUP}] {name}: remove one")
        url = url.update_query_dict({name: value})
    return Settings(url.render_as_string(hide_password=False), options.lock_ttl, options.lock_timeout)


def _find_connection(conf: cfg.ConfigOpts) -> tuple[str, str]:
    """Return the name of the option that has the URL, and the URL.

    `[database] connection` counts only if it is a ROME URL; a service may have another database there.
    """
    text = conf[GROUP].connection
    if text:
        return f"[{GROUP}] connection", text
    conf.register_opts(database_opts, "database")  # oslo.db registers them only when it creates an engine
    text = conf.database.connection
    if text and text.startswith("rome"):
        return "[database] connection", text
    raise OptionError(
        f"[{GROUP}] connection is not set: write `connection = {EXAMPLE}`, with your store and database name, under "
        f"[{GROUP}] in the service's configuration"
    )


def _check_url(option: str, text: str) -> URL:
    try:
        parsed = parse_url(text)
        unknown = sorted(set(parsed.options) - store_options(parsed) - CONNECTION_OPTIONS - DATABASE_OPTIONS)
        if unknown:
            raise InterfaceError(f"unknown option {unknown[0]!r} in the ROME URL")
        return make_url(text)
    except (ArgumentError, InterfaceError) as error:
        raise OptionError(f"{option} is not usable: {error}") from error


def _connection_options(options: Any) -> Iterable[tuple[str, str]]:
    if options.isolation_level is not None:
        yield "isolation_level", options.isolation_level
    if options.foreign_keys is not None:
        yield "foreign_keys", "on" if options.foreign_keys else "off"
