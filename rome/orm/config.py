"""Find the database URL for a session without an engine, and keep the engines of this process.

The URL is looked up in this order:

1. the argument: `Session(url=...)`;
2. the environment: `ROME_URL`;
3. a file in INI format: the one that `ROME_CONF` names, else the first of `./rome.conf`, `~/.rome.conf` and
   `/etc/rome/rome.conf` that exists. It contains

       [rome]
       url = rome+redis://localhost:6379/app

   or, in the format of earlier versions of ROME, which had a single unnamed database,

       [Rome]
       backend = redis
       host = 127.0.0.1
       port = 6379

   which means rome+redis://127.0.0.1:6379/rome;
4. without any of them, the file `app.rome` in the directory that was the current one when it was first needed. This is
   logged as a warning, for it may not be what was meant.

All sessions and threads of a process share one engine for each URL, because the engine owns the connection pool and its
caches. A forked child starts without engines, so it shares no socket with its parent.
"""

from __future__ import annotations

import logging
import os
from configparser import ConfigParser
from configparser import Error as ConfigError
from functools import cache
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, make_url

import rome.url
from rome.errors import InterfaceError
from rome.forks import call_in_child, new_lock

FILES = ("rome.conf", "~/.rome.conf", "/etc/rome/rome.conf")
"""The configuration files to look for if ROME_CONF is not set."""

DEFAULT_FILE = "app.rome"
"""The file of the database if none is configured."""

LEGACY_DATABASE = "rome"
"""The database of a legacy configuration."""

_logger = logging.getLogger("rome.orm")
_lock = new_lock()
_engines: dict[URL, Engine] = {}
"""URL → the engine of this process. Guarded by `_lock`."""


def find_url() -> str:
    """Return the URL from the environment or the configuration file, else that of a file in the current directory.

    Raises InterfaceError for a configuration file that can't be used.
    """
    url = os.environ.get("ROME_URL")
    if url:
        return url
    path = _find_file()
    return _default_url() if path is None else read_url(path)


@cache
def _default_url() -> str:
    """Return the URL of the file that is used without configuration, and log it."""
    path = Path(DEFAULT_FILE).resolve()
    _logger.warning(
        "no database URL, so the database is the file %s: pass Session(url=...), set ROME_URL in the environment, or "
        "write `url = ...` under [rome] in the file that ROME_CONF names or in one of %s",
        path,
        ", ".join(FILES),
    )
    return str(rome.url.URL(store="file", database=str(path)[1:]))


def read_url(path: Path) -> str:
    """Return the URL of a configuration file. Raises InterfaceError, which names the file and the problem."""
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        raise InterfaceError(f"the configuration file {path} can't be read: {error}") from error
    url = parser.get("rome", "url", fallback="")
    if url:
        return url
    if parser.has_option("Rome", "backend"):
        return _legacy_url(parser, path)
    raise InterfaceError(f"the configuration file {path} has neither `url` under [rome] nor `backend` under [Rome]")


def engine_for(url: str | URL | None = None) -> Engine:
    """Return this process's engine for a URL, by default the configured one."""
    found = find_url() if url is None else url
    key = make_url(rome.url.with_one_host(found) if isinstance(found, str) else found)
    with _lock:
        engine = _engines.get(key)
        if engine is None:
            engine = _engines[key] = create_engine(key)
        return engine


def dispose_engines() -> None:
    """Close the pooled connections of every engine of this process and remove the engines."""
    with _lock:
        engines = list(_engines.values())
        _engines.clear()
    for engine in engines:
        engine.dispose()


def _find_file() -> Path | None:
    named = os.environ.get("ROME_CONF")
    if named:
        return Path(named)
    candidates = (Path(name).expanduser() for name in FILES)
    return next((path for path in candidates if path.is_file()), None)


def _legacy_url(parser: ConfigParser, path: Path) -> str:
    """Return the URL for the keys of a legacy configuration."""
    backend = parser.get("Rome", "backend").strip().lower()
    if backend != "redis":
        raise InterfaceError(
            f"unknown backend {backend!r} under [Rome] in {path}: only redis is supported there; "
            "other stores are named by `url` under [rome]"
        )
    if parser.get("Cluster", "redis_cluster_enabled", fallback="false").strip().lower() in ("true", "yes", "on", "1"):
        raise InterfaceError(
            f"redis_cluster_enabled in {path}: a legacy configuration supports one server; use `url` under [rome]"
        )
    port = parser.get("Rome", "port", fallback="6379").strip()
    if not port.isdecimal():
        raise InterfaceError(f"the port under [Rome] in {path} is not a number: {port!r}")
    host = parser.get("Rome", "host", fallback="127.0.0.1").strip()
    return str(rome.url.URL(store="redis", database=LEGACY_DATABASE, host=host, port=int(port)))


@call_in_child
def _begin_child() -> None:
    """Drop the parent's engines in a forked child, without closing their sockets."""
    engines = list(_engines.values())
    _engines.clear()
    for engine in engines:
        engine.dispose(close=False)
