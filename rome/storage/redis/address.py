"""Where a `rome+redis://` URL leads: the database's name, and how connections to its server are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

from rome.errors import InterfaceError
from rome.storage.redis.wire import MakeConnection
from rome.url import URL

OPTIONS = (
    "connect_timeout",
    "database",
    "db",
    "log_bytes",
    "log_commits",
    "sentinel_service",
    "sentinels",
    "socket_timeout",
    "ssl_ca_certs",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_keyfile",
)


@dataclass(frozen=True)
class Address:
    """`server` is its name for messages; two addresses of one `server` and `db` see the same keys."""

    database: str
    server: str
    db: int
    connect: MakeConnection
    log_commits: int
    log_bytes: int


def read_address(url: URL) -> Address:
    """Take a URL apart. Raises InterfaceError that names what is wrong with it. Connects to nothing."""
    db = _number(url, "db", 0, least=0)
    kind, where, server = _where(url)
    make = {"username": url.user, "password": url.password, "db": db, **_times(url), **_certificates(url)}
    # ROME retries by itself, in full knowledge of what was sent; two layers of retries would multiply.
    make |= {"protocol": 2, "retry": Retry(NoBackoff(), 0)}
    # A pool of redis-py's counts the connections that it ever made; it does not see ours come to their end.
    make["max_connections"] = 2**31
    if "sentinel_service" in url.options:
        connect = _through_sentinels(url, make)
        server = f"{url.options['sentinel_service']} (sentinels {server})"
    else:
        connect = cast("MakeConnection", ConnectionPool(connection_class=kind, **make, **where).make_connection)
    return Address(
        database=_database(url),
        server=server,
        db=db,
        connect=connect,
        log_commits=_number(url, "log_commits", 10_000),
        log_bytes=_number(url, "log_bytes", 64 * 1024 * 1024),
    )


def _database(url: URL) -> str:
    name = "" if url.store == "unix" else url.database
    option = url.options.get("database", "")
    if name and option and name != option:
        raise InterfaceError(f"the ROME URL {url} names two databases")
    if not name and not option:
        form = "rome+unix:///path.sock?database=NAME" if url.store == "unix" else f"rome+{url.store}://host:port/NAME"
        raise InterfaceError(f"the ROME URL {url} names no database; write {form}")
    return name or option


def _where(url: URL) -> tuple[type[Any], dict[str, Any], str]:
    """The class of connections, the arguments that say where to, and the server's name for messages."""
    if url.store == "unix":
        if url.host or not url.database:
            raise InterfaceError(f"the ROME URL {url} has no socket path; write rome+unix:///path.sock?database=NAME")
        path = "/" + url.database
        return UnixDomainSocketConnection, {"path": path}, path
    host, port = url.host or "localhost", url.port or 6379
    kind = SSLConnection if url.store == "rediss" else Connection
    return kind, {"host": host, "port": port, "socket_keepalive": True}, _host_port(host, port)


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _times(url: URL) -> dict[str, Any]:
    names = {"socket_timeout": ("socket_timeout", 30.0), "connect_timeout": ("socket_connect_timeout", 5.0)}
    times = {}
    for option, (argument, default) in names.items():
        text = url.options.get(option, str(default))
        try:
            times[argument] = float(text)
        except ValueError:
            times[argument] = -1.0
        if not times[argument] > 0:
            raise InterfaceError(f"option {option!r} of the ROME URL {url} is not a number of seconds: {text!r}")
    return times


def _certificates(url: URL) -> dict[str, str]:
    named = {name: value for name, value in url.options.items() if name.startswith("ssl_")}
    if named and url.store != "rediss":
        raise InterfaceError(f"option {min(named)!r} of the ROME URL {url} is for rome+rediss:// only")
    return named


def _number(url: URL, option: str, default: int, least: int = 1) -> int:
    text = url.options.get(option, str(default))
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise InterfaceError(f"option {option!r} of the ROME URL {url} is not a number of {least} or more: {text!r}")
    return int(text)


def _through_sentinels(url: URL, make: dict[str, Any]) -> MakeConnection:
    """Connections to the primary that Sentinels know; the URL's host is one of them, `sentinels` lists others."""
    from redis.sentinel import Sentinel, SentinelConnectionPool

    if url.store == "unix":
        raise InterfaceError(f"option 'sentinel_service' of the ROME URL {url} needs a host")
    hosts = [(url.host or "localhost", url.port or 26379)]
    for item in filter(None, url.options.get("sentinels", "").split(",")):
        host, _, port = item.rpartition(":")
        if not host or not port.isdigit():
            raise InterfaceError(f"option 'sentinels' of the ROME URL {url} is not host:port,host:port…: {item!r}")
        hosts.append((host, int(port)))
    times = {name: make[name] for name in ("socket_timeout", "socket_connect_timeout")}
    sentinel = Sentinel(hosts, **times)  # type: ignore[no-untyped-call]
    pool: Any = SentinelConnectionPool(  # type: ignore[no-untyped-call]
        url.options["sentinel_service"], sentinel, ssl=url.store == "rediss", **make
    )
    return cast("MakeConnection", pool.make_connection)
