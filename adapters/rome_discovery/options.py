"""The options of `[discovery]`, and what they amount to.

`oslo-config-generator --namespace rome.discovery` writes the sample; the one beside this file is its output.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from oslo_config import cfg
from oslo_db.options import database_opts
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from rome.database.registry import CONNECTION_OPTIONS
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
        help="The ROME URL of the service's database. Without it, [database] connection is used if that is a ROME URL. "
        "(How often a store that is down is tried at start, and how large the pool is, say the options of [database].)",
        sample_default=EXAMPLE,
    ),
    cfg.StrOpt(
        "isolation_level",
        choices=[
            ("SNAPSHOT", "a transaction reads one version of the database"),
            ("SERIALIZABLE", "and its commit is refused if that version is not the newest in what it has read"),
            ("READ COMMITTED", "each statement reads the newest version"),
        ],
        help="The isolation level of the service's transactions. Without it, the URL's, else SNAPSHOT.",
    ),
    cfg.BoolOpt(
        "foreign_keys",
        help="Whether foreign keys are enforced. Without it, as the URL says, else they are.",
    ),
    cfg.FloatOpt(
        "lock_ttl",
        default=30.0,
        min=1.0,
        help="Seconds after which the lock of a process that died is free again. A live process renews its locks.",
    ),
    cfg.FloatOpt(
        "lock_timeout",
        default=60.0,
        min=0.0,
        help="Seconds that a create which must happen once waits for another process to finish the same.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """What oslo.config's generator asks for, by the entry point `rome.discovery`."""
    return [(GROUP, OPTS)]


@dataclass(frozen=True)
class Settings:
    """The options as they are meant: the URL with everything in it that a connection takes."""

    url: str
    lock_ttl: float
    lock_timeout: float


def read_settings(conf: cfg.ConfigOpts) -> Settings:
    """The settings that a configuration states. Raises OptionError that names the option."""
    conf.register_opts(OPTS, GROUP)
    options = conf[GROUP]
    option, text = _find_connection(conf)
    url = _check_url(option, text)
    for name, value in _connection_options(options):
        if name in url.query:
            raise OptionError(f"{name} stands both in {option} and as [{GROUP}] {name}: remove one")
        url = url.update_query_dict({name: value})
    return Settings(url.render_as_string(hide_password=False), options.lock_ttl, options.lock_timeout)


def _find_connection(conf: cfg.ConfigOpts) -> tuple[str, str]:
    """The option that states the URL, and the URL. Services that do not use ROME state another one in [database]."""
    text = conf[GROUP].connection
    if text:
        return f"[{GROUP}] connection", text
    conf.register_opts(database_opts, "database")  # oslo.db does so no earlier than it makes an engine
    text = conf.database.connection
    if text and text.startswith("rome"):
        return "[database] connection", text
    raise OptionError(
        f"[{GROUP}] connection is not set: write `connection = {EXAMPLE}`, with your store and a name for the "
        f"database, under [{GROUP}] in the service's configuration"
    )


def _check_url(option: str, text: str) -> URL:
    try:
        parsed = parse_url(text)
        unknown = sorted(set(parsed.options) - store_options(parsed) - CONNECTION_OPTIONS)
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
