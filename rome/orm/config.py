"""Which database a session without an engine talks to, and the engines of this process.

The URL is looked for in this order:

1. the argument: `Session(url=...)`;
2. the environment: `ROME_URL`;
3. a file in INI format: the one that `ROME_CONF` names, else the first of `./rome.conf`, `~/.rome.conf` and
   `/etc/rome/rome.conf` that exists. It says

       [rome]
       url = rome+redis://localhost:6379/app

   or, in the words of earlier versions of ROME, which always used one unnamed database,

       [Rome]
       backend = redis
       host = 127.0.0.1
       port = 6379

   which means rome+redis://127.0.0.1:6379/rome.

There is one engine for each URL and process, however many sessions and threads ask for it: an engine owns the pool of
connections, and through it their caches. A forked child begins without engines, so that it shares no socket with its
parent.
"""

from __future__ import annotations

import os
from configparser import ConfigParser
from configparser import Error as ConfigError
from pathlib import Path
from threading import Lock

from sqlalchemy import URL, Engine, create_engine, make_url

import rome.url
from rome.errors import InterfaceError

FILES = ("rome.conf", "~/.rome.conf", "/etc/rome/rome.conf")
"""Where the configuration file is looked for when ROME_CONF names none."""

LEGACY_DATABASE = "rome"
"""The database that the legacy keys lead to."""

_lock = Lock()
_engines: dict[URL, Engine] = {}
"""The engines of this process. Guarded by `_lock`."""


def find_url() -> str:
    """The URL from the environment or the configuration file. Raises InterfaceError when there is none."""
    url = os.environ.get("ROME_URL")
    if url:
        return url
    path = _find_file()
    if path is None:
        raise InterfaceError(
            "no database URL: give Session(url=...), or set ROME_URL in the environment, or write `url = ...` under "
            f"[rome] in a file that ROME_CONF names or in one of {', '.join(FILES)}"
        )
    return read_url(path)


def read_url(path: Path) -> str:
    """The URL that a configuration file states. Raises InterfaceError that names the file and what is wrong in it."""
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
    """This process's engine for a URL; without one, for the URL that is configured."""
    key = make_url(find_url() if url is None else url)
    with _lock:
        engine = _engines.get(key)
        if engine is None:
            engine = _engines[key] = create_engine(key)
        return engine


def dispose_engines() -> None:
    """Close the pooled connections of every engine of this process, and forget the engines."""
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
    """The keys of [Rome] as a URL."""
    backend = parser.get("Rome", "backend").strip().lower()
    if backend != "redis":
        raise InterfaceError(
            f"unknown backend {backend!r} under [Rome] in {path}: only redis is understood there; "
            "other stores are named by `url` under [rome]"
        )
    if parser.get("Cluster", "redis_cluster_enabled", fallback="false").strip().lower() in ("true", "yes", "on", "1"):
        raise InterfaceError(f"redis_cluster_enabled in {path}: the old keys name one server; write `url` under [rome]")
    port = parser.get("Rome", "port", fallback="6379").strip()
    if not port.isdecimal():
        raise InterfaceError(f"the port under [Rome] in {path} is no number: {port!r}")
    host = parser.get("Rome", "host", fallback="127.0.0.1").strip()
    return str(rome.url.URL(store="redis", database=LEGACY_DATABASE, host=host, port=int(port)))


def _begin_child() -> None:
    """In a forked child: drop the parent's engines without touching their sockets."""
    global _lock
    _lock = Lock()  # another thread of the parent may have held the old one
    engines = list(_engines.values())
    _engines.clear()
    for engine in engines:
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_begin_child)
